/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/aside.h"
#include "lib/base/clock.h"
#include "tests/unit/check.h"

/* A job that reads a byte, from a pipe that may stay empty. */
struct reading {
	struct aside_job job; /* first */
	int fd; /* -1: nothing is read */
	unsigned number;
	bool signals; /* some signal is not blocked in its thread */
};

static unsigned discarded; /* atomic */

static void reading_work(struct aside_job *job)
{
	struct reading *reading = (struct reading *)job;
	sigset_t blocked;
	char byte;

	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	reading->signals = !sigismember(&blocked, SIGTERM);
	if (reading->fd >= 0 && read(reading->fd, &byte, 1) != 1)
		abort();
}

static void reading_discard(struct aside_job *job)
{
	free(job);
	__atomic_fetch_add(&discarded, 1, __ATOMIC_ACQ_REL);
}

static void ask(struct aside *aside, int fd, unsigned number)
{
	struct reading *reading = calloc(1, sizeof(*reading));

	CHECK(reading);
	reading->job = (struct aside_job){.work = reading_work, .discard = reading_discard};
	reading->fd = fd;
	reading->number = number;
	aside_ask(aside, &reading->job, clock_mono());
}

/* The next that is done, waited for: its number. */
static unsigned answer(struct aside *aside)
{
	struct aside_job *job;

	while (!(job = aside_done(aside, clock_mono())))
		usleep(1000);
	struct reading *reading = (struct reading *)job;
	unsigned number = reading->number;
	CHECK(!reading->signals);
	free(reading);
	return number;
}

/* Each of these numbers once: a thread that had no processor for long is taken for a stuck one. */
static void answers(struct aside *aside, unsigned first, unsigned last)
{
	bool *seen = calloc(last + 1, sizeof(*seen));

	for (unsigned i = first; i <= last; i++) {
		unsigned number = answer(aside);
		CHECK(number >= first && number <= last && !seen[number]);
		seen[number] = true;
	}
	free(seen);
}

CHECK_TEST(test_each_job_is_given_back_once)
{
	struct aside *aside = aside_new();

	CHECK(!aside_done(aside, clock_mono()));
	CHECK(!aside_busy(aside));
	for (unsigned i = 1; i <= 1000; i++)
		ask(aside, -1, i);
	answers(aside, 1, 1000);
	CHECK(!aside_busy(aside));
	/* And once more when all its threads have ended. */
	ask(aside, -1, 7);
	CHECK_EQ_U64(answer(aside), 7);
	aside_free(aside);
}

CHECK_TEST(test_one_that_is_stuck_holds_up_itself_alone)
{
	struct aside *aside = aside_new();
	int ends[2];

	CHECK_OK(pipe(ends));
	ask(aside, ends[0], 1);
	for (unsigned i = 2; i < 10; i++)
		ask(aside, -1, i);
	answers(aside, 2, 9);
	const struct aside_job *stuck = aside_stuck(aside, 0, clock_mono());
	CHECK(stuck);
	CHECK_EQ_U64(((const struct reading *)stuck)->number, 1);
	CHECK(!aside_stuck(aside, NS_PER_H, clock_mono()));
	CHECK(aside_busy(aside));
	CHECK_EQ_I64(write(ends[1], "x", 1), 1);
	CHECK_EQ_U64(answer(aside), 1);
	CHECK(!aside_stuck(aside, 0, clock_mono()));
	aside_free(aside);
}

CHECK_TEST(test_when_all_threads_are_stuck_the_rest_waits_for_one_of_them)
{
	struct aside *aside = aside_new();
	int ends[2];

	CHECK_OK(pipe(ends));
	for (unsigned i = 0; i < ASIDE_THREADS; i++)
		ask(aside, ends[0], 1);
	ask(aside, -1, 2);
	/* A later instant each time: another thread for each that is stuck. */
	for (unsigned i = 1; i < 4 * ASIDE_THREADS; i++) {
		CHECK(!aside_done(aside, clock_mono() + 2 * ASIDE_PATIENCE));
		usleep(2000);
	}
	CHECK_EQ_I64(write(ends[1], "x", 1), 1);
	CHECK_EQ_U64(answer(aside), 1);
	CHECK_EQ_U64(answer(aside), 2);
	for (unsigned i = 1; i < ASIDE_THREADS; i++) {
		CHECK_EQ_I64(write(ends[1], "x", 1), 1);
		CHECK_EQ_U64(answer(aside), 1);
	}
	CHECK(!aside_busy(aside));
	aside_free(aside);
}

CHECK_TEST(test_what_nobody_waits_for_any_more_is_discarded)
{
	struct aside *aside = aside_new();
	int ends[2];

	CHECK_OK(pipe(ends));
	__atomic_store_n(&discarded, 0, __ATOMIC_RELEASE);
	ask(aside, ends[0], 1);
	ask(aside, -1, 2);
	while (!aside_stuck(aside, 0, clock_mono()))
		usleep(1000);
	aside_free(aside);
	CHECK_EQ_U64(__atomic_load_n(&discarded, __ATOMIC_ACQUIRE), 0);
	CHECK_EQ_I64(write(ends[1], "x", 1), 1);
	while (__atomic_load_n(&discarded, __ATOMIC_ACQUIRE) != 2)
		usleep(1000);
	aside_free(NULL);
}

CHECK_MAIN("aside", test_each_job_is_given_back_once, test_one_that_is_stuck_holds_up_itself_alone,
	   test_when_all_threads_are_stuck_the_rest_waits_for_one_of_them,
	   test_what_nobody_waits_for_any_more_is_discarded)
