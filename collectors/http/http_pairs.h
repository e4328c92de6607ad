/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files what the kernel saw of pairs of request and response: latencies under their series, attempts
 * under their deliveries, traces as exemplars. A pair without its whole response is counted by its
 * outcome and enters no histogram, since it has no latency that would be true. One thread, that of
 * the series table.
 */
#ifndef VOW_COLLECTORS_HTTP_PAIRS_H
#define VOW_COLLECTORS_HTTP_PAIRS_H

#include "collectors/http/http_deliveries.h"
#include "collectors/http/http_overflow.h"
#include "collectors/http/http_series.h"
#include "lib/data/hist.h"

struct http_pairs {
	/* Set by the caller, and his. */
	struct series_table *table;
	struct exemplars *exemplars; /* NULL: kept nowhere */
	struct http_series *series;
	struct http_deliveries *deliveries;
	mono_ns now; /* of the poll that is running */
	wall_ns wall; /* the same instant */
	/* Counted here. */
	uint64_t events_total;
	uint64_t incomplete[HTTP_OUTCOMES];
	uint64_t no_memory;
	uint64_t summed_total; /* of events_total, those of whom there was no record */
	uint64_t without_record; /* these, and those that had no whole response */
	uint8_t packed[2][HIST_PACKED_MAX]; /* of the sum at hand */
};

/* Files one pair. Its series; NULL when it has none: no whole response, or no memory. */
struct series *http_pairs_record(struct http_pairs *pairs, const struct http_record *record);

/* Files pairs that were counted in the kernel, if there is memory. */
void http_pairs_sum(struct http_pairs *pairs, const struct http_overflow_sum *sum);

#endif
