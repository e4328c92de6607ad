/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fleet: everything that the records of all agents add up to. The same series table, judge and
 * board as in an agent, with the host in every key.
 *
 * One writer thread calls everything here; other threads read the table (under its read lock) and
 * take boards from the post.
 */
#ifndef VOW_HUB_FLEET_H
#define VOW_HUB_FLEET_H

#include "config/config.h"
#include "hub/intake.h"
#include "hub/windows.h"
#include "view/board.h"

/* An agent's record that ended so long before it came counts in totals and in no window. */
#define FLEET_LATE (15 * NS_PER_S)

struct fleet;

/* Copies what it needs of config. NULL when memory lacks. */
struct fleet *fleet_new(const struct vow_config *config);
void fleet_free(struct fleet *fleet);
/* New objectives and scalers; counters of those whose name stays carry on. -ENOMEM: as before. */
int fleet_reload(struct fleet *fleet, const struct vow_config *config);

/*
 * The clock of windows, objectives and cooldowns: time of day when the fleet was made, plus what
 * CLOCK_MONOTONIC counted since. It never jumps, and goes on across restarts: who sets the time of
 * day moves nothing, neither then nor later (fleet_resume()).
 */
mono_ns fleet_now(const struct fleet *fleet);

/* The host of what hosts counted whose agents are gone. */
#define FLEET_GONE "{gone}"
/* The route of what routes of a host counted that nobody uses any more, as of those beyond a limit. */
#define FLEET_OTHER "{other}"
/*
 * Moves totals so that sums stay and names do not pile up: of every host that stays() denies to the
 * host FLEET_GONE, and of series of the others that had no event since `before` (the fleet's clock)
 * to the route FLEET_OTHER of their host, service, kind, role, method and class. What a window still
 * shows, or memory lacks for, waits for the next call. A series that is used again counts under its
 * own name again.
 */
void fleet_age(struct fleet *fleet, mono_ns before, bool (*stays)(void *arg, const char *host),
	       void *arg);

enum fleet_share { /* what a record counts in */
		   FLEET_ALL, /* totals, windows, judge */
		   FLEET_TOTALS, /* it came late */
		   FLEET_WINDOWS, /* lived through again: totals and judge know it already */
};
/*
 * Adds a record that is durable; at is the fleet's clock. What would take a total beyond 2^61 events,
 * as made-up figures alone do, counts in none.
 */
void fleet_merge(struct fleet *fleet, const struct intake *intake, enum fleet_share share,
		 mono_ns at);

/*
 * Ends the second at `now`, which is `wall` as time of day: publishes windows, judges, and hands
 * what was decided to fn.
 */
void fleet_step(struct fleet *fleet, mono_ns now, wall_ns wall, judge_action_fn fn, void *arg);
/* Ends a second without judging, while seconds are lived through again. */
void fleet_step_windows(struct fleet *fleet, mono_ns now);

/* Windows in the store; and that the table holds raw ticks up to this one. */
struct windows *fleet_windows(struct fleet *fleet);
void fleet_merged(struct fleet *fleet, int64_t record);
/*
 * A fresh fleet goes on with this clock, as far ahead of the time of day as it was, and not before
 * its newest second. Errors as series_restore_clock().
 */
int fleet_resume(struct fleet *fleet, const struct windows_resume *resume);

/* Remembers an action for the board's history; host "" for the fleet's own judge. */
void fleet_remember(struct fleet *fleet, const char *host, const struct action *action);

struct series_table *fleet_table(const struct fleet *fleet);
struct judge *fleet_judge(const struct fleet *fleet);
/* True when series `id` got events since the last fleet_clean(): the next checkpoint writes it. */
bool fleet_dirty(const struct fleet *fleet, series_id id);
void fleet_clean(struct fleet *fleet);
/*
 * About when the last events of a series came, by the fleet's clock; 0 when that is not known. The
 * checkpoint keeps it: windows, of which a restart brings back no more than an hour, cannot tell.
 */
mono_ns fleet_heard(const struct fleet *fleet, series_id id);
void fleet_restore_heard(struct fleet *fleet, series_id id, mono_ns heard);
/* The store's numbers of series are not the table's: the next checkpoint writes all anew. */
void fleet_renumber(struct fleet *fleet);
bool fleet_renumbered(const struct fleet *fleet);
/* Records of which a part could not be added for lack of memory: they count after a restart. */
uint64_t fleet_unmerged_total(const struct fleet *fleet);

/* Values of gauges beyond as many as a fleet may have. */
uint64_t fleet_gauges_refused_total(const struct fleet *fleet);

/* Fills series, gauges, exemplars, objectives, scalers, alerts and decisions. -ENOMEM. */
int fleet_board(const struct fleet *fleet, struct board *board);

#endif
