/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/data/gauge.h"
#include "tests/unit/check.h"

CHECK_TEST(test_set_replaces_the_value_of_the_same_gauge)
{
	struct gauge_table *table = gauge_table_new(0);

	CHECK(table);
	CHECK_OK(gauge_set(table, "web1", "shop", "queue_depth", "mail", 3, 1));
	CHECK_OK(gauge_set(table, "web1", "shop", "queue_depth", "sms", 5, 1));
	CHECK_OK(gauge_set(table, "web1", "shop", "queue_depth", "mail", 7, 2));
	CHECK_OK(gauge_set(table, "web1", "", "cpu_ratio", "", 0.5, 2));
	CHECK_EQ_U64(gauge_count(table), 3);
	CHECK(gauge_find(table, "shop", "queue_depth", "mail")->value == 7);
	CHECK_EQ_U64(gauge_find(table, "shop", "queue_depth", "mail")->set_at, 2);
	CHECK(gauge_find(table, "shop", "queue_depth", "sms")->value == 5);
	CHECK(gauge_find(table, "", "cpu_ratio", NULL)->value == 0.5);
	CHECK(gauge_find(table, "shop", "queue_depth", NULL));
	CHECK(!gauge_find(table, "shop", "cpu_ratio", NULL));
	CHECK(!gauge_find(table, "shop", "queue_depth", "push"));
	CHECK(!gauge_at(table, 3));
	gauge_table_free(table);
}

CHECK_TEST(test_gauge_not_set_for_ten_seconds_is_gone)
{
	struct gauge_table *table = gauge_table_new(0);

	CHECK(table);
	CHECK_OK(gauge_set(table, "h", "", "a", "", 1, 100 * NS_PER_S));
	CHECK_OK(gauge_set(table, "h", "", "b", "", 2, 103 * NS_PER_S));
	CHECK_OK(gauge_set(table, "h", "", "c", "", 3, 104 * NS_PER_S));
	gauge_expire(table, 110 * NS_PER_S);
	CHECK_EQ_U64(gauge_count(table), 3);
	gauge_expire(table, 113 * NS_PER_S + 1);
	CHECK_EQ_U64(gauge_count(table), 1);
	CHECK_STR(gauge_at(table, 0)->name, "c");
	gauge_expire(table, 1); /* A clock that went back forgets nothing. */
	CHECK_EQ_U64(gauge_count(table), 1);
	gauge_table_free(table);
}

CHECK_TEST(test_full_table_refuses_and_counts)
{
	struct gauge_table *table = gauge_table_new(0);
	char label[32];

	CHECK(table);
	for (int i = 0; i < GAUGE_NAMES_MAX; i++) {
		snprintf(label, sizeof(label), "disk%d", i);
		CHECK_OK(gauge_set(table, "h", "", "used_ratio", label, i, 1));
	}
	CHECK_RC(gauge_set(table, "h", "", "used_ratio", "one more", 1, 1), -ENOSPC);
	CHECK_OK(gauge_set(table, "h", "", "used_ratio", "disk7", 70, 2));
	CHECK_EQ_U64(gauge_count(table), GAUGE_NAMES_MAX);
	CHECK_EQ_U64(gauge_refused_total(table), 1);
	CHECK(gauge_find(table, "", "used_ratio", "disk7")->value == 70);
	gauge_table_free(table);
}

CHECK_TEST(test_table_of_many_hosts_finds_each_gauge_after_others_went)
{
	const int hosts = 3 * GAUGE_NAMES_MAX;
	struct gauge_table *table = gauge_table_new((size_t)hosts);
	char host[32];

	CHECK(table);
	for (int round = 1; round <= 2; round++) /* every third host falls silent */
		for (int i = 0; i < hosts; i++) {
			snprintf(host, sizeof(host), "web-%d", i);
			if (round == 1 || i % 3)
				CHECK_OK(gauge_set(table, host, "", "load1", "", i + round,
						   (mono_ns)round * 8 * NS_PER_S));
		}
	CHECK_EQ_U64(gauge_count(table), (uint64_t)hosts);
	CHECK_RC(gauge_set(table, "one more", "", "load1", "", 1, 1), -ENOSPC);
	gauge_expire(table, 20 * NS_PER_S);
	CHECK_EQ_U64(gauge_count(table), (uint64_t)hosts / 3 * 2);
	for (int i = 0; i < hosts; i++) { /* known ones are replaced, the others are new again */
		snprintf(host, sizeof(host), "web-%d", i);
		CHECK_OK(gauge_set(table, host, "", "load1", "", i, 21 * NS_PER_S));
	}
	CHECK_EQ_U64(gauge_count(table), (uint64_t)hosts);
	CHECK_EQ_U64(gauge_refused_total(table), 1);
	gauge_table_free(table);
}

CHECK_TEST(test_failed_allocation_keeps_what_was_set)
{
	CHECK_ALLOC_LOOP(n)
	{
		struct gauge_table *table = gauge_table_new(0);
		uint64_t set = 0;
		char label[32];

		for (int i = 0; table && i < 100; i++) {
			snprintf(label, sizeof(label), "%d", i);
			set += gauge_set(table, "h", "", "a", label, i, 1) == 0;
		}
		if (table)
			CHECK_EQ_U64(gauge_count(table), set);
		CHECK(check_alloc_failed() || set == 100);
		gauge_table_free(table);
	}
}

CHECK_MAIN("gauge", test_set_replaces_the_value_of_the_same_gauge,
	   test_gauge_not_set_for_ten_seconds_is_gone, test_full_table_refuses_and_counts,
	   test_table_of_many_hosts_finds_each_gauge_after_others_went,
	   test_failed_allocation_keeps_what_was_set)
