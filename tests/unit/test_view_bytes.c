/* SPDX-License-Identifier: Apache-2.0 */
/* Views through their bytes: the same on the other side, and nothing believed that is damaged. */
#include <errno.h>
#include <stddef.h>

#include "tests/unit/view_samples.h"

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

/* memcmp of whole rows: both were zeroed before their fields were set. */
#define CHECK_ROWS(a, b, rows, count)                                             \
	do {                                                                      \
		CHECK_EQ_U64((a)->count, (b)->count);                             \
		CHECK_MEM((a)->rows, (b)->rows, (b)->count * sizeof(*(b)->rows)); \
	} while (0)

static void check_board(enum view_what what, unsigned collectors, unsigned objectives,
			unsigned alerts, unsigned scalers, unsigned decisions, unsigned gauges,
			unsigned hosts, unsigned traced)
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
	CHECK_EQ_U64(got->traced_count, traced);
	CHECK_MEM(got->collectors, board->collectors, collectors * sizeof(*board->collectors));
	CHECK_MEM(got->gauges, board->gauges, gauges * sizeof(*board->gauges));
	CHECK_MEM(got->hosts, board->hosts, hosts * sizeof(*board->hosts));
	CHECK_MEM(got->traced, board->traced, traced * sizeof(*board->traced));
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

CHECK_TEST(test_board_survives_the_bytes_in_the_parts_that_a_view_names)
{
	check_board(VIEW_STATUS, 1, 1, 0, 1, 0, 1, 1, 0);
	check_board(VIEW_SLO, 0, 1, 0, 0, 0, 0, 0, 0);
	check_board(VIEW_ALERTS, 0, 1, 1, 0, 0, 0, 0, 0);
	check_board(VIEW_SCALE, 0, 0, 0, 1, 1, 0, 0, 0);
	check_board(VIEW_DOCTOR, 1, 0, 0, 0, 0, 0, 1, 0);
	check_board(VIEW_HOSTS, 0, 0, 0, 0, 0, 0, 1, 0);
	check_board(VIEW_TRACED, 0, 0, 0, 0, 0, 0, 0, 2);
}

CHECK_TEST(test_rows_survive_the_bytes)
{
	struct view_route route = route_full();
	struct view_delivery delivery = delivery_full();
	struct view_exemplar exemplar = exemplar_full();
	struct view view = {
		.query = {.what = VIEW_ROUTES,
			  .window = WINDOW_5M,
			  .service = "shop",
			  .route = "/pay",
			  .limit = 9},
		.at = WALL,
		.routes = &route,
		.route_count = 1,
		.deliveries = &delivery,
		.delivery_count = 1,
		.exemplars = &exemplar,
		.exemplar_count = 1,
	};
	struct view *read = through_bytes(&view);

	CHECK_MEM(&read->query, &view.query, sizeof(view.query));
	CHECK_ROWS(read, &view, routes, route_count);
	CHECK_ROWS(read, &view, deliveries, delivery_count);
	CHECK_ROWS(read, &view, exemplars, exemplar_count);
	CHECK(!read->board);
	view_free(read);
}

CHECK_TEST(test_older_sender_has_the_error_of_a_histogram)
{
	/* An older program's row has no such field, which is how 0 is sent. */
	struct view_route route = route_full();
	struct view view = {.query = {.what = VIEW_ROUTES}, .routes = &route, .route_count = 1};
	struct view *read;

	route.relative_error = 0;
	read = through_bytes(&view);
	CHECK_NEAR(read->routes[0].relative_error, HIST_RELATIVE_ERROR, 0);
	view_free(read);
	route.relative_error = 0.415;
	read = through_bytes(&view);
	CHECK_NEAR(read->routes[0].relative_error, 0.415, 0);
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

/* What the other side reads of an order; the field of what is asked may be set by hand. */
static int order_through_bytes(const struct trace_order *order, enum view_what what,
			       struct view_query *read)
{
	struct view_query query = {.what = what, .trace = *order};
	uint8_t *bytes;
	size_t size;
	int rc;

	CHECK_OK(view_query_encode(&query, &bytes, &size));
	rc = view_query_decode(bytes, size, read, NULL);
	free(bytes);
	return rc;
}

CHECK_TEST(test_order_survives_the_bytes_and_is_checked)
{
	struct trace_order order = {.service = "shop", .lasts = 600 * NS_PER_S};
	struct view_query read;

	CHECK_OK(order_through_bytes(&order, VIEW_TRACED, &read));
	CHECK_STR(read.trace.service, "shop");
	CHECK_EQ_U64(read.trace.lasts, 600 * NS_PER_S);
	CHECK_RC(order_through_bytes(&order, VIEW_STATUS, &read), -EPROTO);
	order.lasts = TRACE_LASTS_MAX + 1;
	CHECK_RC(order_through_bytes(&order, VIEW_TRACED, &read), -EPROTO);
	order = (struct trace_order){.service = "a\nb"};
	CHECK_RC(order_through_bytes(&order, VIEW_TRACED, &read), -EPROTO);
	order = (struct trace_order){.service = ""};
	CHECK_OK(order_through_bytes(&order, VIEW_TRACED, &read));
	CHECK_STR(read.trace.service, "");
}

CHECK_TEST(test_order_to_who_traces_nothing_is_refused)
{
	struct view_query query = {.what = VIEW_TRACED, .trace = {.service = "shop"}};
	struct series_table *table = table_new();
	uint8_t *question, *answer;
	size_t question_size, answer_size;
	struct view *view = NULL;
	struct diag d;

	CHECK_OK(view_query_encode(&query, &question, &question_size));
	CHECK_OK(
		view_answer(table, NULL, "", WALL, question, question_size, &answer, &answer_size));
	CHECK_RC(view_decode(answer, answer_size, &view, &d), 1);
	CHECK_EQ_I64(d.err, -ENOTSUP);
	CHECK_STR(d.what, "only agents trace");
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

CHECK_TEST(test_lack_of_memory_is_an_error_at_every_allocation)
{
	struct board *board = board_full();
	struct view full = {.query = {.what = VIEW_STATUS}, .board = board};
	uint8_t *bytes, *again;
	size_t size, again_size;

	CHECK_OK(view_encode(&full, &bytes, &size));
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
}

CHECK_MAIN("view_bytes", test_board_survives_the_bytes_in_the_parts_that_a_view_names,
	   test_rows_survive_the_bytes, test_older_sender_has_the_error_of_a_histogram,
	   test_error_answer_is_handed_up_as_an_error, test_question_is_answered_as_bytes,
	   test_order_survives_the_bytes_and_is_checked,
	   test_order_to_who_traces_nothing_is_refused,
	   test_question_of_another_protocol_or_view_is_refused,
	   test_damaged_answers_are_refused_or_read_within_bounds,
	   test_lack_of_memory_is_an_error_at_every_allocation)
