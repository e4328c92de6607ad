/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a fleet: the same series on several hosts, apart and merged. */
#include <string.h>

#include "tests/unit/check.h"
#include "view/view.h"

static void hosts_record(struct series_table *table, const char *host, const char *route,
			 uint64_t from_ms, uint64_t to_ms)
{
	struct series_key key = {.service = "shop", .method = "GET", .status_class = CLASS_2XX};
	struct series *s;

	series_text_set(key.host, sizeof(key.host), host, strlen(host));
	series_text_set(key.route, sizeof(key.route), route, strlen(route));
	s = series_get(table, &key);
	for (uint64_t ms = from_ms; ms <= to_ms; ms++)
		series_record(s, ms * NS_PER_MS, SERIES_NO_QUEUE);
}

static struct series_table *hosts_fleet(void)
{
	struct series_table *table = series_table_new(&(struct series_table_options){0});

	/* Together 1..100 ms once each; the fast host's p99 and the slow one's are far from it. */
	hosts_record(table, "web-1", "/pay", 1, 50);
	hosts_record(table, "web-2", "/pay", 51, 100);
	hosts_record(table, "web-2", "/", 1, 60);
	series_tick(table, NS_PER_S, NULL, NULL);
	return table;
}

CHECK_TEST(test_rows_of_all_hosts_are_merged_histograms_and_no_means)
{
	struct series_table *table = hosts_fleet();
	const struct view_query query = {
		.what = VIEW_ROUTES, .window = SERIES_TOTAL, .all_hosts = true};
	struct view *view;

	series_reader_register();
	CHECK_OK(view_query(table, NULL, "", NS_PER_S, &query, &view));
	CHECK_EQ_U64(view->route_count, 2);
	CHECK_STR(view->routes[0].key.route, "/pay");
	CHECK_STR(view->routes[0].key.host, "");
	CHECK_EQ_U64(view->routes[0].count, 100);
	CHECK_NEAR((double)view->routes[0].p50.value_ns, 50e6, 50e6 * HIST_RELATIVE_ERROR);
	CHECK_NEAR((double)view->routes[0].p99.value_ns, 99e6, 99e6 * HIST_RELATIVE_ERROR);
	CHECK_EQ_U64(view->routes[0].max_ns, 100 * NS_PER_MS);
	CHECK_EQ_U64(view->routes[1].count, 60);
	view_free(view);
	series_reader_unregister();
	series_table_free(table);
}

CHECK_TEST(test_rows_by_host_stay_apart)
{
	struct series_table *table = hosts_fleet();
	const struct view_query query = {.what = VIEW_ROUTES, .window = SERIES_TOTAL, .limit = 2};
	struct view *view;

	series_reader_register();
	CHECK_OK(view_query(table, NULL, "", NS_PER_S, &query, &view));
	CHECK_EQ_U64(view->route_count, 2);
	CHECK_EQ_U64(view->routes[0].count, 60);
	CHECK_STR(view->routes[0].key.host, "web-2");
	CHECK_EQ_U64(view->routes[1].count, 50);
	view_free(view);
	series_reader_unregister();
	series_table_free(table);
}

CHECK_MAIN("view_hosts", test_rows_of_all_hosts_are_merged_histograms_and_no_means,
	   test_rows_by_host_stay_apart)
