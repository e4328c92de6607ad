/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/publish.h"
#include "agent/recovery.h"
#include "agent/since.h"
#include "agent/turn.h"
#include "collectors/process_list.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/str.h"

mono_ns agent_steady(const struct agent *agent, mono_ns mono)
{
	return agent->steady_offset + mono;
}

/*
 * The clock on the wall may have been set back since the journal's newest tick. The windows then go
 * on from there; else all ticks until it has caught up would fall into one second.
 */
static void steady_resume(struct agent *agent)
{
	const struct series_clock clock = series_clock(agent->series);
	const mono_ns newest = clock.first_tick + clock.second * NS_PER_S;

	if (clock.second && newest > agent_steady(agent, agent->tick_mono))
		agent->steady_offset = newest - agent->tick_mono;
}

static bool source_wanted(const struct agent *agent, const struct collector_ops *ops)
{
	if (!strcmp(ops->name, "http"))
		return agent->config->capture_http;
	if (!strcmp(ops->name, "lanes"))
		return agent->config->capture_lanes;
	if (!strcmp(ops->name, "host") || !strcmp(ops->name, "tcp") ||
	    !strcmp(ops->name, "services"))
		return agent->config->capture_host;
	return true;
}

static void sources_open(struct agent *agent)
{
	const struct collector_context context = {
		.loop = agent->loop,
		.series = agent->series,
		.gauges = agent->gauges,
		.exemplars = agent->exemplars,
		.processes = agent->processes,
		.host = agent->host,
		.dir = agent->dirs.run,
		.config = agent->config,
	};

	for (size_t i = 0; collector_table[i] && i < AGENT_SOURCES; i++) {
		struct source *source = &agent->sources[agent->source_count++];

		source->ops = collector_table[i];
		if (!source_wanted(agent, source->ops)) {
			source->switched_off = true;
			continue;
		}
		if (source->ops->open(&context, &source->state, &source->why_not)) {
			char then[64];

			snprintf(then, sizeof(then), "going on without collector %s",
				 source->ops->name);
			source->state = NULL;
			log_diag(LOG_LEVEL_WARN, &source->why_not, then);
		}
	}
}

static void sources_close(struct agent *agent)
{
	while (agent->source_count > 0) {
		struct source *source = &agent->sources[--agent->source_count];
		if (source->state)
			source->ops->close(source->state);
	}
}

/* A start after a crash says what it found broken. */
static void journal_tell_mended(const struct journal *journal)
{
	const struct journal_counters mended = journal_counters(journal);

	if (mended.torn_total)
		log_warn("journal: its torn end was cut off; all whole records are kept");
	if (mended.quarantined_total)
		log_warn("journal: %llu broken segments were set aside as *.quarantined, "
			 "at least %llu records are lost",
			 (unsigned long long)mended.quarantined_total,
			 (unsigned long long)mended.lost_records_total);
}

static int journal_start(struct agent *agent, struct diag *d)
{
	const struct journal_options options = {
		.segment_bytes = agent->config->journal_segment_bytes,
		.budget_bytes = agent->config->journal_budget_bytes,
		.fsync_every = agent->config->journal_fsync_every,
		.age = agent->config->journal_age,
		.free_bytes = agent->config->journal_free_bytes,
		.keep_sent = true,
		.merge = compact_merge,
		.merge_arg = agent->compact,
	};
	char dir[DIRS_PATH_MAX];
	int rc = dirs_path(dir, agent->dirs.state, "journal");

	if (rc)
		return diag_errno(d, rc, agent->dirs.state, NULL, "path of the journal");
	rc = journal_open(dir, &options, &agent->journal, d);
	if (!rc)
		journal_tell_mended(agent->journal);
	return rc;
}

static int parts_make(struct agent *agent, struct diag *d)
{
	char scope[80];
	const struct series_table_options series = {
		.series_max = agent->config->series_max,
		.thresholds = policy_thresholds,
		.thresholds_arg = &agent->policy,
	};

	snprintf(scope, sizeof(scope), "host:%s", agent->host);
	agent->series = series_table_new(&series);
	agent->gauges = gauge_table_new(0);
	agent->exemplars = exemplars_new(EXEMPLARS_OF_AGENT);
	agent->processes = process_list_new();
	agent->judge = judge_new(&agent->policy, scope);
	agent->writer = tick_writer_new();
	agent->backlog = backlog_new();
	agent->compact = compact_new();
	agent->history = board_history_new();
	agent->post = board_post_new();
	if (!agent->series || !agent->gauges || !agent->exemplars || !agent->processes ||
	    !agent->judge || !agent->writer || !agent->backlog || !agent->compact ||
	    !agent->history || !agent->post)
		return diag_errno(d, -ENOMEM, "vowd", NULL, "cannot start");
	return 0;
}

static void parts_free(struct agent *agent)
{
	sources_close(agent);
	saving_end(agent);
	if (journal_close(agent->journal) < 0)
		log_error("journal: the disk refused to store its end; a crash of the machine may "
			  "cost the newest records");
	compact_free(agent->compact);
	board_post_free(agent->post);
	board_history_free(agent->history);
	backlog_free(agent->backlog);
	tick_writer_free(agent->writer);
	judge_free(agent->judge);
	process_list_free(agent->processes);
	exemplars_free(agent->exemplars);
	gauge_table_free(agent->gauges);
	series_table_free(agent->series);
	series_reader_unregister();
	local_free(&agent->local);
	free(agent->named);
	if (agent->config != agent->began)
		config_free(agent->config);
	config_free(agent->began);
}

int agent_open(struct agent *agent, struct loop *loop, struct vow_config *config, struct diag *d)
{
	agent->loop = loop;
	agent->config = agent->began = config;
	agent->policy = config->policy;
	snprintf(agent->host, sizeof(agent->host), "%s", config->host);
	agent->started = agent->tick_wall = clock_wall();
	agent->tick_mono = clock_mono();
	agent->steady_offset = agent->started - agent->tick_mono;
	series_reader_register(); /* the board reads what the table published */

	int rc = parts_make(agent, d);
	if (!rc)
		rc = journal_start(agent, d);
	if (!rc) {
		agent->counted_since = since_load(agent->dirs.state, journal_epoch(agent->journal),
						  agent->started);
		sources_open(agent);
		rc = recovery_run(agent, d);
		steady_resume(agent);
	}
	if (rc)
		parts_free(agent);
	return rc;
}

void agent_close(struct agent *agent)
{
	turn_run(agent, clock_mono(), clock_wall());
	if (agent->trouble[0] && !backlog_empty(agent->backlog))
		log_error(
			"ending while the journal cannot be written: what it lacks of applications "
			"waits in their memory for the next start, all else that it lacks is lost");
	/* All that was recorded went with the folder: the state must stand beside this one record. */
	if (agent->uprooted)
		while (saving_step(agent, clock_mono()))
			;
	parts_free(agent);
}

void agent_reload(struct agent *agent)
{
	struct vow_config *fresh;
	struct diag d = {0};
	char buf[DIRS_PATH_MAX], keys[CONFIG_RESTART_TEXT];
	const char *path = config_find(agent->config_path[0] ? agent->config_path : NULL,
				       agent->dir_given ? agent->dirs.run : NULL, buf);

	int rc = config_load(path, &fresh, &d);

	if (!rc && (rc = judge_reload(agent->judge, &fresh->policy)) < 0) {
		diag_errno(&d, rc, path ? path : "configuration", NULL, "cannot take it over");
		config_free(fresh);
	}
	if (rc) {
		log_diag(LOG_LEVEL_ERROR, &d, "keeping the configuration as it was");
		return;
	}
	agent->policy = fresh->policy;
	series_thresholds_reload(agent->series);
	for (size_t i = 0; i < agent->source_count; i++) {
		const struct source *source = &agent->sources[i];
		if (source->state && source->ops->reload)
			source->ops->reload(source->state, fresh);
	}
	if (config_restart_keys(agent->began, fresh, keys))
		log_warn("the configuration differs in what waits for a restart of vowd: %s", keys);
	if (agent->config != agent->began)
		config_free(agent->config);
	agent->config = fresh;
	log_info("configuration read again from %s", path ? path : "built-in defaults");
}

static int order_carry(struct agent *agent, const struct trace_order *order, struct diag *d)
{
	for (size_t i = 0; i < agent->source_count; i++) {
		const struct source *source = &agent->sources[i];

		if (source->ops->trace && source->state)
			return source->ops->trace(source->state, order, d);
	}
	return diag_set(d, -ENOTSUP, order->service, "vow doctor says why",
			"HTTP is not captured on this host");
}

int agent_order(struct agent *agent, const struct order *order, struct diag *d)
{
	const struct trace_order *trace = &order->trace;
	int rc = order_carry(agent, trace, d);
	char what[STR_FIGURE_SIZE + 8] = "no longer", lasts[STR_FIGURE_SIZE];

	if (trace->lasts)
		snprintf(what, sizeof(what), "for %s",
			 str_format_dur(lasts, sizeof(lasts), trace->lasts));
	log_info("trace-tls: user %u (pid %d) asks to read %s within TLS %s: %s",
		 (unsigned)order->uid, (int)order->pid, trace->service, what,
		 rc ? d->what : "done");
	if (!rc)
		publish_board(agent, agent->tick_wall);
	return rc;
}
