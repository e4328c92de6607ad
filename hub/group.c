/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/group.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "proto/tick.h"

void group_clear(struct merge *merge)
{
	for (size_t i = 0; i < merge->group_count; i++)
		intake_deinit(&merge->group[i].intake);
	merge->group_count = 0;
	merge->group_bytes = 0;
	merge->group_open = false;
}

int group_begin(struct merge *merge, struct diag *d)
{
	int rc;

	if (merge->group_open)
		return 0;
	rc = store_begin(merge->store, d);
	if (rc)
		return rc;
	merge->group_open = true;
	merge->group_since = clock_mono();
	merge->newest = merge->applied;
	return 0;
}

struct merge_waiting *group_next(struct merge *merge)
{
	if (merge->group_count == merge->group_room) {
		size_t room = merge->group_room ? merge->group_room * 2 : 64;
		struct merge_waiting *group = realloc(merge->group, room * sizeof(*merge->group));

		if (!group)
			return NULL;
		merge->group = group;
		merge->group_room = room;
	}
	return &merge->group[merge->group_count];
}

int group_add_gap(struct merge *merge, struct source *source, uint64_t first, struct diag *d)
{
	uint64_t expected = source->next_row.committed + 1;
	int rc;

	if (first <= expected)
		return 0;
	rc = group_begin(merge, d);
	if (!rc)
		rc = store_gap_add(merge->store, source->row.no, expected, first, clock_wall(), d);
	if (rc)
		return rc;
	source->touched = true;
	source->next_row.gap_records_total += first - expected;
	source->next_row.committed = first - 1;
	return 0;
}

int group_add_action(struct merge *merge, const char *host, const struct action *action,
		     struct diag *d)
{
	const uint8_t *bytes;
	size_t size;
	int rc;

	tick_begin(merge->writer, action->at, 0);
	rc = tick_add_action(merge->writer, action);
	if (!rc)
		rc = tick_end(merge->writer, &bytes, &size);
	if (rc)
		return diag_set(d, rc, NULL, NULL, "no memory for an action");
	rc = group_begin(merge, d);
	return rc ? rc : store_action_add(merge->store, host, bytes, size, d);
}

static int group_add_actions(struct merge *merge, const struct source *source,
			     const struct intake *intake, struct diag *d)
{
	int rc = 0;

	for (size_t i = 0; i < intake->action_count && !rc; i++)
		rc = group_add_action(merge, source->next_row.host, &intake->actions[i], d);
	return rc;
}

int group_add_record(struct merge *merge, struct source *source, const struct stream_record *record,
		     struct merge_waiting *waiting, struct diag *d)
{
	struct store_record row = {
		.agent = source->row.no,
		.seq = record->seq,
		.arrived = clock_wall(),
		.late = waiting->late,
		.tick = record->tick,
		.tick_size = record->tick_size,
	};
	int rc = group_begin(merge, d);

	if (!rc)
		rc = store_record_add(merge->store, &row, d);
	if (!rc)
		rc = group_add_actions(merge, source, &waiting->intake, d);
	if (rc)
		return rc;
	merge->newest = row.no;
	merge->group_count++;
	merge->group_bytes += record->tick_size;
	source->next_row.committed = record->seq;
	source->next_row.last_seen = row.arrived;
	source->touched = true;
	return 0;
}

struct intake_context merge_context(struct merge *merge, struct source *source)
{
	return (struct intake_context){
		.table = fleet_table(merge->fleet),
		.names = &source->names,
		.host = source->next_row.host,
	};
}

int group_add_names(struct merge *merge, struct source *source, const struct stream_record *record,
		    struct diag *d)
{
	const struct intake_context context = merge_context(merge, source);
	struct store_record row = {
		.agent = source->row.no,
		.arrived = clock_wall(),
		.late = true, /* it belongs to no second */
	};
	int rc;

	tick_begin(merge->writer, row.arrived, 0);
	rc = intake_read_names(&context, record->tick, record->tick_size, merge->writer, d);
	if (rc <= 0)
		return rc;
	rc = tick_end(merge->writer, &row.tick, &row.tick_size);
	if (!rc)
		rc = group_begin(merge, d);
	if (!rc)
		rc = store_record_add(merge->store, &row, d);
	if (!rc)
		merge->newest = row.no;
	return rc;
}

int group_set_aside(struct merge *merge, struct source *source, const struct stream_record *record,
		    const struct diag *why, struct diag *d)
{
	const struct store_refused refused = {
		.agent = source->row.no,
		.seq = record->seq,
		.at = clock_wall(),
		.reason = why->what,
		.tick = record->tick,
		.tick_size = record->tick_size,
	};
	int rc = group_add_names(merge, source, record, d);

	if (!rc)
		rc = group_add_gap(merge, source, record->seq + 1, d);
	if (!rc)
		rc = store_refused_add(merge->store, &refused, d);
	if (rc)
		return rc;
	merge->counters.refused_total++;
	source_take_refused(source, record->seq, why->what);
	diag_set(d, -EPROTO, source->next_row.host, NULL,
		 "record %" PRIu64 " cannot be read: %s; it is kept aside and counts as lost",
		 record->seq, why->what);
	return 1;
}
