/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/fleet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"

/* Series of a fleet for each series that an agent may have; gauges likewise. */
#define FLEET_SERIES_FACTOR 16
/* 1100 hosts that tell of nothing but themselves; 5 MB. */
#define FLEET_GAUGES_MAX (FLEET_SERIES_FACTOR * GAUGE_NAMES_MAX)

/* Of 270 series with tags that is an hour, 5 MB; of more it is less. */
#define FLEET_EXEMPLAR_GROUPS_MAX 16384

/*
 * A total of more takes no further ones but by seconds of windows, which hold 2^32 each: a packed
 * histogram ends at 2^62, and a total that cannot be packed would keep the hub from checkpoints.
 */
#define FLEET_COUNT_MAX (UINT64_C(1) << 61)

struct fleet_mark { /* of a series */
	mono_ns heard; /* the fleet's clock when its last events came; 0: not known yet */
	bool dirty;
};

struct fleet {
	struct series_table *table;
	struct gauge_table *gauges;
	struct exemplars *exemplars;
	struct judge *judge;
	struct board_history *history;
	mono_ns steady_offset; /* added to CLOCK_MONOTONIC */
	uint64_t unmerged_total;
	struct fleet_mark *marks; /* by series_id; grows with the table */
	size_t mark_room;
	struct windows windows;
	bool renumbered;
	bool dirty_all; /* memory for the marks lacked: everything counts as dirty */
};

struct fleet *fleet_new(const struct vow_config *config)
{
	struct fleet *fleet = calloc(1, sizeof(*fleet));
	const struct series_table_options options = {
		.series_max = (size_t)config->series_max * FLEET_SERIES_FACTOR,
	};

	if (!fleet)
		return NULL;
	fleet->steady_offset = clock_wall() - clock_mono();
	fleet->table = series_table_new(&options);
	fleet->gauges = gauge_table_new(FLEET_GAUGES_MAX);
	fleet->exemplars = exemplars_new(FLEET_EXEMPLAR_GROUPS_MAX);
	fleet->judge = judge_new(&config->policy, "fleet");
	fleet->history = board_history_new();
	if (!fleet->table || !fleet->gauges || !fleet->exemplars || !fleet->judge ||
	    !fleet->history) {
		fleet_free(fleet);
		return NULL;
	}
	return fleet;
}

void fleet_free(struct fleet *fleet)
{
	if (!fleet)
		return;
	if (fleet->history)
		board_history_free(fleet->history);
	if (fleet->judge)
		judge_free(fleet->judge);
	exemplars_free(fleet->exemplars);
	if (fleet->gauges)
		gauge_table_free(fleet->gauges);
	if (fleet->table)
		series_table_free(fleet->table);
	free(fleet->marks);
	free(fleet);
}

int fleet_reload(struct fleet *fleet, const struct vow_config *config)
{
	return judge_reload(fleet->judge, &config->policy);
}

mono_ns fleet_now(const struct fleet *fleet)
{
	return clock_mono() + fleet->steady_offset;
}

/* ---- merging ----------------------------------------------------------------------------------- */

/* NULL when memory lacks. */
static struct fleet_mark *fleet_mark_of(struct fleet *fleet, series_id id)
{
	if (id >= fleet->mark_room) {
		size_t room = fleet->mark_room ? fleet->mark_room : 256;
		struct fleet_mark *marks;

		while (room <= id)
			room *= 2;
		marks = realloc(fleet->marks, room * sizeof(*marks));
		if (!marks)
			return NULL;
		memset(marks + fleet->mark_room, 0, (room - fleet->mark_room) * sizeof(*marks));
		fleet->marks = marks;
		fleet->mark_room = room;
	}
	return &fleet->marks[id];
}

/* heard 0: as before. */
static void fleet_mark(struct fleet *fleet, series_id id, mono_ns heard)
{
	struct fleet_mark *mark = fleet_mark_of(fleet, id);

	if (!mark) {
		fleet->dirty_all = true;
		return;
	}
	mark->dirty = true;
	if (heard > mark->heard)
		mark->heard = heard;
}

bool fleet_dirty(const struct fleet *fleet, series_id id)
{
	return fleet->dirty_all || (id < fleet->mark_room && fleet->marks[id].dirty);
}

mono_ns fleet_heard(const struct fleet *fleet, series_id id)
{
	return id < fleet->mark_room ? fleet->marks[id].heard : 0;
}

void fleet_restore_heard(struct fleet *fleet, series_id id, mono_ns heard)
{
	struct fleet_mark *mark = fleet_mark_of(fleet, id);

	if (mark && heard > mark->heard)
		mark->heard = heard;
}

void fleet_clean(struct fleet *fleet)
{
	fleet->dirty_all = false;
	fleet->renumbered = false;
	for (size_t id = 0; id < fleet->mark_room; id++)
		fleet->marks[id].dirty = false;
}

void fleet_renumber(struct fleet *fleet)
{
	fleet->renumbered = true;
}

bool fleet_renumbered(const struct fleet *fleet)
{
	return fleet->renumbered;
}

static uint64_t fleet_count(const struct fleet *fleet, const struct series *s,
			    enum series_window window)
{
	struct series_counts counts = {0};

	series_read_lock();
	series_window_add(fleet->table, s, window, NULL, NULL, &counts);
	series_read_unlock();
	return counts.count;
}

/* Past the windows: it came late, or is more than one second of a series can hold. */
static int fleet_merge_total(struct fleet *fleet, const struct intake_delta *in,
			     const struct series_counts *counts)
{
	const struct series_delta *delta = &in->delta;

	if (fleet_count(fleet, in->series, SERIES_TOTAL) > FLEET_COUNT_MAX - counts->count)
		return 0;
	return series_restore_total(in->series, delta->hist, delta->hist_size, delta->queue,
				    delta->queue_size, counts);
}

/*
 * The judge gets the agent's own delta and not the table's sum, because only the former says which
 * thresholds were decided on raw nanoseconds.
 */
static int fleet_merge_delta(struct fleet *fleet, const struct intake_delta *in,
			     enum fleet_share share, mono_ns at)
{
	const struct series_delta *delta = &in->delta;
	const struct series_counts counts = {
		.count = delta->counts.count,
		.errors = delta->counts.errors,
	};
	int rc = -EOVERFLOW;

	fleet_mark(fleet, delta->id, at);
	if (share == FLEET_ALL)
		judge_delta(fleet->judge, delta);
	if (share != FLEET_TOTALS)
		rc = series_merge_packed(in->series, delta->hist, delta->hist_size, delta->queue,
					 delta->queue_size, &counts);
	return rc == -EOVERFLOW ? fleet_merge_total(fleet, in, &counts) : rc;
}

void fleet_merge(struct fleet *fleet, const struct intake *intake, enum fleet_share share,
		 mono_ns at)
{
	const wall_ns wall = clock_wall();
	int rc = 0;

	for (size_t i = 0; i < intake->delta_count; i++)
		if (fleet_merge_delta(fleet, &intake->deltas[i], share, at))
			rc = -ENOMEM;
	if (rc)
		fleet->unmerged_total++;
	/* By their own time: what came late is of use as long as it is not too old. */
	for (size_t i = 0; i < intake->exemplar_count; i++)
		exemplars_add(fleet->exemplars, intake->exemplars[i].series,
			      &intake->exemplars[i].exemplar, wall);
	if (share == FLEET_TOTALS)
		return;
	for (size_t i = 0; i < intake->gauge_count; i++) {
		const struct gauge *gauge = &intake->gauges[i];

		/* At the cap a gauge is refused; the table counts it. */
		gauge_set(fleet->gauges, gauge->host, gauge->service, gauge->name, gauge->label,
			  gauge->value, at);
	}
}

/* ---- hosts that are gone, and series that nobody uses any more ------------------------------------ */

/* Moves the totals of the series `key` to the series `into`. */
static void fleet_fold(struct fleet *fleet, const struct series_key *key,
		       const struct series_key *into)
{
	struct series *from = series_get(fleet->table, key), *to = series_get(fleet->table, into);

	if (!from || !to || from == to || series_move_total(from, to))
		return;
	fleet_mark(fleet, series_id_of(from), 0);
	fleet_mark(fleet, series_id_of(to), 0);
}

static void fleet_fold_into_gone(struct fleet *fleet, const struct series_key *key)
{
	struct series_key gone = *key;

	snprintf(gone.host, sizeof(gone.host), "%s", FLEET_GONE);
	fleet_fold(fleet, key, &gone);
}

/* The method stays: of a delivery it is the outcome. */
static void fleet_fold_into_other(struct fleet *fleet, const struct series_key *key)
{
	struct series_key other = *key;

	snprintf(other.route, sizeof(other.route), "%s", FLEET_OTHER);
	other.peer[0] = '\0';
	fleet_fold(fleet, key, &other);
}

/* True when it was not heard of since `before`. One of which nobody knows when begins to wait now. */
static bool fleet_is_unused(struct fleet *fleet, series_id id, mono_ns before)
{
	if (!fleet_heard(fleet, id))
		fleet_mark(fleet, id, fleet_now(fleet));
	return fleet_heard(fleet, id) && fleet_heard(fleet, id) < before;
}

void fleet_age(struct fleet *fleet, mono_ns before, bool (*stays)(void *arg, const char *host),
	       void *arg)
{
	const size_t count = series_count(fleet->table);
	const char *asked = FLEET_GONE; /* series of a host mostly follow each other */
	bool stay = true;

	for (series_id id = 0; id < count; id++) {
		const struct series *s = series_at(fleet->table, id);
		const struct series_key *key = series_key_of(s);

		if (!key->host[0] || strcmp(key->host, FLEET_GONE) == 0)
			continue;
		if (strcmp(key->host, asked) != 0)
			stay = stays(arg, key->host);
		asked = key->host;
		if (stay && !fleet_is_unused(fleet, id, before))
			continue;
		if (fleet_count(fleet, s, WINDOW_30D) || !fleet_count(fleet, s, SERIES_TOTAL))
			continue;
		if (stay)
			fleet_fold_into_other(fleet, key);
		else
			fleet_fold_into_gone(fleet, key);
	}
}

uint64_t fleet_gauges_refused_total(const struct fleet *fleet)
{
	return gauge_refused_total(fleet->gauges);
}

uint64_t fleet_unmerged_total(const struct fleet *fleet)
{
	return fleet->unmerged_total;
}

void fleet_step_windows(struct fleet *fleet, mono_ns now)
{
	const uint32_t before = series_clock(fleet->table).second;

	gauge_expire(fleet->gauges, now);
	series_tick(fleet->table, now, NULL, NULL);
	windows_step(&fleet->windows, before, series_clock(fleet->table).second);
}

struct windows *fleet_windows(struct fleet *fleet)
{
	return &fleet->windows;
}

void fleet_merged(struct fleet *fleet, int64_t record)
{
	fleet->windows.merged = record;
}

int fleet_resume(struct fleet *fleet, const struct windows_resume *resume)
{
	const mono_ns end = resume->clock.first_tick + resume->newest * NS_PER_S;
	mono_ns now;

	fleet->steady_offset += (uint64_t)resume->ahead;
	now = fleet_now(fleet);
	/* Else, when the time of day was set back, all until it has caught up would be one second. */
	if (end > now)
		fleet->steady_offset += end - now;
	return series_restore_clock(fleet->table, &resume->clock);
}

void fleet_step(struct fleet *fleet, mono_ns now, wall_ns wall, judge_action_fn fn, void *arg)
{
	fleet_step_windows(fleet, now);
	judge_step(fleet->judge, now, wall, fleet->gauges, fn, arg);
}

void fleet_remember(struct fleet *fleet, const char *host, const struct action *action)
{
	board_history_add(fleet->history, host, action);
}

/* ---- what others see --------------------------------------------------------------------------- */

struct series_table *fleet_table(const struct fleet *fleet)
{
	return fleet->table;
}

struct judge *fleet_judge(const struct fleet *fleet)
{
	return fleet->judge;
}

int fleet_board(const struct fleet *fleet, struct board *board)
{
	int rc = board_from_judge(board, fleet->judge);

	/* Without memory for them the board has none. */
	board->exemplars = exemplars_publish(fleet->exemplars, clock_wall());
	board->series = series_count(fleet->table);
	board->series_other_total = series_other_total(fleet->table);
	board->series_bytes = series_table_bytes(fleet->table);
	if (!rc)
		rc = board_from_gauges(board, fleet->gauges);
	return rc ? rc : board_from_history(board, fleet->history);
}
