/* SPDX-License-Identifier: Apache-2.0 */
/* Attempts that carry one id are one delivery, and what was not seen is not made up. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "collectors/http/http_deliveries.h"
#include "tests/unit/check.h"

#define QUIET (10 * NS_PER_S)
#define BEGAN (1000 * NS_PER_S)
#define SEEN  (BEGAN + QUIET) /* from here on ids have not been there before */
#define MS    NS_PER_MS

static struct series_table *table;
static struct http_deliveries *deliveries;

static void begin(void)
{
	static const struct series_table_options options = {.series_max = 2000};

	table = series_table_new(&options);
	deliveries = http_deliveries_new(table, QUIET, BEGAN);
	CHECK(table && deliveries);
}

static void end(void)
{
	http_deliveries_free(deliveries);
	series_table_free(table);
}

/* An attempt of 20 ms that begins at `at`. */
static void attempt(uint64_t id, mono_ns at, unsigned status)
{
	struct http_attempt a = {
		.id = id,
		.service = "shop",
		.event = "invoice.paid",
		.peer = "10.0.0.7:443",
		.started_at = at,
		.ended_at = at + 20 * MS,
		.status = (uint16_t)status,
	};

	http_deliveries_attempt(deliveries, &a, a.ended_at);
}

struct filed {
	uint64_t attempts, delivered, failed;
	dur_ns slowest; /* of delivered ones */
};

/* All that was filed up to now. */
static struct filed filed(mono_ns now)
{
	static struct hist hist;
	struct filed f = {0};

	http_deliveries_step(deliveries, now);
	series_tick(table, now, NULL, NULL);
	hist_clear(&hist);
	series_reader_register();
	series_read_lock();
	for (size_t i = 0; i < series_count(table); i++) {
		const struct series *s = series_at(table, (series_id)i);
		const struct series_key *key = series_key_of(s);
		bool delivered = strcmp(key->method, "delivered") == 0;
		struct series_counts c = {0};

		CHECK_STR(key->service, "shop");
		CHECK_STR(key->route, "invoice.paid");
		CHECK_STR(key->peer, "10.0.0.7:443");
		CHECK_EQ_U64(key->role, SERIES_CLIENT);
		series_window_add(table, s, SERIES_TOTAL, delivered ? &hist : NULL, NULL, &c);
		if (key->kind == SERIES_ATTEMPT)
			f.attempts += c.count;
		else
			*(delivered ? &f.delivered : &f.failed) += c.count;
	}
	series_read_unlock();
	series_reader_unregister();
	f.slowest = hist.max_ns;
	return f;
}

static void check_filed(mono_ns now, uint64_t attempts, uint64_t delivered, uint64_t failed)
{
	struct filed f = filed(now);

	CHECK_EQ_U64(f.attempts, attempts);
	CHECK_EQ_U64(f.delivered, delivered);
	CHECK_EQ_U64(f.failed, failed);
}

CHECK_TEST(test_retries_are_one_delivery_from_first_attempt_to_success)
{
	begin();
	attempt(1, SEEN, 500);
	attempt(1, SEEN + 100 * MS, 0);
	attempt(1, SEEN + 300 * MS, 200);
	check_filed(SEEN + NS_PER_S, 3, 0, 0); /* not before what was late has come */
	check_filed(SEEN + 2 * NS_PER_S, 3, 1, 0);
	CHECK_EQ_U64(filed(SEEN + 3 * NS_PER_S).slowest, 320 * MS);
	/* One more is none of a new delivery. */
	attempt(1, SEEN + 3 * NS_PER_S, 200);
	check_filed(SEEN + 60 * NS_PER_S, 4, 1, 0);
	end();
}

CHECK_TEST(test_attempts_out_of_order_are_the_same_delivery)
{
	begin();
	attempt(1, SEEN + 300 * MS, 200);
	attempt(1, SEEN + 100 * MS, 500);
	attempt(1, SEEN + 500 * MS, 200);
	attempt(1, SEEN, 500);
	check_filed(SEEN + 3 * NS_PER_S, 4, 1, 0);
	CHECK_EQ_U64(filed(SEEN + 4 * NS_PER_S).slowest, 320 * MS);
	end();
}

CHECK_TEST(test_delivery_that_is_quiet_has_failed)
{
	begin();
	attempt(1, SEEN, 500);
	attempt(1, SEEN + QUIET, 404);
	check_filed(SEEN + 2 * QUIET, 2, 0, 0);
	check_filed(SEEN + 2 * QUIET + 3 * NS_PER_S, 2, 0, 1);
	/* What comes later still begins anew, by definition. */
	attempt(1, SEEN + 4 * QUIET, 200);
	check_filed(SEEN + 4 * QUIET + 3 * NS_PER_S, 3, 1, 1);
	CHECK_EQ_U64(filed(SEEN + 5 * QUIET).slowest, 20 * MS);
	end();
}

CHECK_TEST(test_success_that_comes_to_be_known_late_is_filed)
{
	struct http_attempt a = {.id = 1,
				 .service = "shop",
				 .event = "invoice.paid",
				 .peer = "10.0.0.7:443",
				 .started_at = SEEN,
				 .ended_at = SEEN + 20 * MS,
				 .status = 200};

	begin();
	/* Later than it had to be quiet for, as when quiet is short and the machine is held up. */
	http_deliveries_attempt(deliveries, &a, SEEN + QUIET + 2 * NS_PER_S);
	check_filed(SEEN + QUIET + 3 * NS_PER_S, 1, 0, 0);
	check_filed(SEEN + QUIET + 4 * NS_PER_S, 1, 1, 0);
	end();
}

CHECK_TEST(test_nothing_is_said_of_what_may_have_begun_before_the_start)
{
	begin();
	attempt(1, BEGAN + NS_PER_S, 500);
	attempt(1, BEGAN + 3 * NS_PER_S, 200);
	attempt(2, SEEN - 25 * MS, 200);
	attempt(3, SEEN, 200);
	check_filed(SEEN + 3 * NS_PER_S, 4, 1, 0);
	CHECK_EQ_U64(http_deliveries_unjoined(deliveries), 2);
	end();
}

CHECK_TEST(test_nothing_is_said_of_what_a_loss_may_concern)
{
	const mono_ns lost = SEEN + 5 * NS_PER_S;

	begin();
	attempt(1, SEEN, 500); /* its success may have been lost */
	attempt(2, SEEN, 200);
	attempt(3, lost - 100 * MS, 200); /* its first attempt may have been */
	http_deliveries_gap(deliveries, lost);
	attempt(4, lost + NS_PER_S, 200);
	attempt(5, lost + QUIET, 200);
	check_filed(lost + 3 * QUIET, 5, 2, 0);
	CHECK_EQ_U64(http_deliveries_unjoined(deliveries), 3);
	end();
}

CHECK_TEST(test_table_is_bounded_and_eviction_counted)
{
	begin();
	for (unsigned i = 1; i <= HTTP_DELIVERIES_MAX; i++)
		attempt(i, SEEN + i, 200);
	check_filed(SEEN + 3 * NS_PER_S, HTTP_DELIVERIES_MAX, HTTP_DELIVERIES_MAX, 0);
	/* Those that are filed go first, and nothing is lost by it. */
	for (unsigned i = 1; i <= HTTP_DELIVERIES_MAX; i++)
		attempt(100000 + i, SEEN + 4 * NS_PER_S + i, 500);
	CHECK_EQ_U64(http_deliveries_evicted(deliveries), 0);
	attempt(200000, SEEN + 5 * NS_PER_S, 500);
	attempt(200000, SEEN + 6 * NS_PER_S, 200);
	CHECK_EQ_U64(http_deliveries_evicted(deliveries), 1);
	/* The one that went may be tried again as if for the first time: nothing is said of that. */
	attempt(100001, SEEN + 7 * NS_PER_S, 200);
	CHECK_EQ_U64(http_deliveries_unjoined(deliveries), 1);
	CHECK_EQ_U64(http_deliveries_evicted(deliveries), 2);
	check_filed(SEEN + 9 * NS_PER_S, 2 * HTTP_DELIVERIES_MAX + 3, HTTP_DELIVERIES_MAX + 1, 0);
	end();
}

CHECK_TEST(test_events_beyond_the_cap_are_other)
{
	char name[32];

	begin();
	for (unsigned i = 0; i < HTTP_DELIVERIES_EVENTS; i++) {
		snprintf(name, sizeof(name), "event-%u", i);
		CHECK_STR(http_deliveries_event(deliveries, name), name);
	}
	CHECK_STR(http_deliveries_event(deliveries, "one-more"), "{other}");
	CHECK_STR(http_deliveries_event(deliveries, "event-0"), "event-0");
	end();
}

CHECK_MAIN("http_deliveries", test_retries_are_one_delivery_from_first_attempt_to_success,
	   test_attempts_out_of_order_are_the_same_delivery, test_delivery_that_is_quiet_has_failed,
	   test_success_that_comes_to_be_known_late_is_filed,
	   test_nothing_is_said_of_what_may_have_begun_before_the_start,
	   test_nothing_is_said_of_what_a_loss_may_concern,
	   test_table_is_bounded_and_eviction_counted, test_events_beyond_the_cap_are_other)
