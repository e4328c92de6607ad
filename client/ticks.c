/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ticks.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct ticks ticks_mine;

#if defined(__x86_64__)
struct ticks_pair {
	uint64_t tsc;
	mono_ns ns;
};

/* Both clocks at one moment: the closest of several tries, so that an interrupt does not count. */
static struct ticks_pair ticks_pair_read(void)
{
	struct ticks_pair best = {0, 0};
	uint64_t closest = UINT64_MAX;

	for (int i = 0; i < 8; i++) {
		uint64_t before = __rdtsc();
		mono_ns ns = ticks_monotonic();
		uint64_t after = __rdtsc();

		if (after - before < closest) {
			closest = after - before;
			best = (struct ticks_pair){before + (after - before) / 2, ns};
		}
	}
	return best;
}
#endif

bool ticks_tsc_trusted(const char *path)
{
	char source[16] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	ssize_t length = read(fd, source, sizeof(source) - 1);
	close(fd);
	return length >= 4 && memcmp(source, "tsc\n", 4) == 0;
}

void ticks_calibrate(struct ticks *ticks, const char *source)
{
	ticks->clock = VOW_SHM_CLOCK_MONOTONIC;
	ticks->ratio = UINT64_C(1) << 32;
#if defined(__x86_64__)
	if (!ticks_tsc_trusted(source))
		return;
	struct ticks_pair first = ticks_pair_read(), last;
	do
		last = ticks_pair_read();
	while (last.ns - first.ns < NS_PER_MS);
	if (last.tsc <= first.tsc)
		return;
	ticks->clock = VOW_SHM_CLOCK_TSC;
	ticks->ratio = (uint64_t)(((unsigned __int128)(last.ns - first.ns) << 32) /
				  (last.tsc - first.tsc));
#else
	(void)source;
#endif
}

void ticks_use(const struct ticks *ticks)
{
	__atomic_store_n(&ticks_mine.ratio, ticks->ratio, __ATOMIC_RELAXED);
	/* Partner: the acquire in ticks_now(). */
	__atomic_store_n(&ticks_mine.clock, ticks->clock, __ATOMIC_RELEASE);
}
