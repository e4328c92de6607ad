/* SPDX-License-Identifier: Apache-2.0 */
/* How the checkpoint reads the merge out, and fills it again. */
#include <errno.h>
#include <string.h>

#include "hub/group.h"
#include "lib/base/clock.h"
#include "proto/tick.h"

int merge_restore_agent(struct merge *merge, const struct store_agent *agent)
{
	struct source *source = sources_add(merge->sources, agent);

	if (!source)
		return -ENOMEM;
	sources_prefer(merge->sources, source);
	return 0;
}

int merge_restore_name(struct merge *merge, int64_t agent, uint32_t id, struct series *series)
{
	struct source *source = sources_find_no(merge->sources, agent);

	if (!source)
		return -ENOENT;
	source->names_lost = false;
	return intake_names_set(&source->names, id, series, false);
}

void merge_restore_refused(struct merge *merge, const struct store_refused *refused)
{
	struct source *source = sources_find_no(merge->sources, refused->agent);

	if (source)
		source_take_refused(source, refused->seq, refused->reason);
}

int merge_restore_record(struct merge *merge, const struct store_record *record,
			 enum fleet_share share, mono_ns at, struct diag *d)
{
	struct source *source = sources_find_no(merge->sources, record->agent);
	struct intake_context context;
	struct intake intake;
	int rc;

	if (!source)
		return diag_set(d, -EPROTO, NULL, NULL, "a raw tick of an unknown agent");
	context = merge_context(merge, source);
	rc = intake_read(&context, record->tick, record->tick_size, &intake, d);
	if (rc)
		return rc;
	source->names_lost = false;
	fleet_merge(merge->fleet, &intake, share, at);
	source_take_totals(source, &intake);
	intake_deinit(&intake);
	return 0;
}

int merge_restore_exemplars(struct merge *merge, const struct store_record *record)
{
	struct source *source = sources_find_no(merge->sources, record->agent);
	struct intake_context context;
	struct intake intake;
	struct diag d; /* who lives through it again tells what is wrong with it */
	int rc;

	if (!source)
		return 0;
	context = merge_context(merge, source);
	rc = intake_read_exemplars(&context, record->tick, record->tick_size, &intake, &d);
	if (rc)
		return rc == -ENOMEM ? rc : 0;
	fleet_merge(merge->fleet, &intake, FLEET_TOTALS, 0);
	intake_deinit(&intake);
	return 0;
}

static int merge_restore_lost(struct merge *merge, struct source *source, uint64_t seq,
			      struct diag *d)
{
	int rc = store_gap_add(merge->store, source->row.no, seq, seq + 1, clock_wall(), d);

	if (rc)
		return rc;
	source->row.gap_records_total++;
	source->next_row = source->row;
	return store_agent_put(merge->store, &source->row, d);
}

int merge_restore_aside(struct merge *merge, const struct store_record *record, const char *reason,
			struct diag *d)
{
	struct source *source = sources_find_no(merge->sources, record->agent);
	struct store_record names = *record;
	const struct store_refused refused = {
		.agent = record->agent,
		.seq = record->seq,
		.at = clock_wall(),
		.reason = reason,
		.tick = record->tick,
		.tick_size = record->tick_size,
	};
	int rc = store_begin(merge->store, d);

	tick_begin(merge->writer, record->arrived, 0);
	if (!rc && source) {
		const struct intake_context context = merge_context(merge, source);
		struct diag known; /* why it cannot be read whole is the reason */

		rc = intake_read_names(&context, record->tick, record->tick_size, merge->writer,
				       &known);
	}
	if (rc >= 0)
		rc = tick_end(merge->writer, &names.tick, &names.tick_size);
	if (!rc)
		rc = store_refused_add(merge->store, &refused, d);
	if (!rc)
		rc = store_record_put(merge->store, &names, d);
	if (!rc && source && record->seq) /* 0: it held nothing but names */
		rc = merge_restore_lost(merge, source, record->seq, d);
	if (rc)
		return rc;
	if (source)
		source_take_refused(source, record->seq, reason);
	merge->counters.refused_total++;
	return 0;
}

void merge_restore_applied(struct merge *merge, int64_t applied, bool saved)
{
	merge->applied = applied;
	if (saved)
		merge->saved = applied;
}

int merge_fresh_names(struct merge *merge, bool all,
		      int (*fn)(void *arg, int64_t agent, uint32_t id, series_id no), void *arg)
{
	for (struct source *s = sources_first(merge->sources); s; s = s->next) {
		for (uint32_t id = 0; id < s->names.room; id++) {
			int rc;

			if (!s->names.at[id] || !(all || s->names.fresh[id]))
				continue;
			rc = fn(arg, s->row.no, id, series_id_of(s->names.at[id]));
			if (rc)
				return rc;
		}
	}
	return 0;
}

void merge_checkpoint_saved(struct merge *merge)
{
	merge->saved = merge->applied;
	for (struct source *s = sources_first(merge->sources); s; s = s->next)
		if (s->names.room)
			memset(s->names.fresh, 0, s->names.room * sizeof(*s->names.fresh));
}
