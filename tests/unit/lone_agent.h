/* SPDX-License-Identifier: Apache-2.0 */
/* An agent without collectors on a folder of its own, in one process with its test. */
#ifndef VOW_TESTS_UNIT_LONE_AGENT_H
#define VOW_TESTS_UNIT_LONE_AGENT_H

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

static inline void agent_start(const char *name)
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

static inline void agent_end(void)
{
	agent_close(&agent);
	loop_free(loop);
}

static inline struct series *series_named(const char *route)
{
	struct series_key key = {.kind = SERIES_APP, .role = SERIES_SERVER};

	series_text_set(key.route, sizeof(key.route), route, strlen(route));
	return series_get(agent.series, &key);
}

/* So many observations of each of so many routes. */
static inline uint64_t record(unsigned routes, uint64_t count)
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
static inline void turn(unsigned seconds)
{
	turn_run(&agent, clock_mono() + seconds * NS_PER_S, agent.started + seconds * NS_PER_S);
}

/* The disk takes nothing while this is on, as if it were full. */
static inline void disk_full(bool full)
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

static inline int written_delta(void *arg, const struct series_delta *delta)
{
	((struct written *)arg)->events += delta->counts.count;
	return 0;
}

static inline int written_gauge(void *arg, const struct gauge *gauge)
{
	(void)gauge;
	((struct written *)arg)->gauges++;
	return 0;
}

static inline struct written journal_written(void)
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

#endif
