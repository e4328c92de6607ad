/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/keyframe.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/testpoint.h"

#define TOTALS "@totals"
#define JUDGE  "@judge"
#define CLOCK  "@clock"
#define TAGGED "@exemplars"
#define SLOTS  "@slots" /* and the tier, one digit */

#define CLOCK_BYTES 12 /* u64 time of the first tick, u32 newest second */

/* Scratch of one series: large, but only the pages in use become resident. */
struct totals_scratch {
	struct hist latency, queue;
	uint8_t latency_packed[HIST_PACKED_MAX], queue_packed[HIST_PACKED_MAX];
};

static int totals_add(struct agent *agent, const struct series *s, struct totals_scratch *scratch)
{
	struct series_delta delta = {.id = series_id_of(s), .key = series_key_of(s)};
	dur_ns thresholds[SERIES_THRESHOLDS];

	hist_clear(&scratch->latency);
	hist_clear(&scratch->queue);
	series_read_lock();
	series_window_add(agent->series, s, SERIES_TOTAL, &scratch->latency, &scratch->queue,
			  &delta.counts);
	series_read_unlock();
	delta.threshold_count = series_thresholds_of(s, thresholds);
	delta.thresholds = thresholds;
	delta.hist = scratch->latency_packed;
	delta.hist_size = (size_t)hist_pack(&scratch->latency, scratch->latency_packed,
					    sizeof(scratch->latency_packed));
	if (scratch->queue.count) {
		delta.queue = scratch->queue_packed;
		delta.queue_size = (size_t)hist_pack(&scratch->queue, scratch->queue_packed,
						     sizeof(scratch->queue_packed));
	}
	int rc = tick_add_series(agent->keyframe_writer, delta.id, delta.key);
	return rc ? rc : tick_add_delta(agent->keyframe_writer, &delta);
}

static int totals_write(struct agent *agent, size_t record_max)
{
	struct totals_scratch *scratch = calloc(1, sizeof(*scratch));
	const uint8_t *bytes;
	size_t size;
	int rc = scratch ? 0 : -ENOMEM;

	tick_begin(agent->keyframe_writer, agent->tick_wall, 0);
	for (series_id id = 0; !rc && id < series_count(agent->series); id++)
		rc = totals_add(agent, series_at(agent->series, id), scratch);
	free(scratch);
	if (!rc)
		rc = tick_end(agent->keyframe_writer, &bytes, &size);
	if (rc)
		return rc;
	if (size > record_max)
		return -EMSGSIZE;
	uint8_t *room = local_open(&agent->local, TOTALS, size);
	if (!room)
		return -ENOMEM;
	memcpy(room, bytes, size);
	local_close(&agent->local, size);
	return 0;
}

static int clock_write(struct agent *agent)
{
	const struct series_clock clock = series_clock(agent->series);
	const uint64_t first_tick = htole64(clock.first_tick);
	const uint32_t second = htole32(clock.second);
	uint8_t *to = local_open(&agent->local, CLOCK, CLOCK_BYTES);

	if (!to)
		return -ENOMEM;
	memcpy(to, &first_tick, sizeof(first_tick));
	memcpy(to + sizeof(first_tick), &second, sizeof(second));
	local_close(&agent->local, CLOCK_BYTES);
	return 0;
}

/* ---- exemplars ----------------------------------------------------------------------------------- */

static int exemplar_add(void *arg, series_id id, const struct exemplar *exemplar)
{
	struct agent *agent = arg;

	return tick_add_exemplar(agent->keyframe_writer, id, exemplar);
}

/* A tick of them, of series that the totals name. */
static int exemplars_write(struct agent *agent)
{
	struct exemplar_book *book = exemplars_publish(agent->exemplars, agent->tick_wall);
	const uint8_t *bytes;
	size_t size = 0;
	int rc = book ? 0 : -ENOMEM;

	tick_begin(agent->keyframe_writer, agent->tick_wall, 0);
	if (!rc)
		rc = exemplar_book_each(book, 0, UINT64_MAX, exemplar_add, agent);
	exemplar_book_unref(book);
	if (!rc)
		rc = tick_end(agent->keyframe_writer, &bytes, &size);
	uint8_t *to = rc ? NULL : local_open(&agent->local, TAGGED, size);
	if (!to)
		return -ENOMEM;
	memcpy(to, bytes, size);
	local_close(&agent->local, size);
	return 0;
}

/* ---- slots of the windows ------------------------------------------------------------------------ */

/* A section of one tier: for each slot u32 size and a tick that begins when the slot does. */
struct slots_writing {
	struct agent *agent;
	struct local bytes;
	size_t room;
};

static int slot_add(void *arg, uint32_t start, const struct series_delta *delta)
{
	struct slots_writing *writing = arg;
	struct tick_writer *writer = writing->agent->keyframe_writer;
	const uint8_t *bytes;
	uint32_t length;
	size_t size;
	int rc;

	tick_begin(writer, start * NS_PER_S, 0);
	rc = tick_add_delta(writer, delta);
	if (!rc)
		rc = tick_end(writer, &bytes, &size);
	if (rc)
		return rc;
	if (LOCAL_HEADER + writing->bytes.size + sizeof(length) + size > writing->room)
		return -ENOSPC;
	rc = local_reserve(&writing->bytes, sizeof(length) + size);
	if (rc)
		return rc;
	length = htole32((uint32_t)size);
	memcpy(writing->bytes.bytes + writing->bytes.size, &length, sizeof(length));
	memcpy(writing->bytes.bytes + writing->bytes.size + sizeof(length), bytes, size);
	writing->bytes.size += sizeof(length) + size;
	return 0;
}

static int slots_close(struct slots_writing *writing, unsigned tier)
{
	struct local *local = &writing->agent->local;
	char name[] = SLOTS "0";
	uint8_t *to;

	_Static_assert(SERIES_TIERS <= 10, "a tier is one digit");
	name[sizeof(SLOTS) - 1] += (char)tier;
	to = local_open(local, name, writing->bytes.size);
	if (!to)
		return -ENOMEM;
	if (writing->bytes.size)
		memcpy(to, writing->bytes.bytes, writing->bytes.size);
	local_close(local, writing->bytes.size);
	if (writing->bytes.size) /* an empty section is none */
		writing->room -= writing->bytes.size + LOCAL_HEADER;
	return 0;
}

/*
 * Coarsest first: where all of them are too much, those go that fill again soonest. A tier is
 * written whole or not at all.
 */
static int slots_write(struct agent *agent, size_t room)
{
	struct slots_writing writing = {.agent = agent, .room = room};
	int rc = 0;

	for (unsigned tier = SERIES_TIERS; !rc && tier-- > 0;) {
		writing.bytes.size = 0;
		rc = series_slots_each(agent->series, tier, slot_add, &writing);
		if (!rc)
			rc = slots_close(&writing, tier);
	}
	local_free(&writing.bytes);
	return rc == -ENOSPC ? 0 : rc;
}

/* ---- the rest ------------------------------------------------------------------------------------ */

static int judge_write(struct agent *agent)
{
	/* Counters of 64 objectives over 90 days are the most that there can be: 161 KB each. */
	for (size_t room = 64 << 10; room <= (64u << 20); room *= 4) {
		uint8_t *to = local_open(&agent->local, JUDGE, room);
		if (!to)
			return -ENOMEM;
		ssize_t size = judge_save(agent->judge, to, room);
		if (size >= 0) {
			local_close(&agent->local, (size_t)size);
			return 0;
		}
	}
	return -ENOBUFS;
}

static void checkpoint_name(char name[LOCAL_NAME], const struct collector_ops *ops)
{
	name[0] = '@';
	name[1] = '\0';
	strncat(name, ops->name, LOCAL_NAME - 2);
}

static int checkpoints_write(struct agent *agent)
{
	for (size_t i = 0; i < agent->source_count; i++) {
		const struct source *source = &agent->sources[i];
		char name[LOCAL_NAME];

		if (!source->state || !source->ops->checkpoint)
			continue;
		checkpoint_name(name, source->ops);
		uint8_t *to = local_open(&agent->local, name, COLLECTOR_LOCAL_MAX);
		if (!to)
			return -ENOMEM;
		local_close(&agent->local,
			    source->ops->checkpoint(source->state, to, COLLECTOR_LOCAL_MAX));
	}
	return 0;
}

/* Slots come last and get what is left: they alone can do with less. */
int keyframe_write(struct agent *agent, size_t record_max)
{
	int rc = clock_write(agent);

	TESTPOINT(keyframe_begun);
	if (!rc)
		rc = totals_write(agent, record_max);
	if (!rc)
		rc = judge_write(agent);
	if (!rc)
		rc = checkpoints_write(agent);
	if (!rc)
		rc = exemplars_write(agent);
	if (rc)
		return rc;
	if (agent->local.size > record_max)
		return -EMSGSIZE;
	size_t left = record_max - agent->local.size;
	return slots_write(agent, left < KEYFRAME_SLOTS_MAX ? left : KEYFRAME_SLOTS_MAX);
}

bool keyframe_found(const uint8_t *local, size_t size)
{
	struct local_section section;
	size_t at = 0;

	while (local_next(local, size, &at, &section) > 0)
		if (!strcmp(section.name, TOTALS))
			return true;
	return false;
}

struct series_counts keyframe_counts(const struct series *s, const struct series_delta *delta)
{
	dur_ns thresholds[SERIES_THRESHOLDS];
	unsigned count = series_thresholds_of(s, thresholds);
	struct series_counts counts = {.count = delta->counts.count,
				       .errors = delta->counts.errors};

	for (unsigned i = 0; i < count; i++)
		for (unsigned k = 0; k < delta->threshold_count; k++)
			if (delta->thresholds[k] == thresholds[i])
				counts.bad[i] = delta->counts.bad[k];
	return counts;
}

/* ---- reading -------------------------------------------------------------------------------------- */

/* Totals come first and name their series, so that ids of the record can be looked up. */
struct totals_reading {
	struct agent *agent;
	struct series **by_id;
	size_t size;
	unsigned tier; /* of the slots being read, and where the one begins */
	uint32_t start;
	wall_ns now;
};

static int totals_on_series(void *arg, series_id id, const struct series_key *key)
{
	struct totals_reading *reading = arg;

	if (id >= reading->size) {
		size_t size = (size_t)id + 64;
		struct series **grown = realloc(reading->by_id, size * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		memset(grown + reading->size, 0, (size - reading->size) * sizeof(*grown));
		reading->by_id = grown;
		reading->size = size;
	}
	reading->by_id[id] = series_get(reading->agent->series, key);
	return reading->by_id[id] ? 0 : -ENOMEM;
}

static int totals_on_delta(void *arg, const struct series_delta *delta)
{
	struct totals_reading *reading = arg;

	if (delta->id >= reading->size || !reading->by_id[delta->id])
		return -EPROTO;
	struct series *s = reading->by_id[delta->id];
	struct series_counts counts = keyframe_counts(s, delta);
	return series_restore_total(s, delta->hist, delta->hist_size, delta->queue,
				    delta->queue_size, &counts);
}

static int clock_read(struct agent *agent, const struct local_section *section)
{
	struct series_clock clock;
	uint64_t first_tick;
	uint32_t second;

	if (section->size != CLOCK_BYTES)
		return -EPROTO;
	memcpy(&first_tick, section->bytes, sizeof(first_tick));
	memcpy(&second, section->bytes + sizeof(first_tick), sizeof(second));
	clock.first_tick = le64toh(first_tick);
	clock.second = le32toh(second);
	return series_restore_clock(agent->series, &clock);
}

static int totals_read(struct totals_reading *reading, const struct local_section *section)
{
	const struct tick_visitor visitor = {.series = totals_on_series, .delta = totals_on_delta};

	return tick_read(section->bytes, section->size, &visitor, reading, NULL);
}

static int slot_on_begin(void *arg, wall_ns wall, dur_ns duration)
{
	struct totals_reading *reading = arg;

	(void)duration;
	if (wall / NS_PER_S > UINT32_MAX)
		return -EPROTO;
	reading->start = (uint32_t)(wall / NS_PER_S);
	return 0;
}

static int slot_on_delta(void *arg, const struct series_delta *delta)
{
	struct totals_reading *reading = arg;

	if (delta->id >= reading->size || !reading->by_id[delta->id])
		return -EPROTO;
	struct series *s = reading->by_id[delta->id];
	struct series_counts counts = keyframe_counts(s, delta);
	return series_restore_slot(s, reading->tier, reading->start, delta->hist, delta->hist_size,
				   delta->queue, delta->queue_size, &counts);
}

/* One slot that cannot be taken up does not keep the others out. */
static int slots_read(struct totals_reading *reading, const struct local_section *section)
{
	const struct tick_visitor visitor = {.begin = slot_on_begin, .delta = slot_on_delta};
	const uint8_t *at = section->bytes, *end = at + section->size;
	uint32_t length;
	int rc = 0;

	reading->tier = (unsigned)(section->name[sizeof(SLOTS) - 1] - '0');
	while (end - at >= (ptrdiff_t)sizeof(length)) {
		memcpy(&length, at, sizeof(length));
		length = le32toh(length);
		at += sizeof(length);
		if (length > (size_t)(end - at))
			return -EPROTO;
		if (tick_read(at, length, &visitor, reading, NULL))
			rc = -EPROTO;
		at += length;
	}
	return at == end ? rc : -EPROTO;
}

static int exemplar_on_read(void *arg, series_id id, const struct exemplar *exemplar)
{
	struct totals_reading *reading = arg;

	if (id < reading->size && reading->by_id[id])
		exemplars_add(reading->agent->exemplars, series_id_of(reading->by_id[id]), exemplar,
			      reading->now);
	return 0;
}

static int exemplars_read(struct totals_reading *reading, const struct local_section *section)
{
	const struct tick_visitor visitor = {.exemplar = exemplar_on_read};

	return tick_read(section->bytes, section->size, &visitor, reading, NULL);
}

static int checkpoint_read(struct agent *agent, const struct local_section *section)
{
	for (size_t i = 0; i < agent->source_count; i++) {
		const struct source *source = &agent->sources[i];
		char name[LOCAL_NAME];

		checkpoint_name(name, source->ops);
		if (source->state && source->ops->restore && !strcmp(name, section->name))
			return source->ops->restore(source->state, section->bytes, section->size);
	}
	return -ENOENT;
}

static int section_read(struct totals_reading *reading, const struct local_section *section)
{
	if (!strcmp(section->name, CLOCK))
		return clock_read(reading->agent, section);
	if (!strcmp(section->name, TOTALS))
		return totals_read(reading, section);
	if (!strncmp(section->name, SLOTS, sizeof(SLOTS) - 1))
		return slots_read(reading, section);
	if (!strcmp(section->name, TAGGED))
		return exemplars_read(reading, section);
	if (!strcmp(section->name, JUDGE))
		return judge_restore(reading->agent->judge, section->bytes, section->size);
	return section->name[0] == '@' ? checkpoint_read(reading->agent, section) : 0;
}

unsigned keyframe_read(struct agent *agent, const uint8_t *local, size_t size)
{
	struct totals_reading reading = {.agent = agent, .now = clock_wall()};
	struct local_section section;
	unsigned skipped = 0;
	size_t at = 0;

	while (local_next(local, size, &at, &section) > 0)
		skipped += section_read(&reading, &section) != 0;
	free(reading.by_id);
	return skipped;
}
