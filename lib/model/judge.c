/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/model/judge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/model/chance.h"
#include "lib/model/judge_rules.h"

_Static_assert(POLICY_OBJECTIVES <= 64 && POLICY_SCALERS <= 32, "a bit for each in judge_match");

/* ---- rules and their state ------------------------------------------------------------------- */

static bool judge_rules_fill(struct judge_rules *rules, const struct policy *policy)
{
	if (!rules->objectives || !rules->scalers)
		return false;
	for (unsigned i = 0; i < policy->objective_count; i++)
		if (!(rules->objectives[i].slo = slo_new()))
			return false;
	for (unsigned i = 0; i < policy->scaler_count; i++)
		if (!(rules->scalers[i].meter = meter_new(policy->scalers[i].signal)))
			return false;
	return true;
}

int judge_rules_new(struct judge_rules *rules, const struct policy *policy)
{
	rules->objectives = calloc(policy->objective_count + 1, sizeof(*rules->objectives));
	rules->scalers = calloc(policy->scaler_count + 1, sizeof(*rules->scalers));
	if (judge_rules_fill(rules, policy))
		return 0;
	judge_rules_free(rules, policy);
	return -ENOMEM;
}

void judge_rules_free(struct judge_rules *rules, const struct policy *policy)
{
	for (unsigned i = 0; rules->objectives && i < policy->objective_count; i++)
		slo_free(rules->objectives[i].slo);
	for (unsigned i = 0; rules->scalers && i < policy->scaler_count; i++)
		meter_free(rules->scalers[i].meter);
	free(rules->objectives);
	free(rules->scalers);
	*rules = (struct judge_rules){0};
}

struct judge *judge_new(const struct policy *policy, const char *scope)
{
	struct judge *judge = calloc(1, sizeof(*judge));

	if (!judge)
		return NULL;
	judge->policy = *policy;
	snprintf(judge->scope, sizeof(judge->scope), "%s", scope);
	if (judge_rules_new(&judge->rules, policy) < 0) {
		free(judge);
		return NULL;
	}
	return judge;
}

void judge_free(struct judge *judge)
{
	if (!judge)
		return;
	judge_rules_free(&judge->rules, &judge->policy);
	free(judge->matches);
	free(judge);
}

/* Exchanges the state of rules that both policies name; what is left over goes with the old. */
static void judge_keep(struct judge_rules *rules, const struct policy *policy,
		       struct judge_rules *old, const struct policy *old_policy)
{
	for (unsigned i = 0; i < policy->objective_count; i++)
		for (unsigned k = 0; k < old_policy->objective_count; k++)
			if (!strcmp(policy->objectives[i].name, old_policy->objectives[k].name)) {
				struct judge_objective fresh = rules->objectives[i];

				rules->objectives[i] = old->objectives[k];
				old->objectives[k] = fresh;
			}
	/* The meter stays fresh: it depends on the signal and holds 10 s only. */
	for (unsigned i = 0; i < policy->scaler_count; i++)
		for (unsigned k = 0; k < old_policy->scaler_count; k++)
			if (!strcmp(policy->scalers[i].name, old_policy->scalers[k].name)) {
				struct meter *meter = rules->scalers[i].meter;

				rules->scalers[i] = old->scalers[k];
				rules->scalers[i].meter = meter;
			}
}

int judge_reload(struct judge *judge, const struct policy *policy)
{
	struct judge_rules rules;
	int rc = judge_rules_new(&rules, policy);

	if (rc < 0)
		return rc;
	judge_keep(&rules, policy, &judge->rules, &judge->policy);
	judge_rules_free(&judge->rules, &judge->policy);
	judge->rules = rules;
	judge->policy = *policy;
	if (judge->matches)
		memset(judge->matches, 0, judge->match_room * sizeof(*judge->matches));
	return 0;
}

/* ---- deltas ---------------------------------------------------------------------------------- */

static struct judge_match judge_match_find(const struct policy *policy,
					   const struct series_key *key)
{
	struct judge_match match = {.known = true};

	for (unsigned i = 0; i < policy->objective_count; i++)
		if (selector_matches(&policy->objectives[i].selector, key))
			match.objectives |= UINT64_C(1) << i;
	for (unsigned i = 0; i < policy->scaler_count; i++)
		if (policy->scalers[i].signal != SCALE_GAUGE &&
		    selector_matches(&policy->scalers[i].selector, key))
			match.scalers |= UINT32_C(1) << i;
	return match;
}

static void judge_match_grow(struct judge *judge, series_id id)
{
	size_t room = judge->match_room ? judge->match_room : 64;
	struct judge_match *matches;

	while (room <= id)
		room *= 2;
	matches = realloc(judge->matches, room * sizeof(*matches));
	if (!matches)
		return;
	memset(matches + judge->match_room, 0, (room - judge->match_room) * sizeof(*matches));
	judge->matches = matches;
	judge->match_room = room;
}

/* Without memory for the cache the rules are asked each time: slower, never wrong. */
static struct judge_match judge_match(struct judge *judge, const struct series_delta *delta)
{
	struct judge_match match;

	if (delta->id >= judge->match_room)
		judge_match_grow(judge, delta->id);
	if (delta->id < judge->match_room && judge->matches[delta->id].known)
		return judge->matches[delta->id];
	match = judge_match_find(&judge->policy, delta->key);
	if (delta->id < judge->match_room)
		judge->matches[delta->id] = match;
	return match;
}

/*
 * Slow events by the histogram, for a threshold that the series does not count: the bucket that
 * holds the threshold counts as fast, so this is at most one bucket (0.54 %) too kind.
 */
static uint64_t judge_slow(struct judge *judge, const struct series_delta *delta,
			   dur_ns threshold_ns)
{
	uint64_t surely, possibly;

	hist_clear(&judge->scratch);
	if (hist_merge_packed(&judge->scratch, delta->hist, delta->hist_size) < 0)
		return 0;
	hist_count_below(&judge->scratch, threshold_ns, &surely, &possibly);
	return judge->scratch.count - possibly;
}

/* Bad events of the delta for an objective; exact is cleared when they are not. */
static uint64_t judge_bad(struct judge *judge, const struct objective *objective,
			  const struct series_delta *delta, bool *exact)
{
	const struct series_counts *counts = &delta->counts;
	uint64_t slow;

	if (objective->threshold_ns == POLICY_NO_THRESHOLD)
		return counts->errors;
	for (unsigned i = 0; i < delta->threshold_count; i++)
		if (delta->thresholds[i] == objective->threshold_ns)
			return counts->bad[i];
	*exact = false;
	/* A series has one class of status: either all of its events are errors, or none. */
	slow = judge_slow(judge, delta, objective->threshold_ns);
	return slow > counts->errors ? slow : counts->errors;
}

static void judge_objective_delta(struct judge *judge, unsigned i, const struct series_delta *delta)
{
	struct judge_objective *state = &judge->rules.objectives[i];
	uint64_t count = delta->counts.count, bad;
	bool exact = true;

	bad = judge_bad(judge, &judge->policy.objectives[i], delta, &exact);
	if (bad > count)
		bad = count;
	state->inexact |= !exact;
	slo_add(state->slo, count - bad, bad);
	evidence_add(&state->evidence, delta->id, delta->key, count, bad);
}

void judge_delta(struct judge *judge, const struct series_delta *delta)
{
	struct judge_match match = judge_match(judge, delta);

	for (; match.objectives; match.objectives &= match.objectives - 1)
		judge_objective_delta(judge, (unsigned)__builtin_ctzll(match.objectives), delta);
	for (; match.scalers; match.scalers &= match.scalers - 1)
		meter_add(judge->rules.scalers[__builtin_ctz(match.scalers)].meter, delta);
}

/* ---- the tick -------------------------------------------------------------------------------- */

/* One tick on its way through the rules. */
struct judge_tick {
	uint64_t second, observed_s;
	mono_ns now;
	wall_ns wall;
	const struct gauge_table *gauges;
	judge_action_fn fn;
	void *arg;
};

/* A new base of time: at the first step, after a restore, and when `now` is another clock's. */
static void judge_rebase(struct judge *judge, mono_ns now, wall_ns wall)
{
	uint64_t second = (wall + NS_PER_S / 2) / NS_PER_S;

	judge->started = true;
	judge->base = now;
	judge->base_second = second > judge->second ? second : judge->second;
	if (judge->base_second < SLO_FIRST_SECOND)
		judge->base_second = SLO_FIRST_SECOND;
}

/* Rounded: a tick that comes some ms early or late still belongs to its own second. */
static uint64_t judge_second(const struct judge *judge, mono_ns now)
{
	uint64_t second = judge->base_second + (now - judge->base + NS_PER_S / 2) / NS_PER_S;

	return second > judge->second ? second : judge->second;
}

static void judge_tell(const struct judge_tick *tick, const struct action *action)
{
	if (tick->fn)
		tick->fn(tick->arg, action);
}

static struct slo_counts judge_long(const struct objective *objective,
				    const struct judge_objective *state)
{
	return slo_window(state->slo, objective->long_window / NS_PER_S);
}

static struct slo_counts judge_short(const struct objective *objective,
				     const struct judge_objective *state)
{
	return slo_window(state->slo, objective->short_window / NS_PER_S);
}

static double judge_budget_left(const struct objective *objective, struct slo_counts counts)
{
	return 1 - alert_burn(objective, counts);
}

/*
 * When the breach began. The level between the budget and the share that fires is the reference
 * that finds a change from the one to the other soonest (Page's CUSUM).
 */
static wall_ns judge_since(const struct objective *objective, const struct judge_objective *state,
			   const struct judge_tick *tick)
{
	double limit = (1 - objective->target_ratio) * (1 + objective->burn_rate) / 2;
	uint64_t start = slo_breach_start(state->slo, objective->long_window / NS_PER_S, limit);
	uint64_t ago = tick->second - start, wall_s = tick->wall / NS_PER_S;

	return (wall_s > ago ? wall_s - ago : 0) * NS_PER_S;
}

static void judge_tell_alert(const struct judge *judge, const struct objective *objective,
			     struct judge_objective *state, enum alert_state from,
			     const struct judge_tick *tick)
{
	struct slo_counts period = slo_window(state->slo, objective->period / NS_PER_S);
	struct slo_counts longer = judge_long(objective, state);
	struct slo_counts shorter = judge_short(objective, state);
	struct action action = {.kind = ACTION_ALERT, .at = tick->wall};
	struct alert_action *alert = &action.alert;

	memcpy(alert->objective, objective->name, sizeof(alert->objective));
	alert->from = from;
	alert->to = state->alert.state;
	alert->severity = objective->severity;
	alert->burn_long = alert_burn(objective, longer);
	alert->burn_short = alert_burn(objective, shorter);
	alert->good = longer.good;
	alert->bad = longer.bad;
	alert->confidence =
		chance_share_above(longer.good, longer.bad, 1 - objective->target_ratio);
	alert->budget_left_ratio = judge_budget_left(objective, period);
	alert->evidence_count = evidence_worst(&state->evidence, alert->evidence);
	if (alert->to == ALERT_FIRING) {
		alert->since = judge_since(objective, state, tick);
		alert_fingerprint(judge->scope, objective->name, alert->since, alert->fingerprint);
		alert_reason_firing(objective, longer, alert->reason, sizeof(alert->reason));
	} else {
		alert->since = state->last.since;
		memcpy(alert->fingerprint, state->last.fingerprint, sizeof(alert->fingerprint));
		alert_reason_resolved(objective, shorter,
				      tick->wall > alert->since ? tick->wall - alert->since : 0,
				      alert->reason, sizeof(alert->reason));
	}
	state->last = *alert;
	judge_tell(tick, &action);
}

static void judge_step_objective(struct judge *judge, unsigned i, const struct judge_tick *tick)
{
	const struct objective *objective = &judge->policy.objectives[i];
	struct judge_objective *state = &judge->rules.objectives[i];
	enum alert_state from = state->alert.state;
	struct alert_input input = {.second = tick->second};

	slo_file(state->slo, tick->second, tick->observed_s);
	input.long_window = judge_long(objective, state);
	input.short_window = judge_short(objective, state);
	if (alert_step(&state->alert, objective, &input)) {
		state->alert_changed = tick->wall;
		if (state->alert.state == ALERT_FIRING || state->alert.state == ALERT_RESOLVED)
			judge_tell_alert(judge, objective, state, from, tick);
	}
	evidence_advance(&state->evidence, tick->second, objective->long_window / NS_PER_S);
}

static void judge_tell_scale(const struct scaler *scaler, struct judge_scaler *state,
			     const struct scale_decision *decision, const struct judge_tick *tick)
{
	struct action action = {.kind = ACTION_SCALE, .at = tick->wall};
	struct scale_action *scale = &action.scale;

	memcpy(scale->scaler, scaler->name, sizeof(scale->scaler));
	scale->from = decision->from;
	scale->to = decision->to;
	scale->value = state->value;
	scale->target = scaler->target;
	scale->wanted = decision->wanted;
	snprintf(scale->limited_by, sizeof(scale->limited_by), "%s",
		 scale_limit_name(decision->limit));
	scale_reason(scaler, state->value, decision, scale->reason, sizeof(scale->reason));
	state->last = *scale;
	state->last_at = tick->wall;
	judge_tell(tick, &action);
}

static void judge_step_scaler(struct judge *judge, unsigned i, const struct judge_tick *tick)
{
	const struct scaler *scaler = &judge->policy.scalers[i];
	struct judge_scaler *state = &judge->rules.scalers[i];
	struct scale_input input = {.second = tick->second};
	struct scale_decision decision;

	meter_file(state->meter, tick->second);
	input.has_value =
		meter_value(state->meter, scaler, tick->gauges, &judge->scratch, &input.value);
	input.running = meter_running(scaler, tick->gauges);
	state->has_value = input.has_value;
	state->value = input.value;
	if (scale_step(&state->scale, scaler, &input, &decision))
		judge_tell_scale(scaler, state, &decision, tick);
}

void judge_step(struct judge *judge, mono_ns now, wall_ns wall, const struct gauge_table *gauges,
		judge_action_fn fn, void *arg)
{
	bool resumed = judge->started && now >= judge->now;
	struct judge_tick tick = {.now = now, .wall = wall, .gauges = gauges, .fn = fn, .arg = arg};

	if (!resumed)
		judge_rebase(judge, now, wall);
	judge->now = now;
	tick.second = judge_second(judge, now);
	/* Of the time before a new base, a restart's gap included, one second was seen. */
	tick.observed_s = tick.second - judge->second;
	if (!resumed && tick.observed_s > 1)
		tick.observed_s = 1;
	judge->second = tick.second;
	for (unsigned i = 0; i < judge->policy.objective_count; i++)
		judge_step_objective(judge, i, &tick);
	for (unsigned i = 0; i < judge->policy.scaler_count; i++)
		judge_step_scaler(judge, i, &tick);
}

static void judge_recall_alert(struct judge *judge, const struct alert_action *alert, wall_ns at)
{
	for (unsigned i = 0; i < judge->policy.objective_count; i++) {
		struct judge_objective *state = &judge->rules.objectives[i];

		if (strcmp(judge->policy.objectives[i].name, alert->objective) != 0)
			continue;
		alert_recall(&state->alert, &judge->policy.objectives[i], alert->to);
		state->alert_changed = at;
		state->last = *alert;
	}
}

static void judge_recall_scale(struct judge *judge, const struct scale_action *scale, wall_ns at)
{
	for (unsigned i = 0; i < judge->policy.scaler_count; i++) {
		struct judge_scaler *state = &judge->rules.scalers[i];

		if (strcmp(judge->policy.scalers[i].name, scale->scaler) != 0)
			continue;
		scale_recall(&state->scale, judge->second, scale->from, scale->to);
		state->last = *scale;
		state->last_at = at;
	}
}

void judge_recall(struct judge *judge, const struct action *action)
{
	if (action->kind == ACTION_ALERT)
		judge_recall_alert(judge, &action->alert, action->at);
	else
		judge_recall_scale(judge, &action->scale, action->at);
}

/* ---- views ----------------------------------------------------------------------------------- */

unsigned judge_objectives(const struct judge *judge)
{
	return judge->policy.objective_count;
}

void judge_objective_report(const struct judge *judge, unsigned i, struct objective_report *report)
{
	const struct objective *objective = &judge->policy.objectives[i];
	const struct judge_objective *state = &judge->rules.objectives[i];
	struct slo_counts period = slo_window(state->slo, objective->period / NS_PER_S);
	uint64_t events = period.good + period.bad;

	*report = (struct objective_report){
		.objective = objective,
		.good = period.good,
		.bad = period.bad,
		.compliance_ratio = events ? (double)period.good / (double)events : 1,
		.budget_left_ratio = judge_budget_left(objective, period),
		.burn_long = alert_burn(objective, judge_long(objective, state)),
		.burn_short = alert_burn(objective, judge_short(objective, state)),
		.coverage_ratio = slo_coverage(state->slo, objective->period / NS_PER_S),
		.exact = !state->inexact,
		.alert = state->alert.state,
		.alert_changed = state->alert_changed,
		.last_alert = state->last,
	};
}

unsigned judge_scalers(const struct judge *judge)
{
	return judge->policy.scaler_count;
}

void judge_scaler_report(const struct judge *judge, unsigned i, struct scaler_report *report)
{
	const struct scaler *scaler = &judge->policy.scalers[i];
	const struct judge_scaler *state = &judge->rules.scalers[i];

	*report = (struct scaler_report){
		.scaler = scaler,
		.has_value = state->has_value,
		.value = state->value,
		.replicas = state->scale.replicas ? state->scale.replicas : scaler->minimum,
		.last = state->last,
		.last_at = state->last_at,
	};
}
