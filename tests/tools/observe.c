/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application for tests, on the public header alone: observes a route from several threads, at
 * a fixed rate or as fast as it goes, and says at the end how many observations it made.
 *
 *	observe SERVICE ROUTE THREADS COUNT RATE_PER_S FAST_NS SLOW_NS
 *
 * COUNT and RATE_PER_S are for each thread; RATE_PER_S 0 is as fast as it goes. The latencies of a
 * thread spread evenly from FAST_NS to twice that; SIGUSR1 changes to SLOW_NS, SIGUSR2 back.
 * Prints "ready", then "truth P50 P90 P95 P99 MAX" in ns, the exact percentiles of what it observed
 * at FAST_NS, and "observed N" when done; its threads stay until its standard input ends.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <vow/vow.h>

static atomic_bool slow;
static pthread_barrier_t observed, leave; /* of all threads and main() */

struct work {
	vow_id route;
	uint64_t count, rate_per_s, latency_ns[2];
	unsigned seed;
	uint32_t *seen; /* how often each latency FAST_NS + i was observed */
};

static void on_signal(int signum)
{
	slow = signum == SIGUSR1;
}

/* For main(), which waits at a barrier: there TSan keeps a signal until all are there. */
static void leave_signals_to_threads(void)
{
	sigset_t both;

	sigemptyset(&both);
	sigaddset(&both, SIGUSR1);
	sigaddset(&both, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &both, NULL);
}

static void pause_until(const struct timespec *start, uint64_t ns)
{
	struct timespec due = *start;

	due.tv_sec += (time_t)(ns / 1000000000);
	due.tv_nsec += (long)(ns % 1000000000);
	if (due.tv_nsec >= 1000000000) {
		due.tv_nsec -= 1000000000;
		due.tv_sec++;
	}
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL))
		;
}

static void *work_main(void *arg)
{
	const struct work *work = arg;
	uint64_t state = work->seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	uint64_t paused_until = 0;
	struct timespec start;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (uint64_t i = 0; i < work->count; i++) {
		bool was_slow = slow;
		uint64_t base = work->latency_ns[was_slow];
		state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		uint64_t more = (state >> 33) % base;
		vow_observe(work->route, base + more, 200);
		if (!was_slow)
			work->seen[more]++;
		if (work->rate_per_s) { /* a pause costs 50 us, so none for less than 1 ms */
			uint64_t due = i * UINT64_C(1000000000) / work->rate_per_s;
			if (due - paused_until >= 1000000)
				pause_until(&start, paused_until = due);
		}
	}
	pthread_barrier_wait(&observed);
	pthread_barrier_wait(&leave);
	return NULL;
}

/* The smallest latency that at least the share q of all fast observations do not exceed. */
static uint64_t percentile(const struct work *work, unsigned threads, uint64_t total, double q)
{
	uint64_t rank = (uint64_t)(q * (double)total + 0.999999), below = 0, i = 0;

	for (;; i++) {
		for (unsigned t = 0; t < threads; t++)
			below += work[t].seen[i];
		if (below >= rank || i + 1 == work[0].latency_ns[0])
			return work[0].latency_ns[0] + i;
	}
}

static void print_truth(const struct work *work, unsigned threads)
{
	static const double shares[] = {0.5, 0.9, 0.95, 0.99, 1};
	uint64_t total = 0;

	for (unsigned t = 0; t < threads; t++)
		for (uint64_t i = 0; i < work[t].latency_ns[0]; i++)
			total += work[t].seen[i];
	printf("truth");
	for (unsigned i = 0; i < sizeof(shares) / sizeof(shares[0]); i++)
		printf(" %llu", (unsigned long long)percentile(work, threads, total, shares[i]));
	printf("\n");
}

int main(int argc, char **argv)
{
	pthread_t threads[64];
	struct work work[64];

	if (argc != 8) {
		fprintf(stderr, "observe SERVICE ROUTE THREADS COUNT RATE_PER_S FAST_NS SLOW_NS\n");
		return 2;
	}
	unsigned thread_count = (unsigned)atoi(argv[3]);
	if (thread_count < 1 || thread_count > 64 || vow_open(argv[1])) {
		fprintf(stderr, "observe: cannot start\n");
		return 1;
	}
	signal(SIGUSR1, on_signal);
	signal(SIGUSR2, on_signal);
	printf("ready\n");
	fflush(stdout);
	vow_id route = vow_route(argv[2]);
	pthread_barrier_init(&observed, NULL, thread_count + 1);
	pthread_barrier_init(&leave, NULL, thread_count + 1);
	for (unsigned i = 0; i < thread_count; i++) {
		work[i] = (struct work){
			.route = route,
			.count = strtoull(argv[4], NULL, 10),
			.rate_per_s = strtoull(argv[5], NULL, 10),
			.latency_ns = {strtoull(argv[6], NULL, 10), strtoull(argv[7], NULL, 10)},
			.seed = i + 1};
		work[i].seen = calloc(work[i].latency_ns[0], sizeof(*work[i].seen));
		if (!work[i].seen)
			return 1;
		if (pthread_create(&threads[i], NULL, work_main, &work[i]))
			return 1;
	}
	leave_signals_to_threads();
	pthread_barrier_wait(&observed);
	print_truth(work, thread_count);
	printf("observed %llu\n", (unsigned long long)thread_count * work[0].count);
	fflush(stdout);
	char byte;
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	pthread_barrier_wait(&leave);
	for (unsigned i = 0; i < thread_count; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < thread_count; i++)
		free(work[i].seen);
	return 0;
}
