/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check.h"
#include "view/view.h"

#define WALL (UINT64_C(1795315200) * NS_PER_S) /* 2026-11-22 02:40:00 UTC */

static struct series_table *table_new(void)
{
	struct series_table *table = series_table_new(&(struct series_table_options){0});

	CHECK(table);
	return table;
}

static struct series *series_of(struct series_table *table, enum series_kind kind,
				const char *service, const char *route, const char *peer,
				enum series_class status_class)
{
	struct series_key key = {
		.kind = (uint8_t)kind,
		.role = kind == SERIES_HTTP ? SERIES_SERVER : SERIES_CLIENT,
		.status_class = (uint8_t)status_class,
	};
	struct series *s;

	strcpy(key.service, service);
	strcpy(key.route, route);
	strcpy(key.peer, peer);
	strcpy(key.method, kind == SERIES_HTTP ? "GET" : "");
	s = series_get(table, &key);
	CHECK(s);
	return s;
}

static struct view *ask(struct series_table *table, struct board *board,
			const struct view_query *query)
{
	struct view *view = NULL;

	series_reader_register();
	CHECK_OK(view_query(table, board, "web1", WALL, query, &view));
	series_reader_unregister();
	return view;
}

/* A board on which everything differs from zero and from its neighbour. */
static struct board *board_full(void)
{
	struct board *board = board_new();

	CHECK(board);
	strcpy(board->program, "vowd");
	strcpy(board->version, "1.2.3");
	strcpy(board->host, "web1");
	strcpy(board->scope, "host:web1");
	strcpy(board->config_path, "/etc/vow/vow.yaml");
	strcpy(board->trouble, "journal: No space left on device");
	board->pid = 4711;
	board->started = WALL - 100 * NS_PER_S;
	board->counted_since = WALL - 500 * NS_PER_S;
	board->at = WALL;
	board->rss_bytes = 9 << 20;
	board->cpu_ratio = 0.25;
	board->series = 3;
	board->series_other_total = 4;
	board->series_bytes = 5;
	board->ticks_total = 6;
	board->journal_seq = 7;
	board->journal_acked_seq = 8;
	board->journal_bytes = 9;
	board->journal_dropped_records_total = 10;
	board->journal_failures_total = 11;

	board->collectors = calloc(1, sizeof(*board->collectors));
	board->collector_count = 1;
	strcpy(board->collectors[0].host, "web1");
	strcpy(board->collectors[0].name, "http");
	strcpy(board->collectors[0].tier, "A");
	strcpy(board->collectors[0].detail, "sockets");
	strcpy(board->collectors[0].problem, "no TLS");
	board->collectors[0].events_total = UINT64_C(9007199254740993); /* no double holds it */
	board->collectors[0].drop_count = 2;
	strcpy(board->collectors[0].drops[0].reason, "ring_full");
	board->collectors[0].drops[0].total = 12;
	strcpy(board->collectors[0].drops[1].reason, "torn");
	board->collectors[0].drops[1].total = 0;

	board->objectives = calloc(1, sizeof(*board->objectives));
	board->objective_count = 1;
	board->objectives[0] = (struct board_objective){
		.objective = {.name = "api",
			      .selector = {.service = "shop", .kind = POLICY_ANY, .role = 0},
			      .threshold_ns = 200 * NS_PER_MS,
			      .target_ratio = 0.95,
			      .period = NS_PER_H,
			      .burn_rate = 6,
			      .long_window = NS_PER_MIN,
			      .short_window = 5 * NS_PER_S,
			      .clear_after = 10 * NS_PER_S,
			      .min_bad = 3,
			      .severity = SEVERITY_PAGE},
		.good = 90,
		.bad = 10,
		.compliance_ratio = 0.9,
		.budget_left_ratio = -1,
		.burn_long = 2,
		.burn_short = 3,
		.coverage_ratio = 0.5,
		.exact = true,
		.alert = ALERT_FIRING,
		.alert_changed = WALL - NS_PER_S,
	};

	board->alerts = calloc(1, sizeof(*board->alerts));
	board->alert_count = 1;
	strcpy(board->alerts[0].host, "web1");
	board->alerts[0].at = WALL - NS_PER_S;
	board->alerts[0].alert = (struct alert_action){
		.objective = "api",
		.fingerprint = "00112233445566778899aabbccddeeff",
		.from = ALERT_PENDING,
		.to = ALERT_FIRING,
		.severity = SEVERITY_PAGE,
		.since = WALL - 60 * NS_PER_S,
		.burn_long = 7,
		.burn_short = 8,
		.good = 40,
		.bad = 60,
		.confidence = 0.99,
		.budget_left_ratio = -1,
		.reason = "burns 7 times too fast",
		.evidence = {{.key = {.host = "web1",
				      .service = "shop",
				      .route = "/pay",
				      .status_class = CLASS_5XX},
			      .bad = 60,
			      .count = 100}},
		.evidence_count = 1,
	};

	board->scalers = calloc(1, sizeof(*board->scalers));
	board->scaler_count = 1;
	board->scalers[0] = (struct board_scaler){
		.scaler = {.name = "web",
			   .selector = {.kind = SERIES_HTTP, .role = POLICY_ANY},
			   .signal = SCALE_GAUGE,
			   .gauge = "cpu_ratio",
			   .gauge_is_mean = true,
			   .target = 0.7,
			   .minimum = 2,
			   .maximum = 20,
			   .deadband_ratio = 0.1,
			   .up_cooldown = 180 * NS_PER_S,
			   .down_cooldown = 600 * NS_PER_S},
		.has_value = true,
		.value = 0.9,
		.replicas = 4,
	};

	board->decisions = calloc(1, sizeof(*board->decisions));
	board->decision_count = 1;
	strcpy(board->decisions[0].host, "web1");
	board->decisions[0].at = WALL - 2 * NS_PER_S;
	board->decisions[0].scale = (struct scale_action){
		.scaler = "web",
		.from = 3,
		.to = 4,
		.value = 0.9,
		.target = 0.7,
		.wanted = 5,
		.limited_by = "maximum",
		.reason = "cpu is high",
	};

	board->gauges = calloc(1, sizeof(*board->gauges));
	board->gauge_count = 1;
	board->gauges[0] = (struct gauge){.host = "web1",
					  .service = "shop",
					  .name = "queue_depth",
					  .label = "mail",
					  .value = 17};

	board->hosts = calloc(1, sizeof(*board->hosts));
	board->host_count = 1;
	board->hosts[0] = (struct board_host){.host = "web1",
					      .version = "1.2.3",
					      .last_seen = WALL,
					      .last_seq = 7,
					      .gap_records_total = 2,
					      .connected = true,
					      .problem = "record 7 cannot be read"};
	return board;
}

static struct view *through_bytes(const struct view *view)
{
	uint8_t *bytes = NULL;
	struct view *read = NULL;
	struct diag d = {0};
	size_t size;

	CHECK_OK(view_encode(view, &bytes, &size));
	CHECK_OK(view_decode(bytes, size, &read, &d));
	free(bytes);
	return read;
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

/* memcmp of whole rows: both were zeroed before their fields were set. */
#define CHECK_ROWS(a, b, rows, count)                                             \
	do {                                                                      \
		CHECK_EQ_U64((a)->count, (b)->count);                             \
		CHECK_MEM((a)->rows, (b)->rows, (b)->count * sizeof(*(b)->rows)); \
	} while (0)

static void check_board(enum view_what what, unsigned collectors, unsigned objectives,
			unsigned alerts, unsigned scalers, unsigned decisions, unsigned gauges,
			unsigned hosts)
{
	struct board *board = board_full();
	struct view view = {.query = {.what = what}, .at = WALL, .board = board};
	struct view *read = through_bytes(&view);
	struct board *got = read->board;

	CHECK_EQ_U64(read->query.what, what);
	CHECK_EQ_U64(read->at, WALL);
	CHECK_STR(got->trouble, board->trouble);
	/* All of the process lies before the first array. */
	CHECK_MEM(got, board, offsetof(struct board, collectors));
	CHECK_EQ_U64(got->collector_count, collectors);
	CHECK_EQ_U64(got->objective_count, objectives);
	CHECK_EQ_U64(got->alert_count, alerts);
	CHECK_EQ_U64(got->scaler_count, scalers);
	CHECK_EQ_U64(got->decision_count, decisions);
	CHECK_EQ_U64(got->gauge_count, gauges);
	CHECK_EQ_U64(got->host_count, hosts);
	CHECK_MEM(got->collectors, board->collectors, collectors * sizeof(*board->collectors));
	CHECK_MEM(got->gauges, board->gauges, gauges * sizeof(*board->gauges));
	CHECK_MEM(got->hosts, board->hosts, hosts * sizeof(*board->hosts));
	if (objectives) {
		CHECK_STR(got->objectives[0].objective.name, "api");
		CHECK_EQ_U64(got->objectives[0].objective.threshold_ns, 200 * NS_PER_MS);
		CHECK_EQ_I64(got->objectives[0].objective.selector.kind, POLICY_ANY);
		CHECK_EQ_U64(got->objectives[0].bad, 10);
		CHECK_NEAR(got->objectives[0].budget_left_ratio, -1, 0);
		CHECK_EQ_U64(got->objectives[0].alert, ALERT_FIRING);
	}
	if (alerts) {
		CHECK_STR(got->alerts[0].host, "web1");
		CHECK_STR(got->alerts[0].alert.reason, "burns 7 times too fast");
		CHECK_STR(got->alerts[0].alert.evidence[0].key.host, "web1");
		CHECK_STR(got->alerts[0].alert.evidence[0].key.route, "/pay");
		CHECK_EQ_U64(got->alerts[0].alert.evidence[0].count, 100);
		CHECK_EQ_U64(got->alerts[0].at, board->alerts[0].at);
	}
	if (scalers) {
		CHECK_STR(got->scalers[0].scaler.gauge, "cpu_ratio");
		CHECK_EQ_U64(got->scalers[0].scaler.maximum, 20);
		CHECK_EQ_U64(got->scalers[0].replicas, 4);
		CHECK(got->scalers[0].has_value);
	}
	if (decisions) {
		CHECK_STR(got->decisions[0].scale.limited_by, "maximum");
		CHECK_EQ_U64(got->decisions[0].scale.wanted, 5);
	}
	view_free(read);
	board_unref(board);
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

CHECK_TEST(test_board_survives_the_bytes_in_the_parts_that_a_view_names)
{
	check_board(VIEW_STATUS, 1, 1, 0, 1, 0, 1, 1);
	check_board(VIEW_SLO, 0, 1, 0, 0, 0, 0, 0);
	check_board(VIEW_ALERTS, 0, 1, 1, 0, 0, 0, 0);
	check_board(VIEW_SCALE, 0, 0, 0, 1, 1, 0, 0);
	check_board(VIEW_DOCTOR, 1, 0, 0, 0, 0, 0, 1);
	check_board(VIEW_HOSTS, 0, 0, 0, 0, 0, 0, 1);
}

static struct view_route route_full(void)
{
	struct view_route route;

	memset(&route, 0, sizeof(route));
	strcpy(route.key.host, "web1");
	strcpy(route.key.service, "shop");
	strcpy(route.key.method, "GET");
	strcpy(route.key.route, "/caf\xc3\xa9/{id}");
	strcpy(route.key.peer, "10.0.0.1:443");
	route.key.kind = SERIES_HTTP;
	route.key.role = SERIES_CLIENT;
	route.key.status_class = CLASS_4XX;
	route.count = UINT64_C(9007199254740993);
	route.errors = 2;
	route.p50 = (struct hist_quantile){3, 2, 4};
	route.p90 = (struct hist_quantile){6, 5, 7};
	route.p95 = (struct hist_quantile){9, 8, 10};
	route.p99 = (struct hist_quantile){12, 11, 13};
	route.max_ns = UINT64_MAX;
	route.window_s = 10;
	return route;
}

static struct view_delivery delivery_full(void)
{
	struct view_delivery delivery;

	memset(&delivery, 0, sizeof(delivery));
	strcpy(delivery.host, "web1");
	strcpy(delivery.service, "worker");
	strcpy(delivery.event_type, "invoice.paid");
	strcpy(delivery.endpoint, "a.example");
	delivery.delivered = 1;
	delivery.failed = 2;
	delivery.dead_lettered = 3;
	delivery.attempts = 4;
	delivery.attempts_failed = 5;
	delivery.p50.value_ns = 6;
	delivery.p90.value_ns = 61;
	delivery.p95.value_ns = 7;
	delivery.p99.value_ns = 8;
	delivery.max_ns = 9;
	delivery.has_wait = true;
	delivery.wait_p99_ns = 10;
	delivery.window_s = 2.5;
	return delivery;
}

CHECK_TEST(test_rows_survive_the_bytes)
{
	struct view_route route = route_full();
	struct view_delivery delivery = delivery_full();
	struct view view = {
		.query = {.what = VIEW_ROUTES, .window = WINDOW_5M, .service = "shop", .limit = 9},
		.at = WALL,
		.routes = &route,
		.route_count = 1,
		.deliveries = &delivery,
		.delivery_count = 1,
	};
	struct view *read = through_bytes(&view);

	CHECK_MEM(&read->query, &view.query, sizeof(view.query));
	CHECK_ROWS(read, &view, routes, route_count);
	CHECK_ROWS(read, &view, deliveries, delivery_count);
	CHECK(!read->board);
	view_free(read);
}

CHECK_TEST(test_error_answer_is_handed_up_as_an_error)
{
	struct diag error, d = {0};
	struct view *view = NULL;
	uint8_t *bytes;
	size_t size;

	diag_set(&error, -EACCES, "hub", "ask someone else", "not for %s", "you");
	CHECK_OK(view_encode_error(&error, &bytes, &size));
	CHECK_RC(view_decode(bytes, size, &view, &d), 1);
	CHECK(!view);
	CHECK_EQ_I64(d.err, -EACCES);
	CHECK_STR(d.where, "hub");
	CHECK_STR(d.what, "not for you");
	CHECK_STR(d.fix, "ask someone else");
	free(bytes);
}

CHECK_TEST(test_question_is_answered_as_bytes)
{
	struct series_table *table = table_new();
	struct view_query query = {.what = VIEW_ROUTES, .window = SERIES_TOTAL, .service = "shop"};
	uint8_t *question, *answer;
	size_t question_size, answer_size;
	struct view *view = NULL;
	struct diag d;

	series_record(series_of(table, SERIES_HTTP, "shop", "/", "", CLASS_2XX), 5,
		      SERIES_NO_QUEUE);
	series_record(series_of(table, SERIES_HTTP, "mail", "/", "", CLASS_2XX), 5,
		      SERIES_NO_QUEUE);
	series_tick(table, NS_PER_S, NULL, NULL);
	CHECK_OK(view_query_encode(&query, &question, &question_size));
	series_reader_register();
	CHECK_OK(view_answer(table, NULL, "web1", WALL, question, question_size, &answer,
			     &answer_size));
	CHECK_OK(view_decode(answer, answer_size, &view, &d));
	CHECK_EQ_U64(view->route_count, 1);
	CHECK_STR(view->routes[0].key.service, "shop");
	free(answer);
	/* Garbage is answered as well, with what is wrong. */
	CHECK_OK(view_answer(table, NULL, "web1", WALL, (const uint8_t *)"\xff\xff", 2, &answer,
			     &answer_size));
	series_reader_unregister();
	view_free(view);
	view = NULL;
	CHECK_RC(view_decode(answer, answer_size, &view, &d), 1);
	CHECK_STR(d.where, "question");
	free(answer);
	free(question);
	series_table_free(table);
}

CHECK_TEST(test_question_of_another_protocol_or_view_is_refused)
{
	/* Fields by hand: protocol 2; protocol 1 and view 99; protocol 1 and window 99. */
	static const uint8_t other[] = {0x08, 2}, view[] = {0x08, 1, 0x10, 99};
	static const uint8_t window[] = {0x08, 1, 0x10, 1, 0x18, 99};
	struct view_query query = {.limit = 77};
	struct diag d;

	CHECK_RC(view_query_decode(other, sizeof(other), &query, &d), -EPROTO);
	CHECK_STR_HAS(d.what, "protocol 2");
	CHECK_RC(view_query_decode(view, sizeof(view), &query, &d), -EPROTO);
	CHECK_RC(view_query_decode(window, sizeof(window), &query, &d), -EPROTO);
	/* An empty message says protocol 0. */
	CHECK_RC(view_query_decode((const uint8_t *)"", 0, &query, &d), -EPROTO);
	CHECK_EQ_U64(query.limit, 77);
}

CHECK_TEST(test_damaged_answers_are_refused_or_read_within_bounds)
{
	struct board *board = board_full();
	struct view_route route = route_full();
	struct view view = {.query = {.what = VIEW_STATUS},
			    .at = WALL,
			    .routes = &route,
			    .route_count = 1,
			    .board = board};
	struct view *read;
	struct diag d;
	uint8_t *bytes, *copy;
	size_t size;
	uint64_t seed = 1;
	unsigned refused = 0;

	CHECK_OK(view_encode(&view, &bytes, &size));
	copy = malloc(size);
	for (unsigned i = 0; i < 4000; i++) {
		size_t cut = size;
		int rc;

		memcpy(copy, bytes, size);
		for (unsigned k = 0; k < 1 + i % 3; k++) {
			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
			copy[(seed >> 33) % size] ^= (uint8_t)(1u << ((seed >> 20) & 7));
		}
		if (i % 4 == 0)
			cut = (seed >> 40) % size;
		read = NULL;
		rc = view_decode(copy, cut, &read, &d);
		CHECK(rc == 0 || rc == 1 || rc == -EPROTO);
		CHECK((rc == 0) == (read != NULL));
		refused += rc != 0;
		view_free(read);
	}
	CHECK_GE_U64(refused, 1000);
	free(copy);
	free(bytes);
	board_unref(board);
}

CHECK_TEST(test_history_is_newest_first_and_forgets_the_oldest)
{
	struct board_history *history = board_history_new();
	struct board *board = board_new();

	for (unsigned i = 0; i < BOARD_HISTORY + 5; i++) {
		struct action alert = {.kind = ACTION_ALERT, .at = i};

		board_history_add(history, "web1", &alert);
	}
	for (unsigned i = 0; i < 2; i++) {
		struct action scale = {.kind = ACTION_SCALE, .at = i, .scale = {.to = i}};

		board_history_add(history, "", &scale);
	}
	CHECK_OK(board_from_history(board, history));
	CHECK_EQ_U64(board->alert_count, BOARD_HISTORY);
	CHECK_EQ_U64(board->alerts[0].at, BOARD_HISTORY + 4);
	CHECK_EQ_U64(board->alerts[BOARD_HISTORY - 1].at, 5);
	CHECK_STR(board->alerts[0].host, "web1");
	CHECK_EQ_U64(board->decision_count, 2);
	CHECK_EQ_U64(board->decisions[0].scale.to, 1);
	CHECK_EQ_U64(board->decisions[1].scale.to, 0);
	board_unref(board);
	board_history_free(history);
}

CHECK_TEST(test_taken_board_stays_while_a_newer_one_is_published)
{
	struct board_post *post = board_post_new();
	struct board *first = board_new(), *second = board_new(), *taken;

	CHECK(!board_take(post));
	first->pid = 1;
	second->pid = 2;
	board_publish(post, first);
	taken = board_take(post);
	board_publish(post, second);
	CHECK_EQ_U64(taken->pid, 1);
	board_unref(taken);
	taken = board_take(post);
	CHECK_EQ_U64(taken->pid, 2);
	board_post_free(post);
	CHECK_EQ_U64(taken->pid, 2);
	board_unref(taken);
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
	struct view full = {.query = {.what = VIEW_STATUS}, .board = board};
	uint8_t *bytes, *again;
	size_t size, again_size;

	series_record(series_of(table, SERIES_DELIVERY, "shop", "x", "", CLASS_OK), 5, 5);
	series_tick(table, NS_PER_S, NULL, NULL);
	CHECK_OK(view_encode(&full, &bytes, &size));
	series_reader_register();
	check_query_without_memory(table, board, VIEW_ROUTES);
	check_query_without_memory(table, board, VIEW_DELIVERIES);
	series_reader_unregister();
	CHECK_ALLOC_LOOP(n)
	{
		int rc = view_encode(&full, &again, &again_size);

		CHECK_RC(rc, check_alloc_failed() ? -ENOMEM : 0);
		if (rc == 0)
			free(again);
	}
	CHECK_ALLOC_LOOP(n)
	{
		struct view *view = NULL;
		struct diag d;
		int rc = view_decode(bytes, size, &view, &d);

		CHECK_RC(rc, check_alloc_failed() ? -ENOMEM : 0);
		view_free(view);
	}
	free(bytes);
	board_unref(board);
	series_table_free(table);
}

static char *json_of(enum view_what what, const struct view_route *route,
		     const struct view_delivery *delivery, struct board *board)
{
	struct view view = {
		.query = {.what = what},
		.at = WALL,
		.routes = (struct view_route *)route,
		.route_count = route != NULL,
		.deliveries = (struct view_delivery *)delivery,
		.delivery_count = delivery != NULL,
		.board = board,
	};
	char *text = view_json(&view, false);

	CHECK(text);
	return text;
}

CHECK_TEST(test_json_of_routes_is_the_documented_one)
{
	struct view_route route = route_full();
	char *text = json_of(VIEW_ROUTES, &route, NULL, NULL);

	/* 2^53 + 1 stays exact; what no JSON integer holds ends at 2^63 - 1. */
	CHECK_STR(text, "[{\"host\":\"web1\",\"service\":\"shop\",\"role\":\"client\","
			"\"kind\":\"http\",\"method\":\"GET\",\"route\":\"/caf\xc3\xa9/{id}\","
			"\"peer\":\"10.0.0.1:443\",\"status_class\":\"4xx\","
			"\"count\":9007199254740993,\"errors\":2,\"p50_ns\":3,\"p90_ns\":6,"
			"\"p95_ns\":9,\"p99_ns\":12,\"max_ns\":9223372036854775807,"
			"\"queue_p99_ns\":null,\"window_s\":10.0,\"relative_error\":0.00271}]");
	free(text);
}

CHECK_TEST(test_json_of_deliveries_is_the_documented_one)
{
	struct view_delivery delivery = delivery_full();
	char *text = json_of(VIEW_DELIVERIES, NULL, &delivery, NULL);

	CHECK_STR(text,
		  "[{\"host\":\"web1\",\"service\":\"worker\",\"event_type\":\"invoice.paid\","
		  "\"endpoint\":\"a.example\",\"delivered\":1,\"failed\":2,"
		  "\"dead_lettered\":3,\"attempts\":4,\"attempts_failed\":5,\"p50_ns\":6,"
		  "\"p90_ns\":61,\"p95_ns\":7,\"p99_ns\":8,\"max_ns\":9,\"wait_p99_ns\":10,"
		  "\"window_s\":2.5,\"relative_error\":0.00271}]");
	free(text);
	delivery.delivered = 0;
	text = json_of(VIEW_DELIVERIES, NULL, &delivery, NULL);
	CHECK_STR_HAS(
		text,
		"\"p50_ns\":null,\"p90_ns\":null,\"p95_ns\":null,\"p99_ns\":null,\"max_ns\":null");
	free(text);
}

CHECK_TEST(test_json_of_status_has_collectors_and_the_cost_of_the_process)
{
	struct board *board = board_full();
	char *text = json_of(VIEW_STATUS, NULL, NULL, board);

	CHECK_STR_HAS(text, "\"rss_bytes\":9437184,\"cpu_ratio\":0.25");
	CHECK_STR_HAS(text, "\"collectors\":[{\"host\":\"web1\",\"name\":\"http\",\"tier\":\"A\","
			    "\"events_total\":9007199254740993,"
			    "\"drops_total\":{\"ring_full\":12,\"torn\":0},"
			    "\"detail\":\"sockets\",\"problem\":\"no TLS\"}]");
	CHECK_STR_HAS(text, "\"gauges\":[{\"host\":\"web1\",\"service\":\"shop\","
			    "\"name\":\"queue_depth\",\"label\":\"mail\",\"value\":17.0}]");
	free(text);
	board_unref(board);
}

CHECK_TEST(test_json_of_other_views_is_the_documented_one)
{
	struct board *board = board_full();
	char *slo = json_of(VIEW_SLO, NULL, NULL, board);
	char *alerts = json_of(VIEW_ALERTS, NULL, NULL, board);
	char *scale = json_of(VIEW_SCALE, NULL, NULL, board);
	char *hosts = json_of(VIEW_HOSTS, NULL, NULL, board);
	char *none = json_of(VIEW_SLO, NULL, NULL, NULL);

	CHECK_STR_HAS(slo, "\"threshold_ns\":200000000,\"target_ratio\":0.95");
	CHECK_STR_HAS(slo, "\"good\":90,\"bad\":10,\"compliance_ratio\":0.9,\"breached\":true");
	CHECK_STR_HAS(slo, "\"severity\":\"page\",\"alert\":\"firing\"");
	CHECK_STR_HAS(alerts, "\"from\":\"pending\",\"to\":\"firing\"");
	CHECK_STR_HAS(alerts, "\"evidence\":[{\"host\":\"web1\",\"service\":\"shop\"");
	CHECK_STR_HAS(scale, "\"signal\":\"gauge\",\"gauge\":\"cpu_ratio\",\"value\":0.9");
	CHECK_STR_HAS(scale, "\"from\":3,\"to\":4,\"wanted\":5");
	CHECK_STR(hosts, "[{\"host\":\"web1\",\"version\":\"1.2.3\",\"connected\":true,"
			 "\"last_seen_unix_ns\":1795315200000000000,\"last_seq\":7,"
			 "\"gap_records_total\":2,"
			 "\"problem\":\"record 7 cannot be read\"}]");
	CHECK_STR(none, "null");
	free(slo);
	free(alerts);
	free(scale);
	free(hosts);
	free(none);
	board_unref(board);
}

CHECK_TEST(test_json_survives_words_that_are_no_utf8)
{
	struct board *board = board_full();
	char *text;

	strcpy(board->collectors[0].detail, "caf\xe9");
	text = json_of(VIEW_STATUS, NULL, NULL, board);
	CHECK_STR_HAS(text, "\"detail\":\"caf?\"");
	free(text);
	board_unref(board);
}

CHECK_TEST(test_json_of_checks_names_grade_and_fix)
{
	struct view_check checks[] = {
		{.name = "kernel", .grade = VIEW_GOOD, .what = "Linux 6.18"},
		{.name = "btf", .grade = VIEW_BAD, .what = "none", .fix = "another kernel"},
	};
	char *text = view_checks_json(checks, 2, NULL, false);

	CHECK_STR(text,
		  "{\"checks\":[{\"name\":\"kernel\",\"grade\":\"ok\",\"what\":\"Linux 6.18\","
		  "\"fix\":null},{\"name\":\"btf\",\"grade\":\"bad\",\"what\":\"none\","
		  "\"fix\":\"another kernel\"}]}");
	free(text);
}

CHECK_MAIN("view", test_names_read_back,
	   test_route_has_exact_counts_and_the_percentiles_of_what_was_observed,
	   test_limit_keeps_the_busiest_and_service_the_asked_for,
	   test_routes_without_events_in_the_window_are_no_rows,
	   test_window_is_no_longer_than_what_was_observed,
	   test_deliveries_are_grouped_by_event_and_endpoint,
	   test_outcome_that_libvow_names_is_believed_before_the_class,
	   test_board_survives_the_bytes_in_the_parts_that_a_view_names,
	   test_rows_survive_the_bytes, test_error_answer_is_handed_up_as_an_error,
	   test_question_is_answered_as_bytes, test_question_of_another_protocol_or_view_is_refused,
	   test_damaged_answers_are_refused_or_read_within_bounds,
	   test_history_is_newest_first_and_forgets_the_oldest,
	   test_taken_board_stays_while_a_newer_one_is_published,
	   test_lack_of_memory_is_an_error_at_every_allocation,
	   test_json_of_routes_is_the_documented_one, test_json_of_deliveries_is_the_documented_one,
	   test_json_of_status_has_collectors_and_the_cost_of_the_process,
	   test_json_of_other_views_is_the_documented_one,
	   test_json_survives_words_that_are_no_utf8, test_json_of_checks_names_grade_and_fix)
