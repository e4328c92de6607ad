/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lib/data/rcu.h"
#include "lib/data/series_table.h"

/* Ticks between two looks for slots that no window reaches any more. */
#define EXPIRE_EVERY 5

static uint32_t table_second(struct series_table *table, mono_ns now)
{
	uint64_t second;

	if (!table->second)
		table->first_tick = now;
	if (now < table->first_tick)
		return table->second ? table->second : 1;
	second = (now - table->first_tick + NS_PER_S / 2) / NS_PER_S + 1;
	if (second > UINT32_MAX / 2)
		second = UINT32_MAX / 2; /* 68 years */
	return second > table->second ? (uint32_t)second : table->second;
}

/* Moves on to a new second: what is complete is folded, what is out of reach goes. */
static void series_age(struct series *s, uint32_t second, bool expire)
{
	struct series_table *table = s->table;

	window_fold(&table->work, &s->window, second, s->thresholds);
	if (s->latency.count)
		return;
	/* Nothing in this tick: the blocks of the last one are for others. */
	sparse_reset(&table->pool, &s->latency);
	sparse_reset(&table->pool, &s->queue);
	if (expire && window_expire(&table->work, &s->window, second))
		series_bit_clear(table->live, s->id);
}

/* Packs the tick's histograms into the table's room. */
static void delta_pack(struct series *s, struct series_delta *delta)
{
	struct series_table *table = s->table;

	/* Packing cannot fail: there is room for every histogram, and u32 counts are in range. */
	sparse_copy(&table->pool, &s->latency, &table->scratch);
	delta->hist = table->hist_bytes;
	delta->hist_size = (size_t)hist_delta_pack(&table->scratch, table->hist_bytes,
						   sizeof(table->hist_bytes));
	if (!s->queue.count)
		return;
	sparse_copy(&table->pool, &s->queue, &table->scratch);
	delta->queue = table->queue_bytes;
	delta->queue_size = (size_t)hist_delta_pack(&table->scratch, table->queue_bytes,
						    sizeof(table->queue_bytes));
}

static void series_turn(struct series *s, uint32_t second, series_delta_fn fn, void *arg)
{
	struct series_table *table = s->table;
	struct series_delta delta = {
		.id = s->id,
		.key = &s->key,
		.counts = {.count = s->latency.count, .errors = s->errors},
		.threshold_count = s->limit_count,
		.thresholds = s->limits,
	};
	struct window_content content;

	memcpy(delta.counts.bad, s->bad, sizeof(delta.counts.bad));
	delta_pack(s, &delta);
	content = (struct window_content){.thresholds = s->thresholds,
					  .hist = delta.hist,
					  .queue = delta.queue,
					  .hist_size = delta.hist_size,
					  .queue_size = delta.queue_size,
					  .counts = delta.counts};
	if (window_file(&table->work, &s->window, second, &content) < 0)
		return; /* All of it stays for the next tick. */
	if (fn)
		fn(arg, &delta);
	sparse_reset(&table->pool, &s->latency);
	sparse_reset(&table->pool, &s->queue);
	s->errors = 0;
	memset(s->bad, 0, sizeof(s->bad));
	series_bit_clear(table->dirty, s->id);
	series_bit_set(table->live, s->id);
}

void series_tick(struct series_table *table, mono_ns now, series_delta_fn fn, void *arg)
{
	uint32_t second = table_second(table, now);
	bool expire = second / EXPIRE_EVERY != table->second / EXPIRE_EVERY;

	window_sweep(&table->work);
	for (size_t w = 0; w < series_bitmap_words(table) && second != table->second; w++)
		for (uint64_t bits = table->live[w]; bits; bits &= bits - 1)
			series_age(table->by_id[w * 64 + (size_t)__builtin_ctzll(bits)], second,
				   expire);
	for (size_t w = 0; w < series_bitmap_words(table); w++)
		for (uint64_t bits = table->dirty[w]; bits; bits &= bits - 1)
			series_turn(table->by_id[w * 64 + (size_t)__builtin_ctzll(bits)], second,
				    fn, arg);
	series_counters_publish(table);
	/* Partner: table_collect(); who sees the second sees its slots. */
	rcu_publish(table->second, second);
}
