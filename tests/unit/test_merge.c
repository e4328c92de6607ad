/* SPDX-License-Identifier: Apache-2.0 */
/* The exactly-once merge: what of an agent's stream counts, once, and what is a gap. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/merge_scene.h"

/* A second in which nothing happened. */
static void scene_idle(struct scene *s, wall_ns wall, struct stream_record *record)
{
	tick_begin(s->writer, wall, NS_PER_S);
	CHECK_OK(tick_end(s->writer, &record->tick, &record->tick_size));
}

CHECK_TEST(test_record_is_acknowledged_only_after_the_commit)
{
	struct scene s;
	struct ear ear = {0};
	struct merge_peer *peer;

	peer = scene_start_hello(&s, &ear);
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

	peer = scene_start_hello(&s, &ear);
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

	peer = scene_start_hello(&s, &ear);
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

	peer = scene_start_hello(&s, &ear);
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

	peer = scene_start_hello(&s, &ear);
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
	scene_crash(&s);
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
	scene_crash(&s);
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

	peer = scene_start_hello(&s, &ear);
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

	peer = scene_start_hello(&s, &ear);
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

	peer = scene_start_hello(&s, &ear);
	scene_send_broken(&s, peer, 1);
	scene_put(&s, peer, 2, 10, false);
	scene_second(&s);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 10);
	scene_crash(&s);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 10);
	scene_end(&s);
}

CHECK_TEST(test_name_given_by_a_repeat_outlives_a_crash)
{
	struct scene s;
	struct ear ear = {0}, again = {0};
	struct merge_peer *peer;

	peer = scene_start_hello(&s, &ear);
	CHECK_OK(scene_batch(peer, &(struct stream_record){.seq = 1}, 0, s.wall));
	peer = scene_hello(&s, &again, "web-1", 1, 1);
	scene_put(&s, peer, 1, 999, true);
	scene_put(&s, peer, 2, 10, false);
	scene_second(&s);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 10);
	scene_crash(&s);
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
	scene_put(&s, peer, 8, 10, false);
	CHECK_EQ_U64(ear.status, RPC_UNAVAILABLE);
	peer = scene_hello(&s, &again, "web-1", 1, 7);
	CHECK(again.last.from_segment_start);
	CHECK_EQ_U64(again.last.committed_seq, 7);
	/* It sends the segment again: 7 counted already, but its names are taken. */
	scene_put(&s, peer, 7, 999, true);
	scene_put(&s, peer, 8, 10, false);
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

	peer = scene_start_hello(&s, &ear);
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

	peer = scene_start_hello(&s, &ear);
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

	peer = scene_start_hello(&s, &ear);
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

/* No agent counts so much: it would take a total beyond what can be stored, and checkpoints with it. */
CHECK_TEST(test_counts_beyond_all_measure_do_not_keep_the_hub_from_its_checkpoints)
{
	struct scene s;
	struct ear ear = {0}, hostile = {0};
	struct merge_peer *peer = scene_start_hello(&s, &ear);
	struct merge_peer *liar = scene_hello(&s, &hostile, "web-2", 1, 1);

	for (unsigned seq = 1; seq <= 3; seq++) {
		CHECK_OK(scene_send(&s, peer, seq, 10));
		CHECK(scene_send(&s, liar, seq, UINT64_C(1) << 62) >= 0);
		scene_second(&s);
	}
	CHECK_EQ_U64(fleet_unmerged_total(s.fleet), 0);
	CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
	CHECK_EQ_U64(scene_total_of(&s, "web-1", NULL), 30);
	scene_crash(&s);
	CHECK_EQ_U64(scene_total_of(&s, "web-1", NULL), 30);
	CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
	scene_end(&s);
}

/* What many records can add up to, each of which is still believed. */
CHECK_TEST(test_total_that_made_up_figures_fill_stays_what_a_checkpoint_can_hold)
{
	const struct series_key key = {.host = "web-2", .service = "shop", .route = "/pay"};
	struct scene s;
	struct ear ear = {0};
	struct merge_peer *peer = scene_start_hello(&s, &ear);
	static struct hist hist;
	static uint8_t packed[HIST_PACKED_MAX];
	struct intake_delta delta = {.series = series_get(fleet_table(s.fleet), &key)};
	const struct intake intake = {.deltas = &delta, .delta_count = 1};

	hist_record(&hist, 5 * NS_PER_MS, UINT64_C(1) << 60);
	delta.delta = (struct series_delta){
		.id = series_id_of(delta.series),
		.key = series_key_of(delta.series),
		.hist = packed,
		.hist_size = (size_t)hist_pack(&hist, packed, sizeof(packed)),
		.counts.count = UINT64_C(1) << 60,
	};
	for (unsigned seq = 1; seq <= 5; seq++) {
		CHECK_OK(scene_send(&s, peer, seq, 10));
		fleet_merge(s.fleet, &intake, FLEET_TOTALS, fleet_now(s.fleet));
		scene_second(&s);
	}
	CHECK_EQ_U64(scene_total_of(&s, "web-2", NULL), UINT64_C(1) << 61);
	CHECK_EQ_U64(scene_total_of(&s, "web-1", NULL), 50);
	CHECK_EQ_U64(fleet_unmerged_total(s.fleet), 0);
	CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
	scene_crash(&s);
	CHECK_EQ_U64(scene_total_of(&s, "web-2", NULL), UINT64_C(1) << 61);
	scene_end(&s);
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
	   test_counts_beyond_all_measure_do_not_keep_the_hub_from_its_checkpoints,
	   test_total_that_made_up_figures_fill_stays_what_a_checkpoint_can_hold,
	   test_gauges_of_all_hosts_of_a_fleet_are_kept,
	   test_name_given_by_a_record_that_cannot_be_read_outlives_a_crash,
	   test_name_given_by_a_repeat_outlives_a_crash, test_number_without_a_record_is_a_gap,
	   test_record_whose_names_are_lost_is_a_gap, test_series_that_was_never_named_is_asked_for,
	   test_record_that_comes_late_counts_in_totals_and_in_no_window)
