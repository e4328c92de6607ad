/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/checkpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hub/source.h"
#include "lib/base/clock.h"
#include "proto/tick.h"

#define CHECKPOINT_APPLIED "applied" /* names of values in the store */
#define CHECKPOINT_JUDGE   "judge"
/* A judge with all rules and the counters of 90 days fits many times. */
#define CHECKPOINT_JUDGE_MAX (16u << 20)
/* Raw ticks that are read again for the windows: about two seconds' work. */
#define CHECKPOINT_REPLAY_BYTES (64u << 20)
/* Raw ticks that are looked through for exemplars: less than a second, or two when all have some. */
#define CHECKPOINT_TAGGED_BYTES (128u << 20)
/* Older seconds than this are lived through in steps of half a minute: only 1 h still shows them. */
#define CHECKPOINT_FINE (10 * NS_PER_MIN)

struct checkpoint {
	struct fleet *fleet;
	struct merge *merge;
	struct store *store;
	struct diag *d;
	struct hist *latency, *queue;
	uint8_t *packed, *packed_queue;
	/* loading */
	struct series **series; /* by number in the store */
	size_t series_count;
	bool relive, contradiction;
	struct windows windows_saved;
	mono_ns resume; /* windows were taken up as of before; 0: were not */
	int64_t ahead; /* of the fleet's clock over the time of day, when raw ticks came */
	mono_ns now, second; /* second: begin of the one being lived through */
	enum fleet_share share;
};

static int checkpoint_init(struct checkpoint *c, struct fleet *fleet, struct merge *merge,
			   struct store *store, struct diag *d)
{
	*c = (struct checkpoint){.fleet = fleet, .merge = merge, .store = store, .d = d};
	c->latency = calloc(1, sizeof(*c->latency));
	c->queue = calloc(1, sizeof(*c->queue));
	c->packed = malloc(HIST_PACKED_MAX);
	c->packed_queue = malloc(HIST_PACKED_MAX);
	if (!c->latency || !c->queue || !c->packed || !c->packed_queue)
		return diag_set(d, -ENOMEM, NULL, NULL, "no memory for a checkpoint");
	return 0;
}

static void checkpoint_deinit(struct checkpoint *c)
{
	free(c->latency);
	free(c->queue);
	free(c->packed);
	free(c->packed_queue);
	free(c->series);
}

/* ---- saving ------------------------------------------------------------------------------------ */

static void checkpoint_total(struct checkpoint *c, const struct series *s,
			     struct series_counts *counts)
{
	hist_clear(c->latency);
	hist_clear(c->queue);
	series_read_lock();
	series_window_add(fleet_table(c->fleet), s, SERIES_TOTAL, c->latency, c->queue, counts);
	series_read_unlock();
}

static int checkpoint_save_series(struct checkpoint *c, series_id id)
{
	const struct series *s = series_at(fleet_table(c->fleet), id);
	struct series_counts counts = {0};
	struct store_series row = {
		.no = id, .key = *series_key_of(s), .heard = fleet_heard(c->fleet, id)};

	checkpoint_total(c, s, &counts);
	row.count = counts.count;
	row.errors = counts.errors;
	row.latency = c->packed;
	row.latency_size = (size_t)hist_pack(c->latency, c->packed, HIST_PACKED_MAX);
	row.queue = c->packed_queue;
	if (c->queue->count)
		row.queue_size = (size_t)hist_pack(c->queue, c->packed_queue, HIST_PACKED_MAX);
	return store_series_put(c->store, &row, c->d);
}

static int checkpoint_save_name(void *arg, int64_t agent, uint32_t id, series_id no)
{
	struct checkpoint *c = arg;

	return store_name_put(c->store, agent, id, no, c->d);
}

static int checkpoint_save_judge(struct checkpoint *c)
{
	size_t cap = 64u << 10;

	while (cap <= CHECKPOINT_JUDGE_MAX) {
		uint8_t *bytes = malloc(cap);
		ssize_t size;
		int rc;

		if (!bytes)
			return diag_set(c->d, -ENOMEM, NULL, NULL, "no memory to save the judge");
		size = judge_save(fleet_judge(c->fleet), bytes, cap);
		if (size >= 0) {
			rc = store_value_put(c->store, CHECKPOINT_JUDGE, bytes, (size_t)size, c->d);
			free(bytes);
			return rc;
		}
		free(bytes);
		cap *= 4;
	}
	return diag_set(c->d, -ENOBUFS, NULL, NULL, "the judge's state is beyond all measure");
}

static int checkpoint_save_all(struct checkpoint *c, bool everything)
{
	const struct series_table *table = fleet_table(c->fleet);
	const int64_t applied = merge_applied(c->merge);
	int rc = store_begin(c->store, c->d);

	fleet_windows(c->fleet)->ahead = (int64_t)(fleet_now(c->fleet) - clock_wall());
	if (!rc)
		rc = windows_save(fleet_windows(c->fleet), fleet_table(c->fleet), c->store, applied,
				  everything, &c->windows_saved, c->d);

	if (!rc && everything)
		rc = store_series_clear(c->store, c->d);
	for (series_id id = 0; id < series_count(table) && !rc; id++)
		if (everything || fleet_dirty(c->fleet, id))
			rc = checkpoint_save_series(c, id);
	if (!rc)
		rc = merge_fresh_names(c->merge, everything, checkpoint_save_name, c);
	if (!rc)
		rc = store_value_put(c->store, CHECKPOINT_APPLIED, &applied, sizeof(applied), c->d);
	if (!rc)
		rc = store_heard_seal(c->store, c->d);
	if (!rc)
		rc = checkpoint_save_judge(c);
	return rc ? rc : store_commit(c->store, c->d);
}

int checkpoint_save(struct fleet *fleet, struct merge *merge, struct store *store, struct diag *d)
{
	struct checkpoint c;
	int rc;

	/* Totals that lack a part must not be called complete: a restart counts it from its raw tick. */
	if (fleet_unmerged_total(fleet))
		return diag_set(d, -ENOMEM, NULL, "start vow-hub again, with more memory",
				"memory lacked to add %llu records to the fleet's figures",
				(unsigned long long)fleet_unmerged_total(fleet));
	rc = checkpoint_init(&c, fleet, merge, store, d);
	if (!rc)
		rc = checkpoint_save_all(&c, fleet_renumbered(fleet));
	if (rc) {
		store_rollback(store);
	} else {
		fleet_clean(fleet);
		*fleet_windows(fleet) = c.windows_saved;
		merge_checkpoint_saved(merge);
	}
	checkpoint_deinit(&c);
	return rc;
}

/* ---- loading: series, names, agents ------------------------------------------------------------ */

static int checkpoint_load_agent(void *arg, const struct store_agent *agent)
{
	struct checkpoint *c = arg;

	if (merge_restore_agent(c->merge, agent))
		return diag_set(c->d, -ENOMEM, NULL, NULL, "no memory for all agents");
	return 0;
}

static int checkpoint_load_refused(void *arg, const struct store_refused *refused)
{
	struct checkpoint *c = arg;

	merge_restore_refused(c->merge, refused);
	return 0;
}

static int checkpoint_load_series(void *arg, const struct store_series *row)
{
	struct checkpoint *c = arg;
	struct series *s;

	if (row->key.kind >= SERIES_KINDS || row->key.role >= SERIES_ROLES ||
	    row->key.status_class >= CLASS_COUNT)
		return diag_set(c->d, -EPROTO, NULL, NULL, "series %u is of no known kind",
				row->no);
	if (!row->count) /* its host is gone, and what it counted was moved */
		return 0;
	s = series_get(fleet_table(c->fleet), &row->key);
	if (s && row->no >= c->series_count) {
		size_t count = (size_t)row->no + 256;
		struct series **series = realloc(c->series, count * sizeof(struct series *));

		if (series) {
			memset(series + c->series_count, 0,
			       (count - c->series_count) * sizeof(struct series *));
			c->series = series;
			c->series_count = count;
		}
	}
	if (!s || row->no >= c->series_count)
		return diag_set(c->d, -ENOMEM, NULL, NULL, "no memory for all series");
	c->series[row->no] = s;
	if (row->heard)
		fleet_restore_heard(c->fleet, series_id_of(s), row->heard);
	/* The table's cap may be smaller than it was: then several rows meet in "{other}". */
	if (series_id_of(s) != row->no)
		fleet_renumber(c->fleet);
	return 0;
}

static int checkpoint_load_name(void *arg, int64_t agent, uint32_t id, series_id no)
{
	struct checkpoint *c = arg;

	if (no >= c->series_count || !c->series[no]) {
		/* The agent will be asked for its names again; the number may go to another series. */
		fleet_renumber(c->fleet);
		return 0;
	}
	return merge_restore_name(c->merge, agent, id, c->series[no]) == -ENOMEM ? -ENOMEM : 0;
}

/* ---- loading: living through raw ticks again ----------------------------------------------------- */

static void checkpoint_nobody(void *arg, const struct action *action)
{
	/* What was decided then is in the store, with the time at which it was. */
	(void)arg;
	(void)action;
}

/* Behind windows that were taken up there are few seconds, and each goes where it was. */
static dur_ns checkpoint_grain(const struct checkpoint *c, mono_ns at)
{
	return !c->resume && c->now - at > CHECKPOINT_FINE ? 30 * NS_PER_S : NS_PER_S;
}

static void checkpoint_step(struct checkpoint *c)
{
	dur_ns grain = checkpoint_grain(c, c->second);
	mono_ns end = c->second + grain < c->now ? c->second + grain : c->now;

	end = end > c->resume ? end : c->resume;

	if (c->share == FLEET_WINDOWS)
		fleet_step_windows(c->fleet, end);
	else
		fleet_step(c->fleet, end, end, checkpoint_nobody, NULL);
}

/* Ends the second in which the records before `at` came. */
static void checkpoint_advance(struct checkpoint *c, mono_ns at)
{
	dur_ns grain = checkpoint_grain(c, at);
	mono_ns second = at - at % grain;

	if (c->second && second > c->second)
		checkpoint_step(c);
	if (second > c->second)
		c->second = second;
}

static int checkpoint_replay(void *arg, const struct store_record *record)
{
	struct checkpoint *c = arg;
	int64_t applied = merge_applied(c->merge);
	mono_ns at = record->arrived + (uint64_t)c->ahead;
	enum fleet_share share = record->late ? FLEET_TOTALS : FLEET_ALL;
	struct diag why = {0};
	int rc;

	if (c->share == FLEET_WINDOWS) {
		if (record->no > applied)
			return 1; /* from here on the totals do not know them */
		if (record->late)
			return 0;
		share = FLEET_WINDOWS;
	}
	at = at < c->now ? at : c->now;
	checkpoint_advance(c, at);
	rc = merge_restore_record(c->merge, record, share, at, &why);
	if (rc == -EPROTO || rc == -ENOKEY) {
		/* Broken on the disk, or named before the oldest raw tick: the totals have it. */
		if (c->share == FLEET_WINDOWS)
			return 0;
		rc = merge_restore_aside(c->merge, record, why.what, c->d);
	} else if (rc) {
		*c->d = why;
	}
	if (!rc)
		fleet_merged(c->fleet, record->no);
	if (!rc && c->share == FLEET_ALL)
		merge_restore_applied(c->merge, record->no, false);
	return rc;
}

static int checkpoint_replay_from(struct checkpoint *c, int64_t after, enum fleet_share share)
{
	int rc;

	c->share = share;
	c->now = fleet_now(c->fleet);
	rc = store_records_read(c->store, after, checkpoint_replay, c, c->d);
	if (c->second)
		checkpoint_step(c);
	/* What was set aside. */
	return rc < 0 ? rc : store_commit(c->store, c->d);
}

/* ---- loading: exemplars ---------------------------------------------------------------------- */

static int checkpoint_load_tagged(void *arg, const struct store_record *record)
{
	struct checkpoint *c = arg;

	if (record->no > merge_applied(c->merge))
		return 1; /* comes with all that it holds */
	if (!tick_has_exemplars(record->tick, record->tick_size))
		return 0;
	if (merge_restore_exemplars(c->merge, record))
		return diag_set(c->d, -ENOMEM, NULL, NULL, "no memory for exemplars");
	return 0;
}

/* Of the hour in which they are kept, by what agents call their series as of the checkpoint. */
static int checkpoint_load_exemplars(struct checkpoint *c)
{
	const wall_ns since = clock_wall() - EXEMPLARS_MINUTES * NS_PER_MIN;
	int64_t after;
	int rc = store_records_since(c->store, since, CHECKPOINT_TAGGED_BYTES, &after, c->d);

	if (!rc)
		rc = store_records_read(c->store, after, checkpoint_load_tagged, c, c->d);
	return rc < 0 ? rc : 0;
}

/* ---- loading: totals --------------------------------------------------------------------------- */

/*
 * Of what is left after a part was taken out, the largest value is known by its bucket alone, unless
 * it was the largest of all. What was the largest of all is in the other part, so that both together
 * have it again. A sum that ended at the largest number says nothing of what is left: any will do
 * that there can be. False: what is left is no histogram.
 */
static bool checkpoint_bound(struct hist *rest, bool sum_ended)
{
	if (!rest->count) {
		rest->max_ns = 0;
		return !rest->sum_ns;
	}
	while (!rest->slots[rest->high - 1])
		rest->high--;
	if (hist_slot(rest->max_ns) != rest->high - 1)
		rest->max_ns = hist_slot_last(rest->high - 1);
	if (sum_ended && rest->sum_ns < rest->max_ns)
		rest->sum_ns = rest->max_ns;
	/* Of a single value, the sum says more than its bucket. */
	if (rest->max_ns > rest->sum_ns)
		rest->max_ns = rest->sum_ns;
	return hist_slot(rest->max_ns) == rest->high - 1;
}

/* What stands in the store without what the table has of it by now; false when that is more. */
static bool checkpoint_subtract(struct hist *from, const struct hist *part)
{
	const bool sum_ended = from->sum_ns == UINT64_MAX;

	if (part->count > from->count || part->sum_ns > from->sum_ns)
		return false;
	for (uint32_t slot = part->low; slot < part->high; slot++) {
		if (part->slots[slot] > from->slots[slot])
			return false;
		from->slots[slot] -= part->slots[slot];
	}
	from->count -= part->count;
	from->sum_ns -= part->sum_ns;
	return checkpoint_bound(from, sum_ended);
}

static int checkpoint_rest(const struct hist *part, const uint8_t *bytes, size_t size,
			   uint8_t *packed, size_t *packed_size, bool *contradiction)
{
	struct hist *rest = calloc(1, sizeof(*rest));
	int rc;

	if (!rest)
		return -ENOMEM;
	rc = size ? hist_merge_packed(rest, bytes, size) : 0;
	if (!rc && !checkpoint_subtract(rest, part))
		*contradiction = true;
	else if (!rc)
		*packed_size = (size_t)hist_pack(rest, packed, HIST_PACKED_MAX);
	free(rest);
	return rc;
}

static int checkpoint_load_total(void *arg, const struct store_series *row)
{
	struct checkpoint *c = arg;
	struct series *s = row->no < c->series_count ? c->series[row->no] : NULL;
	struct series_counts has = {0}, rest;
	size_t size = 0, queue_size = 0;
	int rc;

	if (!s)
		return 0;
	hist_clear(c->latency);
	hist_clear(c->queue);
	if (c->relive)
		checkpoint_total(c, s, &has);
	if (has.count > row->count || has.errors > row->errors)
		c->contradiction = true;
	rc = checkpoint_rest(c->latency, row->latency, row->latency_size, c->packed, &size,
			     &c->contradiction);
	if (!rc)
		rc = checkpoint_rest(c->queue, row->queue, row->queue_size, c->packed_queue,
				     &queue_size, &c->contradiction);
	if (c->contradiction)
		return 1;
	rest = (struct series_counts){.count = row->count - has.count,
				      .errors = row->errors - has.errors};
	if (!rc && rest.count)
		rc = series_restore_total(s, c->packed, size, c->packed_queue, queue_size, &rest);
	if (rc)
		return diag_set(c->d, rc, "hub.db",
				"move the file away; agents send again what they still have",
				"the totals of series %u cannot be restored", row->no);
	return 0;
}

/*
 * 0: every event that the windows were given is part of some stored total. 1: a series has some that
 * the store does not know. One that was only named, say by an exemplar, has none. -ENOMEM.
 */
static int checkpoint_covers(struct checkpoint *c)
{
	const struct series_table *table = fleet_table(c->fleet);
	const size_t count = series_count(table);
	bool *stored = calloc(count ? count : 1, sizeof(*stored));
	int rc = 0;

	if (!stored)
		return diag_set(c->d, -ENOMEM, NULL, NULL, "no memory for all series");
	for (size_t no = 0; no < c->series_count; no++)
		if (c->series[no])
			stored[series_id_of(c->series[no])] = true;
	for (series_id id = 0; id < count && !rc; id++) {
		struct series_counts counts = {0};

		if (stored[id])
			continue;
		checkpoint_total(c, series_at(table, id), &counts);
		rc = counts.count != 0;
	}
	free(stored);
	return rc;
}

/* ---- loading: the rest -------------------------------------------------------------------------- */

static int checkpoint_load_applied(struct checkpoint *c)
{
	uint8_t *bytes;
	size_t size;
	int64_t applied = 0;
	int rc = store_value_get(c->store, CHECKPOINT_APPLIED, &bytes, &size, c->d);

	if (rc <= 0)
		return rc;
	if (size == sizeof(applied))
		memcpy(&applied, bytes, sizeof(applied));
	free(bytes);
	merge_restore_applied(c->merge, applied, true);
	return 0;
}

/* A judge of another version of vow is not understood: objectives then begin anew. */
static int checkpoint_load_judge(struct checkpoint *c)
{
	uint8_t *bytes;
	size_t size;
	int rc = store_value_get(c->store, CHECKPOINT_JUDGE, &bytes, &size, c->d);

	if (rc <= 0)
		return rc;
	judge_restore(fleet_judge(c->fleet), bytes, size);
	free(bytes);
	return 0;
}

struct checkpoint_action {
	struct checkpoint *c;
	const char *host;
};

static int checkpoint_remember(void *arg, const struct action *action)
{
	struct checkpoint_action *at = arg;

	fleet_remember(at->c->fleet, at->host, action);
	return 0;
}

static int checkpoint_load_action(void *arg, const char *host, const uint8_t *tick, size_t size)
{
	static const struct tick_visitor visitor = {.action = checkpoint_remember};
	struct checkpoint_action at = {arg, host};

	/* One that cannot be read any more is left out. */
	tick_read(tick, size, &visitor, &at, NULL);
	return 0;
}

/*
 * Windows as they were, where the store has them; else what the last hour brought. Without living
 * through raw ticks again, what the store has of them.
 */
static int checkpoint_load_windows(struct checkpoint *c)
{
	struct windows_resume resume;
	int64_t after;
	int rc = windows_find(c->store, merge_applied(c->merge), &resume, c->d);

	if (rc == 1 && !fleet_resume(c->fleet, &resume)) {
		/* The windows do without those raw ticks for good: no later restart tries them. */
		if (!c->relive)
			resume.record = resume.applied;
		c->ahead = resume.ahead;
		c->resume = resume.clock.first_tick + resume.clock.second * NS_PER_S;
		rc = windows_load(fleet_windows(c->fleet), c->store, &resume, c->series,
				  c->series_count, c->d);
		return rc ? rc : checkpoint_replay_from(c, resume.record, FLEET_WINDOWS);
	}
	if (rc < 0 || !c->relive)
		return rc < 0 ? rc : 0;
	rc = store_records_since(c->store, clock_wall() - NS_PER_H, CHECKPOINT_REPLAY_BYTES, &after,
				 c->d);
	return rc ? rc : checkpoint_replay_from(c, after, FLEET_WINDOWS);
}

static int checkpoint_load_all(struct checkpoint *c)
{
	int rc = store_agents_read(c->store, SOURCES_MAX, checkpoint_load_agent, c, c->d);

	if (!rc)
		rc = store_refused_read(c->store, checkpoint_load_refused, c, c->d);
	if (!rc)
		rc = store_series_read(c->store, checkpoint_load_series, c, c->d);
	if (!rc)
		rc = store_names_read(c->store, checkpoint_load_name, c, c->d);
	if (!rc)
		rc = checkpoint_load_applied(c);
	if (!rc)
		rc = checkpoint_load_exemplars(c);
	if (!rc)
		rc = checkpoint_load_windows(c);
	fleet_merged(c->fleet, merge_applied(c->merge));
	if (!rc)
		rc = checkpoint_covers(c);
	if (!rc)
		rc = store_series_read(c->store, checkpoint_load_total, c, c->d);
	/* Old ticks may have given numbers a meaning that later ones changed. */
	if (!rc && c->relive)
		rc = store_names_read(c->store, checkpoint_load_name, c, c->d);
	if (!rc)
		rc = checkpoint_load_judge(c);
	if (!rc)
		rc = checkpoint_replay_from(c, merge_applied(c->merge), FLEET_ALL);
	if (!rc)
		rc = store_actions_read(c->store, BOARD_HISTORY, checkpoint_load_action, c, c->d);
	return rc;
}

int checkpoint_load(struct fleet *fleet, struct merge *merge, struct store *store, bool relive,
		    struct diag *d)
{
	struct checkpoint c;
	int rc = checkpoint_init(&c, fleet, merge, store, d);

	c.relive = relive;
	if (!rc)
		rc = checkpoint_load_all(&c);
	checkpoint_deinit(&c);
	return rc;
}
