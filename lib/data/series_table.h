/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the series table is made of, for the files lib/data/series*.c alone: series.c adds series,
 * series_record.c fills the tick that goes on, series_tick.c ends it, series_snapshot.c hands out
 * what is to be saved, series_restore.c takes it up again, series_read.c serves readers. All of it is
 * the writer's but what is said to be published.
 */
#ifndef VOW_LIB_DATA_SERIES_TABLE_H
#define VOW_LIB_DATA_SERIES_TABLE_H

#include "lib/data/sparse.h"
#include "lib/data/window.h"

#define SERIES_CACHE_LINE 64

struct series {
	/* The writer's: one cache line is all of a series that most recordings touch. */
	dur_ns special_from; /* from here on a latency is bad perhaps; 0: each event is special */
	struct series_table *table;
	series_id id;
	bool is_error; /* every event of this status class spends error budget */
	bool is_other; /* stands in for keys beyond the cap */
	uint8_t limit_count; /* of limits and bad */
	struct sparse latency, queue;
	dur_ns limits[SERIES_THRESHOLDS];
	uint64_t errors;
	uint64_t bad[SERIES_THRESHOLDS];

	/* Published to readers. */
	const struct window_thresholds *thresholds;
	struct window window;

	uint64_t hash;
	struct series_key key;
} __attribute__((aligned(SERIES_CACHE_LINE)));

_Static_assert(offsetof(struct series, latency.strays) == SERIES_CACHE_LINE,
	       "recording touches one line");

struct series_table {
	struct series_table_options options;
	struct sparse_pool pool;

	struct series **by_id; /* room for capacity; filled up to count */
	uint32_t capacity, count;
	uint32_t ordinary_count, other_count;

	uint32_t *index; /* id + 1 at the hash of the key or behind it; 0: empty */
	uint32_t index_mask;
	uint64_t seed;

	/* A bit for each id: observed in this tick; something in its windows or blocks. */
	uint64_t *dirty, *live;

	struct window_thresholds *thresholds; /* every set that was ever in use */

	mono_ns first_tick;
	uint32_t second; /* of the last tick; 0 before the first. Published. */
	uint32_t restored; /* totals that are restored are as of this second; 0: of none */

	struct hist_delta scratch; /* one series' tick, and its packed form */
	uint8_t hist_bytes[HIST_PACKED_MAX], queue_bytes[HIST_PACKED_MAX];
	struct window_work work;
	struct series_snapshot *snapshot; /* NULL: none is taken */

	size_t fixed_bytes;
	/* Published; the last two as of the last tick. */
	uint64_t other_total, unrecorded_total, lost_total, bytes;
};

/* Counters that other threads read; only the writer sets, so no read-modify-write is needed. */
static inline void series_counter_set(uint64_t *counter, uint64_t value)
{
	__atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

static inline void series_counter_add(uint64_t *counter, uint64_t add)
{
	series_counter_set(counter, *counter + add);
}

/* Words of the bitmaps. */
static inline size_t series_bitmap_words(const struct series_table *table)
{
	return (table->capacity + 63) / 64;
}

static inline void series_bit_set(uint64_t *bits, series_id id)
{
	bits[id / 64] |= UINT64_C(1) << id % 64;
}

static inline void series_bit_clear(uint64_t *bits, series_id id)
{
	bits[id / 64] &= ~(UINT64_C(1) << id % 64);
}

/* Bytes of the snapshot that is taken, 0 without one. */
size_t series_snapshot_bytes(const struct series_table *table);

/* Publishes what is kept as of the last tick: bytes held, observations lost. */
void series_counters_publish(struct series_table *table);

/*
 * Counts from outside must be possible ones: nothing can be bad more often than it happened. 0;
 * -EPROTO, or what hist_packed_open() says of the bytes.
 */
int series_counts_check(const struct series *s, const uint8_t *hist, size_t hist_size,
			const uint8_t *queue, size_t queue_size,
			const struct series_counts *counts);

#endif
