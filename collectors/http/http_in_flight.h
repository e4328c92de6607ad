/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests under way, as gauges: how many there are and how old the oldest is, of the whole host
 * and of each service in each role. Requests for whose process or service there is no place are in
 * the host's row alone, and counted. One thread.
 */
#ifndef VOW_COLLECTORS_HTTP_IN_FLIGHT_H
#define VOW_COLLECTORS_HTTP_IN_FLIGHT_H

#include <stdint.h>

#include "collectors/http/http_by_service.h"
#include "lib/base/types.h"
#include "lib/data/gauge.h"

#define HTTP_IN_FLIGHT_KEPT (60 * NS_PER_S) /* a row without any stays so long, and says 0 */

struct http_in_flight { /* all zero to begin with */
	uint64_t count; /* of the whole host */
	mono_ns oldest_at; /* 0: none */
	struct http_by_service services; /* to which the caller adds what each process has */
};

/* A new round: what the whole host has, and nothing yet of any service. */
void http_in_flight_begin(struct http_in_flight *in_flight, uint64_t count, mono_ns oldest_at);

/* Ends the round: sets the gauges that docs/json.md names; two for each service in a role. */
void http_in_flight_gauges(struct http_in_flight *in_flight, struct gauge_table *gauges,
			   mono_ns now);

#endif
