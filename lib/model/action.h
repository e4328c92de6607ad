/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a judge decided: an alert changed its state, a replica count was decided. An action is
 * recorded in the journal before anyone is told, and carries its evidence. Plain values.
 */
#ifndef VOW_LIB_MODEL_ACTION_H
#define VOW_LIB_MODEL_ACTION_H

#include "lib/model/policy.h"

enum action_kind { ACTION_ALERT, ACTION_SCALE };

enum alert_state { ALERT_OK, ALERT_PENDING, ALERT_FIRING, ALERT_RESOLVED };
const char *alert_state_name(enum alert_state state); /* "ok", "pending", "firing", "resolved" */

#define ACTION_EVIDENCE 5 /* series named in an alert */

struct action_evidence { /* one series that carries the breach, worst first */
	struct series_key key;
	uint64_t bad, count; /* in the long window */
};

struct alert_action {
	char objective[POLICY_NAME_MAX + 1];
	/* The same for firing and resolved of one incident: objective, scope and when it began. */
	char fingerprint[33];
	enum alert_state from, to;
	enum severity severity;
	wall_ns since; /* when the breach began: first second of the long window that was bad */
	double burn_long, burn_short; /* how many times too fast the budget burns */
	uint64_t good, bad; /* in the long window */
	double confidence; /* 0..1: that the true share of bad events breaks the objective */
	double budget_left_ratio; /* of the period's error budget, <= 1, may be negative */
	char reason[240]; /* one sentence for people */
	struct action_evidence evidence[ACTION_EVIDENCE];
	unsigned evidence_count;
};

struct scale_action {
	char scaler[POLICY_NAME_MAX + 1];
	unsigned from, to; /* replicas; from == to: held, with the reason */
	double value, target; /* of the signal when it was decided */
	unsigned wanted; /* before limits */
	char limited_by[32]; /* "", "minimum", "maximum", "up_cooldown", "down_cooldown" */
	char reason[240]; /* one sentence for people */
};

struct action {
	enum action_kind kind;
	wall_ns at;
	union {
		struct alert_action alert;
		struct scale_action scale;
	};
};

#endif
