/* SPDX-License-Identifier: Apache-2.0 */
/* Objectives and scalers. */
#include <stdio.h>
#include <string.h>

#include "config/convert.h"

/* An enum's names as a table for value_choice(), "any" behind them. */
static int convert_kind(const struct value_reader *r, const char *group, const char *text,
			int *kind)
{
	const char *names[SERIES_KINDS + 1];
	int choice = SERIES_KINDS;

	for (int i = 0; i < SERIES_KINDS; i++)
		names[i] = series_kind_name((enum series_kind)i);
	names[SERIES_KINDS] = "any";
	VALUE_TRY(value_choice(r, group, "kind", text, names, ARRAY_LEN(names), &choice));
	*kind = choice == SERIES_KINDS ? POLICY_ANY : choice;
	return 0;
}

static int convert_role(const struct value_reader *r, const char *group, const char *text,
			int *role)
{
	const char *names[SERIES_ROLES + 1];
	int choice = SERIES_ROLES;

	for (int i = 0; i < SERIES_ROLES; i++)
		names[i] = series_role_name((enum series_role)i);
	names[SERIES_ROLES] = "any";
	VALUE_TRY(value_choice(r, group, "role", text, names, ARRAY_LEN(names), &choice));
	*role = choice == SERIES_ROLES ? POLICY_ANY : choice;
	return 0;
}

static int convert_match(const struct value_reader *r, const char *parent,
			 const struct raw_match *raw, struct selector *selector)
{
	char group[VALUE_GROUP + 8];

	snprintf(group, sizeof(group), "%s.match", parent);
	VALUE_NEXT(r, value_text(r, group, "service", raw->service, selector->service,
				 sizeof(selector->service)));
	VALUE_NEXT(r, value_text(r, group, "method", raw->method, selector->method,
				 sizeof(selector->method)));
	VALUE_NEXT(r, value_text(r, group, "route", raw->route, selector->route,
				 sizeof(selector->route)));
	VALUE_NEXT(r,
		   value_text(r, group, "peer", raw->peer, selector->peer, sizeof(selector->peer)));
	VALUE_NEXT(r, convert_kind(r, group, raw->kind, &selector->kind));
	return convert_role(r, group, raw->role, &selector->role);
}

static int convert_windows(const struct value_reader *r, const char *group,
			   const struct raw_alert *raw, struct objective *objective)
{
	VALUE_TRY(value_seconds(r, group, "long", raw->long_window, 2 * NS_PER_S, 6 * NS_PER_H,
				&objective->long_window));
	/* A long window given alone takes a twelfth of it as the short one, like the workbook. */
	if (raw->long_window && !raw->short_window) {
		dur_ns twelfth = objective->long_window / 12 / NS_PER_S * NS_PER_S;

		objective->short_window = twelfth ? twelfth : NS_PER_S;
	}
	VALUE_TRY(value_seconds(r, group, "short", raw->short_window, NS_PER_S, 6 * NS_PER_H,
				&objective->short_window));
	if (objective->short_window > objective->long_window)
		return value_refuse(r, group, "short", "make it shorter than 'long'",
				    "the short window is longer than the long one");
	return 0;
}

static int convert_alert(const struct value_reader *r, const char *parent,
			 const struct raw_alert *raw, struct objective *objective)
{
	static const char *const severities[] = {"ticket", "page"};
	int severity = (int)objective->severity;
	char group[VALUE_GROUP + 8];

	snprintf(group, sizeof(group), "%s.alert", parent);
	VALUE_NEXT(r, value_number(r, group, "burn_rate", raw->burn_rate, &objective->burn_rate));
	VALUE_NEXT(r, convert_windows(r, group, raw, objective));
	VALUE_NEXT(r, value_seconds(r, group, "clear_after", raw->clear_after, NS_PER_S, NS_PER_H,
				    &objective->clear_after));
	VALUE_NEXT(r, value_count(r, group, "min_bad", raw->min_bad, 1, 1000000000,
				  &objective->min_bad));
	VALUE_NEXT(r, value_choice(r, group, "severity", raw->severity, severities,
				   ARRAY_LEN(severities), &severity));
	objective->severity = (enum severity)severity;
	return 0;
}

static int convert_objective_name(const struct value_reader *r, const char *group,
				  const struct raw_objective *raw, struct objective *objective)
{
	if (!raw->name)
		return value_refuse(r, group, "", "add 'name: checkout-latency'",
				    "an objective needs a name");
	return value_name(r, group, "name", raw->name, objective->name, sizeof(objective->name));
}

static int convert_promise(const struct value_reader *r, const char *group,
			   const struct raw_objective *raw, struct objective *objective)
{
	if (!raw->target)
		return value_refuse(r, group, "", "add 'target: 95%'",
				    "objective '%s' has no target", objective->name);
	VALUE_TRY(value_ratio(r, group, "target", raw->target, 1, &objective->target_ratio));
	if (objective->target_ratio > 0 && objective->target_ratio < 1)
		return 0;
	return value_refuse(r, group, "target", "for example 95% or 99.9%",
			    "%.60s leaves %s to fail", raw->target,
			    objective->target_ratio >= 1 ? "nothing" : "everything");
}

static int convert_objective(const struct value_reader *r, const char *group,
			     const struct raw_objective *raw, struct objective *objective)
{
	objective_init(objective);
	VALUE_NEXT(r, convert_objective_name(r, group, raw, objective));
	VALUE_NEXT(r, convert_promise(r, group, raw, objective));
	VALUE_NEXT(r, value_duration(r, group, "threshold", raw->threshold, 1, HIST_MAX_NS,
				     &objective->threshold_ns));
	VALUE_NEXT(r, value_seconds(r, group, "period", raw->period, NS_PER_H, 90 * 24 * NS_PER_H,
				    &objective->period));
	VALUE_NEXT(r, convert_match(r, group, &raw->match, &objective->selector));
	objective_alert_defaults(objective);
	return convert_alert(r, group, &raw->alert, objective);
}

static bool convert_ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);

	return length >= end_length && !strcmp(text + length - end_length, end);
}

static int convert_signal(const struct value_reader *r, const char *group,
			  const struct raw_scaler *raw, struct scaler *scaler)
{
	static const char *const combines[] = {"sum", "mean"};
	const char *signals[] = {scale_signal_name(SCALE_RATE), scale_signal_name(SCALE_LATENCY),
				 scale_signal_name(SCALE_GAUGE)};
	int signal = raw->gauge ? SCALE_GAUGE : -1, mean;

	VALUE_TRY(value_choice(r, group, "signal", raw->signal, signals, ARRAY_LEN(signals),
			       &signal));
	if (signal < 0)
		return value_refuse(r, group, "", "add 'signal: rate', latency_p95 or gauge",
				    "scaler '%s' has no signal", scaler->name);
	scaler->signal = (enum scale_signal)signal;
	if (raw->gauge && scaler->signal != SCALE_GAUGE)
		return value_refuse(r, group, "gauge", "write 'signal: gauge', or take it out",
				    "signal '%s' looks at no gauge", signals[signal]);
	if (!raw->gauge && scaler->signal == SCALE_GAUGE)
		return value_refuse(r, group, "signal", "add 'gauge: queue_depth'",
				    "which gauge is not said");
	VALUE_TRY(value_name(r, group, "gauge", raw->gauge, scaler->gauge, sizeof(scaler->gauge)));
	if (raw->combine && scaler->signal != SCALE_GAUGE)
		return value_refuse(r, group, "combine", "take it out", "it is for gauges only");
	/* A share of each replica is no sum; a depth, a count of jobs is one. */
	mean = convert_ends_with(scaler->gauge, "_ratio");
	VALUE_TRY(value_choice(r, group, "combine", raw->combine, combines, ARRAY_LEN(combines),
			       &mean));
	scaler->gauge_is_mean = mean;
	return 0;
}

static int convert_target(const struct value_reader *r, const char *group,
			  const struct raw_scaler *raw, struct scaler *scaler)
{
	dur_ns latency = 0;

	if (!raw->target)
		return value_refuse(r, group, "",
				    "add 'target:' with what one replica should carry",
				    "scaler '%s' has no target", scaler->name);
	if (scaler->signal == SCALE_LATENCY) {
		VALUE_TRY(
			value_duration(r, group, "target", raw->target, 1, HIST_MAX_NS, &latency));
		scaler->target = (double)latency;
		return 0;
	}
	if (strchr(raw->target, '%')) {
		VALUE_TRY(value_ratio(r, group, "target", raw->target, 1, &scaler->target));
		return scaler->target > 0 ? 0
					  : value_refuse(r, group, "target", "for example 60%",
							 "no load is no target");
	}
	return value_number(r, group, "target", raw->target, &scaler->target);
}

/* What a target means depends on the signal. */
static int convert_aim(const struct value_reader *r, const char *group,
		       const struct raw_scaler *raw, struct scaler *scaler)
{
	VALUE_TRY(convert_signal(r, group, raw, scaler));
	return convert_target(r, group, raw, scaler);
}

static int convert_replicas(const struct value_reader *r, const char *group,
			    const struct raw_scaler *raw, struct scaler *scaler)
{
	uint64_t minimum = scaler->minimum, maximum = scaler->maximum;

	VALUE_TRY(value_count(r, group, "minimum", raw->minimum, 1, 10000, &minimum));
	VALUE_TRY(value_count(r, group, "maximum", raw->maximum, 1, 10000, &maximum));
	if (minimum > maximum)
		return value_refuse(r, group, raw->minimum ? "minimum" : "maximum",
				    "raise the maximum or lower the minimum",
				    "the minimum of %llu is above the maximum of %llu",
				    (unsigned long long)minimum, (unsigned long long)maximum);
	scaler->minimum = (unsigned)minimum;
	scaler->maximum = (unsigned)maximum;
	return 0;
}

static int convert_scaler(const struct value_reader *r, const char *group,
			  const struct raw_scaler *raw, struct scaler *scaler)
{
	scaler_init(scaler);
	if (!raw->name)
		return value_refuse(r, group, "", "add 'name: web'", "a scaler needs a name");
	VALUE_NEXT(r, value_name(r, group, "name", raw->name, scaler->name, sizeof(scaler->name)));
	VALUE_NEXT(r, convert_match(r, group, &raw->match, &scaler->selector));
	VALUE_NEXT(r, convert_aim(r, group, raw, scaler));
	VALUE_NEXT(r, convert_replicas(r, group, raw, scaler));
	VALUE_NEXT(r,
		   value_ratio(r, group, "deadband", raw->deadband, 0.9, &scaler->deadband_ratio));
	VALUE_NEXT(r, value_seconds(r, group, "up_cooldown", raw->up_cooldown, 0, 24 * NS_PER_H,
				    &scaler->up_cooldown));
	return value_seconds(r, group, "down_cooldown", raw->down_cooldown, 0, 24 * NS_PER_H,
			     &scaler->down_cooldown);
}

int convert_policy(const struct value_reader *r, const struct raw_config *raw,
		   struct policy *policy)
{
	char group[VALUE_GROUP];

	/* A list that is given, even an empty one, stands for the defaults. */
	if (document_kind(r->document, document_find(r->document, "objectives")) == DOCUMENT_LIST)
		policy->objective_count = 0;
	if (document_kind(r->document, document_find(r->document, "scaling")) == DOCUMENT_LIST)
		policy->scaler_count = 0;
	for (unsigned i = 0; i < raw->objective_count; i++) {
		snprintf(group, sizeof(group), "objectives[%u]", i);
		VALUE_NEXT(r, convert_objective(r, group, &raw->objectives[i],
						&policy->objectives[i]));
		VALUE_NEXT(r, value_unique(r, group, policy->objectives[0].name,
					   sizeof(struct objective), i));
		policy->objective_count = i + 1;
	}
	for (unsigned i = 0; i < raw->scaler_count; i++) {
		snprintf(group, sizeof(group), "scaling[%u]", i);
		VALUE_NEXT(r, convert_scaler(r, group, &raw->scaling[i], &policy->scalers[i]));
		VALUE_NEXT(r, value_unique(r, group, policy->scalers[0].name, sizeof(struct scaler),
					   i));
		policy->scaler_count = i + 1;
	}
	return 0;
}
