/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tick as bytes: what one second (or less) added, the `wire` part of a journal record and, byte
 * for byte, what travels to the hub (proto/vow/v1/tick.proto). Series are named once in each
 * journal segment and referred to by number afterwards. A writer belongs to one thread.
 */
#ifndef VOW_PROTO_TICK_H
#define VOW_PROTO_TICK_H

#include "lib/base/diag.h"
#include "lib/data/exemplar.h"
#include "lib/data/gauge.h"
#include "lib/data/series.h"
#include "lib/model/action.h"

struct tick_writer; /* keeps its buffers from tick to tick */
struct tick_writer *tick_writer_new(void);
void tick_writer_free(struct tick_writer *writer);

/*
 * Longer ones are refused by a hub: they are no ticks. An agent that stood still for longer (a
 * stopped process, a frozen container) says that all of it came in the last hour.
 */
#define TICK_DURATION_MAX NS_PER_H

/*
 * [wall, wall + duration) is what the tick covers, cut at its beginning to TICK_DURATION_MAX.
 * Everything added is copied. -ENOMEM.
 */
void tick_begin(struct tick_writer *writer, wall_ns wall, dur_ns duration);
int tick_add_series(struct tick_writer *writer, series_id id, const struct series_key *key);
int tick_add_delta(struct tick_writer *writer, const struct series_delta *delta);
int tick_add_gauge(struct tick_writer *writer, const struct gauge *gauge);
/* Running total of a collector's events (reason NULL) or drops, so that the hub shows loss too. */
int tick_add_total(struct tick_writer *writer, const char *collector, const char *reason,
		   uint64_t total);
int tick_add_action(struct tick_writer *writer, const struct action *action);
int tick_add_exemplar(struct tick_writer *writer, series_id id, const struct exemplar *exemplar);
/* The bytes belong to the writer and are good until its next tick_begin(). -ENOMEM. */
int tick_end(struct tick_writer *writer, const uint8_t **bytes, size_t *size);

/*
 * What reading calls back, in this order; any may be NULL; a non-zero return ends the reading and
 * is handed up. Pointers are good during the call only. Host fields of keys are empty.
 */
struct tick_visitor {
	int (*begin)(void *arg, wall_ns wall, dur_ns duration);
	int (*series)(void *arg, series_id id, const struct series_key *key);
	/* delta->key is NULL: the reader knows its series by id. */
	int (*delta)(void *arg, const struct series_delta *delta);
	int (*gauge)(void *arg, const struct gauge *gauge);
	int (*total)(void *arg, const char *collector, const char *reason, uint64_t total);
	int (*action)(void *arg, const struct action *action);
	/* One without a tag is left out. */
	int (*exemplar)(void *arg, series_id id, const struct exemplar *exemplar);
};

/* Whether there is an exemplar in it; about 10 ns for each part of a tick. False for what is no tick. */
bool tick_has_exemplars(const uint8_t *bytes, size_t size);

/*
 * Checks the bytes while reading (they may come from anyone): -EPROTO with d filled when they are
 * not a tick; memory used is bounded by a multiple of size. Packed histograms are handed on
 * unchecked: hist_merge_packed() checks them.
 */
int tick_read(const uint8_t *bytes, size_t size, const struct tick_visitor *visitor, void *arg,
	      struct diag *d);

#endif
