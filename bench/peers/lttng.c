/* SPDX-License-Identifier: Apache-2.0 */
/* The LTTng-UST peer of bench_foreign.py: prints the ns that one event costs. */
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include <stdio.h>
#include <time.h>

#include "bench/peers/lttng_event.inc"

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

int main(void)
{
	double least = 1e300;

	for (int round = 0; round < 400; round++) {
		double start = now_ns();

		for (uint32_t i = 0; i < 1000; i++)
			lttng_ust_tracepoint(vow_bench, observed, 5, 1000000 + i, 200);
		double took = (now_ns() - start) / 1000;
		least = took < least ? took : least;
	}
	if (!lttng_ust_tracepoint_enabled(vow_bench, observed))
		return 1; /* not registered: that would be the cost of a branch */
	printf("%.3f\n", least);
	return 0;
}
