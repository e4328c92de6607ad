/* SPDX-License-Identifier: Apache-2.0 */
/* Views as the JSON of docs/json.md. */
#include "tests/unit/view_samples.h"

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

CHECK_TEST(test_json_of_exemplars_is_the_documented_one)
{
	struct view_exemplar exemplar = exemplar_full();
	struct view view = {
		.query = {.what = VIEW_EXEMPLARS}, .exemplars = &exemplar, .exemplar_count = 1};
	char *text = view_json(&view, false);

	CHECK_STR(text, "[{\"host\":\"web1\",\"service\":\"shop\",\"role\":\"client\","
			"\"kind\":\"http\",\"method\":\"GET\",\"route\":\"/caf\xc3\xa9/{id}\","
			"\"peer\":\"10.0.0.1:443\",\"status_class\":\"4xx\","
			"\"at_unix_ns\":1795315197000000000,\"latency_ns\":1234567,"
			"\"status\":404,\"tag\":\"4bf92f3577b34da6a3ce929d0e0e4736\"}]");
	free(text);
	view.exemplar_count = 0;
	text = view_json(&view, false);
	CHECK_STR(text, "[]");
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
	char *traced = json_of(VIEW_TRACED, NULL, NULL, board);

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
	CHECK_STR(traced, "[{\"service\":\"shop\",\"by\":\"command\","
			  "\"since_unix_ns\":1795315190000000000,"
			  "\"until_unix_ns\":1795315790000000000,\"processes\":2,"
			  "\"library\":\"libssl.so.3\",\"how\":\"emulated\",\"looking\":false,"
			  "\"problem\":null},"
			  "{\"service\":\"pay-*\",\"by\":\"configuration\","
			  "\"since_unix_ns\":null,\"until_unix_ns\":null,\"processes\":0,"
			  "\"library\":null,\"how\":null,\"looking\":true,"
			  "\"problem\":\"nobody yet\"}]");
	free(slo);
	free(alerts);
	free(scale);
	free(hosts);
	free(none);
	free(traced);
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

CHECK_MAIN("view_json", test_json_of_routes_is_the_documented_one,
	   test_json_of_deliveries_is_the_documented_one,
	   test_json_of_exemplars_is_the_documented_one,
	   test_json_of_status_has_collectors_and_the_cost_of_the_process,
	   test_json_of_other_views_is_the_documented_one,
	   test_json_survives_words_that_are_no_utf8, test_json_of_checks_names_grade_and_fix)
