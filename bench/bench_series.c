/* SPDX-License-Identifier: Apache-2.0 */
/* The series table: recording with 64 and 1024 routes, finding a series, the tick, a reader. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/measure.h"
#include "lib/data/series.h"

/* Memory is measured with a tenth of the 200 busy routes of the target, to be done in seconds. */
enum { VALUES = 1 << 15, ROUTES = 1024, BUSY = 20, TARGET_BUSY = 200, READS = BUSY };

struct bench {
	struct series_table *table;
	struct series *series[ROUTES];
	struct series_key keys[ROUTES];
	uint64_t values[VALUES];
	uint16_t order[VALUES]; /* of routes, such that no prefetcher guesses the next */
	uint64_t second, random;
};

static struct hist sum;

static unsigned watch_two(void *arg, const struct series_key *key, dur_ns thresholds[])
{
	(void)arg;
	(void)key;
	thresholds[0] = 100 * NS_PER_MS;
	thresholds[1] = 200 * NS_PER_MS;
	return 2;
}

static void round_record(void *arg)
{
	struct bench *b = arg;

	for (unsigned i = 0; i < VALUES; i++)
		series_record(b->series[b->order[i]], b->values[i], SERIES_NO_QUEUE);
}

static void round_get(void *arg)
{
	struct bench *b = arg;

	for (unsigned i = 0; i < ROUTES; i++)
		measure_use((uintptr_t)series_get(b->table, &b->keys[i]));
}

/* Some 150 slots of latencies for each busy route. */
static void fill_second(struct bench *b)
{
	for (unsigned i = 0; i < BUSY * 180; i++) {
		uint64_t latency = b->values[measure_random(&b->random) % VALUES];

		series_record(b->series[i % BUSY], latency, SERIES_NO_QUEUE);
	}
}

static void round_tick(void *arg)
{
	struct bench *b = arg;

	series_tick(b->table, ++b->second * NS_PER_S, NULL, NULL);
}

static void round_read(void *arg)
{
	struct bench *b = arg;

	for (int i = 0; i < READS; i++) {
		hist_clear(&sum);
		series_read_lock();
		series_window_add(b->table, b->series[i], WINDOW_1H, &sum, NULL, NULL);
		series_read_unlock();
		measure_use(sum.count);
	}
}

/* The tick alone, its filling not counted. */
static void measure_tick(struct bench *b)
{
	double ours = 1e300, peer = 1e300;

	for (int i = 0; i < MEASURE_ROUNDS; i++) {
		double start;

		fill_second(b);
		start = measure_now();
		round_tick(b);
		ours = measure_least(ours, (measure_now() - start) / BUSY);
		peer = measure_least(peer, measure_clock());
	}
	/* 5 us a series: 200 routes then cost 0.1 % of a core. */
	measure_row("series.tick, one busy route", ours, "clock_gettime", peer, 185);
}

static void table_fill(struct bench *b, unsigned routes)
{
	static const struct series_table_options options = {.thresholds = watch_two};

	b->table = series_table_new(&options);
	if (!b->table)
		exit(1);
	for (unsigned i = 0; i < routes; i++) {
		snprintf(b->keys[i].service, sizeof(b->keys[i].service), "shop");
		snprintf(b->keys[i].route, sizeof(b->keys[i].route), "/orders/{id}/items/%u", i);
		b->series[i] = series_get(b->table, &b->keys[i]);
		if (!b->series[i])
			exit(1);
	}
	b->second = 0;
}

static void order_fill(struct bench *b, unsigned routes)
{
	for (int i = 0; i < VALUES; i++)
		b->order[i] = (uint16_t)(measure_random(&b->random) % routes);
}

static void bench_recording(struct bench *b)
{
	table_fill(b, ROUTES);
	order_fill(b, 64);
	measure("series.record, 64 routes", 0.35, VALUES, round_record, b);
	order_fill(b, ROUTES);
	measure("series.record, 1024 routes", 1, VALUES, round_record, b);
	measure("series.get", 6, ROUTES, round_get, b);
	series_table_free(b->table);
}

static void bench_windows(struct bench *b)
{
	double empty, mib;

	table_fill(b, BUSY);
	round_tick(b);
	empty = (double)series_table_bytes(b->table);
	/* Windows of an hour need an hour of ticks before they are what they are in service. */
	for (int i = 0; i < 3700; i++) {
		fill_second(b);
		round_tick(b);
	}
	measure_tick(b);
	measure("series.window_add, 1 h", 2500, READS, round_read, b);
	/* Latencies even over four octaves are as wide as a route gets, hence 15 % above 6 MiB. */
	mib = (((double)series_table_bytes(b->table) - empty) * TARGET_BUSY / BUSY + empty) /
	      (1 << 20);
	printf("series.memory, %d busy routes\t%.2f\tMiB\ttarget\t6\t%.2f\t1.15\n", TARGET_BUSY,
	       mib, mib / 6);
	series_table_free(b->table);
}

int main(void)
{
	struct bench *b = calloc(1, sizeof(*b));

	if (!b)
		return 1;
	b->random = 7;
	for (int i = 0; i < VALUES; i++)
		b->values[i] = measure_latency(&b->random);
	series_reader_register();
	bench_recording(b);
	bench_windows(b);
	series_reader_unregister();
	free(b);
	return 0;
}
