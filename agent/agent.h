/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of a running vowd, as its own files see them. Everything belongs to the main thread,
 * the only writer; the control thread reads series under RCU and takes boards from the post.
 */
#ifndef VOW_AGENT_AGENT_H
#define VOW_AGENT_AGENT_H

#include "agent/backlog.h"
#include "agent/compact.h"
#include "agent/local.h"
#include "agent/order.h"
#include "agent/saving.h"
#include "collectors/collector.h"
#include "config/config.h"
#include "lib/base/dirs.h"
#include "lib/base/self.h"
#include "lib/data/journal.h"
#include "lib/model/judge.h"
#include "proto/tick.h"
#include "view/board.h"

/* A collector as the agent runs it. */
struct source {
	const struct collector_ops *ops;
	void *state; /* NULL when it could not be opened or is switched off */
	bool switched_off; /* in the configuration */
	struct diag why_not;
};

#define AGENT_SOURCES 16

struct agent {
	struct loop *loop;
	struct dirs dirs;
	char config_path[DIRS_PATH_MAX]; /* given by --config, "" to look in the usual places */
	struct vow_config *config; /* in force */
	struct vow_config *began; /* with which vowd started: the same until a reload */
	char host[SERIES_NAME_MAX + 1]; /* of the configuration at start: stays across reloads */
	struct policy policy; /* copy that series and judge refer to across reloads */

	struct series_table *series;
	struct gauge_table *gauges;
	struct process_list *processes;
	struct exemplars *exemplars;
	struct judge *judge;
	struct source sources[AGENT_SOURCES];
	size_t source_count;

	struct compact *compact; /* merges old records for the journal */
	struct journal *journal;
	uint64_t keyframe_seq; /* newest record that recovery can begin with; 0 none */
	struct saving saving; /* of the next one */
	struct tick_writer *writer;
	struct backlog *backlog;
	uint8_t *named; /* by series id: its name is in the current journal segment */
	size_t named_size;
	struct local local; /* of the record being made */
	uint64_t tick_events; /* of this tick, written and not yet in the journal */
	uint64_t lost_told; /* backlog_lost_total() when it was logged last */
	int sync_told; /* journal_counters().sync_err when it was logged last */

	struct board_history *history;
	struct board_post *post;
	struct self_usage usage;
	bool dir_given; /* --dir was: the configuration is looked for there first */
	wall_ns started;
	wall_ns counted_since; /* the first start on this journal */
	mono_ns steady_offset;
	wall_ns tick_wall; /* end of the previous tick */
	mono_ns tick_mono;
	uint64_t ticks_total, journal_failures_total;
	bool uprooted; /* its folder was removed: sockets and locks are gone with the journal */
	char trouble[240];
};

/*
 * Makes every part, opens the collectors, takes up where the journal ends. config is taken over.
 * A collector that cannot be opened is logged and left out. On failure nothing stays open, and d
 * says what to do.
 */
int agent_open(struct agent *agent, struct loop *loop, struct vow_config *config, struct diag *d);
/* Ends with a last turn, so that what was collected is in the journal. */
void agent_close(struct agent *agent);
/* Reads the configuration again (SIGHUP); one that is wrong is logged, and the old one stays. */
void agent_reload(struct agent *agent);

/*
 * Carries an order out, logs who gave it, and publishes a board that shows what came of it. 0, or a
 * negative errno with d saying why not.
 */
int agent_order(struct agent *agent, const struct order *order, struct diag *d);

/*
 * A clock that grows monotonically and goes on across restarts: time of day when the process
 * started, plus what CLOCK_MONOTONIC counted since. Windows, objectives and cooldowns run on it.
 */
mono_ns agent_steady(const struct agent *agent, mono_ns mono);

#endif
