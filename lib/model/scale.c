/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/model/scale.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/units.h"

/* Beyond this much time between two steps nobody watched; as long as a gauge stays fresh. */
#define SCALE_GAP_S 10
/*
 * The minimum or the maximum, met again after so much time without it, is told again: another peak of
 * the day. A cooldown follows a change, and is told once for it.
 */
#define SCALE_TOLD_S 3600
/* More than any maximum; keeps the conversion from double within range. */
#define SCALE_WANTED_MAX 1000000

const char *scale_limit_name(enum scale_limit limit)
{
	static const char *const names[SCALE_LIMITS] = {
		[SCALE_FREE] = "",
		[SCALE_MINIMUM] = "minimum",
		[SCALE_MAXIMUM] = "maximum",
		[SCALE_UP_COOLDOWN] = "up_cooldown",
		[SCALE_DOWN_COOLDOWN] = "down_cooldown",
	};

	return (unsigned)limit < SCALE_LIMITS ? names[limit] : "unknown";
}

/* The signal is a figure of each replica; else a sum that they share. */
static bool scale_is_mean(const struct scaler *scaler)
{
	return scaler->signal == SCALE_LATENCY ||
	       (scaler->signal == SCALE_GAUGE && scaler->gauge_is_mean);
}

static unsigned scale_wanted(const struct scaler *scaler, double value, unsigned replicas)
{
	double times = value / scaler->target;
	double load = scale_is_mean(scaler) ? times : times / replicas; /* 1: at the target */
	double wanted = ceil(load * replicas * (1 - 1e-9));

	if (fabs(load - 1) <= scaler->deadband_ratio * (1 + 1e-9))
		return replicas;
	return wanted < SCALE_WANTED_MAX ? (unsigned)wanted : SCALE_WANTED_MAX;
}

static uint64_t scale_part_s(const struct scaler *scaler)
{
	uint64_t part_s = scaler->down_cooldown / NS_PER_S / SCALE_PARTS;

	return part_s ? part_s : 1;
}

/* Files what is asked for now, and returns the highest count asked for during down_cooldown. */
static unsigned scale_highest(struct scale *scale, const struct scaler *scaler, uint64_t second,
			      unsigned allowed)
{
	uint64_t part = second / scale_part_s(scaler);
	unsigned place = (unsigned)(part % ARRAY_LEN(scale->parts)), highest = 0;

	if (scale->parts[place].part != part || scale->parts[place].highest < allowed) {
		scale->parts[place].part = part;
		scale->parts[place].highest = allowed;
	}
	for (unsigned i = 0; i < ARRAY_LEN(scale->parts); i++)
		if (scale->parts[i].part + SCALE_PARTS >= part && scale->parts[i].highest > highest)
			highest = scale->parts[i].highest;
	return highest;
}

/* What the limits of time leave of a wish to go from one count to another. */
static unsigned scale_timed(const struct scale *scale, const struct scaler *scaler, uint64_t second,
			    unsigned from, unsigned allowed, unsigned highest,
			    enum scale_limit *limit)
{
	uint64_t up_s = scaler->up_cooldown / NS_PER_S, down_s = scaler->down_cooldown / NS_PER_S;

	if (allowed > from && scale->up_at && second - scale->up_at < up_s) {
		*limit = SCALE_UP_COOLDOWN;
		return from;
	}
	if (allowed < from && (second - scale->watched_since < down_s ||
			       second - scale->changed_at < down_s || highest >= from)) {
		*limit = SCALE_DOWN_COOLDOWN;
		return from;
	}
	if (allowed < from && highest > allowed)
		*limit = SCALE_DOWN_COOLDOWN;
	return allowed < from ? highest : allowed;
}

/*
 * What is there now. Replicas that were decided lately may still boot and count; later what runs
 * is the truth, whoever started it.
 */
static unsigned scale_current(const struct scale *scale, const struct scaler *scaler,
			      const struct scale_input *input)
{
	uint64_t up_s = scaler->up_cooldown / NS_PER_S;
	bool booting = scale->changed_at && input->second - scale->changed_at < up_s;

	if (input->running && !booting)
		return input->running;
	return scale->replicas ? scale->replicas : scaler->minimum;
}

/* Whether a decision is worth telling; remembers which limits were met when. */
static bool scale_is_news(struct scale *scale, uint64_t second,
			  const struct scale_decision *decision)
{
	uint64_t *met_at = &scale->met_at[decision->limit];
	bool changed = decision->from != decision->to;
	bool limited = decision->limit != SCALE_FREE;
	bool bound = decision->limit == SCALE_MINIMUM || decision->limit == SCALE_MAXIMUM;
	bool again = bound && second - *met_at >= SCALE_TOLD_S;
	bool news = changed || (limited && (!*met_at || again));

	if (changed)
		memset(scale->met_at, 0, sizeof(scale->met_at));
	*met_at = second;
	return news;
}

bool scale_step(struct scale *scale, const struct scaler *scaler, const struct scale_input *input,
		struct scale_decision *decision)
{
	unsigned allowed, highest;

	decision->from = decision->to = scale_current(scale, scaler, input);
	decision->wanted = decision->from;
	decision->limit = SCALE_FREE;
	scale->replicas = decision->from;
	if (!input->has_value || !isfinite(input->value) || input->value < 0) {
		scale->watched_since = 0;
		return false;
	}
	if (!scale->watched_since || input->second - scale->second > SCALE_GAP_S)
		scale->watched_since = input->second;
	scale->second = input->second;

	decision->wanted = allowed = scale_wanted(scaler, input->value, decision->from);
	if (allowed < scaler->minimum) {
		allowed = scaler->minimum;
		decision->limit = SCALE_MINIMUM;
	} else if (allowed > scaler->maximum) {
		allowed = scaler->maximum;
		decision->limit = SCALE_MAXIMUM;
	}
	highest = scale_highest(scale, scaler, input->second, allowed);
	decision->to = scale_timed(scale, scaler, input->second, decision->from, allowed, highest,
				   &decision->limit);
	if (decision->to != decision->from) {
		scale->replicas = decision->to;
		scale->changed_at = input->second;
		if (decision->to > decision->from)
			scale->up_at = input->second;
	}
	return scale_is_news(scale, input->second, decision);
}

void scale_recall(struct scale *scale, uint64_t second, unsigned from, unsigned to)
{
	scale->replicas = to;
	if (from == to)
		return;
	scale->changed_at = second;
	if (to > from)
		scale->up_at = second;
}

/* "840 events/s", "p95 of 312 ms", "queue_depth of 1200" */
static void scale_finding(const struct scaler *scaler, double value, char *text, size_t room)
{
	char number[UNITS_TEXT_MAX];

	switch (scaler->signal) {
	case SCALE_RATE:
		snprintf(text, room, "%s events/s", units_format_number(value, number));
		break;
	case SCALE_LATENCY:
		snprintf(text, room, "p95 of %s", units_format_duration((dur_ns)value, number));
		break;
	case SCALE_GAUGE:
		snprintf(text, room, "%s of %s", scaler->gauge, units_format_number(value, number));
		break;
	}
}

static void scale_target_text(const struct scaler *scaler, char text[UNITS_TEXT_MAX])
{
	if (scaler->signal == SCALE_LATENCY)
		units_format_duration((dur_ns)scaler->target, text);
	else
		units_format_number(scaler->target, text);
}

static void scale_outcome(const struct scaler *scaler, const struct scale_decision *decision,
			  char *text, size_t room)
{
	char span[UNITS_TEXT_MAX];

	if (decision->to != decision->from) {
		snprintf(text, room, "from %u to %u%s%s", decision->from, decision->to,
			 decision->limit != SCALE_FREE ? ", limited by the " : "",
			 scale_limit_name(decision->limit));
		return;
	}
	switch (decision->limit) {
	case SCALE_UP_COOLDOWN:
		snprintf(text, room, "held at %u for %s after the last step up", decision->from,
			 units_format_duration(scaler->up_cooldown, span));
		break;
	case SCALE_DOWN_COOLDOWN:
		snprintf(text, room, "held at %u until less was needed for %s", decision->from,
			 units_format_duration(scaler->down_cooldown, span));
		break;
	case SCALE_MINIMUM:
	case SCALE_MAXIMUM:
		snprintf(text, room, "held at the %s of %u", scale_limit_name(decision->limit),
			 decision->from);
		break;
	default:
		snprintf(text, room, "held at %u", decision->from);
	}
}

void scale_reason(const struct scaler *scaler, double value, const struct scale_decision *decision,
		  char *text, size_t room)
{
	char finding[SERIES_NAME_MAX + 2 * UNITS_TEXT_MAX], target[UNITS_TEXT_MAX], outcome[96];

	scale_finding(scaler, value, finding, sizeof(finding));
	scale_target_text(scaler, target);
	scale_outcome(scaler, decision, outcome, sizeof(outcome));
	snprintf(text, room, "%s against a target of %s%s: %u replica%s needed; %s", finding,
		 target, scale_is_mean(scaler) ? "" : " each", decision->wanted,
		 decision->wanted == 1 ? " is" : "s are", outcome);
}

void scale_save(const struct scale *scale, struct bytes_writer *w)
{
	bytes_put_u64(w, scale->replicas);
	bytes_put_u64(w, scale->second);
	bytes_put_u64(w, scale->up_at);
	bytes_put_u64(w, scale->changed_at);
	for (unsigned i = 0; i < SCALE_LIMITS; i++)
		bytes_put_u64(w, scale->met_at[i]);
}

int scale_restore(struct scale *scale, uint64_t latest, struct bytes_reader *r)
{
	struct scale read = {0};

	read.replicas = (unsigned)bytes_get_u64(r, SCALE_WANTED_MAX);
	read.second = bytes_get_u64(r, latest);
	/* What was recalled may be later than the last step that had a value. */
	read.up_at = bytes_get_u64(r, latest);
	read.changed_at = bytes_get_u64(r, latest);
	for (unsigned i = 0; i < SCALE_LIMITS; i++)
		read.met_at[i] = bytes_get_u64(r, read.second);
	if (r->failed)
		return -EPROTO;
	*scale = read;
	return 0;
}
