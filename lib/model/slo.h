/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Good and bad events of one objective over time: slots of 1 s for an hour, of 1 min for 3 days,
 * of 1 h for 90 days. A slot holds the totals at its end, so that any window is one subtraction:
 * O(1), without drift, whatever its length. About 180 KB on the heap, of which only pages that
 * time has reached are touched. One thread; nothing but slo_new() allocates; no clock: the caller
 * says which second it is, and seconds never go back.
 */
#ifndef VOW_LIB_MODEL_SLO_H
#define VOW_LIB_MODEL_SLO_H

#include "lib/model/bytes.h"

#define SLO_SECONDS_SPAN 3600 /* longest window that is exact to the second */
#define SLO_MINUTES_SPAN (3 * 86400) /* ... to the minute */
#define SLO_HOURS_SPAN	 (90 * 86400) /* ... to the hour: the longest of all */

struct slo;

struct slo_counts {
	uint64_t good, bad;
};

struct slo *slo_new(void); /* NULL when memory lacks */
void slo_free(struct slo *slo);

/* Adds events; the next slo_file() says of which second they were. */
void slo_add(struct slo *slo, uint64_t good, uint64_t bad);

/* Seconds count from 1970 or any other day at least this long ago. */
#define SLO_FIRST_SECOND (SLO_HOURS_SPAN + 86400)

/*
 * Files what was added under `second` (>= SLO_FIRST_SECOND and that of the call before; seconds
 * between hold nothing) and says how many of the seconds since that call were observed (0 .. their
 * number).
 */
void slo_file(struct slo *slo, uint64_t second, uint64_t observed_s);

/*
 * Events of the last window_s seconds (1 .. SLO_HOURS_SPAN) up to the second filed last. Where
 * its span above is passed, the window's start is moved back to a whole minute or hour: it is
 * never shorter than asked.
 */
struct slo_counts slo_window(const struct slo *slo, uint64_t window_s);

/* Observed share of the window, 0 .. 1; to the hour. */
double slo_coverage(const struct slo *slo, uint64_t window_s);

/*
 * The second in the window at which a breach began that goes on now: the one from which on the
 * events exceed limit_ratio bad ones by most, which is the likeliest point of change, and does
 * not move for a stray bad event long before. To the minute for windows beyond an hour.
 */
uint64_t slo_breach_start(const struct slo *slo, uint64_t window_s, double limit_ratio);

/*
 * State as bytes. Restore checks all of it, also that no second is after `latest`: -EPROTO with
 * slo in a state to be freed only.
 */
void slo_save(const struct slo *slo, struct bytes_writer *w);
int slo_restore(struct slo *slo, uint64_t latest, struct bytes_reader *r);

#endif
