/* SPDX-License-Identifier: Apache-2.0 */
/* Rows from the series table: which there are, in which order, and what they say. */
#include <errno.h>
#include <stdio.h>

#include "tests/unit/view_samples.h"

static struct view *ask(struct series_table *table, struct board *board,
			const struct view_query *query)
{
	struct view *view = NULL;

	series_reader_register();
	CHECK_OK(view_query(table, board, "web1", WALL, query, &view));
	series_reader_unregister();
	return view;
}

CHECK_TEST(test_names_read_back)
{
	enum view_what what;

	for (unsigned i = 0; i < VIEW_COUNT; i++) {
		CHECK_OK(view_what_parse(view_what_name((enum view_what)i), &what));
		CHECK_EQ_U64(what, i);
	}
	CHECK_RC(view_what_parse("rotes", &what), -EINVAL);
}

CHECK_TEST(test_route_has_exact_counts_and_the_percentiles_of_what_was_observed)
{
	struct series_table *table = table_new();
	struct series *good = series_of(table, SERIES_HTTP, "shop", "/pay", "", CLASS_2XX);
	struct view_query query = {.what = VIEW_ROUTES, .window = WINDOW_10S};
	struct view *view;

	/* 1 ms to 1000 ms, in no order: the q-quantile is q * 1000 ms. */
	for (unsigned i = 0; i < 1000; i++)
		series_record(good, (1 + (i * 617) % 1000) * NS_PER_MS,
			      i < 100 ? i * NS_PER_US : SERIES_NO_QUEUE);
	series_record(series_of(table, SERIES_HTTP, "shop", "/pay", "", CLASS_5XX), NS_PER_MS,
		      SERIES_NO_QUEUE);
	series_tick(table, NS_PER_S, NULL, NULL);
	view = ask(table, NULL, &query);
	CHECK_EQ_U64(view->route_count, 2);
	CHECK_EQ_U64(view->routes[0].count, 1000);
	CHECK_EQ_U64(view->routes[0].errors, 0);
	CHECK_STR(view->routes[0].key.host, "web1");
	CHECK_NEAR((double)view->routes[0].p50.value_ns, 500e6, 500e6 * 0.00271);
	CHECK_NEAR((double)view->routes[0].p90.value_ns, 900e6, 900e6 * 0.00271);
	CHECK_NEAR((double)view->routes[0].p95.value_ns, 950e6, 950e6 * 0.00271);
	CHECK_NEAR((double)view->routes[0].p99.value_ns, 990e6, 990e6 * 0.00271);
	CHECK_EQ_U64(view->routes[0].max_ns, 1000 * NS_PER_MS);
	CHECK(view->routes[0].has_queue);
	CHECK_NEAR((double)view->routes[0].queue_p99_ns, 98e3, 98e3 * 0.00271);
	CHECK_EQ_U64(view->routes[1].errors, 1);
	CHECK(!view->routes[1].has_queue);
	view_free(view);
	series_table_free(table);
}

/* Asked by service, of which "{overflow}" is wanted, and by route, of which it is not. */
CHECK_TEST(test_bound_of_the_error_is_wider_where_the_kernel_counted)
{
	struct series_table *table = table_new();
	struct view_query query = {.what = VIEW_ROUTES, .window = WINDOW_10S};
	struct view *view;

	series_record(series_of(table, SERIES_HTTP, "shop", "{overflow}", "", CLASS_2XX), NS_PER_MS,
		      SERIES_NO_QUEUE);
	series_record(series_of(table, SERIES_HTTP, "shop", "/pay", "", CLASS_2XX), NS_PER_MS,
		      SERIES_NO_QUEUE);
	series_record(series_of(table, SERIES_USER, "shop", "{user-visible}", "", CLASS_2XX),
		      NS_PER_MS, SERIES_NO_QUEUE);
	series_record(series_of(table, SERIES_USER, "calm", "{user-visible}", "", CLASS_2XX),
		      NS_PER_MS, SERIES_NO_QUEUE);
	series_tick(table, NS_PER_S, NULL, NULL);
	view = ask(table, NULL, &query);
	CHECK_EQ_U64(view->route_count, 4);
	for (size_t i = 0; i < view->route_count; i++) {
		const struct series_key *key = &view->routes[i].key;
		bool exact = strcmp(key->service, "calm") == 0 || key->route[0] == '/';

		CHECK_NEAR(view->routes[i].relative_error, exact ? 0.00271 : 0.415, 1e-9);
	}
	view_free(view);
	strcpy(query.route, "{user-visible}");
	strcpy(query.service, "shop");
	view = ask(table, NULL, &query);
	CHECK_EQ_U64(view->route_count, 1);
	CHECK_NEAR(view->routes[0].relative_error, 0.415, 1e-9);
	view_free(view);
	series_table_free(table);
}

CHECK_TEST(test_limit_keeps_the_busiest_and_service_the_asked_for)
{
	struct series_table *table = table_new();
	struct view_query query = {.what = VIEW_ROUTES, .window = SERIES_TOTAL, .limit = 2};
	struct view *view;
	char route[8];

	for (unsigned i = 0; i < 5; i++) {
		snprintf(route, sizeof(route), "/%u", i);
		for (unsigned k = 0; k < 10 * (i + 1); k++)
			series_record(series_of(table, SERIES_HTTP, i == 4 ? "mail" : "shop", route,
						"", CLASS_2XX),
				      NS_PER_MS, SERIES_NO_QUEUE);
	}
	series_tick(table, NS_PER_S, NULL, NULL);
	view = ask(table, NULL, &query);
	CHECK_EQ_U64(view->route_count, 2);
	CHECK_STR(view->routes[0].key.route, "/4");
	CHECK_STR(view->routes[1].key.route, "/3");
	view_free(view);
	strcpy(query.service, "shop");
	view = ask(table, NULL, &query);
	CHECK_EQ_U64(view->route_count, 2);
	CHECK_STR(view->routes[0].key.route, "/3");
	view_free(view);
	series_table_free(table);
}

CHECK_TEST(test_a_route_is_asked_for_with_or_without_its_method)
{
	struct series_table *table = table_new();
	struct view_query query = {.what = VIEW_ROUTES, .window = SERIES_TOTAL};
	static const struct {
		const char *route;
		unsigned rows;
	} cases[] = {
		{"/pay", 2},	  {"GET /pay", 1}, {"POST /pay", 0},
		{"GET  /pay", 0}, {"/pa", 0},	   {"GET", 0},
	};

	series_record(series_of(table, SERIES_HTTP, "shop", "/pay", "", CLASS_2XX), 1, 1);
	series_record(series_of(table, SERIES_HTTP, "shop", "/other", "", CLASS_2XX), 1, 1);
	series_record(series_of(table, SERIES_APP, "shop", "/pay", "", CLASS_OK), 1, 1);
	series_tick(table, NS_PER_S, NULL, NULL);
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct view *view;

		strcpy(query.route, cases[i].route);
		view = ask(table, NULL, &query);
		CHECK_EQ_U64(view->route_count, cases[i].rows);
		view_free(view);
	}
	series_table_free(table);
}

CHECK_TEST(test_routes_without_events_in_the_window_are_no_rows)
{
	struct series_table *table = table_new();
	struct view_query query = {.what = VIEW_ROUTES, .window = WINDOW_10S};
	struct view *view;

	series_record(series_of(table, SERIES_HTTP, "shop", "/old", "", CLASS_2XX), NS_PER_MS,
		      SERIES_NO_QUEUE);
	for (unsigned i = 1; i <= 30; i++)
		series_tick(table, i * NS_PER_S, NULL, NULL);
	view = ask(table, NULL, &query);
	CHECK_EQ_U64(view->route_count, 0);
	view_free(view);
	query.window = SERIES_TOTAL;
	view = ask(table, NULL, &query);
	CHECK_EQ_U64(view->route_count, 1);
	CHECK_EQ_U64(view->routes[0].count, 1);
	view_free(view);
	series_table_free(table);
}

static double window_of(struct series_table *table, struct board *board, enum series_window window)
{
	struct view_query query = {.what = VIEW_ROUTES, .window = window};
	struct view *view = ask(table, board, &query);
	double window_s;

	CHECK_EQ_U64(view->route_count, 1);
	window_s = view->routes[0].window_s;
	view_free(view);
	return window_s;
}

CHECK_TEST(test_window_is_no_longer_than_what_was_observed)
{
	struct series_table *table = table_new();
	struct board *board = board_full();

	for (unsigned second = 1; second <= 60; second++) {
		series_record(series_of(table, SERIES_HTTP, "shop", "/", "", CLASS_2XX), NS_PER_MS,
			      SERIES_NO_QUEUE);
		series_tick(table, second * NS_PER_S, NULL, NULL);
	}
	/* The table lived 60 s; the process is up for 100 s and counting goes on since 500 s. */
	CHECK_NEAR(window_of(table, board, WINDOW_10S), 10, 1);
	CHECK_NEAR(window_of(table, board, WINDOW_5M), 60, 0);
	CHECK_NEAR(window_of(table, board, SERIES_TOTAL), 500, 0);
	board->counted_since = 0;
	CHECK_NEAR(window_of(table, board, SERIES_TOTAL), 100, 0);
	board_unref(board);
	series_table_free(table);
}

CHECK_TEST(test_deliveries_are_grouped_by_event_and_endpoint)
{
	struct series_table *table = table_new();
	struct view_query query = {.what = VIEW_DELIVERIES, .window = WINDOW_1M};
	const struct view_delivery *row;
	struct view *view;

#define RECORD(kind, endpoint, class, ms, wait, times)                                   \
	for (unsigned i = 0; i < (times); i++)                                           \
	series_record(series_of(table, kind, "worker", "invoice.paid", endpoint, class), \
		      (ms)*NS_PER_MS, wait)
	RECORD(SERIES_DELIVERY, "a.example", CLASS_OK, 40, 5 * NS_PER_MS, 100);
	RECORD(SERIES_DELIVERY, "a.example", CLASS_5XX, 9000, 5 * NS_PER_MS, 2);
	RECORD(SERIES_DELIVERY, "a.example", CLASS_ERROR, 30000, 5 * NS_PER_MS, 1);
	RECORD(SERIES_ATTEMPT, "a.example", CLASS_2XX, 20, SERIES_NO_QUEUE, 100);
	RECORD(SERIES_ATTEMPT, "a.example", CLASS_5XX, 20, SERIES_NO_QUEUE, 7);
	RECORD(SERIES_ATTEMPT, "a.example", CLASS_ERROR, 5000, SERIES_NO_QUEUE, 3);
	RECORD(SERIES_DELIVERY, "b.example", CLASS_OK, 10, SERIES_NO_QUEUE, 4);
	RECORD(SERIES_HTTP, "b.example", CLASS_OK, 10, SERIES_NO_QUEUE, 4);
#undef RECORD
	series_tick(table, NS_PER_S, NULL, NULL);
	view = ask(table, NULL, &query);
	CHECK_EQ_U64(view->delivery_count, 2);
	row = &view->deliveries[0];
	CHECK_STR(row->event_type, "invoice.paid");
	CHECK_STR(row->endpoint, "a.example");
	CHECK_EQ_U64(row->delivered, 100);
	CHECK_EQ_U64(row->failed, 2);
	CHECK_EQ_U64(row->dead_lettered, 1);
	CHECK_EQ_U64(row->attempts, 110);
	CHECK_EQ_U64(row->attempts_failed, 10);
	CHECK_NEAR((double)row->p99.value_ns, 40e6, 40e6 * 0.00271);
	CHECK_EQ_U64(row->max_ns, 40 * NS_PER_MS);
	CHECK(row->has_wait);
	CHECK_NEAR((double)row->wait_p99_ns, 5e6, 5e6 * 0.00271);
	CHECK_EQ_U64(view->deliveries[1].delivered, 4);
	CHECK(!view->deliveries[1].has_wait);
	view_free(view);
	series_table_free(table);
}

CHECK_TEST(test_outcome_that_libvow_names_is_believed_before_the_class)
{
	static const char *const outcomes[] = {"delivered", "failed", "dead_lettered"};
	struct series_key key = {.service = "worker", .route = "x", .kind = SERIES_DELIVERY};
	struct view_query query = {.what = VIEW_DELIVERIES, .window = SERIES_TOTAL};
	struct series_table *table = table_new();
	struct view *view;

	/* All of class error, 1 delivered, 2 failed, 3 dead-lettered. */
	key.status_class = CLASS_ERROR;
	for (unsigned i = 0; i < ARRAY_LEN(outcomes); i++) {
		strcpy(key.method, outcomes[i]);
		for (unsigned k = 0; k <= i; k++)
			series_record(series_get(table, &key), NS_PER_MS, SERIES_NO_QUEUE);
	}
	series_tick(table, NS_PER_S, NULL, NULL);
	view = ask(table, NULL, &query);
	CHECK_EQ_U64(view->delivery_count, 1);
	CHECK_EQ_U64(view->deliveries[0].delivered, 1);
	CHECK_EQ_U64(view->deliveries[0].failed, 2);
	CHECK_EQ_U64(view->deliveries[0].dead_lettered, 3);
	view_free(view);
	series_table_free(table);
}

/* Of two services' routes, in the last two minutes. */
static struct exemplar_book *book_of(struct series_table *table)
{
	static const struct {
		const char *service, *route;
		struct exemplar exemplar;
	} all[] = {
		{"shop", "/pay", {WALL - 10 * NS_PER_S, 500, 200, "new"}},
		{"shop", "/pay", {WALL - 90 * NS_PER_S, 900, 200, "old"}},
		{"shop", "/book", {WALL - 9 * NS_PER_S, 700, 503, "other-route"}},
		{"mail", "/pay", {WALL - 8 * NS_PER_S, 600, 0, "other-service"}},
	};
	struct exemplars *exemplars = exemplars_new(100);
	struct exemplar_book *book;

	for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
		struct series *s =
			series_of(table, SERIES_HTTP, all[i].service, all[i].route, "", CLASS_2XX);

		CHECK(exemplars_add(exemplars, series_id_of(s), &all[i].exemplar, WALL));
	}
	book = exemplars_publish(exemplars, WALL);
	exemplars_free(exemplars);
	return book;
}

static void check_exemplars(struct series_table *table, struct board *board,
			    const struct view_query *query, const char *tags)
{
	struct view *view = ask(table, board, query);
	char got[200] = "";

	for (size_t i = 0; i < view->exemplar_count; i++) {
		const struct view_exemplar *row = &view->exemplars[i];

		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", i ? " " : "",
			 row->tag);
		CHECK_STR(row->key.host, "web1");
		if (!strcmp(row->tag, "other-route")) {
			CHECK_STR(row->key.route, "/book");
			CHECK_EQ_U64(row->latency_ns, 700);
			CHECK_EQ_U64(row->status, 503);
			CHECK_EQ_U64(row->at, WALL - 9 * NS_PER_S);
		}
	}
	CHECK_STR(got, tags);
	view_free(view);
}

CHECK_TEST(test_exemplars_are_those_of_the_window_the_slowest_first)
{
	struct series_table *table = table_new();
	struct board *board = board_full();
	struct view_query query = {.what = VIEW_EXEMPLARS, .window = WINDOW_1M};

	check_exemplars(table, NULL, &query, "");
	check_exemplars(table, board, &query, "");
	board->exemplars = book_of(table);
	check_exemplars(table, board, &query, "other-route other-service new");
	query.limit = 2;
	check_exemplars(table, board, &query, "other-route other-service");
	query.window = SERIES_TOTAL;
	check_exemplars(table, board, &query, "old other-route");
	query = (struct view_query){.what = VIEW_EXEMPLARS, .window = WINDOW_5M, .service = "shop"};
	check_exemplars(table, board, &query, "old other-route new");
	strcpy(query.route, "/pay");
	check_exemplars(table, board, &query, "old new");
	strcpy(query.route, "/p");
	check_exemplars(table, board, &query, "");
	board_unref(board);
	series_table_free(table);
}

static void check_query_without_memory(struct series_table *table, struct board *board,
				       enum view_what what)
{
	struct view_query query = {.what = what, .window = SERIES_TOTAL};

	CHECK_ALLOC_LOOP(n)
	{
		struct view *view = NULL;
		int rc = view_query(table, board, "", WALL, &query, &view);

		CHECK_RC(rc, check_alloc_failed() ? -ENOMEM : 0);
		view_free(view);
	}
}

CHECK_TEST(test_lack_of_memory_is_an_error_at_every_allocation)
{
	struct series_table *table = table_new();
	struct board *board = board_full();

	series_record(series_of(table, SERIES_DELIVERY, "shop", "x", "", CLASS_OK), 5, 5);
	series_tick(table, NS_PER_S, NULL, NULL);
	series_reader_register();
	check_query_without_memory(table, board, VIEW_ROUTES);
	check_query_without_memory(table, board, VIEW_DELIVERIES);
	board->exemplars = book_of(table);
	check_query_without_memory(table, board, VIEW_EXEMPLARS);
	series_reader_unregister();
	board_unref(board);
	series_table_free(table);
}

CHECK_MAIN("view", test_names_read_back, test_exemplars_are_those_of_the_window_the_slowest_first,
	   test_route_has_exact_counts_and_the_percentiles_of_what_was_observed,
	   test_bound_of_the_error_is_wider_where_the_kernel_counted,
	   test_limit_keeps_the_busiest_and_service_the_asked_for,
	   test_a_route_is_asked_for_with_or_without_its_method,
	   test_routes_without_events_in_the_window_are_no_rows,
	   test_window_is_no_longer_than_what_was_observed,
	   test_deliveries_are_grouped_by_event_and_endpoint,
	   test_outcome_that_libvow_names_is_believed_before_the_class,
	   test_lack_of_memory_is_an_error_at_every_allocation)
