/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of `vow host`, out of a board's gauges. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check.h"
#include "view/host.h"

static struct gauge gauges[] = {
	{.host = "b", .name = "psi_cpu_some_ratio", .value = 0.5},
	{.host = "a", .name = "memory_used_ratio", .value = 0.25},
	{.host = "a", .name = "psi_cpu_some_ratio", .value = 0.125},
	{.host = "a", .service = "shop", .name = "psi_cpu_some_ratio", .value = 0.75},
	{.host = "a", .service = "shop", .name = "queue_depth", .label = "mail", .value = 3},
	{.host = "a", .name = "tcp_retransmits_total", .label = "db:5432", .value = 7},
	{.host = "a", .name = "tcp_connects_refused_total", .label = "db:5432", .value = 2},
	{.host = "a", .name = "tcp_listen_drops_total", .label = "0.0.0.0:80", .value = 9},
};

static size_t rows_of(unsigned part, struct view_host_row **rows)
{
	struct board board = {.gauges = gauges, .gauge_count = ARRAY_LEN(gauges)};
	size_t count = 0;

	CHECK_OK(view_host_rows(&board, part, rows, &count));
	return count;
}

CHECK_TEST(test_each_host_is_a_row_with_its_own_gauges)
{
	struct view_host_row *rows;

	CHECK_EQ_U64(rows_of(VIEW_HOST_HOSTS, &rows), 2);
	CHECK_STR(rows[0].host, "a");
	CHECK(rows[0].values[1] == 0.25 && rows[0].values[2] == 0.125);
	CHECK(isnan(rows[0].values[0]));
	CHECK_STR(rows[1].host, "b");
	CHECK(rows[1].values[2] == 0.5 && isnan(rows[1].values[1]));
	free(rows);
}

CHECK_TEST(test_what_has_a_service_or_a_label_goes_to_its_part)
{
	struct view_host_row *rows;

	CHECK_EQ_U64(rows_of(VIEW_HOST_SERVICES, &rows), 1);
	CHECK_STR(rows[0].key, "shop");
	CHECK(rows[0].values[3] == 0.75 && isnan(rows[0].values[0]));
	free(rows);
	CHECK_EQ_U64(rows_of(VIEW_HOST_PEERS, &rows), 1);
	CHECK_STR(rows[0].key, "db:5432");
	CHECK(rows[0].values[0] == 7 && rows[0].values[1] == 2 && isnan(rows[0].values[2]));
	free(rows);
	CHECK_EQ_U64(rows_of(VIEW_HOST_LISTENERS, &rows), 1);
	CHECK(rows[0].values[0] == 9);
	free(rows);
}

CHECK_TEST(test_host_of_which_nothing_is_known_has_no_rows)
{
	struct view_host_row *rows = NULL;
	size_t count = 1;
	char *text = view_host_json(NULL, false);

	CHECK_OK(view_host_rows(NULL, VIEW_HOST_HOSTS, &rows, &count));
	CHECK(!rows && !count);
	CHECK_STR(text, "{\"hosts\":[],\"services\":[],\"peers\":[],\"listeners\":[]}");
	free(text);
}

CHECK_TEST(test_host_without_memory_is_no_answer)
{
	struct board board = {.gauges = gauges, .gauge_count = ARRAY_LEN(gauges)};

	CHECK_ALLOC_LOOP(n)
	{
		char *text = view_host_json(&board, false);

		CHECK(!text == check_alloc_failed());
		free(text);
	}
}

CHECK_MAIN("view_host", test_each_host_is_a_row_with_its_own_gauges,
	   test_what_has_a_service_or_a_label_goes_to_its_part,
	   test_host_of_which_nothing_is_known_has_no_rows, test_host_without_memory_is_no_answer)
