/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fleet: everything that the records of all agents add up to. The same series table, judge and
 * board as in an agent, with the host in every key. Time inside is the fleet's clock, which is
 * CLOCK_MONOTONIC plus a constant, so that at a start the last hour can be lived through again.
 *
 * One writer thread calls everything here; other threads read the table (under its read lock) and
 * take boards from the post.
 */
#ifndef VOW_HUB_FLEET_H
#define VOW_HUB_FLEET_H

#include "config/config.h"
#include "hub/intake.h"
#include "view/board.h"

/* An agent's record that ended so long before it came counts in totals and in no window. */
#define FLEET_LATE (15 * NS_PER_S)

struct fleet;

/* Copies what it needs of config. NULL when memory lacks. */
struct fleet *fleet_new(const struct vow_config *config);
void fleet_free(struct fleet *fleet);
/* New objectives and scalers; counters of those whose name stays carry on. -ENOMEM: as before. */
int fleet_reload(struct fleet *fleet, const struct vow_config *config);

/* The fleet's clock now, and what it showed (or would have) at a time of day before. */
mono_ns fleet_now(void);
mono_ns fleet_then(wall_ns wall);

/* Adds a record that is durable. late: totals only. */
void fleet_merge(struct fleet *fleet, const char *host, const struct intake *intake, bool late);

/*
 * Ends the second at `now`, which is `wall` as time of day: publishes windows, judges, and hands
 * what was decided to fn (may be NULL: nobody is told and nothing remembered).
 */
void fleet_step(struct fleet *fleet, mono_ns now, wall_ns wall, judge_action_fn fn, void *arg);

/* Remembers an action for the board's history; host "" for the fleet's own judge. */
void fleet_remember(struct fleet *fleet, const char *host, const struct action *action);

struct series_table *fleet_table(const struct fleet *fleet);
struct judge *fleet_judge(const struct fleet *fleet);
/* True when series `id` got events since the last fleet_clean(): the next checkpoint writes it. */
bool fleet_dirty(const struct fleet *fleet, series_id id);
void fleet_clean(struct fleet *fleet);

/* Fills series, gauges, objectives, scalers, alerts and decisions. -ENOMEM. */
int fleet_board(const struct fleet *fleet, struct board *board);

#endif
