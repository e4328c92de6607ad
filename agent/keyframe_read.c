/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/keyframe_names.h"

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

static int totals_on_series(void *arg, series_id id, const struct series_key *key)
{
	struct keyframe_reading *reading = arg;

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
	struct keyframe_reading *reading = arg;

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

static int totals_read(struct keyframe_reading *reading, const struct local_section *section)
{
	const struct tick_visitor visitor = {.series = totals_on_series, .delta = totals_on_delta};

	return tick_read(section->bytes, section->size, &visitor, reading, NULL);
}

static int slot_on_begin(void *arg, wall_ns wall, dur_ns duration)
{
	struct keyframe_reading *reading = arg;

	(void)duration;
	if (wall / NS_PER_S > UINT32_MAX)
		return -EPROTO;
	reading->start = (uint32_t)(wall / NS_PER_S);
	return 0;
}

static int slot_on_delta(void *arg, const struct series_delta *delta)
{
	struct keyframe_reading *reading = arg;

	if (delta->id >= reading->size || !reading->by_id[delta->id])
		return -EPROTO;
	struct series *s = reading->by_id[delta->id];
	struct series_counts counts = keyframe_counts(s, delta);
	return series_restore_slot(s, reading->tier, reading->start, delta->hist, delta->hist_size,
				   delta->queue, delta->queue_size, &counts);
}

/* One slot that cannot be taken up does not keep the others out. */
static int slots_read(struct keyframe_reading *reading, const struct local_section *section)
{
	const struct tick_visitor visitor = {.begin = slot_on_begin, .delta = slot_on_delta};
	const uint8_t *at = section->bytes, *end = at + section->size;
	uint32_t length;
	int rc = 0, slot;

	reading->tier = (unsigned)(section->name[sizeof(SLOTS) - 1] - '0');
	while (end - at >= (ptrdiff_t)sizeof(length)) {
		memcpy(&length, at, sizeof(length));
		length = le32toh(length);
		at += sizeof(length);
		if (length > (size_t)(end - at))
			return -EPROTO;
		slot = tick_read(at, length, &visitor, reading, NULL);
		if (slot == -ENOMEM)
			return slot;
		if (slot)
			rc = -EPROTO;
		at += length;
	}
	return at == end ? rc : -EPROTO;
}

static int exemplar_on_read(void *arg, series_id id, const struct exemplar *exemplar)
{
	struct keyframe_reading *reading = arg;

	if (id < reading->size && reading->by_id[id])
		exemplars_add(reading->agent->exemplars, series_id_of(reading->by_id[id]), exemplar,
			      reading->now);
	return 0;
}

static int exemplars_read(struct keyframe_reading *reading, const struct local_section *section)
{
	const struct tick_visitor visitor = {.exemplar = exemplar_on_read};

	return tick_read(section->bytes, section->size, &visitor, reading, NULL);
}

static int checkpoint_read(struct agent *agent, const struct local_section *section)
{
	for (size_t i = 0; i < agent->source_count; i++) {
		const struct source *source = &agent->sources[i];
		char name[LOCAL_NAME];

		keyframe_checkpoint_name(name, source->ops);
		if (source->state && source->ops->restore && !strcmp(name, section->name))
			return source->ops->restore(source->state, section->bytes, section->size);
	}
	return -ENOENT;
}

static int section_read(struct keyframe_reading *reading, const struct local_section *section)
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

int keyframe_read(struct keyframe_reading *reading, const uint8_t *local, size_t size)
{
	struct local_section section;
	size_t at = 0;
	int rc = 0;

	while (rc != -ENOMEM && local_next(local, size, &at, &section) > 0) {
		rc = section_read(reading, &section);
		reading->skipped += rc != 0;
	}
	return rc == -ENOMEM ? rc : 0;
}
