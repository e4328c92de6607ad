/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hub's merge over a real store, with a clock that only the test moves, streams of agents into
 * it, and what those are told. Each test file uses all of it.
 */
#ifndef VOW_TESTS_UNIT_MERGE_SCENE_H
#define VOW_TESTS_UNIT_MERGE_SCENE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/checkpoint.h"
#include "hub/merge.h"
#include "hub/source.h"
#include "lib/base/clock.h"
#include "proto/stream.h"
#include "proto/tick.h"
#include "tests/unit/check.h"

#define SECOND(n) (UINT64_C(1700000000) * NS_PER_S + (n)*NS_PER_S)

/* The other end of a stream: what the agent was told. */
struct ear {
	unsigned answers, ends;
	struct stream_from_hub last;
	enum rpc_status status;
	char text[512];
};

static void ear_hear(void *link, const uint8_t *bytes, size_t size)
{
	struct ear *ear = link;

	ear->answers++;
	check_alloc_fail_at(0); /* the agent has memory */
	CHECK_OK(stream_from_hub_decode(bytes, size, &ear->last, NULL));
}

static void ear_end(void *link, enum rpc_status status, const char *text)
{
	struct ear *ear = link;

	ear->ends++;
	ear->status = status;
	snprintf(ear->text, sizeof(ear->text), "%s", text);
}

struct scene {
	struct vow_config config;
	struct store *store;
	struct fleet *fleet;
	struct merge *merge;
	struct tick_writer *writer;
	wall_ns wall; /* the fake clock */
	struct ear ears[2]; /* of scene_live() */
};

static void scene_clock(struct scene *s, wall_ns wall)
{
	s->wall = wall;
	clock_fake(wall - SECOND(0) + NS_PER_H, wall);
}

static void scene_make(struct scene *s)
{
	static const struct merge_link link = {ear_hear, ear_end};

	s->fleet = fleet_new(&s->config);
	s->merge = merge_new(s->fleet, s->store, &link);
	CHECK(s->fleet && s->merge);
}

static void scene_begin(struct scene *s)
{
	struct diag d;

	s->config.series_max = 64;
	policy_defaults(&s->config.policy);
	if (!s->writer)
		s->writer = tick_writer_new();
	CHECK_OK(store_open(check_dir(), &s->store, &d));
	scene_make(s);
	CHECK_OK(checkpoint_load(s->fleet, s->merge, s->store, true, &d));
}

/* As SIGKILL would: nothing is saved, an open transaction is lost. */
static void scene_kill(struct scene *s)
{
	merge_free(s->merge);
	fleet_free(s->fleet);
	store_close(s->store);
}

/* As SIGKILL and the next start. */
static void scene_crash(struct scene *s)
{
	scene_kill(s);
	scene_begin(s);
}

static void scene_end(struct scene *s)
{
	scene_kill(s);
	tick_writer_free(s->writer);
	clock_fake_end();
}

/* Ends a second, as the hub does. */
static void scene_no_action(void *arg, const struct action *action)
{
	(void)arg;
	(void)action;
}

static void scene_second(struct scene *s)
{
	scene_clock(s, s->wall + NS_PER_S);
	CHECK_OK(merge_commit(s->merge, NULL));
	fleet_step(s->fleet, fleet_now(s->fleet), s->wall, scene_no_action, NULL);
}

static void scene_start(struct scene *s)
{
	*s = (struct scene){0};
	scene_clock(s, SECOND(0));
	scene_begin(s);
	scene_second(s);
}

/* rc: what comes of the hello. */
static struct merge_peer *scene_hello_as(struct scene *s, struct ear *ear, const char *host,
					 uint64_t epoch, uint64_t first_seq, const char *identity,
					 int rc)
{
	struct stream_hello hello = {
		.protocol = STREAM_PROTOCOL, .epoch = epoch, .first_seq = first_seq};
	struct merge_peer *peer = merge_peer_new(s->merge, ear, "test", identity);
	uint8_t *bytes;
	size_t size;

	snprintf(hello.host, sizeof(hello.host), "%s", host);
	snprintf((char *)hello.agent_id, sizeof(hello.agent_id), "%s", host);
	CHECK_OK(stream_hello_encode(&hello, &bytes, &size));
	CHECK_RC(merge_message(peer, bytes, size, &(struct diag){0}), rc);
	free(bytes);
	return peer;
}

static struct merge_peer *scene_hello(struct scene *s, struct ear *ear, const char *host,
				      uint64_t epoch, uint64_t first_seq)
{
	return scene_hello_as(s, ear, host, epoch, first_seq, "", 0);
}

/* A scene in which web-1 has said hello, whose first record is to be 1. */
static struct merge_peer *scene_start_hello(struct scene *s, struct ear *ear)
{
	scene_start(s);
	return scene_hello(s, ear, "web-1", 1, 1);
}

/* A tick of one route with `count` events of 5 ms; named says whether it gives the route's name. */
static void scene_tick_of(struct scene *s, wall_ns wall, series_id id, const char *route,
			  uint64_t count, bool named, struct stream_record *record)
{
	static struct hist hist;
	static uint8_t packed[HIST_PACKED_MAX];
	struct series_key key = {.service = "shop", .method = "GET", .status_class = CLASS_2XX};
	struct series_delta delta = {.id = id, .hist = packed, .counts.count = count};

	snprintf(key.route, sizeof(key.route), "%s", route);
	hist_clear(&hist);
	hist_record(&hist, 5 * NS_PER_MS, count);
	delta.hist_size = (size_t)hist_pack(&hist, packed, sizeof(packed));
	tick_begin(s->writer, wall, NS_PER_S);
	if (named)
		CHECK_OK(tick_add_series(s->writer, id, &key));
	CHECK_OK(tick_add_delta(s->writer, &delta));
	CHECK_OK(tick_end(s->writer, &record->tick, &record->tick_size));
}

static void scene_tick(struct scene *s, wall_ns wall, uint64_t count, bool named,
		       struct stream_record *record)
{
	scene_tick_of(s, wall, 3, "/pay", count, named, record);
}

static int scene_batch(struct merge_peer *peer, const struct stream_record *record,
		       uint64_t gone_before, wall_ns sent)
{
	const struct stream_batch batch = {record, record ? 1 : 0, gone_before, sent};
	uint8_t *bytes;
	size_t size;
	int rc;

	CHECK_OK(stream_batch_encode(&batch, &bytes, &size));
	rc = merge_message(peer, bytes, size, &(struct diag){0});
	free(bytes);
	return rc;
}

/* The tick of the second that is now as record seq, which is taken. */
static inline void scene_put(struct scene *s, struct merge_peer *peer, uint64_t seq, uint64_t count,
			     bool named)
{
	struct stream_record record = {.seq = seq};

	scene_tick(s, s->wall, count, named, &record);
	CHECK_OK(scene_batch(peer, &record, 0, s->wall));
}

static inline int scene_send(struct scene *s, struct merge_peer *peer, uint64_t seq, uint64_t count)
{
	struct stream_record record = {.seq = seq};

	scene_tick(s, s->wall - NS_PER_S, count, true, &record);
	return scene_batch(peer, &record, 0, s->wall);
}

/* Events of all series in a window, after the second was ended. */
static uint64_t scene_count(struct scene *s, enum series_window window)
{
	const struct series_table *table = fleet_table(s->fleet);
	struct series_counts counts = {0};

	series_reader_register();
	series_read_lock();
	for (series_id id = 0; id < series_count(table); id++)
		series_window_add(table, series_at(table, id), window, NULL, NULL, &counts);
	series_read_unlock();
	series_reader_unregister();
	return counts.count;
}

/* Totals of the series of this host and route; NULL: of any. */
static inline uint64_t scene_total_of(struct scene *s, const char *host, const char *route)
{
	const struct series_table *table = fleet_table(s->fleet);
	struct series_counts counts = {0};

	series_reader_register();
	series_read_lock();
	for (series_id id = 0; id < series_count(table); id++) {
		const struct series *series = series_at(table, id);
		const struct series_key *key = series_key_of(series);

		if ((!host || !strcmp(key->host, host)) && (!route || !strcmp(key->route, route)))
			series_window_add(table, series, SERIES_TOTAL, NULL, NULL, &counts);
	}
	series_read_unlock();
	series_reader_unregister();
	return counts.count;
}

struct found { /* what the store kept of records that could not be read */
	unsigned count;
	uint64_t seq;
	size_t size;
	char reason[120];
};

static inline int found_refused(void *arg, const struct store_refused *refused)
{
	struct found *found = arg;

	found->count++;
	found->seq = refused->seq;
	found->size = refused->tick_size;
	snprintf(found->reason, sizeof(found->reason), "%s", refused->reason);
	return 0;
}

#endif
