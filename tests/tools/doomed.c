/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application that tests kill: observes a route for ever, with a tag that says whether the latency
 * is odd or even, and counts in a file, which outlives it, each call that returned.
 *
 *	doomed SERVICE ROUTE FILE TRAP_AT BURST [THREADS]
 *
 * FILE holds the words of struct story. Before call number TRAP_AT (0: none) its first thread raises
 * SIGTRAP for its tracer. Each of its THREADS (1, or 2) rests for a millisecond after each BURST calls
 * (0: never).
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <vow/vow.h>

struct story {
	uint64_t observed; /* calls of the first thread that returned */
	uint64_t enough; /* once the test sets it, it observes no more and stays */
	uint64_t resting; /* threads that do so */
	uint64_t pad[13]; /* the threads write to lines of their own */
	uint64_t observed_second; /* calls of the second thread that returned */
};

struct life {
	struct story *story;
	uint64_t *observed;
	uint64_t trap_at, burst;
	vow_id route;
};

static void rest(void)
{
	const struct timespec millisecond = {.tv_nsec = 1000000};

	nanosleep(&millisecond, NULL);
}

static void *live(void *arg)
{
	const struct life *life = arg;
	struct story *story = life->story;

	for (uint64_t call = 1; !__atomic_load_n(&story->enough, __ATOMIC_ACQUIRE); call++) {
		if (call == life->trap_at)
			raise(SIGTRAP);
		uint64_t latency_ns = call * 7919 % 100000000;
		vow_observe_tagged(life->route, latency_ns, 200, latency_ns % 2 ? "odd" : "even");
		__atomic_store_n(life->observed, call, __ATOMIC_RELEASE);
		if (life->burst && call % life->burst == 0)
			rest();
	}
	__atomic_fetch_add(&story->resting, 1, __ATOMIC_RELEASE);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc < 6 || argc > 7) {
		fprintf(stderr, "doomed SERVICE ROUTE FILE TRAP_AT BURST [THREADS]\n");
		return 2;
	}
	int fd = open(argv[3], O_RDWR | O_CLOEXEC);
	struct story *story =
		fd < 0 ? MAP_FAILED
		       : mmap(NULL, sizeof(*story), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (story == MAP_FAILED || vow_open(argv[1])) {
		fprintf(stderr, "doomed: cannot start\n");
		return 1;
	}
	struct life first = {
		.story = story,
		.observed = &story->observed,
		.trap_at = strtoull(argv[4], NULL, 10),
		.burst = strtoull(argv[5], NULL, 10),
		.route = vow_route(argv[2]),
	};
	struct life second = first;
	second.observed = &story->observed_second;
	second.trap_at = 0;
	if (argc == 7 && atoi(argv[6]) == 2 && pthread_create(&thread, NULL, live, &second)) {
		fprintf(stderr, "doomed: no second thread\n");
		return 1;
	}
	live(&first);
	for (;;)
		pause();
}
