/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record of an agent on its way in: its tick checked as a whole and its series found in the
 * fleet's table, so that once it is durable, merging it cannot fail half way. Thread of the table's
 * writer; allocates.
 */
#ifndef VOW_HUB_INTAKE_H
#define VOW_HUB_INTAKE_H

#include "lib/base/diag.h"
#include "lib/data/exemplar.h"
#include "lib/data/gauge.h"
#include "lib/data/series.h"
#include "lib/model/action.h"

/*
 * What an agent calls the fleet's series: its own dense numbers, given once in each journal segment.
 * Zero is an empty one. The limit is above the largest series_max (a million) that an agent can be
 * configured with: a number beyond it is no honest agent's.
 */
#define INTAKE_NAMES_MAX (1u << 20)

struct intake_names {
	struct series **at; /* NULL where the number is unknown */
	bool *fresh; /* given since the last checkpoint */
	uint32_t room;
};

void intake_names_deinit(struct intake_names *names);
/* -EPROTO for a number >= INTAKE_NAMES_MAX, -ENOMEM. */
int intake_names_set(struct intake_names *names, uint32_t id, struct series *series, bool fresh);
struct series *intake_names_find(const struct intake_names *names, uint32_t id);

struct intake_delta {
	struct series *series;
	struct series_delta delta; /* key and id are the fleet's */
	dur_ns thresholds[SERIES_THRESHOLDS];
};

struct intake_total {
	char collector[32];
	char reason[32]; /* "" events reported */
	uint64_t total;
};

struct intake_exemplar {
	series_id series; /* the fleet's */
	struct exemplar exemplar;
};

struct intake {
	wall_ns wall; /* the tick covers [wall, wall + duration) of the agent's clock */
	dur_ns duration;
	struct intake_delta *deltas;
	size_t delta_count;
	struct gauge *gauges; /* host filled */
	size_t gauge_count;
	struct intake_total *totals;
	size_t total_count;
	struct action *actions;
	size_t action_count;
	struct intake_exemplar *exemplars; /* as many as there was memory for */
	size_t exemplar_count;
	uint8_t *bytes; /* the histograms of the deltas */
};

/* Where an intake finds names and makes series. */
struct intake_context {
	struct series_table *table;
	struct intake_names *names;
	const char *host; /* goes into every key */
};

/*
 * 0, and intake_deinit() ends it. -EPROTO: the bytes are no tick, or one whose figures contradict
 * each other. -ENOKEY: it speaks of a series that was never named. -ENOMEM. d is filled; names that
 * it gave before the mistake stay known.
 */
int intake_read(const struct intake_context *context, const uint8_t *tick, size_t tick_size,
		struct intake *intake, struct diag *d);
void intake_deinit(struct intake *intake);

/*
 * The same for its exemplars alone, of series that are known by now: what it names stays unread.
 * -EPROTO, -ENOMEM.
 */
int intake_read_exemplars(const struct intake_context *context, const uint8_t *tick,
			  size_t tick_size, struct intake *intake, struct diag *d);

struct tick_writer;

/*
 * Takes from a tick nothing but the names it gives, as far as they can be read, and adds each to
 * writer, so that they can be kept without it. Returns how many, or -ENOMEM with d filled.
 */
int intake_read_names(const struct intake_context *context, const uint8_t *tick, size_t tick_size,
		      struct tick_writer *writer, struct diag *d);

#endif
