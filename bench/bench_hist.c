/* SPDX-License-Identifier: Apache-2.0 */
/* The histogram: finding a slot, recording, merging, packing, quantiles. */
#include "bench/measure.h"
#include "lib/data/hist.h"

enum { VALUES = 1 << 15, SUMS = 200 };

static uint64_t values[VALUES];
static struct hist_delta delta;
static struct hist from, into;
static uint8_t packed[HIST_PACKED_MAX];
static size_t packed_size;

static void round_slot(void *arg)
{
	uint64_t sum = 0;

	(void)arg;
	for (int i = 0; i < VALUES; i++)
		sum += hist_slot(values[i]);
	measure_use(sum);
}

static void round_record(void *arg)
{
	(void)arg;
	hist_delta_clear(&delta);
	for (int i = 0; i < VALUES; i++)
		hist_delta_record(&delta, values[i]);
	measure_use(delta.count);
}

static void round_merge(void *arg)
{
	(void)arg;
	for (int i = 0; i < SUMS; i++)
		hist_merge(&into, &from);
	measure_use(into.count);
}

static void round_merge_packed(void *arg)
{
	(void)arg;
	for (int i = 0; i < SUMS; i++)
		measure_use((uint64_t)hist_merge_packed(&into, packed, packed_size));
}

static void round_pack(void *arg)
{
	(void)arg;
	for (int i = 0; i < SUMS; i++)
		measure_use((uint64_t)hist_pack(&from, packed, sizeof(packed)));
}

static void round_quantile(void *arg)
{
	(void)arg;
	for (int i = 0; i < SUMS; i++)
		measure_use(hist_quantile(&from, 0.99).value_ns);
}

/* A route's second, with some 150 slots in use. */
static void fill_route(void)
{
	uint64_t state = 42;

	hist_clear(&from);
	for (int i = 0; i < 180; i++)
		hist_record(&from, measure_latency(&state), 1);
	packed_size = (size_t)hist_pack(&from, packed, sizeof(packed));
}

int main(void)
{
	uint64_t state = 7;

	for (int i = 0; i < VALUES; i++)
		values[i] = measure_latency(&state);
	measure("hist.slot", 0.10, VALUES, round_slot, NULL);
	measure("hist.record", 0.20, VALUES, round_record, NULL);
	/* 1 us a merge is the target; clock_gettime() takes some 27 ns. */
	fill_route();
	measure("hist.merge, one route's second", 37, SUMS, round_merge, NULL);
	measure("hist.merge_packed, one route's second", 74, SUMS, round_merge_packed, NULL);
	measure("hist.pack, one route's second", 74, SUMS, round_pack, NULL);
	measure("hist.quantile, one route's second", 37, SUMS, round_quantile, NULL);
	return 0;
}
