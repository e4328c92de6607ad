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

/* Of series and of records that look alike: several statuses share a class. */
#define LANE_SERIES_ENTRIES_MAX 4096u

struct lane_series_entry {
	uint64_t key; /* VOW_SHM_KEY() of shard 0, or `what` of a record without attempt; 0: free */
	struct series *series;
};

struct lane_series {
	struct series_table *table;
	const struct segment *segment;
	struct lane_series_entry
		*entries; /* room of them, open addressing, at most a quarter full */
	unsigned room, used; /* room: a power of two */
	unsigned count; /* series */
	struct series *other[VOW_SHM_RECORD_KINDS][CLASS_COUNT];
};

/* Table and segment outlive it. 0 or -ENOMEM. */
int lane_series_init(struct lane_series *map, struct series_table *table,
		     const struct segment *segment);
void lane_series_deinit(struct lane_series *map);

/*
 * Series of an overflow key with shard 0 whose kind is in [VOW_SHM_OBSERVED, VOW_SHM_RECORD_KINDS)
 * and whose class is below CLASS_COUNT. NULL when memory lacks.
 */
struct series *lane_series_get(struct lane_series *map, uint64_t key);

/* The slow half of lane_series_of_record(). */
struct series *lane_series_learn(struct lane_series *map, uint64_t what);

static inline unsigned lane_series_place(uint64_t key, unsigned room)
{
	return (unsigned)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 40) & (room - 1);
}

/* Series of a record by its word `what`; NULL when its kind is none or memory lacks. */
static inline struct series *lane_series_of_record(struct lane_series *map, uint64_t what)
{
	uint64_t key = what & ~VOW_SHM_WHAT(0, 0, 0, 0, 0xff);
	unsigned i = lane_series_place(key, map->room);

	/* Most are found at once. */
	if (likely(map->entries[i].key == key && key))
		return map->entries[i].series;
	return lane_series_learn(map, key);
}

#endif
