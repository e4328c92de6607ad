/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joins captured attempts that carry the same id into deliveries: how many attempts it took, how
 * long from the first one to success, and what became of it.
 *
 * What nobody saw cannot be joined. An id that is first met within the quiet time after the start,
 * or after records were lost, may have had an attempt before: its attempts are counted, but nothing
 * is said of the delivery, which is counted as unjoined. So no latency is ever too short by what
 * was missed. One thread, that of the series table.
 */
#ifndef VOW_COLLECTORS_HTTP_DELIVERIES_H
#define VOW_COLLECTORS_HTTP_DELIVERIES_H

#include "lib/base/types.h"
#include "lib/data/series.h"

#define HTTP_DELIVERIES_MAX 4096 /* that are known at a time; 230 KB, taken at the first attempt */
/* Event types that get series of their own; further ones are "{other}". */
#define HTTP_DELIVERIES_EVENTS 256

struct http_deliveries;

/*
 * quiet: an attempt that begins so much later than the one before ended is another delivery's; one
 * without success that was quiet for so long has failed. NULL when memory lacks.
 */
struct http_deliveries *http_deliveries_new(struct series_table *table, dur_ns quiet, mono_ns now);
void http_deliveries_free(struct http_deliveries *deliveries); /* NULL is allowed */
void http_deliveries_reload(struct http_deliveries *deliveries, dur_ns quiet);

struct http_attempt {
	uint64_t id; /* of the delivery and its receiver; not 0 */
	const char *service, *event, *peer;
	mono_ns started_at, ended_at;
	uint16_t status; /* 0: no whole answer */
};

/* Counts an attempt under its series, and joins it with its delivery. */
void http_deliveries_attempt(struct http_deliveries *deliveries, const struct http_attempt *attempt,
			     mono_ns now);

/* Records were lost, up to two seconds before now. */
void http_deliveries_gap(struct http_deliveries *deliveries, mono_ns now);

/* Files deliveries that have ended. To be called about every second. */
void http_deliveries_step(struct http_deliveries *deliveries, mono_ns now);

/* Deliveries of which nothing is said since their beginning may not have been seen. */
uint64_t http_deliveries_unjoined(const struct http_deliveries *deliveries);
/* Those that had to go, not yet ended, since there were too many. */
uint64_t http_deliveries_evicted(const struct http_deliveries *deliveries);

/* The event's name within the cap: itself or "{other}". */
const char *http_deliveries_event(struct http_deliveries *deliveries, const char *event);

#endif
