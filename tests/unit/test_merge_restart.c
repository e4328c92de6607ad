/* SPDX-License-Identifier: Apache-2.0 */
/* What a hub still knows of its fleet after a restart, a broken disk, or a long time. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/unit/merge_scene.h"

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
	scene_crash(&s);
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

	peer = scene_start_hello(&s, &ear);
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

	peer = scene_start_hello(&s, &ear);
	CHECK_OK(scene_send(&s, peer, 1, 10));
	scene_put(&s, peer, 2, 10, false);
	CHECK_OK(scene_send(&s, peer, 3, 10));
	scene_second(&s);
	scene_kill(&s);
	scene_break_raw_tick(1);
	scene_begin(&s);
	CHECK_EQ_U64(merge_counters(s.merge).gap_records_total, 2);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 10);
	scene_end(&s);
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
		CHECK_EQ_U64(scene_total_of(&s, "web-1", NULL), 0);
		CHECK_EQ_U64(scene_total_of(&s, FLEET_GONE, NULL), 20);
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
	CHECK_EQ_U64(scene_total_of(&s, "web-1", NULL), 7);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 37);
	CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
	scene_crash(&s);
	CHECK_EQ_U64(scene_total_of(&s, "web-1", NULL), 7);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 37);
	scene_end(&s);
}

/* A second of web-1 with `count` events of the route /old, which it calls by another number. */
static void scene_old_route(struct scene *s, struct merge_peer *peer, uint64_t seq, uint64_t count)
{
	struct stream_record record = {.seq = seq};

	scene_tick_of(s, s->wall - NS_PER_S, 4, "/old", count, true, &record);
	CHECK_OK(scene_batch(peer, &record, 0, s->wall));
}

/* A fleet of web-1, of whose route /old there are 10 events. */
static void scene_start_old_route(struct scene *s)
{
	scene_start(s);
	scene_old_route(s, scene_hello(s, &s->ears[0], "web-1", 1, 1), 1, 10);
	scene_second(s);
}

/* A restart right behind a checkpoint. */
static void scene_restart(struct scene *s)
{
	CHECK_OK(checkpoint_save(s->fleet, s->merge, s->store, NULL));
	scene_kill(s);
	scene_begin(s);
	scene_second(s);
	CHECK_OK(merge_forget(s->merge, s->wall - MONTH, NULL));
}

CHECK_TEST(test_route_that_nobody_uses_for_a_month_goes_on_as_other)
{
	struct scene s;
	struct merge_peer *peer;

	scene_start_old_route(&s);
	/* Two restarts on the way: it is not forgotten while a window shows it. */
	for (unsigned half = 0; half < 2; half++) {
		scene_restart(&s);
		CHECK_EQ_U64(scene_total_of(&s, NULL, "/old"), 10);
		scene_clock(&s, s.wall + MONTH / 2 - NS_PER_H);
		peer = scene_hello(&s, &s.ears[0], "web-1", 1, 1);
		CHECK_OK(scene_send(&s, peer, 2 + half, 5));
		scene_second(&s);
	}
	CHECK_OK(merge_forget(s.merge, s.wall - MONTH, NULL));
	CHECK_EQ_U64(scene_total_of(&s, NULL, "/old"), 10);
	/* The longest window shows up to three days more than a month. */
	scene_clock(&s, s.wall + 4 * 24 * NS_PER_H);
	for (unsigned i = 0; i < 10; i++) /* windows are looked through every few seconds */
		scene_second(&s);
	CHECK_OK(merge_forget(s.merge, s.wall - MONTH, NULL));
	CHECK_EQ_U64(scene_total_of(&s, NULL, "/old"), 0);
	CHECK_EQ_U64(scene_total_of(&s, NULL, FLEET_OTHER), 10);
	CHECK_EQ_U64(scene_total_of(&s, NULL, "/pay"), 10);
	scene_restart(&s);
	CHECK_EQ_U64(series_count(fleet_table(s.fleet)), 2);
	CHECK_EQ_U64(scene_total_of(&s, "web-1", NULL), 20);
	/* Used again, it counts under its name again. */
	peer = scene_hello(&s, &s.ears[0], "web-1", 1, 1);
	scene_old_route(&s, peer, 4, 7);
	scene_second(&s);
	CHECK_EQ_U64(scene_total_of(&s, NULL, "/old"), 7);
	CHECK_EQ_U64(scene_total_of(&s, NULL, FLEET_OTHER), 10);
	scene_end(&s);
}

CHECK_TEST(test_series_of_a_store_without_times_begin_to_wait_now)
{
	struct scene s;
	struct merge_peer *peer;

	scene_start_old_route(&s);
	CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
	scene_clock(&s, s.wall + 2 * MONTH);
	/* As a hub from before leaves it: further on than the times are. */
	CHECK_OK(store_begin(s.store, NULL));
	CHECK_OK(store_value_put(s.store, "applied", &(int64_t){1}, sizeof(int64_t), NULL));
	CHECK_OK(store_value_put(s.store, "heard", &(int64_t){0}, sizeof(int64_t), NULL));
	CHECK_OK(store_commit(s.store, NULL));
	scene_crash(&s);
	peer = scene_hello(&s, &s.ears[0], "web-1", 1, 1); /* the host itself is there */
	CHECK_OK(scene_send(&s, peer, 2, 5));
	scene_second(&s);
	CHECK_OK(merge_forget(s.merge, s.wall - MONTH, NULL));
	CHECK_EQ_U64(scene_total_of(&s, NULL, "/old"), 10);
	scene_restart(&s);
	CHECK_EQ_U64(scene_total_of(&s, NULL, "/old"), 10);
	scene_clock(&s, s.wall + MONTH + NS_PER_H);
	peer = scene_hello(&s, &s.ears[0], "web-1", 1, 1);
	CHECK_OK(scene_send(&s, peer, 3, 5));
	scene_second(&s);
	CHECK_OK(merge_forget(s.merge, s.wall - MONTH, NULL));
	CHECK_EQ_U64(scene_total_of(&s, NULL, FLEET_OTHER), 10);
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
	scene_crash(&s);
	/* What the checkpoint holds, and the one tick behind it, which may not be trimmed. */
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 1300 + 1000);
	/* Windows also have the slots that were complete before the raw ticks that went. */
	CHECK_GE_U64(scene_count(&s, WINDOW_1H), 1000 + 13 * 20);
	CHECK_LE_U64(scene_count(&s, WINDOW_1H), 1000 + 1300);
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
	scene_crash(&s);
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

	peer = scene_start_hello(&s, &ear);
	CHECK_OK(scene_send(&s, peer, 1, many));
	CHECK_OK(scene_send(&s, peer, 2, many));
	scene_second(&s);
	CHECK_EQ_U64(fleet_unmerged_total(s.fleet), 0);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 2 * many);
	CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
	scene_crash(&s);
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

	peer = scene_start_hello(&s, &ear);
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

CHECK_MAIN("merge_restart", test_restart_without_any_checkpoint_gives_the_same_fleet,
	   test_restart_behind_a_checkpoint_gives_the_same_fleet,
	   test_restart_right_at_a_checkpoint_gives_the_same_fleet,
	   test_raw_tick_that_broke_is_set_aside_and_the_hub_starts,
	   test_raw_tick_that_broke_with_a_name_takes_those_that_need_it_along,
	   test_agent_that_is_gone_is_forgotten_and_its_totals_stay,
	   test_agent_that_comes_back_counts_under_its_own_name_again,
	   test_route_that_nobody_uses_for_a_month_goes_on_as_other,
	   test_series_of_a_store_without_times_begin_to_wait_now,
	   test_agents_that_are_made_up_do_not_fill_the_memory, test_totals_outlive_their_raw_ticks,
	   test_restart_with_a_smaller_cap_keeps_the_sum,
	   test_record_that_memory_lacked_for_counts_after_a_restart,
	   test_more_than_a_second_holds_counts_in_totals,
	   test_full_disk_acknowledges_nothing_and_is_over_by_itself,
	   test_second_process_is_kept_out_of_the_store)
