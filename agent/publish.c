/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/publish.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/version.h"

static void board_text(char *field, size_t room, const char *text)
{
	snprintf(field, room, "%s", text);
}

static int publish_collectors(struct board *board, const struct agent *agent)
{
	board->collectors = calloc(agent->source_count + 1, sizeof(*board->collectors));
	if (!board->collectors)
		return -ENOMEM;
	for (size_t i = 0; i < agent->source_count; i++) {
		const struct source *source = &agent->sources[i];
		struct board_collector *row = &board->collectors[i];
		struct collector_status status = {.tier = "off"};

		source->ops->status(source->state, &status);
		board_text(row->name, sizeof(row->name), source->ops->name);
		board_text(row->tier, sizeof(row->tier), source->state ? status.tier : "off");
		row->events_total = status.events_total;
		row->drop_count = status.drop_count;
		for (unsigned k = 0; k < status.drop_count && k < ARRAY_LEN(row->drops); k++) {
			board_text(row->drops[k].reason, sizeof(row->drops[k].reason),
				   status.drops[k].reason);
			row->drops[k].total = status.drops[k].total;
		}
		board_text(row->detail, sizeof(row->detail),
			   source->switched_off ? "switched off in the configuration (capture)"
						: status.detail);
		if (source->why_not.err)
			diag_format(&source->why_not, row->problem, sizeof(row->problem));
		else
			board_text(row->problem, sizeof(row->problem), status.problem);
	}
	board->collector_count = agent->source_count;
	return 0;
}

/* Records that are refused come before records that the disk does not store. */
static void publish_trouble(struct board *board, const struct agent *agent)
{
	struct diag d;

	board_text(board->trouble, sizeof(board->trouble), agent->trouble);
	if (!agent->trouble[0] && journal_sync_diag(agent->journal, &d) < 0)
		diag_format(&d, board->trouble, sizeof(board->trouble));
}

static void publish_process(struct board *board, const struct agent *agent, wall_ns wall)
{
	struct journal_counters journal = journal_counters(agent->journal);

	board_text(board->program, sizeof(board->program), "vowd");
	board_text(board->version, sizeof(board->version), VOW_VERSION);
	board_text(board->host, sizeof(board->host), agent->host);
	snprintf(board->scope, sizeof(board->scope), "host:%s", agent->host);
	board_text(board->config_path, sizeof(board->config_path), agent->config->path);
	board->pid = (uint32_t)getpid();
	board->started = agent->started;
	board->counted_since = agent->counted_since;
	board->at = wall;
	board->rss_bytes = agent->usage.rss_bytes;
	board->cpu_ratio = agent->usage.cpu_ratio;
	board->series = series_count(agent->series);
	board->series_other_total = series_other_total(agent->series);
	board->series_bytes = series_table_bytes(agent->series);
	board->ticks_total = agent->ticks_total;
	board->journal_seq = journal_last_seq(agent->journal);
	board->journal_bytes = journal.bytes;
	board->journal_dropped_records_total = journal.dropped_records_total;
	board->journal_torn_total = journal.torn_total;
	board->journal_quarantined_total = journal.quarantined_total;
	board->journal_lost_records_total = journal.lost_records_total;
	board->journal_merged_records_total = journal.merged_records_total;
	board->journal_failures_total = agent->journal_failures_total + journal.sync_failures_total;
	publish_trouble(board, agent);

	char dir[DIRS_PATH_MAX];
	if (!dirs_path(dir, agent->dirs.state, "journal"))
		board->journal_acked_seq =
			journal_position(dir, "hub", journal_epoch(agent->journal));
}

/* An agent knows one host: its own. */
static int publish_host(struct board *board, const struct agent *agent, wall_ns wall)
{
	board->hosts = calloc(1, sizeof(*board->hosts));
	if (!board->hosts)
		return -ENOMEM;
	board_text(board->hosts->host, sizeof(board->hosts->host), agent->host);
	board_text(board->hosts->version, sizeof(board->hosts->version), VOW_VERSION);
	board->hosts->last_seen = wall;
	board->hosts->last_seq = board->journal_seq;
	board->hosts->connected = true;
	board->host_count = 1;
	return 0;
}

static int publish_traced(struct board *board, const struct agent *agent)
{
	for (size_t i = 0; i < agent->source_count; i++) {
		const struct source *source = &agent->sources[i];

		if (!source->ops->traced || !source->state)
			continue;
		int count = source->ops->traced(source->state, &board->traced);
		if (count < 0)
			return count;
		board->traced_count = (size_t)count;
		return 0;
	}
	return 0;
}

void publish_board(struct agent *agent, wall_ns wall)
{
	struct board *board = board_new();

	if (!board)
		return;
	publish_process(board, agent, wall);
	board->exemplars = exemplars_publish(agent->exemplars, wall);
	if (!board->exemplars || publish_collectors(board, agent) || publish_traced(board, agent) ||
	    publish_host(board, agent, wall) || board_from_judge(board, agent->judge) ||
	    board_from_gauges(board, agent->gauges) || board_from_history(board, agent->history))
		board_unref(board);
	else
		board_publish(agent->post, board);
}
