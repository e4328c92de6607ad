/* SPDX-License-Identifier: Apache-2.0 */
/* Turns of an agent without collectors, against what its journal then holds. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "agent/turn.h"
#include "lib/base/clock.h"
#include "tests/unit/check.h"

#define ROUTE "/a/name/that/takes/its/room/in/a/record/"

static struct agent agent;
static struct loop *loop;
static struct diag diag;

static void agent_start(const char *name)
{
	struct vow_config *config;
	char dir[DIRS_PATH_MAX];

	memset(&agent, 0, sizeof(agent));
	snprintf(dir, sizeof(dir), "%s/%s", check_dir(), name);
	CHECK_OK(dirs_init(&agent.dirs, dir, &diag));
	CHECK_OK(dirs_make(&agent.dirs, &diag));
	CHECK_OK(config_load(NULL, &config, &diag));
	config->capture_http = config->capture_lanes = config->capture_host = false;
	loop = loop_new();
	CHECK(loop);
	CHECK_OK(agent_open(&agent, loop, config, &diag));
}

static void agent_end(void)
{
	agent_close(&agent);
	loop_free(loop);
}

static struct series *series_named(const char *route)
{
	struct series_key key = {.kind = SERIES_APP, .role = SERIES_SERVER};

	series_text_set(key.route, sizeof(key.route), route, strlen(route));
	return series_get(agent.series, &key);
}

/* So many observations of each of so many routes. */
static uint64_t record(unsigned routes, uint64_t count)
{
	for (unsigned i = 0; i < routes; i++) {
		char route[64];

		snprintf(route, sizeof(route), ROUTE "%u", i);
		for (uint64_t k = 0; k < count; k++)
			series_record(series_named(route), NS_PER_MS * (i + 1), SERIES_NO_QUEUE);
	}
	return routes * count;
}

/* A turn, so many seconds after the agent started. */
static void turn(unsigned seconds)
{
	turn_run(&agent, clock_mono() + seconds * NS_PER_S, agent.started + seconds * NS_PER_S);
}

/* The disk takes nothing while this is on, as if it were full. */
static void disk_full(bool full)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	CHECK_OK(getrlimit(RLIMIT_FSIZE, &limit));
	limit.rlim_cur = full ? 1 : limit.rlim_max;
	CHECK_OK(setrlimit(RLIMIT_FSIZE, &limit));
}

struct written {
	uint64_t events, gauges;
};

static int written_delta(void *arg, const struct series_delta *delta)
{
	((struct written *)arg)->events += delta->counts.count;
	return 0;
}

static int written_gauge(void *arg, const struct gauge *gauge)
{
	(void)gauge;
	((struct written *)arg)->gauges++;
	return 0;
}

static struct written journal_written(void)
{
	const struct tick_visitor visitor = {.delta = written_delta, .gauge = written_gauge};
	struct written written = {0};
	struct journal_reader *reader;
	struct journal_record record;
	char dir[DIRS_PATH_MAX];

	CHECK_OK(dirs_path(dir, agent.dirs.state, "journal"));
	CHECK_OK(journal_reader_open(dir, NULL, 1, &reader, &diag));
	while (journal_reader_next(reader, &record, &diag) > 0)
		CHECK_OK(tick_read(record.wire, record.wire_size, &visitor, &written, &diag));
	journal_reader_close(reader);
	return written;
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

CHECK_MAIN("turn", test_ticks_that_the_journal_refused_are_written_once_it_works_again,
	   test_what_is_lost_without_disk_and_memory_is_counted_and_nothing_comes_twice,
	   test_a_gauge_that_is_no_number_keeps_no_other_out,
	   test_windows_go_on_after_a_restart_with_the_clock_set_back,
	   test_totals_come_back_as_they_were)
