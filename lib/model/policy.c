/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/model/policy.h"

#include <string.h>

static bool policy_text_matches(const char *pattern, const char *text)
{
	size_t length = strlen(pattern);

	if (!length)
		return true;
	if (pattern[length - 1] == '*')
		return !strncmp(pattern, text, length - 1);
	return !strcmp(pattern, text);
}

bool selector_matches_service(const struct selector *selector, const char *service)
{
	return policy_text_matches(selector->service, service);
}

/* Any kind is any that counts events of its own: else requests would count twice. */
static bool policy_kind_matches(int kind, int of)
{
	return kind == POLICY_ANY ? !series_kind_is_view((enum series_kind)of) : kind == of;
}

bool selector_matches(const struct selector *selector, const struct series_key *key)
{
	if (!policy_kind_matches(selector->kind, key->kind))
		return false;
	if (selector->role != POLICY_ANY && selector->role != key->role)
		return false;
	return policy_text_matches(selector->service, key->service) &&
	       policy_text_matches(selector->method, key->method) &&
	       policy_text_matches(selector->route, key->route) &&
	       policy_text_matches(selector->peer, key->peer);
}

/* Some text matches both patterns. */
static bool policy_texts_overlap(const char *a, const char *b)
{
	size_t a_length = strlen(a), b_length = strlen(b), shorter;
	bool a_open = !a_length || a[a_length - 1] == '*';
	bool b_open = !b_length || b[b_length - 1] == '*';

	a_length -= a_length && a_open;
	b_length -= b_length && b_open;
	shorter = a_length < b_length ? a_length : b_length;
	if (memcmp(a, b, shorter))
		return false;
	return (a_length <= b_length || b_open) && (b_length <= a_length || a_open);
}

bool selector_overlaps(const struct selector *a, const struct selector *b)
{
	if (a->kind != b->kind && !policy_kind_matches(a->kind, b->kind) &&
	    !policy_kind_matches(b->kind, a->kind))
		return false;
	if (a->role != b->role && a->role != POLICY_ANY && b->role != POLICY_ANY)
		return false;
	return policy_texts_overlap(a->service, b->service) &&
	       policy_texts_overlap(a->method, b->method) &&
	       policy_texts_overlap(a->route, b->route) && policy_texts_overlap(a->peer, b->peer);
}

const char *severity_name(enum severity severity)
{
	return severity == SEVERITY_PAGE ? "page" : "ticket";
}

const char *scale_signal_name(enum scale_signal signal)
{
	static const char *const names[] = {
		[SCALE_RATE] = "rate",
		[SCALE_LATENCY] = "latency_p95",
		[SCALE_GAUGE] = "gauge",
	};

	return (unsigned)signal < ARRAY_LEN(names) ? names[signal] : "unknown";
}

void objective_init(struct objective *objective)
{
	*objective = (struct objective){
		.selector = {.kind = POLICY_ANY, .role = POLICY_ANY},
		.threshold_ns = POLICY_NO_THRESHOLD,
		.period = 30 * 24 * NS_PER_H,
		.severity = SEVERITY_PAGE,
	};
}

/*
 * A budget of 1 % and more is loose: it is spent by long, visible slowness, and the page must come
 * while the slowness lasts. 4 times 5 % is a fifth of the requests of a minute: 12 s of complete
 * failure, 40 s of 30 % slow requests. The workbook's 14.4 would need 72 % and sleep through that.
 * A tight budget (99.9 %) is about rare events: there 14.4 within an hour (1.44 % bad), with the
 * last 5 minutes as proof that it goes on, spends 2 % of a month's budget before it pages.
 * Three bad events are the least that is not chance at low traffic.
 */
#define POLICY_LOOSE_BUDGET 0.01

void objective_alert_defaults(struct objective *objective)
{
	bool loose = 1 - objective->target_ratio >= POLICY_LOOSE_BUDGET - 1e-9;
	double most = 0.5 / (1 - objective->target_ratio); /* fires at half of the events bad */

	objective->burn_rate = loose ? 4 : 14.4;
	if (objective->burn_rate > most)
		objective->burn_rate = most;
	objective->long_window = loose ? NS_PER_MIN : NS_PER_H;
	objective->short_window = loose ? 10 * NS_PER_S : 5 * NS_PER_MIN;
	objective->clear_after = loose ? 30 * NS_PER_S : NS_PER_MIN;
	objective->min_bad = 3;
}

void scaler_init(struct scaler *scaler)
{
	*scaler = (struct scaler){
		.selector = {.kind = POLICY_ANY, .role = POLICY_ANY},
		.minimum = 1,
		.maximum = 10,
		.deadband_ratio = 0.1,
		.up_cooldown = 3 * NS_PER_MIN,
		.down_cooldown = 10 * NS_PER_MIN,
	};
}

static void policy_default_objective(struct policy *policy, const char *name, enum series_kind kind,
				     int role, dur_ns threshold_ns, double target_ratio)
{
	struct objective *objective = &policy->objectives[policy->objective_count++];

	objective_init(objective);
	strcpy(objective->name, name);
	objective->selector.kind = (int)kind;
	objective->selector.role = role;
	objective->threshold_ns = threshold_ns;
	objective->target_ratio = target_ratio;
	objective_alert_defaults(objective);
}

void policy_defaults(struct policy *policy)
{
	struct scaler *cpu = &policy->scalers[0];

	memset(policy, 0, sizeof(*policy));
	policy_default_objective(policy, "http-latency", SERIES_HTTP, SERIES_SERVER,
				 200 * NS_PER_MS, 0.95);
	policy_default_objective(policy, "app-latency", SERIES_APP, POLICY_ANY, 200 * NS_PER_MS,
				 0.95);
	policy_default_objective(policy, "deliveries-made", SERIES_DELIVERY, POLICY_ANY,
				 POLICY_NO_THRESHOLD, 0.999);
	policy_default_objective(policy, "deliveries-in-time", SERIES_DELIVERY, POLICY_ANY,
				 30 * NS_PER_S, 0.999);
	scaler_init(cpu);
	strcpy(cpu->name, "cpu");
	cpu->signal = SCALE_GAUGE;
	strcpy(cpu->gauge, "cpu_ratio");
	cpu->gauge_is_mean = true;
	cpu->target = 0.6; /* room for growth while a replica boots */
	policy->scaler_count = 1;
}

unsigned policy_thresholds(void *arg, const struct series_key *key,
			   dur_ns thresholds[SERIES_THRESHOLDS])
{
	const struct policy *policy = arg;
	unsigned count = 0;

	for (unsigned i = 0; i < policy->objective_count && count < SERIES_THRESHOLDS; i++) {
		const struct objective *objective = &policy->objectives[i];
		bool known = objective->threshold_ns == POLICY_NO_THRESHOLD;

		for (unsigned k = 0; k < count; k++)
			known |= thresholds[k] == objective->threshold_ns;
		if (!known && selector_matches(&objective->selector, key))
			thresholds[count++] = objective->threshold_ns;
	}
	return count;
}
