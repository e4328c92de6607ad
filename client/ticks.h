/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clock of spans: the time stamp counter where the kernel itself keeps time by it (15 ns),
 * else CLOCK_MONOTONIC through the vDSO (27 ns). Any thread.
 */
#ifndef VOW_CLIENT_TICKS_H
#define VOW_CLIENT_TICKS_H

#include <stdbool.h>
#include <time.h>
#include <vow/shm.h>

#include "lib/base/types.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

struct ticks {
	uint32_t clock; /* enum vow_shm_clock; 0 before the first vow_open(): there are no ticks */
	uint64_t ratio; /* ns = ticks * ratio / 2^32 */
};

extern struct ticks ticks_mine; /* written by ticks_use() only */

/* The file in which the kernel names the clock it keeps time by; tests bring their own. */
#define TICKS_SOURCE "/sys/devices/system/clocksource/clocksource0/current_clocksource"

/*
 * Whether the kernel trusts the counter: it is constant, runs in sleep, and is the same on all cores.
 * Not where the file cannot be read.
 */
bool ticks_tsc_trusted(const char *source);
/* Chooses the clock and measures its rate, in about a millisecond, to about 50 parts in 10^6. */
void ticks_calibrate(struct ticks *ticks, const char *source);
/* From now on ticks_now() is of this clock. vow_open() only. */
void ticks_use(const struct ticks *ticks);

static inline mono_ns ticks_monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* 0 before the first vow_open(), so that ticks of one clock never meet those of another. */
static inline uint64_t ticks_now(void)
{
	/* Partner: the release in ticks_use(), behind the ratio. */
	uint32_t clock = __atomic_load_n(&ticks_mine.clock, __ATOMIC_ACQUIRE);

#if defined(__x86_64__)
	if (likely(clock == VOW_SHM_CLOCK_TSC))
		return __rdtsc();
#endif
	return clock ? ticks_monotonic() : 0;
}

/* Nanoseconds from start to end; 0 when a counter of another core ran a little behind. */
static inline dur_ns ticks_between(uint64_t start, uint64_t end)
{
	if (unlikely(end < start))
		return 0;
	if (__atomic_load_n(&ticks_mine.clock, __ATOMIC_RELAXED) != VOW_SHM_CLOCK_TSC)
		return end - start;
	uint64_t ratio = __atomic_load_n(&ticks_mine.ratio, __ATOMIC_RELAXED);
	return (uint64_t)(((unsigned __int128)(end - start) * ratio) >> 32);
}

#endif
