/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application that tests kill: observes a route for ever, with a tag that says whether the latency
 * is odd or even, and counts in a file, which outlives it, each call that returned.
 *
 *	doomed SERVICE ROUTE FILE TRAP_AT BURST
 *
 * FILE begins with two words of 64 bits: how many calls returned, and a flag; once that is set it
 * observes no more and stays. Before call number TRAP_AT (0: none) it raises SIGTRAP for its tracer.
 * It rests for a millisecond after each BURST calls (0: never).
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <vow/vow.h>

struct story {
	uint64_t observed, enough;
};

static void rest(void)
{
	const struct timespec millisecond = {.tv_nsec = 1000000};

	nanosleep(&millisecond, NULL);
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fprintf(stderr, "doomed SERVICE ROUTE FILE TRAP_AT BURST\n");
		return 2;
	}
	uint64_t trap_at = strtoull(argv[4], NULL, 10), burst = strtoull(argv[5], NULL, 10);
	int fd = open(argv[3], O_RDWR | O_CLOEXEC);
	struct story *story =
		fd < 0 ? MAP_FAILED
		       : mmap(NULL, sizeof(*story), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (story == MAP_FAILED || vow_open(argv[1])) {
		fprintf(stderr, "doomed: cannot start\n");
		return 1;
	}
	vow_id route = vow_route(argv[2]);
	for (uint64_t call = 1; !__atomic_load_n(&story->enough, __ATOMIC_ACQUIRE); call++) {
		if (call == trap_at)
			raise(SIGTRAP);
		uint64_t latency_ns = call * 7919 % 100000000;
		vow_observe_tagged(route, latency_ns, 200, latency_ns % 2 ? "odd" : "even");
		__atomic_store_n(&story->observed, call, __ATOMIC_RELEASE);
		if (burst && call % burst == 0)
			rest();
	}
	for (;;)
		pause();
}
