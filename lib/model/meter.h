/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a scaler sees: the value of its signal over the last 10 s, from deltas of series or from
 * gauges. One thread; only meter_new() allocates; no clock. About 200 bytes, with SCALE_LATENCY
 * 470 KB of which the pages of occupied histogram slots are touched.
 */
#ifndef VOW_LIB_MODEL_METER_H
#define VOW_LIB_MODEL_METER_H

#include "lib/data/gauge.h"
#include "lib/model/policy.h"

#define METER_WINDOW_S 10

struct meter;

struct meter *meter_new(enum scale_signal signal); /* NULL when memory lacks */
void meter_free(struct meter *meter);

/* Adds a series' share of the tick; a histogram that is broken counts events alone. */
void meter_add(struct meter *meter, const struct series_delta *delta);
/* Files what was added under `second` (>= that of the call before). */
void meter_file(struct meter *meter, uint64_t second);

/*
 * The signal's value: events a second, p95 in ns, or the gauge (mean or sum of those of services
 * that the selector takes). False when there is no data: no event in the window, no such gauge (the
 * table forgets what is not set any more). gauges may be NULL. scratch is any histogram, which is
 * overwritten.
 */
bool meter_value(const struct meter *meter, const struct scaler *scaler,
		 const struct gauge_table *gauges, struct hist *scratch, double *value);

/*
 * How many replicas of the scaler's service run: the highest gauge called "replicas"; 0 when
 * there is none.
 */
unsigned meter_running(const struct scaler *scaler, const struct gauge_table *gauges);

#endif
