/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/lane_series.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LANE_SERIES_ROOM 256u /* at first; a power of two */

int lane_series_init(struct lane_series *map, struct series_table *table,
		     const struct segment *segment)
{
	memset(map, 0, sizeof(*map));
	map->entries = calloc(LANE_SERIES_ROOM, sizeof(*map->entries));
	if (!map->entries)
		return -ENOMEM;
	map->room = LANE_SERIES_ROOM;
	map->table = table;
	map->segment = segment;
	return 0;
}

void lane_series_deinit(struct lane_series *map)
{
	free(map->entries);
	map->entries = NULL;
}

static void lane_series_put(struct lane_series_entry *entries, unsigned room, uint64_t key,
			    struct series *series)
{
	unsigned i = lane_series_place(key, room);

	while (entries[i].key)
		i = (i + 1) & (room - 1);
	entries[i] = (struct lane_series_entry){key, series};
}

static int lane_series_grow(struct lane_series *map)
{
	unsigned room = map->room * 2;
	struct lane_series_entry *entries = calloc(room, sizeof(*entries));

	if (!entries)
		return -ENOMEM;
	for (unsigned i = 0; i < map->room; i++)
		if (map->entries[i].key)
			lane_series_put(entries, room, map->entries[i].key, map->entries[i].series);
	free(map->entries);
	map->entries = entries;
	map->room = room;
	return 0;
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

/* Remembers under which number a series was asked for, while there is room. */
static void lane_series_remember(struct lane_series *map, uint64_t key, struct series *series)
{
	if (map->used >= LANE_SERIES_ENTRIES_MAX)
		return;
	if (4 * (map->used + 1) > map->room && lane_series_grow(map) < 0)
		return;
	lane_series_put(map->entries, map->room, key, series);
	map->used++;
}

static struct series *lane_series_find(const struct lane_series *map, uint64_t key)
{
	unsigned mask = map->room - 1;

	for (unsigned i = lane_series_place(key, map->room); map->entries[i].key;
	     i = (i + 1) & mask)
		if (map->entries[i].key == key)
			return map->entries[i].series;
	return NULL;
}

static struct series *lane_series_make(struct lane_series *map, uint64_t key)
{
	struct series_key to;

	if (map->count >= LANE_SERIES_MAX)
		return lane_series_other(map, key);
	lane_series_begin(map, key, &to);
	enum vow_shm_name_kind named =
		lane_series_name(map, VOW_SHM_KEY_NAME(key), to.route, sizeof(to.route));
	if (named == VOW_SHM_NAME_JOB)
		to.kind = SERIES_JOB;
	if (VOW_SHM_KEY_KIND(key) != VOW_SHM_OBSERVED)
		lane_series_name(map, VOW_SHM_KEY_PEER(key), to.peer, sizeof(to.peer));
	struct series *series = series_get(map->table, &to);
	if (series) {
		lane_series_remember(map, key, series);
		map->count++;
	}
	return series;
}

struct series *lane_series_get(struct lane_series *map, uint64_t key)
{
	struct series *series = lane_series_find(map, key);

	return series ? series : lane_series_make(map, key);
}

struct series *lane_series_learn(struct lane_series *map, uint64_t what)
{
	unsigned kind = VOW_SHM_WHAT_KIND(what);
	struct series *series = what ? lane_series_find(map, what) : NULL;

	if (series || kind == VOW_SHM_NOTHING || kind >= VOW_SHM_RECORD_KINDS)
		return series;
	unsigned status_class = series_class_of((uint16_t)VOW_SHM_WHAT_STATUS(what));
	series = lane_series_get(map, VOW_SHM_KEY(kind, status_class, 0, VOW_SHM_WHAT_NAME(what),
						  VOW_SHM_WHAT_PEER(what)));
	if (series)
		lane_series_remember(map, what, series);
	return series;
}
