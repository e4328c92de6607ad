/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every benchmark shares: a stop watch, the peer that all figures are held against, and the
 * line that bench/run reads. A figure is the least of several rounds, since noise only ever adds;
 * rounds of ours and of the peer take turns, so that a slow moment of the machine hits both.
 */
#ifndef VOW_BENCH_MEASURE_H
#define VOW_BENCH_MEASURE_H

#include <stdio.h>
#include <time.h>

#include "lib/base/types.h"

#define MEASURE_ROUNDS 100

static inline double measure_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Keeps the compiler from dropping what is measured. */
static inline void measure_use(uint64_t value)
{
	__asm__ volatile("" : : "r"(value) : "memory");
}

/* One round of the peer: ns for one call of clock_gettime(). */
static inline double measure_clock(void)
{
	enum { CALLS = 20000 };
	struct timespec now;
	double start = measure_now();

	for (int i = 0; i < CALLS; i++) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		measure_use((uint64_t)now.tv_nsec);
	}
	return (measure_now() - start) / CALLS;
}

/*
 * Runs round(arg), which does `ops` operations, in turn with the peer and prints one line: name,
 * ns per operation, peer, its ns, the ratio and the ratio's limit.
 */
static inline void measure(const char *name, double limit, uint64_t ops, void (*round)(void *),
			   void *arg)
{
	double ours = 1e300, peer = 1e300;

	for (int i = 0; i < MEASURE_ROUNDS; i++) {
		double start = measure_now(), took, clock;

		round(arg);
		took = (measure_now() - start) / (double)ops;
		clock = measure_clock();
		ours = took < ours ? took : ours;
		peer = clock < peer ? clock : peer;
	}
	printf("%s\t%.2f\tns\tclock_gettime\t%.2f\t%.3f\t%.3f\n", name, ours, peer, ours / peer,
	       limit);
	fflush(stdout);
}

/* The same in every run: a xorshift generator. */
static inline uint64_t measure_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Latencies of one route: 4 to 64 ms, even on a logarithmic scale (within an octave, linear). */
static inline uint64_t measure_latency(uint64_t *state)
{
	uint64_t r = measure_random(state), octave = UINT64_C(1) << (22 + (r >> 60) % 4);

	return octave + (r & (octave - 1));
}

#endif
