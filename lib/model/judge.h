/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge: objectives, alerts and scalers over the deltas of a tick. A pure function of what it
 * is given: no clock, no file, no socket; the same inputs give the same actions, in the agent, in
 * the hub, in a replay. One thread.
 *
 * A tick: judge_delta() for each series that changed, judge_step() once.
 */
#ifndef VOW_LIB_MODEL_JUDGE_H
#define VOW_LIB_MODEL_JUDGE_H

#include "lib/data/gauge.h"
#include "lib/model/action.h"

struct judge;

/*
 * About 180 KB of heap for each objective, touched as far as time has reached, 10 KB for its
 * evidence, 43 KB scratch, and 470 KB for each scaler on latency (touched where it has data).
 */

/*
 * Copies the policy. scope names who judges ("host:web-1", "fleet"), part of fingerprints; cut to
 * 79 bytes. NULL when memory lacks.
 */
struct judge *judge_new(const struct policy *policy, const char *scope);
void judge_free(struct judge *judge);

/*
 * Switches policy: objectives and scalers whose name stays keep their counters, alert state and
 * cooldowns. -ENOMEM leaves the old policy.
 */
int judge_reload(struct judge *judge, const struct policy *policy);

/*
 * One series' share of the tick. Bad events are taken exact from the delta when it counts the
 * objective's threshold; else the histogram decides, and the objective is marked inexact.
 */
void judge_delta(struct judge *judge, const struct series_delta *delta);

typedef void (*judge_action_fn)(void *arg, const struct action *action);

/*
 * Ends the tick: fn is called with each action, whose pointer is good during the call. Alerts tell
 * when they fire and when they are resolved; pending and ok are seen in reports only. Scalers tell
 * each change, and what holds one back when that is news.
 *
 * wall is the time of day that the records carry, now grows monotonically; when it is less than
 * before, it is taken for another clock (a replay by time of day, then the live one), and time
 * goes on from wall without going back. Seconds without a call in between count as seconds without
 * events (no data freezes an alert, it never resolves one). The caller has let gauge_expire()
 * forget what is no longer set; gauges and fn may be NULL.
 */
void judge_step(struct judge *judge, mono_ns now, wall_ns wall, const struct gauge_table *gauges,
		judge_action_fn fn, void *arg);

/*
 * For a replay: what the judge of that time told, before the judge_step() of the same tick. An
 * alert takes over state and fingerprint, so that its end is told of the incident that people
 * know; a scaler count and cooldowns, whose inputs (gauges) a replay does not have. Rules not in
 * the policy are skipped.
 */
void judge_recall(struct judge *judge, const struct action *action);

/* ---- what stands, for views ------------------------------------------------------------------ */

struct objective_report {
	const struct objective *objective;
	uint64_t good, bad; /* over the period as far as it was observed */
	double compliance_ratio; /* good / (good + bad); 1 without events */
	double budget_left_ratio; /* 1 untouched, 0 spent, negative overspent */
	double burn_long, burn_short;
	double coverage_ratio; /* share of the period that was observed */
	bool exact; /* every event was decided on raw nanoseconds */
	enum alert_state alert;
	wall_ns alert_changed;
	struct alert_action last_alert; /* fingerprint "" when it never fired */
};

struct scaler_report {
	const struct scaler *scaler;
	bool has_value; /* false: the signal has no data; nothing is decided */
	double value;
	unsigned replicas; /* decided last; minimum at first */
	struct scale_action last; /* last change or hold; scaler "" when none yet */
	wall_ns last_at;
};

unsigned judge_objectives(const struct judge *judge); /* how many; reports are by index */
void judge_objective_report(const struct judge *judge, unsigned i, struct objective_report *report);
unsigned judge_scalers(const struct judge *judge);
void judge_scaler_report(const struct judge *judge, unsigned i, struct scaler_report *report);

/* ---- surviving a restart --------------------------------------------------------------------- */

/*
 * Bytes that judge_restore() turns into the same state again, except what builds up anew within a
 * window: the 10 s of scalers' signals, which series carry a breach, and the wait for a step down.
 * Returns the size; with buf NULL the size needed now; -ENOBUFS when cap is too small. Call it
 * after judge_step(): deltas since then are not in it. Some KB for a young objective, at most
 * about 150 KB for one that has seen bad and good events in every slot.
 */
ssize_t judge_save(const struct judge *judge, uint8_t *buf, size_t cap);
/*
 * Checks all of it; -EPROTO and -ENOMEM leave the judge as it was. Rules not in the policy are
 * skipped, rules not in the bytes start empty. The time until the first judge_step() counts as not
 * observed.
 */
int judge_restore(struct judge *judge, const uint8_t *bytes, size_t size);

#endif
