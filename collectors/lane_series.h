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

struct lane_series_entry {
	uint64_t key; /* VOW_SHM_KEY() of shard 0; 0: free */
	struct series *series;
};

struct lane_series {
	struct series_table *table;
	const struct segment *segment;
	struct lane_series_entry *entries; /* room of them, open addressing, at most half full */
	unsigned room, count;
	struct series *other[VOW_SHM_RECORD_KINDS][CLASS_COUNT];
};

/* Table and segment outlive it. 0 or -ENOMEM. */
int lane_series_init(struct lane_series *map, struct series_table *table,
		     const struct segment *segment);
void lane_series_deinit(struct lane_series *map);

/* The slow half of lane_series_get(). */
struct series *lane_series_make(struct lane_series *map, uint64_t key);

/*
 * Series of a key with shard 0 whose kind is in [VOW_SHM_OBSERVED, VOW_SHM_RECORD_KINDS) and whose
 * class is below CLASS_COUNT. NULL when memory lacks.
 */
static inline struct series *lane_series_get(struct lane_series *map, uint64_t key)
{
	unsigned mask = map->room - 1;

	for (unsigned i = VOW_SHM_HASH(key) & mask; map->entries[i].key; i = (i + 1) & mask)
		if (map->entries[i].key == key)
			return map->entries[i].series;
	return lane_series_make(map, key);
}

#endif
