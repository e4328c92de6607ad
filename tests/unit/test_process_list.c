/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <unistd.h>

#include "collectors/process_list.h"
#include "collectors/process_stat.h"
#include "lib/base/clock.h"
#include "tests/unit/check.h"

static const struct process_known *entry_of(const struct process_list *list, pid_t pid)
{
	for (size_t i = 0; i < process_list_count(list); i++)
		if (process_list_at(list, i)->pid == pid)
			return process_list_at(list, i);
	return NULL;
}

CHECK_TEST(test_a_name_holds_until_nobody_says_it_any_more)
{
	struct process_list *list = process_list_new();
	uint64_t number;

	process_list_add(list, 7, "shop", NS_PER_S);
	number = entry_of(list, 7)->number;
	process_list_add(list, 7, "other", 4 * NS_PER_S);
	CHECK_STR(entry_of(list, 7)->service, "shop");
	CHECK_EQ_U64(entry_of(list, 7)->number, number);
	process_list_add(list, 7, "shop", 5 * NS_PER_S);
	process_list_add(list, 7, "other", 9 * NS_PER_S);
	CHECK_STR(entry_of(list, 7)->service, "shop");
	process_list_add(list, 7, "other", 10 * NS_PER_S);
	CHECK_STR(entry_of(list, 7)->service, "other");
	CHECK(entry_of(list, 7)->number != number);
	/* Of a request that ended before, and was heard of later. */
	process_list_add(list, 7, "shop", 8 * NS_PER_S);
	CHECK_STR(entry_of(list, 7)->service, "other");
	process_list_add(list, 7, "other", 6 * NS_PER_S);
	CHECK_EQ_U64(entry_of(list, 7)->told_at, 10 * NS_PER_S);
	CHECK_EQ_U64(process_list_count(list), 1);
	process_list_free(list);
}

CHECK_TEST(test_a_full_list_forgets_the_one_told_longest_ago)
{
	struct process_list *list = process_list_new();

	for (int pid = 1; pid <= PROCESS_LIST_MAX; pid++)
		process_list_add(list, pid, "shop", pid);
	process_list_add(list, 1, "shop", 10000);
	process_list_add(list, 9999, "late", 10001);
	CHECK_EQ_U64(process_list_count(list), PROCESS_LIST_MAX);
	CHECK_EQ_U64(process_list_evicted(list), 1);
	CHECK(entry_of(list, 1));
	CHECK(!entry_of(list, 2));
	CHECK_STR(entry_of(list, 9999)->service, "late");
	process_list_free(list);
}

CHECK_TEST(test_a_removed_one_may_come_again)
{
	struct process_list *list = process_list_new();
	uint64_t changes;

	process_list_add(list, 1, "a", 1);
	process_list_add(list, 2, "b", 1);
	changes = process_list_changes(list);
	process_list_remove(list, 0);
	CHECK(!entry_of(list, 1));
	CHECK_STR(entry_of(list, 2)->service, "b");
	process_list_add(list, 1, "a", 2);
	CHECK(process_list_changes(list) > changes);
	CHECK_EQ_U64(process_list_count(list), 2);
	process_list_free(list);
}

CHECK_TEST(test_a_pid_given_to_another_process_is_another_one)
{
	struct process_list *list = process_list_new();

	process_list_add(list, 7, "shop", NS_PER_S);
	CHECK(process_list_is(list, 0, 100));
	process_list_add(list, 7, "shop", 2 * NS_PER_S);
	CHECK(process_list_is(list, 0, 100));
	CHECK(!process_list_is(list, 0, 200));
	process_list_remove(list, 0);
	process_list_add(list, 7, "shop", 3 * NS_PER_S);
	CHECK(process_list_is(list, 0, 200));
	/* Who has another name may be another one. */
	process_list_add(list, 7, "mail", 9 * NS_PER_S);
	CHECK(process_list_is(list, 0, 300));
	process_list_free(list);
}

CHECK_TEST(test_processes_are_told_apart_by_when_they_began)
{
	char command[PROCESS_COMMAND];
	uint64_t own, parent;

	CHECK(process_stat_read("/proc", getpid(), command, &own));
	CHECK(process_stat_read("/proc", 1, command, &parent));
	CHECK(parent < own);
	CHECK(!process_stat_read("/proc", 0x7ffffffe, command, &own));
}

CHECK_TEST(test_who_began_after_a_moment_did_not_have_the_pid_then)
{
	CHECK(process_stat_had("/proc", getpid(), clock_mono()));
	/* The machine began before all of them. */
	CHECK(!process_stat_had("/proc", getpid(), 0));
	CHECK(!process_stat_had("/proc", 0x7ffffffe, clock_mono()));
}

CHECK_TEST(test_nobody_listens_is_fine)
{
	struct process_list *list = process_list_new();

	process_list_add(NULL, 1, "a", 1);
	process_list_add(list, 0, "a", 1);
	CHECK_EQ_U64(process_list_count(NULL), 0);
	CHECK_EQ_U64(process_list_count(list), 0);
	process_list_free(list);
}

CHECK_MAIN("process_list", test_a_name_holds_until_nobody_says_it_any_more,
	   test_a_full_list_forgets_the_one_told_longest_ago, test_a_removed_one_may_come_again,
	   test_a_pid_given_to_another_process_is_another_one,
	   test_processes_are_told_apart_by_when_they_began,
	   test_who_began_after_a_moment_did_not_have_the_pid_then, test_nobody_listens_is_fine)
