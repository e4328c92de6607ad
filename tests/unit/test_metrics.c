/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/metrics.h"
#include "tests/unit/check.h"

static char *metrics_of(const char *route)
{
	struct view_route row = {.key = {.host = "web-1", .method = "GET"}, .count = 7};
	const struct view view = {.routes = &row, .route_count = 1};
	const struct api_facts facts = {.merge.records_total = UINT64_C(1) << 53};
	struct gauge gauges[] = {
		{.host = "web-1", .name = "psi_cpu_some_ratio", .value = 0.125},
		{.host = "web-1", .service = "shop", .name = "odd", .label = "x\"y", .value = NAN},
		{.host = "web-1", .service = "shop", .name = "depth", .label = "x\"y", .value = 3},
	};
	struct board *board = board_new();
	struct text text = {0};
	char *copy;

	board->gauges = memcpy(malloc(sizeof(gauges)), gauges, sizeof(gauges));
	board->gauge_count = ARRAY_LEN(gauges);
	snprintf(row.key.route, sizeof(row.key.route), "%s", route);
	metrics_put(&text, &view, &view, board, &facts);
	board_unref(board);
	CHECK(!text.failed);
	copy = strndup(text.bytes, text.size);
	text_deinit(&text);
	return copy;
}

CHECK_TEST(test_quotes_backslashes_and_line_ends_in_labels_are_escaped)
{
	char *text = metrics_of("/a\"b\\c\nd");

	CHECK_STR_HAS(text, "route=\"/a\\\"b\\\\c\\nd\",");
	CHECK(!strstr(text, "c\nd"));
	free(text);
}

CHECK_TEST(test_large_counts_are_written_whole)
{
	char *text = metrics_of("/");

	CHECK_STR_HAS(text, "\nvow_hub_records_total 9007199254740992\n");
	CHECK_STR_HAS(text, "} 7\n");
	free(text);
}

CHECK_TEST(test_gauges_are_told_unless_they_are_no_numbers)
{
	char *text = metrics_of("/");

	CHECK_STR_HAS(text, "\nvow_gauge{host=\"web-1\",service=\"\",gauge=\"psi_cpu_some_ratio\","
			    "of=\"\"} 0.125\n");
	CHECK_STR_HAS(text, "\nvow_gauge{host=\"web-1\",service=\"shop\",gauge=\"depth\","
			    "of=\"x\\\"y\"} 3\n");
	CHECK(!strstr(text, "odd"));
	free(text);
}

CHECK_TEST(test_lack_of_memory_makes_the_text_void)
{
	struct text text = {0};

	check_alloc_fail_at(1);
	text_put(&text, "a");
	check_alloc_fail_at(0);
	text_put(&text, "b");
	CHECK(!text_finish(&text));
}

CHECK_MAIN("metrics", test_quotes_backslashes_and_line_ends_in_labels_are_escaped,
	   test_large_counts_are_written_whole, test_gauges_are_told_unless_they_are_no_numbers,
	   test_lack_of_memory_makes_the_text_void)
