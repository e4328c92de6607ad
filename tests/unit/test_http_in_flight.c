/* SPDX-License-Identifier: Apache-2.0 */
/* Requests under way by process, as the sweep sums them up, and by service, as gauges tell. */
#include <stdio.h>
#include <string.h>

#include "collectors/http/http_in_flight.h"
#include "tests/unit/http_named.h"

#define NOW (1000 * NS_PER_S)

static struct http_named named;
static struct gauge_table *gauges;
static struct http_in_flight in_flight;
static struct http_tally table; /* as the sweep's */

static void world_open(void)
{
	http_named_open(&named);
	gauges = gauge_table_new(0);
	CHECK(gauges);
	memset(&in_flight, 0, sizeof(in_flight));
	memset(&table, 0, sizeof(table));
}

static void world_close(void)
{
	http_named_close(&named);
	gauge_table_free(gauges);
}

/* The sweep finds so many requests of a process, of which the first is the oldest. */
static void found(const char *command, uint32_t pid, uint8_t role, unsigned count, mono_ns from)
{
	struct http_record r = http_named_record(command, pid, role);

	for (unsigned i = 0; i < count; i++) {
		r.started_at = from + i;
		tally_add(&table, &r, 1);
	}
}

/* A round by what the sweep found, of which nothing is left for the next one. */
static void round_at(uint64_t count, mono_ns now)
{
	http_in_flight_begin(&in_flight, count, count ? now - NS_PER_S : 0);
	for (unsigned i = 0; i < TALLY_PLACES; i++)
		if (table.places[i].key)
			http_by_service_add(&in_flight.services, named.names, &table.places[i],
					    now);
	in_flight.services.placeless += table.placeless;
	http_in_flight_gauges(&in_flight, gauges, now);
	memset(&table, 0, sizeof(table));
}

/* -1: there is none. */
static double gauge_of(const char *service, const char *name, const char *role)
{
	const struct gauge *gauge = gauge_find(gauges, service, name, role);

	return gauge ? gauge->value : -1;
}

static double count_of(const char *service, const char *role)
{
	return gauge_of(service, "http_requests_in_flight", role);
}

CHECK_TEST(test_each_service_has_what_its_processes_have_in_each_role)
{
	world_open();
	found("shop", 10, HTTP_SERVER, 3, NOW - 5 * NS_PER_S);
	found("shop", 11, HTTP_SERVER, 4, NOW - 7 * NS_PER_S);
	found("shop", 10, HTTP_CLIENT, 2, NOW - 2 * NS_PER_S);
	found("bank", 12, HTTP_SERVER, 1, NOW + 1);
	round_at(10, NOW);
	CHECK_NEAR(count_of("shop", "server"), 7, 1e-9);
	CHECK_NEAR(count_of("shop", "client"), 2, 1e-9);
	CHECK_NEAR(count_of("bank", "server"), 1, 1e-9);
	CHECK_NEAR(count_of("bank", "client"), -1, 1e-9);
	CHECK_NEAR(count_of("", ""), 10, 1e-9);
	CHECK_NEAR(gauge_of("shop", "http_oldest_request_age_s", "server"), 7, 1e-9);
	CHECK_NEAR(gauge_of("shop", "http_oldest_request_age_s", "client"), 2, 1e-9);
	CHECK_NEAR(gauge_of("bank", "http_oldest_request_age_s", "server"), 0, 1e-9);
	CHECK_NEAR(gauge_of("", "http_oldest_request_age_s", ""), 1, 1e-9);
	CHECK_NEAR(gauge_of("", "http_requests_unplaced", ""), 0, 1e-9);
	world_close();
}

CHECK_TEST(test_service_without_a_request_says_0_and_then_nothing)
{
	world_open();
	found("shop", 10, HTTP_SERVER, 3, NOW - NS_PER_S);
	round_at(3, NOW);
	round_at(0, NOW + NS_PER_S);
	CHECK_NEAR(count_of("shop", "server"), 0, 1e-9);
	CHECK_NEAR(gauge_of("shop", "http_oldest_request_age_s", "server"), 0, 1e-9);
	CHECK_NEAR(gauge_of("", "http_oldest_request_age_s", ""), 0, 1e-9);
	round_at(0, NOW + HTTP_IN_FLIGHT_KEPT);
	gauge_expire(gauges, NOW + HTTP_IN_FLIGHT_KEPT);
	CHECK_NEAR(count_of("shop", "server"), 0, 1e-9);
	round_at(0, NOW + HTTP_IN_FLIGHT_KEPT + NS_PER_S);
	gauge_expire(gauges, NOW + HTTP_IN_FLIGHT_KEPT + 20 * NS_PER_S);
	CHECK_NEAR(count_of("shop", "server"), -1, 1e-9);
	world_close();
}

CHECK_TEST(test_requests_of_more_processes_than_places_are_all_counted)
{
	unsigned placed = 0;

	world_open();
	for (uint32_t pid = 1; pid <= 2 * TALLY_PLACES; pid++)
		found("shop", pid, HTTP_SERVER, 2, NOW);
	for (unsigned i = 0; i < TALLY_PLACES; i++) {
		CHECK(!table.places[i].key || table.places[i].count == 2);
		placed += table.places[i].key ? 2 : 0;
	}
	/* Probing ends early, but not before the table is about full. */
	CHECK(placed > TALLY_PLACES);
	CHECK_EQ_U64(placed + table.placeless, 4 * TALLY_PLACES);
	round_at(4 * TALLY_PLACES, NOW);
	CHECK_NEAR(count_of("shop", "server"), placed, 1e-9);
	CHECK_NEAR(gauge_of("", "http_requests_unplaced", ""), 4 * TALLY_PLACES - placed, 1e-9);
	CHECK_NEAR(count_of("", ""), 4 * TALLY_PLACES, 1e-9);
	world_close();
}

CHECK_TEST(test_services_beyond_the_rows_are_of_the_host_alone_until_one_is_quiet)
{
	char name[16];

	world_open();
	for (uint32_t i = 0; i < HTTP_BY_SERVICE_ROWS; i++) {
		snprintf(name, sizeof(name), "shop-%u", i);
		found(name, 100 + i, HTTP_SERVER, 1, NOW);
	}
	round_at(HTTP_BY_SERVICE_ROWS, NOW);
	CHECK_NEAR(gauge_of("", "http_requests_unplaced", ""), 0, 1e-9);
	found("late", 1, HTTP_SERVER, 5, NOW);
	round_at(5, NOW + NS_PER_S);
	CHECK_NEAR(count_of("late", "server"), -1, 1e-9);
	CHECK_NEAR(gauge_of("", "http_requests_unplaced", ""), 5, 1e-9);
	found("late", 1, HTTP_SERVER, 5, NOW);
	round_at(5, NOW + 3 * NS_PER_S);
	CHECK_NEAR(count_of("late", "server"), 5, 1e-9);
	CHECK_NEAR(gauge_of("", "http_requests_unplaced", ""), 0, 1e-9);
	world_close();
}

CHECK_MAIN("http_in_flight", test_each_service_has_what_its_processes_have_in_each_role,
	   test_service_without_a_request_says_0_and_then_nothing,
	   test_requests_of_more_processes_than_places_are_all_counted,
	   test_services_beyond_the_rows_are_of_the_host_alone_until_one_is_quiet)
