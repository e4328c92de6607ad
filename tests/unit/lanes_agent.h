/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An agent in a test: the lanes collector with a loop, a series table and a journal in memory. It
 * counts a tick's observations only when their record is "in the journal", so that a crash before
 * or after that instant can be played with lanes_agent_crash().
 */
#ifndef VOW_TESTS_UNIT_LANES_AGENT_H
#define VOW_TESTS_UNIT_LANES_AGENT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/collector.h"
#include "collectors/lanes/lanes.h"
#include "collectors/process_list.h"
#include "lib/base/clock.h"
#include "tests/unit/check.h"

extern const struct collector_ops lanes_collector;

#define LANES_AGENT_SERIES  64
#define LANES_AGENT_RECORDS 6 /* then the next one is a checkpoint */

struct lanes_agent_total {
	struct series_key key;
	struct hist latency, queue;
	struct series_counts counts;
};

struct lanes_agent {
	char dir[256];
	struct loop *loop;
	struct series_table *series;
	struct gauge_table *gauges;
	struct exemplars *exemplars;
	struct process_list *processes;
	void *collector; /* NULL while the agent is stopped */
	dur_ns threshold; /* of every series; 0: none */
	mono_ns now;

	/* What the journal holds. */
	struct lanes_agent_total totals[LANES_AGENT_SERIES];
	unsigned total_count;
	struct lanes_agent_record {
		uint8_t *bytes; /* local part */
		size_t size;
	} records[LANES_AGENT_RECORDS]; /* since the last checkpoint, that one first */
	unsigned record_count;

	/* The tick that is not in the journal yet. */
	struct lanes_agent_total staged[LANES_AGENT_SERIES];
	unsigned staged_count;
};

static unsigned lanes_agent_thresholds(void *arg, const struct series_key *key,
				       dur_ns thresholds[SERIES_THRESHOLDS])
{
	struct lanes_agent *agent = arg;

	(void)key;
	thresholds[0] = agent->threshold;
	return agent->threshold ? 1 : 0;
}

static void lanes_agent_start(struct lanes_agent *agent)
{
	struct series_table_options options = {.thresholds = lanes_agent_thresholds,
					       .thresholds_arg = agent};
	struct diag d = {0};

	agent->loop = loop_new();
	agent->series = series_table_new(&options);
	agent->gauges = gauge_table_new(0);
	agent->exemplars = exemplars_new(1000);
	agent->processes = process_list_new();
	struct collector_context context = {.loop = agent->loop,
					    .series = agent->series,
					    .gauges = agent->gauges,
					    .exemplars = agent->exemplars,
					    .processes = agent->processes,
					    .host = "",
					    .dir = agent->dir};
	if (lanes_collector.open(&context, &agent->collector, &d) < 0)
		CHECK_FAIL("lanes: %s %s", d.where, d.what);
	for (unsigned i = 0; i < agent->record_count; i++)
		if (agent->records[i].size)
			CHECK_OK(lanes_collector.restore(agent->collector, agent->records[i].bytes,
							 agent->records[i].size));
}

static struct lanes_agent *lanes_agent_new(void)
{
	struct lanes_agent *agent = calloc(1, sizeof(*agent));

	snprintf(agent->dir, sizeof(agent->dir), "%s", check_dir());
	agent->now = clock_mono();
	for (unsigned i = 0; i < LANES_AGENT_RECORDS; i++)
		agent->records[i].bytes = malloc(COLLECTOR_LOCAL_MAX);
	return agent;
}

static void lanes_agent_stop(struct lanes_agent *agent)
{
	lanes_collector.close(agent->collector);
	agent->collector = NULL;
	exemplars_free(agent->exemplars);
	process_list_free(agent->processes);
	gauge_table_free(agent->gauges);
	series_table_free(agent->series);
	loop_free(agent->loop);
	agent->staged_count = 0;
}

static void lanes_agent_free(struct lanes_agent *agent)
{
	if (agent->collector)
		lanes_agent_stop(agent);
	for (unsigned i = 0; i < LANES_AGENT_RECORDS; i++)
		free(agent->records[i].bytes);
	free(agent);
}

static struct lanes_agent_total *lanes_agent_place(struct lanes_agent_total *totals,
						   unsigned *count, const struct series_key *key)
{
	for (unsigned i = 0; i < *count; i++)
		if (memcmp(&totals[i].key, key, sizeof(*key)) == 0)
			return &totals[i];
	if (*count == LANES_AGENT_SERIES)
		abort();
	memset(&totals[*count], 0, sizeof(totals[*count]));
	totals[*count].key = *key;
	return &totals[(*count)++];
}

static void lanes_agent_counts_add(struct series_counts *to, const struct series_counts *from)
{
	to->count += from->count;
	to->errors += from->errors;
	to->bad[0] += from->bad[0];
}

static void lanes_agent_on_delta(void *arg, const struct series_delta *delta)
{
	struct lanes_agent *agent = arg;
	struct lanes_agent_total *total =
		lanes_agent_place(agent->staged, &agent->staged_count, delta->key);

	hist_merge_packed(&total->latency, delta->hist, delta->hist_size);
	if (delta->queue_size)
		hist_merge_packed(&total->queue, delta->queue, delta->queue_size);
	lanes_agent_counts_add(&total->counts, &delta->counts);
}

static void lanes_agent_stopped(void *arg)
{
	loop_stop(arg);
}

/* Runs what is ready in the loop, then lets the collector poll. */
static void lanes_agent_poll(struct lanes_agent *agent)
{
	const struct lanes *lanes = agent->collector;

	/* Until whoever has connected is there: a process looks at what it sent. */
	do {
		struct loop_timer *timer = loop_timer_start(agent->loop, NS_PER_MS / 2, 0,
							    lanes_agent_stopped, agent->loop);

		loop_run(agent->loop);
		loop_timer_stop(timer);
	} while (discovery_busy(lanes->discovery) || aside_busy(lanes->aside));
	lanes_collector.poll(agent->collector, agent->now);
	/* Rounds over overflow blocks begin every 100 ms of the agent's time. */
	agent->now += 100 * NS_PER_MS;
}

/* Polls and hands the observations of the tick out, up to the instant before the journal. */
static void lanes_agent_stage(struct lanes_agent *agent)
{
	lanes_agent_poll(agent);
	agent->now += NS_PER_S;
	lanes_agent_poll(agent);
	series_tick(agent->series, agent->now, lanes_agent_on_delta, agent);
}

static void lanes_agent_append(struct lanes_agent *agent)
{
	bool checkpoint = agent->record_count == LANES_AGENT_RECORDS;

	if (checkpoint)
		agent->record_count = 0;
	struct lanes_agent_record *record = &agent->records[agent->record_count++];
	record->size =
		lanes_collector.prepare(agent->collector, record->bytes, COLLECTOR_LOCAL_MAX);
	if (checkpoint)
		record->size = lanes_collector.checkpoint(agent->collector, record->bytes,
							  COLLECTOR_LOCAL_MAX);
	for (unsigned i = 0; i < agent->staged_count; i++) {
		struct lanes_agent_total *from = &agent->staged[i];
		struct lanes_agent_total *to =
			lanes_agent_place(agent->totals, &agent->total_count, &from->key);

		hist_merge(&to->latency, &from->latency);
		hist_merge(&to->queue, &from->queue);
		lanes_agent_counts_add(&to->counts, &from->counts);
	}
	agent->staged_count = 0;
}

static void lanes_agent_tick(struct lanes_agent *agent)
{
	lanes_agent_stage(agent);
	lanes_agent_append(agent);
	lanes_collector.commit(agent->collector);
}

enum lanes_agent_death { BEFORE_JOURNAL, AFTER_JOURNAL };

/* Dies in the middle of a tick and is started again. */
static inline void lanes_agent_crash(struct lanes_agent *agent, enum lanes_agent_death death)
{
	lanes_agent_stage(agent);
	if (death == AFTER_JOURNAL)
		lanes_agent_append(agent);
	lanes_agent_stop(agent);
	lanes_agent_start(agent);
}

/* What the journal holds of a series; NULL when nothing. */
static inline const struct lanes_agent_total *lanes_agent_find(const struct lanes_agent *agent,
							       enum series_kind kind,
							       const char *method,
							       const char *route,
							       enum series_class status_class)
{
	for (unsigned i = 0; i < agent->total_count; i++) {
		const struct series_key *key = &agent->totals[i].key;

		if (key->kind == kind && key->status_class == status_class &&
		    strcmp(key->method, method) == 0 && strcmp(key->route, route) == 0)
			return &agent->totals[i];
	}
	return NULL;
}

static inline uint64_t lanes_agent_count(const struct lanes_agent *agent)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < agent->total_count; i++)
		count += agent->totals[i].counts.count;
	return count;
}

static inline struct collector_status lanes_agent_status(const struct lanes_agent *agent)
{
	struct collector_status status;

	lanes_collector.status(agent->collector, &status);
	return status;
}

#endif
