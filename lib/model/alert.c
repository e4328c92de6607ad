/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/model/alert.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/units.h"

/*
 * Rates are quotients of doubles: 20 bad of 100 must meet "4 times 5 %", which is a hair more
 * than 0.2.
 */
#define ALERT_EPSILON 1e-9

static double alert_budget(const struct objective *objective)
{
	return 1 - objective->target_ratio;
}

double alert_burn(const struct objective *objective, struct slo_counts counts)
{
	double events = (double)counts.good + (double)counts.bad;

	return events > 0 ? (double)counts.bad / events / alert_budget(objective) : 0;
}

static bool alert_hot(const struct objective *objective, struct slo_counts counts)
{
	return alert_burn(objective, counts) >= objective->burn_rate * (1 - ALERT_EPSILON);
}

static uint64_t alert_quiet(const struct alert *alert, const struct objective *objective,
			    const struct alert_input *input)
{
	uint64_t passed = alert->second ? input->second - alert->second : 0;
	uint64_t seen = objective->short_window / NS_PER_S;

	return alert->quiet_s + (passed < seen ? passed : seen);
}

bool alert_step(struct alert *alert, const struct objective *objective,
		const struct alert_input *input)
{
	enum alert_state before = alert->state;
	uint64_t clear_s = objective->clear_after / NS_PER_S;
	bool has_events = input->short_window.good + input->short_window.bad > 0;
	bool hot_short = has_events && alert_hot(objective, input->short_window);
	bool hot_both = hot_short && alert_hot(objective, input->long_window) &&
			input->long_window.bad >= objective->min_bad;

	if (hot_short)
		alert->quiet_s = 0;
	else if (has_events)
		alert->quiet_s = alert_quiet(alert, objective, input);
	alert->second = input->second;
	if (!has_events)
		return false;

	switch (before) {
	case ALERT_OK:
	case ALERT_PENDING:
		alert->state = hot_both ? ALERT_FIRING : hot_short ? ALERT_PENDING : ALERT_OK;
		break;
	case ALERT_FIRING:
		if (alert->quiet_s >= clear_s)
			alert->state = ALERT_RESOLVED;
		break;
	case ALERT_RESOLVED:
		if (hot_both)
			alert->state = ALERT_FIRING;
		else if (alert->quiet_s >= 2 * clear_s)
			alert->state = ALERT_OK;
		break;
	}
	return alert->state != before;
}

void alert_recall(struct alert *alert, const struct objective *objective, enum alert_state state)
{
	alert->state = state;
	alert->quiet_s = state == ALERT_RESOLVED ? objective->clear_after / NS_PER_S : 0;
}

/* Seconds of a breach until a window of window_s is hot. */
static double alert_heat_s(double window_s, double needed_ratio, double bad_ratio)
{
	return ceil(window_s * needed_ratio / bad_ratio * (1 - ALERT_EPSILON));
}

dur_ns alert_time_to_fire(const struct objective *objective, double bad_ratio)
{
	double needed = objective->burn_rate * alert_budget(objective);
	double long_s = (double)(objective->long_window / NS_PER_S);
	double short_s = (double)(objective->short_window / NS_PER_S);

	if (bad_ratio < needed * (1 - ALERT_EPSILON))
		return ALERT_NEVER;
	return (dur_ns)fmax(alert_heat_s(long_s, needed, bad_ratio),
			    alert_heat_s(short_s, needed, bad_ratio)) *
	       NS_PER_S;
}

static void alert_hash(unsigned __int128 *hash, const void *bytes, size_t size)
{
	const unsigned __int128 prime = ((unsigned __int128)1 << 88) + 0x13b;

	for (size_t i = 0; i < size; i++)
		*hash = (*hash ^ ((const uint8_t *)bytes)[i]) * prime;
}

void alert_fingerprint(const char *scope, const char *objective, wall_ns since, char hex[33])
{
	unsigned __int128 hash = ((unsigned __int128)UINT64_C(0x6c62272e07bb0142) << 64) |
				 UINT64_C(0x62b821756295c58d);
	uint64_t second = since / NS_PER_S;

	/* With their NULs, so that "ab" + "c" is not "a" + "bc". */
	alert_hash(&hash, scope, strlen(scope) + 1);
	alert_hash(&hash, objective, strlen(objective) + 1);
	for (unsigned i = 0; i < 8; i++, second >>= 8) {
		uint8_t byte = (uint8_t)second;

		alert_hash(&hash, &byte, 1);
	}
	snprintf(hex, 33, "%016llx%016llx", (unsigned long long)(hash >> 64),
		 (unsigned long long)hash);
}

static const char *alert_noun(int kind)
{
	static const char *const nouns[] = {
		[SERIES_HTTP] = "requests",	  [SERIES_APP] = "requests",
		[SERIES_DELIVERY] = "deliveries", [SERIES_ATTEMPT] = "delivery attempts",
		[SERIES_JOB] = "job steps",	  [SERIES_TLS] = "exchanges within TLS",
		[SERIES_USER] = "requests",	  [SERIES_CONNECTION] = "connections",
	};

	return kind >= 0 && (size_t)kind < ARRAY_LEN(nouns) ? nouns[kind] : "events";
}

/* "31.2 % of 842 requests in 10 s were slower than 200 ms or failed" */
static int alert_finding(const struct objective *objective, struct slo_counts counts, dur_ns window,
			 char *text, size_t room)
{
	char share[UNITS_TEXT_MAX], span[UNITS_TEXT_MAX], limit[UNITS_TEXT_MAX];
	uint64_t events = counts.good + counts.bad;
	bool timed = objective->threshold_ns != POLICY_NO_THRESHOLD;

	units_format_ratio(events ? (double)counts.bad / (double)events : 0, share);
	return snprintf(text, room, "%s of %llu %s in %s %s%s%s", share, (unsigned long long)events,
			alert_noun(objective->selector.kind), units_format_duration(window, span),
			timed ? "were slower than " : "failed",
			timed ? units_format_duration(objective->threshold_ns, limit) : "",
			timed ? " or failed" : "");
}

void alert_reason_firing(const struct objective *objective, struct slo_counts long_window,
			 char *text, size_t room)
{
	char budget[UNITS_TEXT_MAX], burn[UNITS_TEXT_MAX];
	int used = alert_finding(objective, long_window, objective->long_window, text, room);

	if (used < 0 || (size_t)used >= room)
		return;
	snprintf(text + used, room - (size_t)used,
		 "; the objective allows %s: the budget burns %s times too fast",
		 units_format_ratio(alert_budget(objective), budget),
		 units_format_number(alert_burn(objective, long_window), burn));
}

void alert_reason_resolved(const struct objective *objective, struct slo_counts short_window,
			   dur_ns lasted, char *text, size_t room)
{
	char calm[UNITS_TEXT_MAX], span[UNITS_TEXT_MAX];
	int used = alert_finding(objective, short_window, objective->short_window, text, room);

	if (used < 0 || (size_t)used >= room)
		return;
	snprintf(text + used, room - (size_t)used, "; calm for %s after a breach of %s",
		 units_format_duration(objective->clear_after, calm),
		 units_format_duration(lasted, span));
}
