/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every benchmark shares: a stop watch, the peer that all figures are held against, and the
 * line that bench/run reads. A figure is the least of several rounds, since noise only ever adds;
 * rounds of ours and of the peer take turns, so that a slow moment of the machine hits both.
 */
#ifndef VOW_BENCH_MEASURE_H
#define VOW_BENCH_MEASURE_H

#include <stdio.h>
#include <stdlib.h>
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

static inline double measure_least(double a, double b)
{
	return a < b ? a : b;
}

static inline int measure_compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Sorts what was measured; the median is in the middle then. */
static inline void measure_sort(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), measure_compare);
}

/* One line for bench/run: ours and the peer's in ns, the ratio and its limit. */
static inline void measure_row(const char *name, double ours, const char *peer, double its,
			       double limit)
{
	printf("%s\t%.2f\tns\t%s\t%.2f\t%.3f\t%.3f\n", name, ours, peer, its, ours / its, limit);
	fflush(stdout);
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
		double start = measure_now();

		round(arg);
		ours = measure_least(ours, (measure_now() - start) / (double)ops);
		peer = measure_least(peer, measure_clock());
	}
	measure_row(name, ours, "clock_gettime", peer, limit);
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
