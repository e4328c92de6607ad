/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/aside.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "lib/base/clock.h"

#define STACK_BYTES (64 << 10)

struct queue {
	struct aside_job *first, **end;
};

/* Of whoever asks and of all threads: the last of them frees it. */
struct aside {
	pthread_mutex_t lock;
	struct queue waiting, done;
	struct aside_job *under_way[ASIDE_THREADS];
	unsigned threads;
	bool deserted; /* whoever asks is gone */
	unsigned out; /* for him alone: asked for and not given back */
};

static void queue_put(struct queue *queue, struct aside_job *job)
{
	job->next = NULL;
	*queue->end = job;
	queue->end = &job->next;
}

static struct aside_job *queue_take(struct queue *queue)
{
	struct aside_job *job = queue->first;

	if (job)
		queue->first = job->next;
	if (!queue->first)
		queue->end = &queue->first;
	return job;
}

static void queue_discard(struct queue *queue)
{
	for (struct aside_job *job; (job = queue_take(queue));)
		job->discard(job);
}

struct aside *aside_new(void)
{
	struct aside *aside = calloc(1, sizeof(*aside));

	if (!aside)
		return NULL;
	pthread_mutex_init(&aside->lock, NULL);
	aside->waiting.end = &aside->waiting.first;
	aside->done.end = &aside->done.first;
	return aside;
}

static void aside_destroy(struct aside *aside)
{
	queue_discard(&aside->waiting);
	queue_discard(&aside->done);
	pthread_mutex_destroy(&aside->lock);
	free(aside);
}

/* ---- the threads --------------------------------------------------------------------------------- */

static unsigned place_of(const struct aside *aside, const struct aside_job *job)
{
	unsigned i = 0;

	while (aside->under_way[i] != job)
		i++;
	return i;
}

static void *thread_main(void *arg)
{
	struct aside *aside = arg;
	struct aside_job *job;

	pthread_mutex_lock(&aside->lock);
	while (!aside->deserted && (job = queue_take(&aside->waiting))) {
		aside->under_way[place_of(aside, NULL)] = job;
		job->begun = clock_mono();
		pthread_mutex_unlock(&aside->lock);
		job->work(job);
		pthread_mutex_lock(&aside->lock);
		aside->under_way[place_of(aside, job)] = NULL;
		queue_put(&aside->done, job);
	}
	bool last = --aside->threads == 0 && aside->deserted;
	pthread_mutex_unlock(&aside->lock);
	if (last)
		aside_destroy(aside);
	return NULL;
}

static int thread_start(struct aside *aside)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t thread;
	int err;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&thread, &attributes, thread_main, aside);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return err;
}

/* Another thread, if jobs wait and each one that there is has been at its own for long. */
static void aside_hurry(struct aside *aside, mono_ns now)
{
	if (!aside->waiting.first || aside->threads == ASIDE_THREADS)
		return;
	unsigned stuck = 0;
	for (unsigned i = 0; i < ASIDE_THREADS; i++) {
		const struct aside_job *job = aside->under_way[i];

		stuck += job && now > job->begun && now - job->begun > ASIDE_PATIENCE;
	}
	/* What cannot be started now is tried again with the next look. */
	if (stuck == aside->threads && thread_start(aside) == 0)
		aside->threads++;
}

/* ---- whoever asks -------------------------------------------------------------------------------- */

void aside_free(struct aside *aside)
{
	if (!aside)
		return;
	pthread_mutex_lock(&aside->lock);
	aside->deserted = true;
	bool last = aside->threads == 0;
	pthread_mutex_unlock(&aside->lock);
	if (last)
		aside_destroy(aside);
}

void aside_ask(struct aside *aside, struct aside_job *job, mono_ns now)
{
	aside->out++;
	pthread_mutex_lock(&aside->lock);
	queue_put(&aside->waiting, job);
	aside_hurry(aside, now);
	pthread_mutex_unlock(&aside->lock);
}

struct aside_job *aside_done(struct aside *aside, mono_ns now)
{
	if (!aside->out)
		return NULL;
	pthread_mutex_lock(&aside->lock);
	struct aside_job *job = queue_take(&aside->done);
	aside_hurry(aside, now);
	pthread_mutex_unlock(&aside->lock);
	aside->out -= job != NULL;
	return job;
}

bool aside_busy(struct aside *aside)
{
	pthread_mutex_lock(&aside->lock);
	bool busy = aside->waiting.first != NULL;
	for (unsigned i = 0; i < ASIDE_THREADS; i++)
		busy |= aside->under_way[i] != NULL;
	pthread_mutex_unlock(&aside->lock);
	return busy;
}

const struct aside_job *aside_stuck(struct aside *aside, dur_ns than, mono_ns now)
{
	const struct aside_job *longest = NULL;

	if (!aside->out)
		return NULL;
	pthread_mutex_lock(&aside->lock);
	for (unsigned i = 0; i < ASIDE_THREADS; i++) {
		const struct aside_job *job = aside->under_way[i];

		if (job && now > job->begun && now - job->begun > than &&
		    (!longest || job->begun < longest->begun))
			longest = job;
	}
	pthread_mutex_unlock(&aside->lock);
	return longest;
}
