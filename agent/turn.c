/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/turn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/publish.h"
#include "lib/base/log.h"
#include "lib/base/testpoint.h"

uint64_t turn_poll(struct agent *agent, mono_ns mono)
{
	uint64_t taken = 0;

	for (size_t i = 0; i < agent->source_count; i++) {
		const struct source *source = &agent->sources[i];
		if (source->state && source->ops->poll)
			taken += source->ops->poll(source->state, mono);
	}
	return taken;
}

dur_ns turn_patience(const struct agent *agent)
{
	dur_ns least = UINT64_MAX;

	for (size_t i = 0; i < agent->source_count; i++) {
		const struct source *source = &agent->sources[i];
		if (!source->state || !source->ops->patience)
			continue;
		dur_ns own = source->ops->patience(source->state);
		if (own < least)
			least = own;
	}
	return least;
}

static bool turn_wanted(const struct agent *agent)
{
	for (size_t i = 0; i < agent->source_count; i++) {
		const struct source *source = &agent->sources[i];
		if (source->state && source->ops->hurry && source->ops->hurry(source->state))
			return true;
	}
	return false;
}

/* ---- the wire part ---------------------------------------------------------------------------- */

/* The next record names its series again: who reads it may know none before. */
static void named_forget(struct agent *agent)
{
	if (agent->named)
		memset(agent->named, 0, agent->named_size);
}

static int name_series(struct agent *agent, series_id id, const struct series_key *key)
{
	if (id >= agent->named_size) {
		size_t size = (size_t)id + 256;
		uint8_t *grown = realloc(agent->named, size);
		if (!grown)
			return -ENOMEM;
		memset(grown + agent->named_size, 0, size - agent->named_size);
		agent->named = grown;
		agent->named_size = size;
	}
	if (agent->named[id])
		return 0;
	int rc = tick_add_series(agent->writer, id, key);
	if (!rc)
		agent->named[id] = 1;
	return rc;
}

static int write_delta(void *arg, const struct series_delta *delta)
{
	struct agent *agent = arg;
	int rc = name_series(agent, delta->id, delta->key);

	return rc ? rc : tick_add_delta(agent->writer, delta);
}

/* A delta of this tick: judged once, and written, or owed when even memory lacks. */
static void turn_on_delta(void *arg, const struct series_delta *delta)
{
	struct agent *agent = arg;

	judge_delta(agent->judge, delta);
	if (!backlog_empty(agent->backlog) || write_delta(agent, delta))
		backlog_add_delta(agent->backlog, delta);
	else
		agent->tick_events += delta->counts.count;
}

static int write_action(void *arg, const struct action *action)
{
	struct agent *agent = arg;

	return tick_add_action(agent->writer, action);
}

static void turn_on_action(void *arg, const struct action *action)
{
	struct agent *agent = arg;

	board_history_add(agent->history, "", action);
	if (action->kind == ACTION_ALERT)
		log_info("alert %s: %s: %s", alert_state_name(action->alert.to),
			 action->alert.objective, action->alert.reason);
	else
		log_info("scale %s: %u -> %u: %s", action->scale.scaler, action->scale.from,
			 action->scale.to, action->scale.reason);
	if (!backlog_empty(agent->backlog) || write_action(agent, action))
		backlog_add_action(agent->backlog, action);
}

static void write_gauges(struct agent *agent)
{
	for (size_t i = 0; i < gauge_count(agent->gauges); i++)
		/* One that is no number is left out, and the others are not. */
		(void)tick_add_gauge(agent->writer, gauge_at(agent->gauges, i));
}

static void write_totals(struct agent *agent)
{
	for (size_t i = 0; i < agent->source_count; i++) {
		const struct source *source = &agent->sources[i];
		struct collector_status status = {0};

		source->ops->status(source->state, &status);
		if (tick_add_total(agent->writer, source->ops->name, NULL, status.events_total))
			return;
		for (unsigned k = 0; k < status.drop_count; k++)
			if (tick_add_total(agent->writer, source->ops->name, status.drops[k].reason,
					   status.drops[k].total))
				return;
	}
}

static int write_exemplar(void *arg, series_id id, const struct exemplar *exemplar)
{
	struct agent *agent = arg;
	int rc = name_series(agent, id, series_key_of(series_at(agent->series, id)));

	return rc ? rc : tick_add_exemplar(agent->writer, id, exemplar);
}

/* ---- the local part --------------------------------------------------------------------------- */

static int local_write(struct agent *agent)
{
	agent->local.size = 0;
	for (size_t i = 0; i < agent->source_count; i++) {
		const struct source *source = &agent->sources[i];

		if (!source->state || !source->ops->prepare)
			continue;
		uint8_t *to = local_open(&agent->local, source->ops->name, COLLECTOR_LOCAL_MAX);
		if (!to)
			return -ENOMEM;
		local_close(&agent->local,
			    source->ops->prepare(source->state, to, COLLECTOR_LOCAL_MAX));
	}
	return 0;
}

static void sources_commit(struct agent *agent)
{
	for (size_t i = 0; i < agent->source_count; i++) {
		const struct source *source = &agent->sources[i];
		if (source->state && source->ops->commit)
			source->ops->commit(source->state);
	}
}

/* ---- when the journal cannot be written --------------------------------------------------------- */

static int owe_delta(void *arg, const struct series_delta *delta)
{
	struct agent *agent = arg;
	const struct series *s = series_at(agent->series, delta->id);
	struct series_delta named = *delta;

	if (!s)
		return 0;
	named.key = series_key_of(s);
	backlog_add_delta(agent->backlog, &named);
	return 0;
}

static int owe_action(void *arg, const struct action *action)
{
	backlog_add_action(((struct agent *)arg)->backlog, action);
	return 0;
}

/*
 * Everything that the refused record would have said is owed to the next one. Its first `own` bytes
 * are what this tick wrote; what comes behind them is in the backlog already, as is what the tick
 * could not write.
 */
static void turn_refused(struct agent *agent, size_t own, const struct diag *d)
{
	const struct tick_visitor visitor = {.delta = owe_delta, .action = owe_action};
	bool first = !agent->trouble[0];
	const uint8_t *wire;
	size_t size;

	if (tick_end(agent->writer, &wire, &size) || tick_read(wire, own, &visitor, agent, NULL))
		backlog_lose(agent->backlog, agent->tick_events);
	named_forget(agent); /* names of a refused record never arrived */
	agent->uprooted |= d->err == -ESTALE;
	saving_refused(agent);
	agent->journal_failures_total++;
	diag_format(d, agent->trouble, sizeof(agent->trouble));
	if (first)
		log_diag(LOG_LEVEL_ERROR, d, "going on in memory, nothing is lost yet");
}

/* Once for each time that it grew; the total is since the start. */
static void turn_tell_lost(struct agent *agent)
{
	uint64_t lost = backlog_lost_total(agent->backlog);

	if (lost == agent->lost_told)
		return;
	agent->lost_told = lost;
	log_error(
		"%llu events or actions are lost: the journal could not be written, and there was "
		"no memory to keep them",
		(unsigned long long)lost);
}

/* Once when the disk begins to refuse, once when it does no more. */
static void turn_tell_sync(struct agent *agent)
{
	int err = journal_counters(agent->journal).sync_err;
	struct diag d;

	if (err == agent->sync_told)
		return;
	agent->sync_told = err;
	if (!err) {
		log_info("journal: the disk stores what is appended again");
		return;
	}
	journal_sync_diag(agent->journal, &d);
	log_diag(LOG_LEVEL_ERROR, &d, "going on; a crash of the machine may cost records");
}

static void turn_recorded(struct agent *agent, uint64_t seq)
{
	TESTPOINT(record_appended);
	saving_recorded(agent);
	exemplars_settle(agent->exemplars); /* before a source adds its last ones */
	sources_commit(agent);
	TESTPOINT(sources_committed);
	if (agent->trouble[0]) {
		log_info("journal works again; what was owed is written");
		agent->trouble[0] = '\0';
	}
	backlog_clear(agent->backlog);
	log_debug("record %llu: %llu events", (unsigned long long)seq,
		  (unsigned long long)agent->tick_events);
	if (agent->keyframe_seq)
		journal_trim(agent->journal, agent->keyframe_seq);
	TESTPOINT(journal_trimmed);
}

/* ---- the turn ----------------------------------------------------------------------------------- */

struct turn {
	mono_ns mono;
	wall_ns wall;
	bool early;
	size_t own; /* bytes of the record that this tick wrote; older debts come behind */
	uint64_t seq;
};

static int turn_append(struct agent *agent, struct turn *turn, struct diag *d)
{
	const uint8_t *wire;
	size_t size;
	int rc = backlog_deltas(agent->backlog, write_delta, agent);

	if (!rc)
		rc = backlog_actions(agent->backlog, write_action, agent);
	if (!rc) {
		/* Beside the counts: a record that lacks some is whole. */
		(void)exemplars_fresh(agent->exemplars, write_exemplar, agent);
		/* Last values, which the next regular turn brings. */
		if (!turn->early) {
			write_gauges(agent);
			write_totals(agent);
		}
		rc = tick_end(agent->writer, &wire, &size);
	}
	if (!rc)
		rc = local_write(agent);
	if (rc)
		return diag_errno(d, rc, "tick", NULL, "cannot make the record");
	saving_begin(agent, turn->mono);
	TESTPOINT(record_made);
	return journal_append(agent->journal, turn->wall, wire, size, agent->local.bytes,
			      agent->local.size, &turn->seq, d);
}

static void turn_make(struct agent *agent, struct turn *turn)
{
	mono_ns steady = agent_steady(agent, turn->mono);
	const uint8_t *wire;
	struct diag d = {0};

	turn_poll(agent, turn->mono);
	gauge_expire(agent->gauges, turn->mono);
	if (journal_at_segment_start(agent->journal)) {
		named_forget(agent);
		agent->saving.due = true;
	}
	tick_begin(agent->writer, agent->tick_wall,
		   turn->mono > agent->tick_mono ? turn->mono - agent->tick_mono : 0);
	agent->tick_events = 0;
	series_tick(agent->series, steady, turn_on_delta, agent);
	judge_step(agent->judge, steady, turn->wall, agent->gauges, turn_on_action, agent);

	if (tick_end(agent->writer, &wire, &turn->own))
		turn->own = 0;
	if (turn_append(agent, turn, &d))
		turn_refused(agent, turn->own, &d);
	else
		turn_recorded(agent, turn->seq);
	turn_tell_lost(agent);
	turn_tell_sync(agent);

	agent->tick_mono = turn->mono;
	agent->tick_wall = turn->wall;
	agent->ticks_total++;
}

void turn_run(struct agent *agent, mono_ns mono, wall_ns wall)
{
	struct turn turn = {.mono = mono, .wall = wall};

	turn_make(agent, &turn);
	self_measure(&agent->usage, mono);
	publish_board(agent, wall);
}

void turn_run_early(struct agent *agent, mono_ns mono, wall_ns wall)
{
	struct turn turn = {.mono = mono, .wall = wall, .early = true};

	/* While the journal refuses records, another one would give nothing back. */
	if (mono - agent->tick_mono < TURN_EARLY_NS || agent->trouble[0] || !turn_wanted(agent))
		return;
	turn_make(agent, &turn);
}
