/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http/http_in_flight.h"

void http_in_flight_begin(struct http_in_flight *in_flight, uint64_t count, mono_ns oldest_at)
{
	in_flight->count = count;
	in_flight->oldest_at = oldest_at;
	http_by_service_begin(&in_flight->services);
}

/* Seconds since then; a request may begin behind the round's own clock. */
static double age_s(uint64_t count, mono_ns oldest_at, mono_ns now)
{
	return count && oldest_at < now ? (double)(now - oldest_at) / NS_PER_S : 0;
}

static void gauges_of(struct gauge_table *gauges, const char *service, const char *role,
		      uint64_t count, double age, mono_ns now)
{
	gauge_set(gauges, "", service, "http_requests_in_flight", role, (double)count, now);
	gauge_set(gauges, "", service, "http_oldest_request_age_s", role, age, now);
}

void http_in_flight_gauges(struct http_in_flight *in_flight, struct gauge_table *gauges,
			   mono_ns now)
{
	struct http_by_service *services = &in_flight->services;

	gauges_of(gauges, "", "", in_flight->count,
		  age_s(in_flight->count, in_flight->oldest_at, now), now);
	gauge_set(gauges, "", "", "http_requests_unplaced", "", (double)services->placeless, now);
	http_by_service_forget(services, HTTP_IN_FLIGHT_KEPT, now);
	for (unsigned i = 0; i < services->row_count; i++) {
		const struct http_by_service_row *row = &services->rows[i];
		bool asks = row->role == HTTP_CLIENT;

		gauges_of(gauges, row->service,
			  series_role_name(asks ? SERIES_CLIENT : SERIES_SERVER), row->count,
			  age_s(row->count, row->oldest_at, now), now);
	}
}
