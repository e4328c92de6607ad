/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What processes have, summed up by the service that they belong to, each role for itself: rounds of
 * one sum after another, in rows that stay while a service is quiet for a while. One thread.
 */
#ifndef VOW_COLLECTORS_HTTP_BY_SERVICE_H
#define VOW_COLLECTORS_HTTP_BY_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/http_tally.h"
#include "collectors/http/http_series.h"
#include "lib/base/types.h"

#define HTTP_BY_SERVICE_ROWS 128 /* services in a role */

struct http_by_service_row {
	uint64_t count;
	mono_ns oldest_at; /* as tallied; without any, of no meaning */
	mono_ns busy_at; /* when there were some last */
	uint8_t role; /* enum http_role */
	bool busy; /* of http_busy.h: so it was by the round before */
	char service[SERIES_NAME_MAX + 1];
};

struct http_by_service { /* all zero to begin with */
	uint64_t placeless; /* counted of processes whose service found no row */
	unsigned row_count;
	struct http_by_service_row rows[HTTP_BY_SERVICE_ROWS];
};

/* A new round: nothing yet of any service. */
void http_by_service_begin(struct http_by_service *sums);

/*
 * Adds what one process has to its service, by the name that its records get. Returns its row, good
 * until the next call of these; NULL: all are others'. About 1 us, 30 us for a process not looked at
 * for 2 s.
 */
struct http_by_service_row *http_by_service_add(struct http_by_service *sums,
						struct http_series *series,
						const struct http_tally_place *place, mono_ns now);

/* Forgets the rows that were without any for longer than that. */
void http_by_service_forget(struct http_by_service *sums, dur_ns quiet, mono_ns now);

#endif
