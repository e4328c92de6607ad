/* SPDX-License-Identifier: Apache-2.0 */
/* The exactly-once merge over a real store, and what a restart makes of it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

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

/* A tick of one route with `count` events of 5 ms; named says whether it gives the route's name. */
static void scene_tick(struct scene *s, wall_ns wall, uint64_t count, bool named,
		       struct stream_record *record)
{
	static struct hist hist;
	static uint8_t packed[HIST_PACKED_MAX];
	const struct series_key key = {
		.service = "shop", .method = "GET", .route = "/pay", .status_class = CLASS_2XX};
	struct series_delta delta = {.id = 3, .hist = packed, .counts.count = count};

	hist_clear(&hist);
	hist_record(&hist, 5 * NS_PER_MS, count);
	delta.hist_size = (size_t)hist_pack(&hist, packed, sizeof(packed));
	tick_begin(s->writer, wall, NS_PER_S);
	if (named)
		CHECK_OK(tick_add_series(s->writer, 3, &key));
	CHECK_OK(tick_add_delta(s->writer, &delta));
	CHECK_OK(tick_end(s->writer, &record->tick, &record->tick_size));
}

/* A second in which nothing happened. */
static void scene_idle(struct scene *s, wall_ns wall, struct stream_record *record)
{
	tick_begin(s->writer, wall, NS_PER_S);
	CHECK_OK(tick_end(s->writer, &record->tick, &record->tick_size));
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

static int scene_send(struct scene *s, struct merge_peer *peer, uint64_t seq, uint64_t count)
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

CHECK_TEST(test_record_is_acknowledged_only_after_the_commit)
{
	struct scene s;
	struct ear ear = {0};
	struct merge_peer *peer;

	scene_start(&s);
	peer = scene_hello(&s, &ear, "web-1", 1, 1);
	CHECK_EQ_U64(ear.answers, 1);
	CHECK_EQ_U64(ear.last.committed_seq, 0);
	CHECK(ear.last.from_segment_start);
	CHECK_OK(scene_send(&s, peer, 1, 10));
	CHECK_OK(scene_send(&s, peer, 2, 20));
	CHECK_EQ_U64(ear.answers, 1);
	CHECK_OK(merge_commit(s.merge, NULL));
	CHECK_EQ_U64(ear.answers, 2);
	CHECK_EQ_U64(ear.last.committed_seq, 2);
	scene_second(&s);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 30);
	CHECK_EQ_U64(scene_count(&s, WINDOW_10S), 30);
	scene_end(&s);
}

CHECK_TEST(test_record_sent_again_counts_once_and_is_acknowledged_again)
{
	struct scene s;
	struct ear ear = {0};
	struct merge_peer *peer;

	scene_start(&s);
	peer = scene_hello(&s, &ear, "web-1", 1, 1);
	CHECK_OK(scene_send(&s, peer, 1, 10));
	CHECK_OK(scene_send(&s, peer, 1, 10));
	CHECK_OK(merge_commit(s.merge, NULL));
	CHECK_OK(scene_send(&s, peer, 1, 10));
	CHECK_OK(merge_commit(s.merge, NULL));
	CHECK_EQ_U64(ear.answers, 3);
	CHECK_EQ_U64(ear.last.committed_seq, 1);
	CHECK_EQ_U64(merge_counters(s.merge).duplicates_total, 2);
	scene_second(&s);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 10);
	scene_end(&s);
}

CHECK_TEST(test_jump_without_proof_ends_the_stream_and_counts_nothing)
{
	struct scene s;
	struct ear ear = {0}, again = {0};
	struct merge_peer *peer;

	scene_start(&s);
	peer = scene_hello(&s, &ear, "web-1", 1, 1);
	CHECK_OK(scene_send(&s, peer, 1, 10));
	CHECK_OK(scene_send(&s, peer, 3, 100));
	CHECK_EQ_U64(ear.ends, 1);
	CHECK_EQ_U64(ear.status, RPC_UNAVAILABLE);
	CHECK_STR_HAS(ear.text, "record 2 is missing");
	scene_hello(&s, &again, "web-1", 1, 1);
	CHECK_EQ_U64(again.last.committed_seq, 1);
	scene_second(&s);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 10);
	CHECK_EQ_U64(merge_counters(s.merge).gap_records_total, 0);
	scene_end(&s);
}

CHECK_TEST(test_proven_loss_is_jumped_over_and_counted)
{
	struct scene s;
	struct ear ear = {0}, again = {0};
	struct merge_peer *peer;
	struct board *board = board_new();

	scene_start(&s);
	peer = scene_hello(&s, &ear, "web-1", 1, 1);
	CHECK_OK(scene_send(&s, peer, 1, 10));
	CHECK_OK(scene_batch(peer, NULL, 5, 0));
	CHECK_OK(scene_send(&s, peer, 5, 10));
	/* The journal's oldest record, said at the next hello, proves it as well. */
	peer = scene_hello(&s, &again, "web-1", 1, 9);
	CHECK_EQ_U64(again.last.committed_seq, 8);
	CHECK_OK(scene_send(&s, peer, 9, 10));
	scene_second(&s);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 30);
	CHECK_EQ_U64(merge_counters(s.merge).gap_records_total, 3 + 3);
	CHECK_OK(merge_board(s.merge, board));
	CHECK_EQ_U64(board->host_count, 1);
	CHECK_EQ_U64(board->hosts[0].gap_records_total, 6);
	CHECK_EQ_U64(board->hosts[0].last_seq, 9);
	board_unref(board);
	scene_end(&s);
}

CHECK_TEST(test_new_journal_of_an_agent_adds_to_the_old_one)
{
	struct scene s;
	struct ear ear = {0}, other = {0};
	struct merge_peer *peer;
	struct board *board = board_new();

	scene_start(&s);
	peer = scene_hello(&s, &ear, "web-1", 1, 1);
	CHECK_OK(scene_send(&s, peer, 1, 10));
	peer = scene_hello(&s, &other, "web-1", 2, 1);
	CHECK_EQ_U64(other.last.committed_seq, 0);
	CHECK_OK(scene_send(&s, peer, 1, 7));
	scene_second(&s);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 17);
	CHECK_OK(merge_board(s.merge, board));
	CHECK_EQ_U64(board->host_count, 1);
	board_unref(board);
	scene_end(&s);
}

CHECK_TEST(test_second_stream_of_an_agent_ends_the_first)
{
	struct scene s;
	struct ear first = {0}, second = {0};
	struct merge_peer *peer;

	scene_start(&s);
	peer = scene_hello(&s, &first, "web-1", 1, 1);
	scene_hello(&s, &second, "web-1", 1, 1);
	CHECK_EQ_U64(first.ends, 1);
	CHECK_EQ_U64(second.ends, 0);
	CHECK_OK(scene_send(&s, peer, 1, 10));
	CHECK_EQ_U64(merge_connected(s.merge), 1);
	scene_second(&s);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 0);
	scene_end(&s);
}

CHECK_TEST(test_agent_belongs_to_the_certificate_it_first_came_with)
{
	struct scene s;
	struct ear own = {0}, thief = {0}, renewed = {0}, plain = {0}, other = {0};
	struct merge_peer *peer;

	scene_start(&s);
	peer = scene_hello_as(&s, &own, "web-1", 1, 1, "spiffe://shop/web-1", 0);
	CHECK_OK(scene_send(&s, peer, 1, 10));
	scene_second(&s);
	scene_hello_as(&s, &thief, "web-1", 1, 1, "spiffe://shop/web-2", -EPERM);
	CHECK_EQ_U64(thief.status, RPC_PERMISSION_DENIED);
	CHECK_STR_HAS(thief.text, "'spiffe://shop/web-1'");
	CHECK_EQ_U64(own.ends, 0); /* nobody is pushed out */
	CHECK_OK(scene_send(&s, peer, 2, 10));
	scene_second(&s);
	scene_kill(&s);
	scene_begin(&s);
	/* Another journal of the agent is the agent's as well. */
	scene_hello_as(&s, &thief, "web-1", 2, 1, "spiffe://shop/web-2", -EPERM);
	CHECK_EQ_U64(thief.ends, 2);
	scene_hello_as(&s, &other, "web-2", 1, 1, "spiffe://shop/web-2", 0);
	scene_hello_as(&s, &renewed, "web-1", 1, 1, "spiffe://shop/web-1", 0);
	CHECK_EQ_U64(renewed.last.committed_seq, 2);
	/* A hub without TLS asks nobody. */
	scene_hello_as(&s, &plain, "web-1", 1, 1, "", 0);
	CHECK_EQ_U64(plain.ends, 0);
	scene_end(&s);
}

CHECK_TEST(test_other_protocol_version_is_refused_by_naming_both)
{
	struct scene s;
	struct ear ear = {0};
	struct stream_hello hello = {.protocol = 9, .host = "web-1", .version = "3.0"};
	struct diag d = {0};
	struct merge_peer *peer;
	uint8_t *bytes;
	size_t size;

	scene_start(&s);
	peer = merge_peer_new(s.merge, &ear, "test", "");
	CHECK_OK(stream_hello_encode(&hello, &bytes, &size));
	CHECK_RC(merge_message(peer, bytes, size, &d), -ENOTSUP);
	free(bytes);
	CHECK_EQ_U64(ear.status, RPC_FAILED_PRECONDITION);
	CHECK_STR_HAS(ear.text, "version 1");
	CHECK_STR_HAS(ear.text, "speaks 9");
	CHECK_STR_HAS(ear.text, "update the older");
	CHECK_EQ_U64(merge_connected(s.merge), 0);
	scene_end(&s);
}

struct found { /* what the store kept of records that could not be read */
	unsigned count;
	uint64_t seq;
	size_t size;
	char reason[120];
};

static int found_refused(void *arg, const struct store_refused *refused)
{
	struct found *found = arg;

	found->count++;
	found->seq = refused->seq;
	found->size = refused->tick_size;
	snprintf(found->reason, sizeof(found->reason), "%s", refused->reason);
	return 0;
}

/* The agent's second record says 1001 where its histogram holds 1000 events; it gives a name. */
static void scene_send_broken(struct scene *s, struct merge_peer *peer, uint64_t seq)
{
	struct stream_record record = {.seq = seq};
	uint8_t *copy;

	scene_tick(s, s->wall, 1000, true, &record);
	copy = malloc(record.tick_size);
	memcpy(copy, record.tick, record.tick_size);
	for (size_t i = 0; i + 1 < record.tick_size; i++)
		if (copy[i] == 0x20 && copy[i + 1] == 0xe8) /* field 4, varint 1000 */
			copy[i + 1] = 0xe9;
	record.tick = copy;
	CHECK_RC(scene_batch(peer, &record, 0, s->wall), 1);
	free(copy);
}

CHECK_TEST(test_record_that_cannot_be_read_is_a_gap_with_a_reason_and_stops_nothing)
{
	struct scene s;
	struct ear good = {0}, bad = {0};
	struct merge_peer *peer, *liar;
	struct stream_record record = {.seq = 3};
	struct found found = {0};
	struct board *board = board_new();

	scene_start(&s);
	peer = scene_hello(&s, &good, "web-1", 1, 1);
	liar = scene_hello(&s, &bad, "web-2", 1, 1);
	CHECK_OK(scene_send(&s, peer, 1, 10));
	CHECK_OK(scene_send(&s, liar, 1, 10));
	scene_send_broken(&s, liar, 2);
	/* Bytes cut off the end. */
	scene_tick(&s, s.wall, 1000, true, &record);
	record.tick_size -= 3;
	CHECK_RC(scene_batch(liar, &record, 0, s.wall), 1);
	CHECK_OK(scene_send(&s, liar, 4, 10));
	CHECK_OK(scene_send(&s, peer, 2, 10));
	scene_second(&s);
	CHECK_EQ_U64(good.ends + bad.ends, 0);
	CHECK_EQ_U64(good.last.committed_seq, 2);
	CHECK_EQ_U64(bad.last.committed_seq, 4);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 40);
	CHECK_EQ_U64(merge_counters(s.merge).refused_total, 2);
	CHECK_EQ_U64(merge_counters(s.merge).gap_records_total, 2);
	CHECK_OK(store_refused_read(s.store, found_refused, &found, NULL));
	CHECK_EQ_U64(found.count, 2);
	CHECK_EQ_U64(found.seq, 3);
	CHECK_EQ_U64(found.size, record.tick_size);
	scene_kill(&s);
	scene_begin(&s);
	CHECK_OK(merge_board(s.merge, board));
	CHECK_EQ_U64(board->host_count, 2);
	for (size_t i = 0; i < board->host_count; i++)
		if (strcmp(board->hosts[i].host, "web-2") == 0)
			CHECK_STR_HAS(board->hosts[i].problem, "record 3 cannot be read");
		else
			CHECK_STR(board->hosts[i].problem, "");
	board_unref(board);
	scene_end(&s);
}

CHECK_TEST(test_record_that_cannot_be_read_says_why)
{
	struct scene s;
	struct ear ear = {0};
	struct merge_peer *peer;
	struct found found = {0};

	scene_start(&s);
	peer = scene_hello(&s, &ear, "web-1", 1, 1);
	scene_send_broken(&s, peer, 1);
	CHECK_OK(merge_commit(s.merge, NULL));
	CHECK_OK(store_refused_read(s.store, found_refused, &found, NULL));
	CHECK_STR_HAS(found.reason, "another number of events");
	scene_end(&s);
}

/* Each of them is a hundred times as long in memory as on the wire. */
CHECK_TEST(test_record_with_more_gauges_than_an_agent_has_is_set_aside)
{
	struct scene s;
	struct ear ear = {0};
	struct merge_peer *peer;
	struct stream_record record = {.seq = 1};
	struct found found = {0};

	scene_start(&s);
	peer = scene_hello(&s, &ear, "web-1", 1, 1);
	for (unsigned more = 0; more < 2; more++) {
		tick_begin(s.writer, s.wall, NS_PER_S);
		for (unsigned i = 0; i < GAUGE_NAMES_MAX + more; i++)
			CHECK_OK(tick_add_gauge(s.writer, &(struct gauge){.name = "g"}));
		CHECK_OK(tick_end(s.writer, &record.tick, &record.tick_size));
		record.seq = 1 + more;
		CHECK_RC(scene_batch(peer, &record, 0, s.wall), more);
	}
	CHECK_OK(merge_commit(s.merge, NULL));
	CHECK_OK(store_refused_read(s.store, found_refused, &found, NULL));
	CHECK_EQ_U64(found.seq, 2);
	CHECK_STR_HAS(found.reason, "more than 1024 gauges");
	scene_end(&s);
}

CHECK_TEST(test_gauges_of_all_hosts_of_a_fleet_are_kept)
{
	static const char *const names[] = {"load1", "cpu_ratio", "sockets_in_use",
					    "memory_used_ratio"};
	const unsigned hosts = GAUGE_NAMES_MAX / 3; /* more gauges than one host may have */
	struct scene s;
	struct ear ear = {0};
	struct stream_record record = {.seq = 1};
	struct gauge gauge = {.value = 1};
	struct board *board = board_new();
	char host[16];

	scene_start(&s);
	for (unsigned i = 0; i < hosts; i++) {
		tick_begin(s.writer, s.wall, NS_PER_S);
		for (size_t k = 0; k < ARRAY_LEN(names); k++) {
			snprintf(gauge.name, sizeof(gauge.name), "%s", names[k]);
			CHECK_OK(tick_add_gauge(s.writer, &gauge));
		}
		CHECK_OK(tick_end(s.writer, &record.tick, &record.tick_size));
		snprintf(host, sizeof(host), "web-%u", i);
		CHECK_OK(scene_batch(scene_hello(&s, &ear, host, 1, 1), &record, 0, s.wall));
	}
	scene_second(&s);
	CHECK_OK(fleet_board(s.fleet, board));
	CHECK_EQ_U64(board->gauge_count, hosts * ARRAY_LEN(names));
	CHECK_EQ_U64(fleet_gauges_refused_total(s.fleet), 0);
	board_unref(board);
	scene_end(&s);
}

CHECK_TEST(test_name_given_by_a_record_that_cannot_be_read_outlives_a_crash)
{
	struct scene s;
	struct ear ear = {0};
	struct merge_peer *peer;
	struct stream_record record = {.seq = 2};

	scene_start(&s);
	peer = scene_hello(&s, &ear, "web-1", 1, 1);
	scene_send_broken(&s, peer, 1);
	scene_tick(&s, s.wall, 10, false, &record);
	CHECK_OK(scene_batch(peer, &record, 0, s.wall));
	scene_second(&s);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 10);
	scene_kill(&s);
	scene_begin(&s);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 10);
	scene_end(&s);
}

CHECK_TEST(test_name_given_by_a_repeat_outlives_a_crash)
{
	struct scene s;
	struct ear ear = {0}, again = {0};
	struct merge_peer *peer;
	struct stream_record record = {.seq = 2};

	scene_start(&s);
	peer = scene_hello(&s, &ear, "web-1", 1, 1);
	CHECK_OK(scene_batch(peer, &(struct stream_record){.seq = 1}, 0, s.wall));
	peer = scene_hello(&s, &again, "web-1", 1, 1);
	scene_tick(&s, s.wall, 999, true, &record);
	record.seq = 1;
	CHECK_OK(scene_batch(peer, &record, 0, s.wall));
	scene_tick(&s, s.wall, 10, false, &record);
	record.seq = 2;
	CHECK_OK(scene_batch(peer, &record, 0, s.wall));
	scene_second(&s);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 10);
	scene_kill(&s);
	scene_begin(&s);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 10);
	scene_end(&s);
}

CHECK_TEST(test_series_that_was_never_named_is_asked_for)
{
	struct scene s;
	struct ear ear = {0}, again = {0};
	struct merge_peer *peer;
	struct stream_record record = {.seq = 7};

	scene_start(&s);
	peer = scene_hello(&s, &ear, "web-1", 1, 7);
	scene_idle(&s, s.wall, &record);
	CHECK_OK(scene_batch(peer, &record, 0, s.wall));
	CHECK_OK(merge_commit(s.merge, NULL));
	scene_tick(&s, s.wall, 10, false, &record);
	record.seq = 8;
	CHECK_OK(scene_batch(peer, &record, 0, s.wall));
	CHECK_EQ_U64(ear.status, RPC_UNAVAILABLE);
	peer = scene_hello(&s, &again, "web-1", 1, 7);
	CHECK(again.last.from_segment_start);
	CHECK_EQ_U64(again.last.committed_seq, 7);
	/* It sends the segment again: 7 counted already, but its names are taken. */
	scene_tick(&s, s.wall, 999, true, &record);
	record.seq = 7;
	CHECK_OK(scene_batch(peer, &record, 0, s.wall));
	scene_tick(&s, s.wall, 10, false, &record);
	record.seq = 8;
	CHECK_OK(scene_batch(peer, &record, 0, s.wall));
	scene_second(&s);
	CHECK_EQ_U64(again.ends, 0);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 10);
	scene_end(&s);
}

CHECK_TEST(test_number_without_a_record_is_a_gap)
{
	struct scene s;
	struct ear ear = {0};
	struct merge_peer *peer;

	scene_start(&s);
	peer = scene_hello(&s, &ear, "web-1", 1, 1);
	CHECK_OK(scene_send(&s, peer, 1, 10));
	CHECK_OK(scene_batch(peer, &(struct stream_record){.seq = 2}, 0, s.wall));
	CHECK_OK(scene_batch(peer, &(struct stream_record){.seq = 3}, 0, s.wall));
	CHECK_OK(scene_send(&s, peer, 4, 10));
	scene_second(&s);
	CHECK_EQ_U64(ear.last.committed_seq, 4);
	CHECK_EQ_U64(merge_counters(s.merge).records_total, 2);
	CHECK_EQ_U64(merge_counters(s.merge).late_total, 0);
	CHECK_EQ_U64(merge_counters(s.merge).gap_records_total, 2);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 20);
	scene_end(&s);
}

CHECK_TEST(test_record_whose_names_are_lost_is_a_gap)
{
	struct scene s;
	struct ear ear = {0};
	struct merge_peer *peer;
	struct stream_record record = {.seq = 2};

	scene_start(&s);
	peer = scene_hello(&s, &ear, "web-1", 1, 1);
	CHECK_OK(scene_batch(peer, &(struct stream_record){.seq = 1}, 0, s.wall));
	scene_tick(&s, s.wall, 999, false, &record);
	CHECK_RC(scene_batch(peer, &record, 0, s.wall), 1);
	CHECK_OK(scene_send(&s, peer, 3, 10));
	scene_second(&s);
	CHECK_EQ_U64(ear.ends, 0);
	CHECK_EQ_U64(ear.last.committed_seq, 3);
	CHECK_EQ_U64(merge_counters(s.merge).gap_records_total, 2);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 10);
	scene_end(&s);
}

CHECK_TEST(test_record_that_comes_late_counts_in_totals_and_in_no_window)
{
	struct scene s;
	struct ear ear = {0};
	struct merge_peer *peer;
	struct stream_record record = {.seq = 1};

	scene_start(&s);
	peer = scene_hello(&s, &ear, "web-1", 1, 1);
	scene_tick(&s, s.wall - 60 * NS_PER_S, 10, true, &record);
	CHECK_OK(scene_batch(peer, &record, 0, s.wall));
	/* A clock an hour behind is no lateness: it was sent as soon as it was measured. */
	scene_tick(&s, s.wall - NS_PER_H, 7, true, &record);
	record.seq = 2;
	CHECK_OK(scene_batch(peer, &record, 0, s.wall - NS_PER_H + NS_PER_S));
	scene_second(&s);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 17);
	CHECK_EQ_U64(scene_count(&s, WINDOW_1H), 7);
	CHECK_EQ_U64(merge_counters(s.merge).late_total, 1);
	scene_end(&s);
}

/* A hundred seconds of two agents; then the process dies with a record that is not committed. */
static void scene_live(struct scene *s, unsigned checkpoint_at)
{
	struct merge_peer *peers[2];

	peers[0] = scene_hello(s, &s->ears[0], "web-1", 1, 1);
	peers[1] = scene_hello(s, &s->ears[1], "web-2", 1, 1);
	for (unsigned second = 1; second <= 100; second++) {
		CHECK_OK(scene_send(s, peers[0], second, 10));
		CHECK_OK(scene_send(s, peers[1], second, 3));
		scene_second(s);
		if (second == checkpoint_at)
			CHECK_OK(checkpoint_save(s->fleet, s->merge, s->store, NULL));
	}
	CHECK_OK(scene_send(s, peers[0], 101, 1000));
}

static void restart_gives_the_same(unsigned checkpoint_at)
{
	struct scene s;
	struct ear ear = {0};
	uint64_t window;

	scene_start(&s);
	scene_live(&s, checkpoint_at);
	window = scene_count(&s, WINDOW_1M);
	scene_kill(&s);
	scene_begin(&s);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 1300);
	CHECK_EQ_U64(scene_count(&s, WINDOW_1H), 1300);
	CHECK_NEAR((double)scene_count(&s, WINDOW_1M), (double)window, 13 * 5);
	scene_hello(&s, &ear, "web-1", 1, 1);
	CHECK_EQ_U64(ear.last.committed_seq, 100);
	CHECK(!ear.last.from_segment_start);
	scene_end(&s);
}

CHECK_TEST(test_restart_without_any_checkpoint_gives_the_same_fleet)
{
	restart_gives_the_same(0);
}

CHECK_TEST(test_restart_behind_a_checkpoint_gives_the_same_fleet)
{
	restart_gives_the_same(40);
}

CHECK_TEST(test_restart_right_at_a_checkpoint_gives_the_same_fleet)
{
	restart_gives_the_same(100);
}

/* What a failing disk leaves of a raw tick that is still needed. */
static void scene_break_raw_tick(int64_t no)
{
	static const uint8_t garbage[40];
	const struct store_record broken = {.no = no, .tick = garbage, .tick_size = 40};
	struct store *store;

	CHECK_OK(store_open(check_dir(), &store, NULL));
	CHECK_OK(store_begin(store, NULL));
	CHECK_OK(store_record_put(store, &broken, NULL));
	CHECK_OK(store_commit(store, NULL));
	store_close(store);
}

CHECK_TEST(test_raw_tick_that_broke_is_set_aside_and_the_hub_starts)
{
	struct scene s;
	struct ear ear = {0}, again = {0};
	struct merge_peer *peer;
	struct found found = {0};

	scene_start(&s);
	peer = scene_hello(&s, &ear, "web-1", 1, 1);
	for (unsigned seq = 1; seq <= 3; seq++)
		CHECK_OK(scene_send(&s, peer, seq, 10));
	scene_second(&s);
	scene_kill(&s);
	scene_break_raw_tick(2);
	for (unsigned start = 0; start < 3; start++) { /* counts once, however often it starts */
		scene_begin(&s);
		CHECK_EQ_U64(merge_counters(s.merge).refused_total, start == 0);
		CHECK_EQ_U64(merge_counters(s.merge).gap_records_total, 1);
		CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 20);
		if (start == 1)
			CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
		if (start < 2)
			scene_kill(&s);
	}
	CHECK_OK(store_refused_read(s.store, found_refused, &found, NULL));
	CHECK_EQ_U64(found.count, 1);
	CHECK_STR_HAS(found.reason, "40 bytes are not");
	scene_hello(&s, &again, "web-1", 1, 1);
	CHECK_EQ_U64(again.last.committed_seq, 3);
	scene_end(&s);
}

CHECK_TEST(test_raw_tick_that_broke_with_a_name_takes_those_that_need_it_along)
{
	struct scene s;
	struct ear ear = {0};
	struct merge_peer *peer;
	struct stream_record record = {.seq = 2};

	scene_start(&s);
	peer = scene_hello(&s, &ear, "web-1", 1, 1);
	CHECK_OK(scene_send(&s, peer, 1, 10));
	scene_tick(&s, s.wall, 10, false, &record);
	CHECK_OK(scene_batch(peer, &record, 0, s.wall));
	CHECK_OK(scene_send(&s, peer, 3, 10));
	scene_second(&s);
	scene_kill(&s);
	scene_break_raw_tick(1);
	scene_begin(&s);
	CHECK_EQ_U64(merge_counters(s.merge).gap_records_total, 2);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 10);
	scene_end(&s);
}

static uint64_t scene_total_of(struct scene *s, const char *host)
{
	const struct series_table *table = fleet_table(s->fleet);
	struct series_counts counts = {0};

	series_reader_register();
	series_read_lock();
	for (series_id id = 0; id < series_count(table); id++)
		if (strcmp(series_key_of(series_at(table, id))->host, host) == 0)
			series_window_add(table, series_at(table, id), SERIES_TOTAL, NULL, NULL,
					  &counts);
	series_read_unlock();
	series_reader_unregister();
	return counts.count;
}

static size_t scene_hosts(struct scene *s)
{
	struct board *board = board_new();
	size_t hosts;

	CHECK_OK(merge_board(s->merge, board));
	hosts = board->host_count;
	board_unref(board);
	return hosts;
}

#define MONTH (30 * 24 * NS_PER_H)

/* web-1 counts 20 and is not heard of again for more than a month; web-2 goes on. */
static void scene_month(struct scene *s)
{
	struct merge_peer *gone = scene_hello(s, &s->ears[0], "web-1", 1, 1);
	struct merge_peer *peer = scene_hello(s, &s->ears[1], "web-2", 1, 1);

	CHECK_OK(scene_send(s, gone, 1, 10));
	CHECK_OK(scene_batch(gone, &(struct stream_record){.seq = 2}, 0, s->wall));
	CHECK_OK(scene_send(s, gone, 3, 10));
	CHECK_OK(scene_send(s, peer, 1, 5));
	scene_second(s);
	merge_peer_free(gone);
	scene_clock(s, s->wall + MONTH + MONTH / 5);
	CHECK_OK(scene_send(s, peer, 2, 5));
	for (unsigned i = 0; i < 10; i++) /* windows are looked through every few seconds */
		scene_second(s);
}

CHECK_TEST(test_agent_that_is_gone_is_forgotten_and_its_totals_stay)
{
	struct scene s;
	struct ear ear = {0};

	scene_start(&s);
	scene_month(&s);
	CHECK_OK(merge_forget(s.merge, s.wall - 2 * MONTH, NULL));
	CHECK_EQ_U64(scene_hosts(&s), 2);
	CHECK_OK(merge_forget(s.merge, s.wall - MONTH, NULL));
	for (unsigned start = 0; start < 2; start++) {
		CHECK_EQ_U64(scene_hosts(&s), 1);
		CHECK_EQ_U64(scene_total_of(&s, "web-1"), 0);
		CHECK_EQ_U64(scene_total_of(&s, FLEET_GONE), 20);
		CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 30);
		CHECK_EQ_U64(merge_counters(s.merge).gap_records_total, 1);
		CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
		scene_kill(&s);
		scene_begin(&s);
		CHECK_OK(merge_forget(s.merge, s.wall - MONTH, NULL));
	}
	CHECK_EQ_U64(series_count(fleet_table(s.fleet)), 2);
	/* Back after all: what it sends again still counts nothing. */
	scene_hello(&s, &ear, "web-1", 1, 1);
	CHECK_EQ_U64(ear.last.committed_seq, 3);
	CHECK(ear.last.from_segment_start);
	CHECK_EQ_U64(scene_hosts(&s), 2);
	CHECK_EQ_U64(merge_counters(s.merge).gap_records_total, 1);
	scene_end(&s);
}

CHECK_TEST(test_agent_that_comes_back_counts_under_its_own_name_again)
{
	struct scene s;
	struct ear ear = {0};
	struct merge_peer *peer;

	scene_start(&s);
	scene_month(&s);
	CHECK_OK(merge_forget(s.merge, s.wall - MONTH, NULL));
	peer = scene_hello(&s, &ear, "web-1", 1, 1);
	CHECK_OK(scene_send(&s, peer, 3, 10));
	CHECK_OK(scene_send(&s, peer, 4, 7));
	scene_second(&s);
	CHECK_EQ_U64(ear.ends, 0);
	CHECK_EQ_U64(scene_total_of(&s, "web-1"), 7);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 37);
	CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
	scene_kill(&s);
	scene_begin(&s);
	CHECK_EQ_U64(scene_total_of(&s, "web-1"), 7);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 37);
	scene_end(&s);
}

CHECK_TEST(test_agents_that_are_made_up_do_not_fill_the_memory)
{
	struct scene s;
	struct ear own = {0}, ear = {0};
	struct store_agent row = {.host = "made-up"};
	struct merge_peer *peer;

	scene_start(&s);
	peer = scene_hello(&s, &own, "web-1", 1, 1);
	for (row.epoch = 2; row.epoch <= SOURCES_MAX; row.epoch++) {
		memcpy(row.id, &row.epoch, sizeof(row.epoch));
		CHECK_OK(merge_restore_agent(s.merge, &row));
	}
	CHECK_OK(scene_send(&s, peer, 1, 10));
	scene_hello_as(&s, &ear, "web-2", 1, 1, "", -EUSERS);
	CHECK_EQ_U64(ear.status, RPC_RESOURCE_EXHAUSTED);
	CHECK_STR_HAS(ear.text, "as many as it takes");
	scene_second(&s);
	CHECK_EQ_U64(own.ends, 0); /* the others go on */
	CHECK_EQ_U64(own.last.committed_seq, 1);
	CHECK_OK(merge_forget(s.merge, s.wall - NS_PER_S, NULL));
	scene_hello(&s, &ear, "web-2", 1, 1);
	scene_end(&s);
}

CHECK_TEST(test_totals_outlive_their_raw_ticks)
{
	struct scene s;
	struct ear ear = {0};

	scene_start(&s);
	scene_live(&s, 100);
	CHECK_OK(merge_commit(s.merge, NULL));
	CHECK_OK(store_begin(s.store, NULL));
	CHECK_OK(store_record_trim(s.store, merge_saved(s.merge), s.wall + NS_PER_S, UINT64_MAX,
				   100000, NULL));
	CHECK_OK(store_commit(s.store, NULL));
	scene_kill(&s);
	scene_begin(&s);
	/* What the checkpoint holds, and the one tick behind it, which may not be trimmed. */
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 1300 + 1000);
	CHECK_EQ_U64(scene_count(&s, WINDOW_1H), 1000);
	scene_hello(&s, &ear, "web-2", 1, 1);
	CHECK_EQ_U64(ear.last.committed_seq, 100);
	scene_end(&s);
}

CHECK_TEST(test_restart_with_a_smaller_cap_keeps_the_sum)
{
	struct scene s;

	scene_start(&s);
	scene_live(&s, 100);
	scene_kill(&s);
	s.config.series_max = 0; /* times the factor: the table's least, far more than two */
	scene_begin(&s);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 1300);
	scene_end(&s);
}

CHECK_TEST(test_record_that_memory_lacked_for_counts_after_a_restart)
{
	struct scene s;
	struct ear ear = {0};
	struct stream_record record = {.seq = 1};
	struct diag d = {0};
	unsigned n = 0;

	scene_start(&s);
	while (!fleet_unmerged_total(s.fleet)) {
		char host[16];

		CHECK(n < 20);
		/* A new series' total takes memory at once when its record is late. */
		snprintf(host, sizeof(host), "web-%u", n);
		scene_tick(&s, s.wall - NS_PER_MIN, 10, true, &record);
		CHECK_OK(scene_batch(scene_hello(&s, &ear, host, 1, 1), &record, 0, s.wall));
		check_alloc_fail_at(++n);
		CHECK_OK(merge_commit(s.merge, NULL));
		check_alloc_fail_at(0);
	}
	/* A checkpoint would make the loss permanent. */
	CHECK_RC(checkpoint_save(s.fleet, s.merge, s.store, &d), -ENOMEM);
	CHECK_STR_HAS(d.what, "memory lacked");
	scene_kill(&s);
	scene_begin(&s);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 10 * n);
	CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, &d));
	scene_end(&s);
}

CHECK_TEST(test_more_than_a_second_holds_counts_in_totals)
{
	const uint64_t many = UINT64_C(3000000000); /* twice that is more than 32 bits */
	struct scene s;
	struct ear ear = {0};
	struct merge_peer *peer;

	scene_start(&s);
	peer = scene_hello(&s, &ear, "web-1", 1, 1);
	CHECK_OK(scene_send(&s, peer, 1, many));
	CHECK_OK(scene_send(&s, peer, 2, many));
	scene_second(&s);
	CHECK_EQ_U64(fleet_unmerged_total(s.fleet), 0);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 2 * many);
	CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
	scene_kill(&s);
	scene_begin(&s);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 2 * many);
	scene_end(&s);
}

CHECK_TEST(test_full_disk_acknowledges_nothing_and_is_over_by_itself)
{
	struct scene s;
	struct ear ear = {0}, again = {0};
	struct merge_peer *peer;
	struct rlimit before, none;
	struct diag d = {0};

	scene_start(&s);
	peer = scene_hello(&s, &ear, "web-1", 1, 1);
	CHECK_OK(scene_send(&s, peer, 1, 10));
	CHECK_OK(merge_commit(s.merge, NULL));
	signal(SIGXFSZ, SIG_IGN);
	CHECK_OK(getrlimit(RLIMIT_FSIZE, &before));
	none = (struct rlimit){.rlim_cur = 4096, .rlim_max = before.rlim_max};
	CHECK_OK(setrlimit(RLIMIT_FSIZE, &none));
	CHECK_OK(scene_send(&s, peer, 2, 10));
	CHECK(merge_commit(s.merge, &d) < 0);
	CHECK_STR_HAS(d.where, "hub.db");
	CHECK_EQ_U64(ear.last.committed_seq, 1);
	CHECK_EQ_U64(ear.ends, 1);
	CHECK_EQ_U64(ear.status, RPC_UNAVAILABLE);
	CHECK_OK(setrlimit(RLIMIT_FSIZE, &before));
	peer = scene_hello(&s, &again, "web-1", 1, 1);
	CHECK_EQ_U64(again.last.committed_seq, 1);
	CHECK_OK(scene_send(&s, peer, 2, 10));
	scene_second(&s);
	CHECK_EQ_U64(again.last.committed_seq, 2);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 20);
	CHECK_EQ_U64(merge_counters(s.merge).commit_failures_total, 1);
	scene_end(&s);
}

CHECK_TEST(test_second_process_is_kept_out_of_the_store)
{
	struct store *first, *second;
	struct diag d = {0};

	CHECK_OK(store_open(check_dir(), &first, &d));
	CHECK_RC(store_open(check_dir(), &second, &d), -EBUSY);
	CHECK_STR_HAS(d.fix, "other process");
	store_close(first);
}

CHECK_MAIN("merge", test_record_is_acknowledged_only_after_the_commit,
	   test_record_sent_again_counts_once_and_is_acknowledged_again,
	   test_jump_without_proof_ends_the_stream_and_counts_nothing,
	   test_proven_loss_is_jumped_over_and_counted,
	   test_new_journal_of_an_agent_adds_to_the_old_one,
	   test_second_stream_of_an_agent_ends_the_first,
	   test_agent_belongs_to_the_certificate_it_first_came_with,
	   test_other_protocol_version_is_refused_by_naming_both,
	   test_record_that_cannot_be_read_is_a_gap_with_a_reason_and_stops_nothing,
	   test_record_that_cannot_be_read_says_why,
	   test_record_with_more_gauges_than_an_agent_has_is_set_aside,
	   test_gauges_of_all_hosts_of_a_fleet_are_kept,
	   test_name_given_by_a_record_that_cannot_be_read_outlives_a_crash,
	   test_name_given_by_a_repeat_outlives_a_crash, test_number_without_a_record_is_a_gap,
	   test_record_whose_names_are_lost_is_a_gap, test_series_that_was_never_named_is_asked_for,
	   test_record_that_comes_late_counts_in_totals_and_in_no_window,
	   test_restart_without_any_checkpoint_gives_the_same_fleet,
	   test_restart_behind_a_checkpoint_gives_the_same_fleet,
	   test_restart_right_at_a_checkpoint_gives_the_same_fleet,
	   test_raw_tick_that_broke_is_set_aside_and_the_hub_starts,
	   test_raw_tick_that_broke_with_a_name_takes_those_that_need_it_along,
	   test_agent_that_is_gone_is_forgotten_and_its_totals_stay,
	   test_agent_that_comes_back_counts_under_its_own_name_again,
	   test_agents_that_are_made_up_do_not_fill_the_memory, test_totals_outlive_their_raw_ticks,
	   test_restart_with_a_smaller_cap_keeps_the_sum,
	   test_record_that_memory_lacked_for_counts_after_a_restart,
	   test_more_than_a_second_holds_counts_in_totals,
	   test_full_disk_acknowledges_nothing_and_is_over_by_itself,
	   test_second_process_is_kept_out_of_the_store)
