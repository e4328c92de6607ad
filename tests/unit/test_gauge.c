/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/data/gauge.h"
#include "tests/unit/check.h"

CHECK_TEST(test_the_last_value_of_each_label_stands)
{
	struct gauge_table *table = gauge_table_new();

	CHECK_OK(gauge_set(table, "", "shop", "queue_depth", "mail", 7, NS_PER_S));
	CHECK_OK(gauge_set(table, "", "shop", "queue_depth", "hooks", 9, NS_PER_S));
	CHECK_OK(gauge_set(table, "", "shop", "queue_depth", "mail", 8, NS_PER_S));
	CHECK_EQ_U64(gauge_count(table), 2);
	CHECK_NEAR(gauge_find(table, "shop", "queue_depth", "mail")->value, 8, 0);
	CHECK_NEAR(gauge_find(table, "shop", "queue_depth", "hooks")->value, 9, 0);
	CHECK(gauge_find(table, "shop", "queue_depth", NULL) != NULL);
	CHECK(gauge_find(table, "", "queue_depth", NULL) == NULL);
	gauge_table_free(table);
}

CHECK_TEST(test_a_gauge_not_set_for_ten_seconds_is_gone)
{
	struct gauge_table *table = gauge_table_new();

	CHECK_OK(gauge_set(table, "", "", "load1", "", 1, 1 * NS_PER_S));
	CHECK_OK(gauge_set(table, "", "", "cpu_ratio", "", 0.5, 5 * NS_PER_S));
	gauge_expire(table, 11 * NS_PER_S);
	CHECK_EQ_U64(gauge_count(table), 2);
	gauge_expire(table, 11 * NS_PER_S + 1);
	CHECK_EQ_U64(gauge_count(table), 1);
	CHECK(gauge_find(table, "", "load1", NULL) == NULL);
	CHECK(gauge_find(table, "", "cpu_ratio", NULL) != NULL);
	gauge_table_free(table);
}

CHECK_TEST(test_beyond_the_cap_new_gauges_are_refused_and_old_ones_work)
{
	struct gauge_table *table = gauge_table_new();
	char label[32];

	for (unsigned i = 0; i < GAUGE_NAMES_MAX; i++) {
		snprintf(label, sizeof(label), "%u", i);
		CHECK_OK(gauge_set(table, "", "", "depth", label, i, 1));
	}
	CHECK_RC(gauge_set(table, "", "", "depth", "one more", 1, 1), -ENOSPC);
	CHECK_OK(gauge_set(table, "", "", "depth", "0", 17, 2));
	CHECK_NEAR(gauge_find(table, "", "depth", "0")->value, 17, 0);
	gauge_table_free(table);
}

CHECK_TEST(test_foreign_text_is_cleaned_and_cut)
{
	struct gauge_table *table = gauge_table_new();
	char longer[200];

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	CHECK_OK(gauge_set(table, "", "a\x1b[31m", "n", longer, 1, 1));
	CHECK_STR(gauge_at(table, 0)->service, "a?[31m");
	CHECK_EQ_U64(strlen(gauge_at(table, 0)->label), SERIES_NAME_MAX);
	gauge_table_free(table);
}

CHECK_MAIN("gauge", test_the_last_value_of_each_label_stands,
	   test_a_gauge_not_set_for_ten_seconds_is_gone,
	   test_beyond_the_cap_new_gauges_are_refused_and_old_ones_work,
	   test_foreign_text_is_cleaned_and_cut)
