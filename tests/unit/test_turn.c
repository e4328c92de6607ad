/* SPDX-License-Identifier: Apache-2.0 */
/* Turns of an agent without collectors, against what its journal then holds. */
#include <errno.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/recovery.h"
#include "lib/data/journal_writer.h"
#include "tests/unit/lone_agent.h"

/* Going on with a part of what was counted would show less than there was, and lanes twice. */
CHECK_TEST(test_journal_that_cannot_be_read_to_its_end_is_no_start)
{
	char dir[DIRS_PATH_MAX], path[PATH_MAX], aside[PATH_MAX];
	uint64_t first;

	agent_start("unread");
	record(4, 10);
	turn(1);
	agent_end();
	agent_start("unread");
	first = journal_last_seq(agent.journal) + 1;
	turn(2);
	CHECK_OK(dirs_path(dir, agent.dirs.state, "journal"));
	CHECK_OK(journal_path(path, dir, first, ""));
	CHECK_OK(journal_path(aside, dir, first, ".aside"));
	CHECK_OK(rename(path, aside));
	CHECK_OK(mkdir(path, 0700)); /* a file that cannot be read, not even by root */
	diag = (struct diag){0};
	CHECK_RC(recovery_run(&agent, &diag), -EISDIR);
	CHECK_RC(diag.err, -EISDIR);
	CHECK_OK(rmdir(path));
	CHECK_OK(rename(aside, path));
	agent_end();
}

/* A pipe takes records as a file does, and has no disk to store them on. */
CHECK_TEST(test_disk_that_does_not_store_is_told_while_records_go_on)
{
	struct board *board;
	int file, pipe_fds[2];

	agent_start("unstored");
	agent.journal->options.fsync_every = 1;
	turn(1);
	CHECK_OK(pipe(pipe_fds));
	file = dup(agent.journal->fd);
	CHECK(dup2(pipe_fds[1], agent.journal->fd) == agent.journal->fd);
	turn(2);
	board = board_take(agent.post);
	CHECK_EQ_U64(board->journal_failures_total, 1);
	CHECK_STR_HAS(board->trouble, "does not store");
	board_unref(board);
	CHECK_STR(agent.trouble, "");
	CHECK(dup2(file, agent.journal->fd) == agent.journal->fd);
	turn(3);
	board = board_take(agent.post);
	CHECK_EQ_U64(board->journal_failures_total, 1);
	CHECK_STR(board->trouble, "");
	board_unref(board);
	close(file);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	agent_end();
}

CHECK_TEST(test_ticks_that_the_journal_refused_are_written_once_it_works_again)
{
	uint64_t made = 0;

	agent_start("refused");
	made += record(4, 10);
	turn(1);
	disk_full(true);
	for (unsigned i = 2; i < 5; i++) {
		made += record(4, 10);
		turn(i);
	}
	CHECK_EQ_U64(agent.journal_failures_total, 3);
	CHECK_STR_HAS(agent.trouble, "journal");
	CHECK_EQ_U64(journal_written().events, 40);
	disk_full(false);
	made += record(4, 10);
	turn(5);
	CHECK_STR(agent.trouble, "");
	CHECK_EQ_U64(journal_written().events, made);
	turn(6);
	CHECK_EQ_U64(journal_written().events, made);
	agent_end();
}

/* What goes with the agent, unlike what it owes, nobody hears of later. */
CHECK_TEST(test_an_end_that_the_journal_refuses_is_told)
{
	const int kept = dup(STDERR_FILENO);
	char text[4096] = "";
	int pipe_fds[2];

	agent_start("ended");
	turn(1);
	CHECK_OK(pipe(pipe_fds));
	CHECK(dup2(pipe_fds[1], STDERR_FILENO) == STDERR_FILENO);
	record(1, 10);
	disk_full(true);
	agent_end();
	disk_full(false);
	CHECK(dup2(kept, STDERR_FILENO) == STDERR_FILENO);
	CHECK(read(pipe_fds[0], text, sizeof(text) - 1) > 0);
	CHECK_STR_HAS(text, "ending while the journal cannot be written");
	close(kept);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

#define STARVED_ROUTES 60 /* more than fit into the 4 KiB that a record's buffer begins with */

/* One allocation after the other fails in the same turn as the disk does. */
CHECK_TEST(test_what_is_lost_without_disk_and_memory_is_counted_and_nothing_comes_twice)
{
	bool failed = true;

	for (unsigned n = 1; failed; n++) {
		char name[16];
		uint64_t made;

		snprintf(name, sizeof(name), "starved%u", n);
		agent_start(name);
		made = record(1, 1);
		turn(1);
		made += record(STARVED_ROUTES, 10);
		disk_full(true);
		check_alloc_fail_at(n);
		turn(2);
		failed = check_alloc_failed();
		check_alloc_fail_at(0);
		disk_full(false);
		turn(3);
		CHECK_EQ_U64(journal_written().events + backlog_lost_total(agent.backlog), made);
		CHECK_LE_U64(backlog_lost_total(agent.backlog), STARVED_ROUTES * 10);
		agent_end();
		CHECK_LE_U64(n, 1000);
	}
}

CHECK_TEST(test_a_gauge_that_is_no_number_keeps_no_other_out)
{
	agent_start("gauges");
	gauge_set(agent.gauges, "", "shop", "queue", "", INFINITY, clock_mono());
	gauge_set(agent.gauges, "", "shop", "workers", "", 4, clock_mono());
	turn(1);
	CHECK_EQ_U64(journal_written().gauges, 1);
	agent_end();
}

/* Each of 30 seconds has an event; the window of ten must not hold them all. */
CHECK_TEST(test_windows_go_on_after_a_restart_with_the_clock_set_back)
{
	struct series_counts counts = {0};

	agent_start("clock");
	record(1, 1);
	turn(7200);
	agent_end();
	agent_start("clock");
	for (unsigned i = 1; i <= 30; i++) {
		record(1, 1);
		turn(i);
	}
	series_window_add(agent.series, series_named(ROUTE "0"), WINDOW_10S, NULL, NULL, &counts);
	CHECK_GE_U64(counts.count, 10);
	CHECK_LE_U64(counts.count, 11);
	agent_end();
}

static uint64_t count_in(enum series_window window)
{
	struct series_counts counts = {0};

	series_window_add(agent.series, series_named(ROUTE "0"), window, NULL, NULL, &counts);
	return counts.count;
}

/* Each of 100 seconds has an event; amid them somebody sets the time of day, forward or back. */
static void check_clock_set(const char *name, int64_t by)
{
	const mono_ns mono = NS_PER_H;
	const wall_ns wall = 1700000000 * NS_PER_S;
	uint64_t shown[WINDOW_COUNT];

	clock_fake(mono, wall);
	agent_start(name);
	for (unsigned i = 1; i <= 100; i++) {
		clock_fake(mono + i * NS_PER_S, wall + i * NS_PER_S + (i < 40 ? 0 : (wall_ns)by));
		record(1, 1);
		turn_run(&agent, clock_mono(), clock_wall());
	}
	for (unsigned w = 0; w < WINDOW_COUNT; w++)
		shown[w] = count_in((enum series_window)w);
	agent_end();
	agent_start(name);
	for (unsigned w = 0; w < WINDOW_COUNT; w++)
		if (count_in((enum series_window)w) != shown[w])
			CHECK_FAIL("%s: %llu, expected %llu",
				   series_window_name((enum series_window)w),
				   (unsigned long long)count_in((enum series_window)w),
				   (unsigned long long)shown[w]);
	agent_end();
	clock_fake_end();
}

CHECK_TEST(test_windows_go_on_after_a_restart_when_the_clock_was_set_back_before)
{
	check_clock_set("set-back", -(int64_t)(2 * NS_PER_H));
}

CHECK_TEST(test_windows_go_on_after_a_restart_when_the_clock_was_set_forward_before)
{
	check_clock_set("set-forward", (int64_t)(2 * NS_PER_H));
}

/* What passed between two lives of the agent is time in which nothing was observed. */
CHECK_TEST(test_windows_age_while_no_agent_runs)
{
	const mono_ns mono = NS_PER_H;
	const wall_ns wall = 1700000000 * NS_PER_S;

	clock_fake(mono, wall);
	agent_start("away");
	for (unsigned i = 1; i <= 2; i++) {
		clock_fake(mono + i * NS_PER_S, wall + i * NS_PER_S);
		record(1, 1);
		turn_run(&agent, clock_mono(), clock_wall());
	}
	agent_end();
	clock_fake(mono + 2 * NS_PER_H, wall + 2 * NS_PER_H);
	agent_start("away");
	turn_run(&agent, clock_mono(), clock_wall());
	agent_end();
	agent_start("away");
	CHECK_EQ_U64(count_in(WINDOW_1H), 0);
	CHECK_EQ_U64(count_in(WINDOW_6H), 2);
	agent_end();
	clock_fake_end();
}

CHECK_TEST(test_totals_come_back_as_they_were)
{
	struct series_counts counts = {0};

	agent_start("totals");
	for (unsigned i = 1; i <= 5; i++) {
		record(4, 3);
		turn(i);
	}
	agent_end();
	agent_start("totals");
	series_window_add(agent.series, series_named(ROUTE "3"), SERIES_TOTAL, NULL, NULL, &counts);
	CHECK_EQ_U64(counts.count, 15);
	agent_end();
}

CHECK_MAIN("turn", test_journal_that_cannot_be_read_to_its_end_is_no_start,
	   test_disk_that_does_not_store_is_told_while_records_go_on,
	   test_ticks_that_the_journal_refused_are_written_once_it_works_again,
	   test_an_end_that_the_journal_refuses_is_told,
	   test_what_is_lost_without_disk_and_memory_is_counted_and_nothing_comes_twice,
	   test_a_gauge_that_is_no_number_keeps_no_other_out,
	   test_windows_go_on_after_a_restart_with_the_clock_set_back,
	   test_windows_go_on_after_a_restart_when_the_clock_was_set_back_before,
	   test_windows_go_on_after_a_restart_when_the_clock_was_set_forward_before,
	   test_windows_age_while_no_agent_runs, test_totals_come_back_as_they_were)
