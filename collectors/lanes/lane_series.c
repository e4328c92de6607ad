/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/lanes/lane_series.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LANE_SERIES_ROOM 256u /* at first; a power of two */
/* How many places there are for each entry: of 20 records 19 are found at once, keys sooner or later. */
#define LANE_SERIES_RECORD_PLACES 8u
#define LANE_SERIES_KEY_PLACES	  2u
#define LANE_SERIES_ROOM_MAX	  16384u /* 256 KiB; a quarter full with LANE_SERIES_RECORDS_MAX */

/* ---- maps -------------------------------------------------------------------------------------- */

static int map_init(struct lane_series_map *map, unsigned room)
{
	map->entries = calloc(room, sizeof(*map->entries));
	map->mask = room - 1;
	map->used = 0;
	return map->entries ? 0 : -ENOMEM;
}

static struct series *map_find(const struct lane_series_map *map, uint64_t key)
{
	for (unsigned i = lane_series_place(map, key); map->entries[i].key; i = (i + 1) & map->mask)
		if (map->entries[i].key == key)
			return map->entries[i].series;
	return NULL;
}

static void map_put(struct lane_series_map *map, uint64_t key, struct series *series)
{
	unsigned i = lane_series_place(map, key);

	while (map->entries[i].key)
		i = (i + 1) & map->mask;
	map->entries[i] = (struct lane_series_entry){key, series};
	map->used++;
}

static int map_grow(struct lane_series_map *map)
{
	struct lane_series_map grown;

	if (map_init(&grown, 2 * (map->mask + 1)) < 0)
		return -ENOMEM;
	for (unsigned i = 0; i <= map->mask; i++)
		if (map->entries[i].key)
			map_put(&grown, map->entries[i].key, map->entries[i].series);
	free(map->entries);
	*map = grown;
	return 0;
}

/* Remembers under which number a series was asked for, unless memory lacks. */
static void map_add(struct lane_series_map *map, unsigned places, uint64_t key,
		    struct series *series)
{
	unsigned room = map->mask + 1;

	if (places * (map->used + 1) > room && room < LANE_SERIES_ROOM_MAX && map_grow(map) < 0)
		return;
	map_put(map, key, series);
}

/* ---- series ------------------------------------------------------------------------------------ */

int lane_series_init(struct lane_series *map, struct series_table *table,
		     const struct segment *segment)
{
	memset(map, 0, sizeof(*map));
	map->table = table;
	map->segment = segment;
	if (map_init(&map->records, LANE_SERIES_ROOM) < 0 ||
	    map_init(&map->keys, LANE_SERIES_ROOM) < 0) {
		lane_series_deinit(map);
		return -ENOMEM;
	}
	return 0;
}

void lane_series_deinit(struct lane_series *map)
{
	free(map->records.entries);
	free(map->keys.entries);
	map->records.entries = map->keys.entries = NULL;
}

/* Puts a name's text into a field of a key; "{unnamed}" when there is none. Returns its kind. */
static enum vow_shm_name_kind lane_series_name(const struct lane_series *map, unsigned index,
					       char *field, size_t room)
{
	struct segment_name name;

	if (index == 0 || !segment_name(map->segment, index, &name)) {
		series_text_set(field, room, "{unnamed}", strlen("{unnamed}"));
		return VOW_SHM_NAME_NONE;
	}
	series_text_set(field, room, name.text, name.length);
	return name.kind;
}

/* What a kind of record is among series; route and peer are filled by the caller. */
static void lane_series_kind(unsigned kind, struct series_key *to)
{
	static const char *const outcomes[VOW_SHM_RECORD_KINDS] = {
		[VOW_SHM_DELIVERED] = "delivered",
		[VOW_SHM_FAILED] = "failed",
		[VOW_SHM_DEAD_LETTERED] = "dead_lettered",
	};

	to->role = kind == VOW_SHM_OBSERVED ? SERIES_SERVER : SERIES_CLIENT;
	to->kind = kind == VOW_SHM_OBSERVED  ? SERIES_APP
		   : kind == VOW_SHM_ATTEMPT ? SERIES_ATTEMPT
					     : SERIES_DELIVERY;
	if (outcomes[kind])
		series_text_set(to->method, sizeof(to->method), outcomes[kind],
				strlen(outcomes[kind]));
}

static void lane_series_begin(const struct lane_series *map, uint64_t key, struct series_key *to)
{
	const char *service = map->segment->service;

	memset(to, 0, sizeof(*to));
	series_text_set(to->service, sizeof(to->service), service, strlen(service));
	to->status_class = (uint8_t)VOW_SHM_KEY_CLASS(key);
	lane_series_kind(VOW_SHM_KEY_KIND(key), to);
}

static struct series *lane_series_other(struct lane_series *map, uint64_t key)
{
	struct series **other = &map->other[VOW_SHM_KEY_KIND(key)][VOW_SHM_KEY_CLASS(key)];
	struct series_key to;

	if (*other)
		return *other;
	lane_series_begin(map, key, &to);
	series_text_set(to.route, sizeof(to.route), "{other}", strlen("{other}"));
	*other = series_get(map->table, &to);
	return *other;
}

static struct series *lane_series_make(struct lane_series *map, uint64_t key)
{
	struct series_key to;

	if (map->keys.used >= LANE_SERIES_MAX)
		return lane_series_other(map, key);
	lane_series_begin(map, key, &to);
	enum vow_shm_name_kind named =
		lane_series_name(map, VOW_SHM_KEY_NAME(key), to.route, sizeof(to.route));
	if (named == VOW_SHM_NAME_JOB)
		to.kind = SERIES_JOB;
	if (VOW_SHM_KEY_KIND(key) != VOW_SHM_OBSERVED)
		lane_series_name(map, VOW_SHM_KEY_PEER(key), to.peer, sizeof(to.peer));
	struct series *series = series_get(map->table, &to);
	if (series)
		map_add(&map->keys, LANE_SERIES_KEY_PLACES, key, series);
	return series;
}

struct series *lane_series_get(struct lane_series *map, uint64_t key)
{
	struct series *series = map_find(&map->keys, key);

	return series ? series : lane_series_make(map, key);
}

struct series *lane_series_of_record(struct lane_series *map, uint64_t what)
{
	uint64_t key = lane_series_record_key(what);
	unsigned kind = VOW_SHM_WHAT_KIND(what);
	struct series *series = map_find(&map->records, key);

	if (series || kind == VOW_SHM_NOTHING || kind >= VOW_SHM_RECORD_KINDS)
		return series;
	unsigned status_class = series_class_of((uint16_t)VOW_SHM_WHAT_STATUS(what));
	series = lane_series_get(map, VOW_SHM_KEY(kind, status_class, 0, VOW_SHM_WHAT_NAME(what),
						  VOW_SHM_WHAT_PEER(what)));
	if (series && kind < VOW_SHM_DELIVERED && map->records.used < LANE_SERIES_RECORDS_MAX)
		map_add(&map->records, LANE_SERIES_RECORD_PLACES, key, series);
	return series;
}
