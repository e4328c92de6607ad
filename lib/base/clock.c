/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/clock.h"

#include <stdbool.h>
#include <time.h>

/*
 * What clock_fake() set. Written by a test before it starts threads, so relaxed loads are enough;
 * they cost nothing when no test is about.
 */
static struct {
	bool on;
	mono_ns mono;
	wall_ns wall;
} fake;

static uint64_t clock_read(clockid_t id)
{
	struct timespec now;

	/* Cannot fail: the two clocks exist on every Linux and `now` is ours. */
	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

mono_ns clock_mono(void)
{
	if (unlikely(__atomic_load_n(&fake.on, __ATOMIC_RELAXED)))
		return __atomic_load_n(&fake.mono, __ATOMIC_RELAXED);
	return clock_read(CLOCK_MONOTONIC);
}

wall_ns clock_wall(void)
{
	if (unlikely(__atomic_load_n(&fake.on, __ATOMIC_RELAXED)))
		return __atomic_load_n(&fake.wall, __ATOMIC_RELAXED);
	return clock_read(CLOCK_REALTIME);
}

void clock_fake(mono_ns mono, wall_ns wall)
{
	__atomic_store_n(&fake.mono, mono, __ATOMIC_RELAXED);
	__atomic_store_n(&fake.wall, wall, __ATOMIC_RELAXED);
	__atomic_store_n(&fake.on, true, __ATOMIC_RELAXED);
}

void clock_fake_end(void)
{
	__atomic_store_n(&fake.on, false, __ATOMIC_RELAXED);
}
