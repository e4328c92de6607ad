/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which series an observation of a segment belongs to: a cache from the numbers in records and
 * overflow keys to series. One for each segment; one thread. What the numbers say is checked; a
 * segment can make LANE_SERIES_MAX series, everything beyond goes to the route "{other}".
 */
#ifndef VOW_COLLECTORS_LANE_SERIES_H
#define VOW_COLLECTORS_LANE_SERIES_H

#include "lib/data/segment.h"
#include "lib/data/series.h"

#define LANE_SERIES_MAX 1024u

/* Kinds of records that are remembered: several statuses share a class, hence a series. */
#define LANE_SERIES_RECORDS_MAX 4096u

struct lane_series_entry {
	uint64_t key; /* 0: free */
	struct series *series;
};

/* From numbers to series: open addressing, never full. */
struct lane_series_map {
	struct lane_series_entry *entries;
	unsigned mask, used; /* mask: number of places, a power of two, less 1 */
};

struct lane_series {
	struct series_table *table;
	const struct segment *segment;
	struct lane_series_map records; /* those without a wait, by lane_series_record_key() */
	struct lane_series_map keys; /* by VOW_SHM_KEY() of shard 0: each series once */
	struct series *other[VOW_SHM_RECORD_KINDS][CLASS_COUNT];
};

/* Table and segment outlive it. 0 or -ENOMEM. */
int lane_series_init(struct lane_series *map, struct series_table *table,
		     const struct segment *segment);
void lane_series_deinit(struct lane_series *map);

/*
 * Series of an overflow key with shard 0 whose kind is in [VOW_SHM_OBSERVED, VOW_SHM_RECORD_KINDS)
 * and whose class is at most VOW_SHM_CLASS_ERROR. NULL when memory lacks.
 */
struct series *lane_series_get(struct lane_series *map, uint64_t key);

/* Series of a record by its word `what`; NULL when its kind is none or memory lacks. */
struct series *lane_series_of_record(struct lane_series *map, uint64_t what);

/* Four names with successive numbers are neighbours, and share a cache line. */
#define LANE_SERIES_NEIGHBOURS 4u

static inline unsigned lane_series_place(const struct lane_series_map *map, uint64_t key)
{
	uint64_t line = (key / LANE_SERIES_NEIGHBOURS * UINT64_C(0x9e3779b97f4a7c15)) >> 40;

	return (unsigned)(line * LANE_SERIES_NEIGHBOURS + key % LANE_SERIES_NEIGHBOURS) & map->mask;
}

/* The same for every attempt, and never 0. */
static inline uint64_t lane_series_record_key(uint64_t what)
{
	return what | VOW_SHM_WHAT(0, 0, 0, 0, 0xff);
}

/* The same for nearly all records that came before and carry no wait; NULL: ask the other. */
static inline struct series *lane_series_of_known(const struct lane_series *map, uint64_t what)
{
	uint64_t key = lane_series_record_key(what);
	const struct lane_series_entry *entry =
		&map->records.entries[lane_series_place(&map->records, key)];

	return likely(entry->key == key) ? entry->series : NULL;
}

#endif
