/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the judge: the state beside each rule of a policy. Shared by judge.c, which steps it, and
 * judge_save.c, which carries it over a restart.
 */
#ifndef VOW_LIB_MODEL_JUDGE_RULES_H
#define VOW_LIB_MODEL_JUDGE_RULES_H

#include "lib/model/alert.h"
#include "lib/model/evidence.h"
#include "lib/model/judge.h"
#include "lib/model/meter.h"
#include "lib/model/scale.h"

struct judge_objective {
	struct slo *slo;
	struct alert alert;
	bool inexact; /* some event was decided by its histogram bucket */
	wall_ns alert_changed;
	struct alert_action last;
	struct evidence evidence;
};

struct judge_scaler {
	struct meter *meter;
	struct scale scale;
	bool has_value;
	double value;
	wall_ns last_at;
	struct scale_action last;
};

/* State of each rule, in the order of the policy. */
struct judge_rules {
	struct judge_objective *objectives;
	struct judge_scaler *scalers;
};

/* Which rules take a series, found once for each. */
struct judge_match {
	uint64_t objectives; /* bit i: the i-th */
	uint32_t scalers;
	bool known;
};

struct judge {
	struct policy policy;
	struct judge_rules rules;
	char scope[80];
	struct judge_match *matches; /* by series_id */
	size_t match_room;
	struct hist scratch;
	/*
	 * Time: whole seconds that never go back. They start as the time of day and then go on
	 * with the monotonic clock, so a clock that is set does not move windows and cooldowns.
	 */
	bool started; /* base is set */
	mono_ns base, now; /* base's, and the last step's */
	uint64_t base_second;
	uint64_t second; /* of the last step; 0 none, also by a restore */
};

/* Fresh state for every rule; -ENOMEM with rules empty. */
int judge_rules_new(struct judge_rules *rules, const struct policy *policy);
void judge_rules_free(struct judge_rules *rules, const struct policy *policy);

#endif
