/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/keyframe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TOTALS "@totals"
#define JUDGE  "@judge"

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

static int totals_write(struct agent *agent)
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
	uint8_t *room = local_open(&agent->local, TOTALS, size);
	if (!room)
		return -ENOMEM;
	memcpy(room, bytes, size);
	local_close(&agent->local, size);
	return 0;
}

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

int keyframe_write(struct agent *agent)
{
	int rc = totals_write(agent);

	if (!rc)
		rc = judge_write(agent);
	return rc ? rc : checkpoints_write(agent);
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

/* Reading totals: series come first, so ids of the record can be looked up. */
struct totals_reading {
	struct agent *agent;
	struct series **by_id;
	size_t size;
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

static int totals_read(struct agent *agent, const uint8_t *bytes, size_t size)
{
	const struct tick_visitor visitor = {.series = totals_on_series, .delta = totals_on_delta};
	struct totals_reading reading = {.agent = agent};
	int rc = tick_read(bytes, size, &visitor, &reading, NULL);

	free(reading.by_id);
	return rc;
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

unsigned keyframe_read(struct agent *agent, const uint8_t *local, size_t size)
{
	struct local_section section;
	unsigned skipped = 0;
	size_t at = 0;

	while (local_next(local, size, &at, &section) > 0) {
		int rc = 0;
		if (!strcmp(section.name, TOTALS))
			rc = totals_read(agent, section.bytes, section.size);
		else if (!strcmp(section.name, JUDGE))
			rc = judge_restore(agent->judge, section.bytes, section.size);
		else if (section.name[0] == '@')
			rc = checkpoint_read(agent, &section);
		skipped += rc != 0;
	}
	return skipped;
}
