/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot is a copy of every series' rings, which are pointers to immutable slots, and a pin that
 * keeps those slots. So what is read of it is the table as of one tick, whatever came since.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/data/series_table.h"

struct snapshot_series {
	const struct window_thresholds *thresholds;
	struct window window; /* of the rings behind it, where there are some */
	struct window_rings rings;
};

struct series_snapshot {
	struct series_table *table;
	uint32_t second; /* of the last tick */
	uint32_t count;
	uint32_t at; /* the series that a walk goes on with */
	struct snapshot_series series[];
};

size_t series_snapshot_bytes(const struct series_table *table)
{
	const struct series_snapshot *snapshot = table->snapshot;

	return snapshot ? sizeof(*snapshot) + snapshot->count * sizeof(snapshot->series[0]) : 0;
}

int series_snapshot_take(struct series_table *table, struct series_snapshot **snapshot)
{
	struct series_snapshot *taken;

	if (table->snapshot)
		return -EBUSY;
	taken = malloc(sizeof(*taken) + table->count * sizeof(taken->series[0]));
	if (!taken)
		return -ENOMEM;
	*taken = (struct series_snapshot){
		.table = table, .second = table->second, .count = table->count};
	for (uint32_t i = 0; i < taken->count; i++) {
		const struct series *s = table->by_id[i];
		struct snapshot_series *copy = &taken->series[i];

		copy->thresholds = s->thresholds;
		copy->window = s->window;
		if (!s->window.rings)
			continue;
		copy->rings = *s->window.rings;
		copy->window.rings = &copy->rings;
	}
	window_pin(&table->work, taken->second);
	*snapshot = table->snapshot = taken;
	return 0;
}

void series_snapshot_free(struct series_snapshot *snapshot)
{
	if (!snapshot)
		return;
	window_unpin(&snapshot->table->work);
	snapshot->table->snapshot = NULL;
	free(snapshot);
}

/* ---- walks ------------------------------------------------------------------------------------- */

/* What a window holds, as it is handed out: of this series, with the thresholds of the content. */
static struct series_delta series_delta_of(const struct series *s,
					   const struct window_content *content)
{
	return (struct series_delta){
		.id = s->id,
		.key = &s->key,
		.hist = content->hist,
		.queue = content->queue,
		.hist_size = content->hist_size,
		.queue_size = content->queue_size,
		.counts = content->counts,
		.threshold_count = content->thresholds->count,
		.thresholds = content->thresholds->ns,
	};
}

/* What a walk returns when it handed out its share: begins anew where it came to the end. */
static int walk_pause(struct series_snapshot *snapshot)
{
	if (snapshot->at < snapshot->count)
		return 1;
	snapshot->at = 0;
	return 0;
}

int series_snapshot_totals(struct series_snapshot *snapshot, unsigned most, series_total_fn fn,
			   void *arg)
{
	struct series_table *table = snapshot->table;

	if (!table->work.pinned)
		return -ENOMEM;
	for (unsigned n = 0; snapshot->at < snapshot->count && n < most; n++) {
		const struct snapshot_series *copy = &snapshot->series[snapshot->at];
		struct window_content content;
		struct series_delta delta;
		int rc = window_total_content(&table->work, &copy->window, snapshot->second,
					      copy->thresholds, &content);

		if (rc)
			return rc;
		delta = series_delta_of(table->by_id[snapshot->at++], &content);
		rc = fn(arg, &delta);
		if (rc)
			return rc;
	}
	return walk_pause(snapshot);
}

struct slot_walk {
	const struct series *s;
	series_slot_fn fn;
	void *arg;
	unsigned handed_out;
};

static int slot_hand_out(void *arg, uint32_t start, const struct window_content *content)
{
	struct slot_walk *walk = arg;
	const struct series_delta delta = series_delta_of(walk->s, content);

	walk->handed_out++;
	return walk->fn(walk->arg, start, &delta);
}

int series_snapshot_slots(struct series_snapshot *snapshot, unsigned tier, unsigned most,
			  series_slot_fn fn, void *arg)
{
	struct series_table *table = snapshot->table;
	struct slot_walk walk = {.fn = fn, .arg = arg};

	if (!table->work.pinned)
		return -ENOMEM;
	while (snapshot->at < snapshot->count && walk.handed_out < most) {
		const struct snapshot_series *copy = &snapshot->series[snapshot->at];
		int rc;

		walk.s = table->by_id[snapshot->at++];
		rc = window_slots_each(&table->work, &copy->window, tier, NULL, snapshot->second,
				       slot_hand_out, &walk);
		if (rc)
			return rc;
	}
	return walk_pause(snapshot);
}

int series_slots_at(struct series_table *table, unsigned tier, uint32_t start, series_slot_fn fn,
		    void *arg)
{
	struct slot_walk walk = {.fn = fn, .arg = arg};
	int rc = 0;

	for (uint32_t i = 0; i < table->count && !rc; i++) {
		walk.s = table->by_id[i];
		rc = window_slots_each(&table->work, &walk.s->window, tier, &start, table->second,
				       slot_hand_out, &walk);
	}
	return rc;
}
