/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last values that applications keep in their segments, as gauges. Processes of one service
 * add up (two workers with a queue each have one depth), but the oldest age is the oldest of all.
 *
 *   vow_gauge_set()      its own name
 *   vow_queue_set()      queue_depth, queue_oldest_age_s; the label is the queue
 *   vow_job_...()        job_total, job_done, job_failed; the label is the job
 *   deliveries           deliveries_pending, attempts_in_flight
 *
 * One thread.
 */
#ifndef VOW_COLLECTORS_LANE_GAUGES_H
#define VOW_COLLECTORS_LANE_GAUGES_H

#include "lib/data/gauge.h"
#include "lib/data/segment.h"

struct lane_gauges;

struct lane_gauges *lane_gauges_new(void); /* NULL when memory lacks */
void lane_gauges_free(struct lane_gauges *sums);

/* Adds what a segment says to the sums; what is too many for a gauge table is left out, counted. */
void lane_gauges_add(struct lane_gauges *sums, const struct segment *segment);
/* Gauges that the last round of sums left out. */
unsigned lane_gauges_left_out(const struct lane_gauges *sums);
/* Sets the sums in the table and begins anew. What the table refuses is left out, too. */
void lane_gauges_publish(struct lane_gauges *sums, struct gauge_table *table, mono_ns now);

#endif
