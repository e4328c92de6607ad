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

/* A fleet's windows, by counts and by buckets. */
struct shown {
	uint64_t counts[WINDOW_COUNT];
	struct hist sums[WINDOW_COUNT], waits[WINDOW_COUNT];
};

static void scene_show(struct scene *s, struct shown *shown)
{
	const struct series_table *table = fleet_table(s->fleet);

	memset(shown, 0, sizeof(*shown));
	series_reader_register();
	series_read_lock();
	for (unsigned w = 0; w < WINDOW_COUNT; w++)
		for (series_id id = 0; id < series_count(table); id++) {
			struct series_counts counts = {0};

			series_window_add(table, series_at(table, id), (enum series_window)w,
					  &shown->sums[w], &shown->waits[w], &counts);
			shown->counts[w] += counts.count;
		}
	series_read_unlock();
	series_reader_unregister();
}

static void same_hist(const struct hist *a, const struct hist *b)
{
	CHECK_MEM(a->slots, b->slots, sizeof(a->slots));
	CHECK_EQ_U64(a->count, b->count);
	CHECK_EQ_U64(a->sum_ns, b->sum_ns);
	CHECK_EQ_U64(a->max_ns, b->max_ns);
}

/* From 5 min on; finer windows come from raw ticks by when they arrived, within a second. */
static void same_windows(const struct shown *a, const struct shown *b)
{
	for (unsigned w = WINDOW_5M; w < WINDOW_COUNT; w++) {
		if (a->counts[w] != b->counts[w])
			CHECK_FAIL("%s: %llu, expected %llu",
				   series_window_name((enum series_window)w),
				   (unsigned long long)a->counts[w],
				   (unsigned long long)b->counts[w]);
		same_hist(&a->sums[w], &b->sums[w]);
		same_hist(&a->waits[w], &b->waits[w]);
	}
}

static size_t hist_of(uint64_t ns, uint64_t count, uint8_t *packed)
{
	static struct hist hist;

	hist_clear(&hist);
	hist_record(&hist, ns, count);
	return (size_t)hist_pack(&hist, packed, HIST_PACKED_MAX);
}

/* As scene_send(), of events that took `latency`, all of which waited `wait`; 0: none did. */
static void scene_send_of(struct scene *s, struct merge_peer *peer, uint64_t seq, uint64_t count,
			  dur_ns latency, dur_ns wait)
{
	static const struct series_key key = {
		.service = "shop", .method = "GET", .route = "/pay", .status_class = CLASS_2XX};
	static uint8_t packed[2][HIST_PACKED_MAX];
	struct series_delta delta = {
		.id = 3, .hist = packed[0], .queue = packed[1], .counts.count = count};
	struct stream_record record = {.seq = seq};

	delta.hist_size = hist_of(latency, count, packed[0]);
	if (wait)
		delta.queue_size = hist_of(wait, count, packed[1]);
	tick_begin(s->writer, s->wall - NS_PER_S, NS_PER_S);
	CHECK_OK(tick_add_series(s->writer, delta.id, &key));
	CHECK_OK(tick_add_delta(s->writer, &delta));
	CHECK_OK(tick_end(s->writer, &record.tick, &record.tick_size));
	CHECK_OK(scene_batch(peer, &record, 0, s->wall));
}

/*
 * Forty days of two agents, most of them in leaps; checkpoints now and then, and at times the hub is
 * killed: behind a checkpoint, right at one, twice before the next. Beside it what the windows show
 * is what they showed before, and goes on to be what a hub that was never killed shows: also the
 * largest latency, be it of a second that the hub lives through again or of one before.
 */
CHECK_TEST(test_windows_of_days_are_the_same_after_each_restart)
{
	static struct shown before, after;
	struct scene s;
	struct merge_peer *peer;
	struct ear ear = {0};
	uint64_t seq = 0, total = 0, random = 1;
	unsigned restarts = 0;

	scene_start(&s);
	peer = scene_hello(&s, &ear, "web-1", 1, 1);
	for (unsigned i = 0; i < 3000; i++) {
		uint64_t count = 1 + i % 7;
		dur_ns latency;

		/* Knuth's linear congruential generator; mostly some ms, now and then up to 2 s. */
		random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		latency = NS_PER_MS + (random >> 40) * (random >> 33 & 63 ? 1 : 128);
		scene_send_of(&s, peer, ++seq, count, latency, i % 500 < 40 ? latency / 3 : 0);
		total += count;
		scene_second(&s);
		if (i % 30 == 29)
			CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
		if (i % 97 == 96)
			scene_clock(&s, s.wall + (1 + i % 5) * i * 5 * NS_PER_S);
		if (i % 211 != 180 && i % 211 != 185 && i % 270 != 269)
			continue;
		scene_show(&s, &before);
		scene_kill(&s);
		scene_begin(&s);
		/* Of the same second: the hub has not ended one since. */
		fleet_step_windows(s.fleet, fleet_now(s.fleet));
		scene_show(&s, &after);
		same_windows(&after, &before);
		CHECK_EQ_U64(after.counts[SERIES_TOTAL], total);
		peer = scene_hello(&s, &ear, "web-1", 1, 1);
		restarts++;
	}
	CHECK(restarts > 30);
	CHECK(before.counts[WINDOW_1D] < before.counts[WINDOW_30D]);
	scene_end(&s);
}

/* Seconds with an event of 5 ms and checkpoints, then one more; checkpoint, and the process dies. */
static void largest_outlives_restart(unsigned seconds, dur_ns latency, dur_ns wait)
{
	static struct shown before, after;
	struct scene s;
	struct ear ear = {0};
	struct merge_peer *peer = scene_start_hello(&s, &ear);

	for (unsigned i = 0; i < 150; i++) {
		if (i < seconds)
			CHECK_OK(scene_send(&s, peer, i + 1, 1));
		scene_second(&s);
		if (i % 20 == 0)
			CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
	}
	scene_send_of(&s, peer, seconds + 1, 1, latency, wait);
	scene_second(&s);
	CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
	scene_show(&s, &before);
	scene_crash(&s);
	fleet_step_windows(s.fleet, fleet_now(s.fleet));
	scene_show(&s, &after);
	CHECK_EQ_U64(after.counts[SERIES_TOTAL], seconds + 1);
	CHECK_EQ_U64(after.sums[SERIES_TOTAL].max_ns, latency);
	CHECK_EQ_U64(after.waits[SERIES_TOTAL].max_ns, wait);
	same_windows(&after, &before);
	scene_end(&s);
}

CHECK_TEST(test_largest_latency_of_seconds_before_a_checkpoint_outlives_a_restart)
{
	largest_outlives_restart(150, 50 * NS_PER_MS, 20 * NS_PER_MS);
}

CHECK_TEST(test_one_value_of_the_bucket_of_the_largest_outlives_a_restart)
{
	largest_outlives_restart(1, 5 * NS_PER_MS + 1000, 0);
}

/* A tick with a series of which it has but an exemplar. */
static void scene_send_exemplar(struct scene *s, struct merge_peer *peer, uint64_t seq)
{
	static const struct series_key key = {
		.service = "shop", .method = "GET", .route = "/cart", .status_class = CLASS_2XX};
	const struct exemplar exemplar = {
		.at = s->wall - NS_PER_S, .latency_ns = NS_PER_MS, .status = 200, .tag = "slow"};
	struct stream_record record = {.seq = seq};

	tick_begin(s->writer, s->wall - NS_PER_S, NS_PER_S);
	CHECK_OK(tick_add_series(s->writer, 4, &key));
	CHECK_OK(tick_add_exemplar(s->writer, 4, &exemplar));
	CHECK_OK(tick_end(s->writer, &record.tick, &record.tick_size));
	CHECK_OK(scene_batch(peer, &record, 0, s->wall));
}

CHECK_TEST(test_series_of_an_exemplar_alone_keeps_the_windows_over_a_restart)
{
	struct scene s;
	struct ear ear = {0};
	struct merge_peer *peer = scene_start_hello(&s, &ear);

	for (unsigned seq = 1; seq <= 200; seq++) {
		CHECK_OK(scene_send(&s, peer, seq, 1));
		scene_second(&s);
		if (seq % 20 == 0)
			CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
	}
	scene_send_exemplar(&s, peer, 201);
	scene_second(&s);
	CHECK_EQ_U64(series_count(fleet_table(s.fleet)), 2);
	CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
	for (unsigned start = 0; start < 2; start++) {
		scene_crash(&s);
		fleet_step_windows(s.fleet, fleet_now(s.fleet));
		CHECK_EQ_U64(scene_count(&s, WINDOW_1D), 200);
		CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 200);
		CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
	}
	scene_end(&s);
}

static void scene_send_route(struct scene *s, struct merge_peer *peer, uint64_t seq,
			     const char *route, bool named)
{
	struct stream_record record = {.seq = seq};

	scene_tick_of(s, s->wall - NS_PER_S, 3, route, 10, named, &record);
	CHECK_OK(scene_batch(peer, &record, 0, s->wall));
	scene_second(s);
}

/* Totals of the series of this host and route; NULL: of any. */
static uint64_t scene_total_of(struct scene *s, const char *host, const char *route)
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

CHECK_TEST(test_raw_ticks_that_contradict_the_totals_cost_the_windows_minutes_alone)
{
	struct scene s;
	struct ear ear = {0};
	struct merge_peer *peer = scene_start_hello(&s, &ear);
	uint64_t day;

	scene_clock(&s, s.wall + 2 * NS_PER_H);
	for (unsigned seq = 1; seq <= 400; seq++) {
		scene_send_route(&s, peer, seq, "/pay", seq == 1);
		if (seq % 20 == 0)
			CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
	}
	/* The agent's number means another route from now on, by which older ticks are read. */
	scene_send_route(&s, peer, 401, "/new", true);
	CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
	scene_kill(&s);
	CHECK_OK(store_open(check_dir(), &s.store, NULL));
	scene_make(&s);
	CHECK_RC(checkpoint_load(s.fleet, s.merge, s.store, true, &(struct diag){0}), 1);
	merge_free(s.merge);
	fleet_free(s.fleet);
	scene_make(&s);
	CHECK_OK(checkpoint_load(s.fleet, s.merge, s.store, false, &(struct diag){0}));
	fleet_step_windows(s.fleet, fleet_now(s.fleet));
	day = scene_count(&s, WINDOW_1D);
	CHECK_GE_U64(day, 4010 - 10 * 130);
	CHECK_LE_U64(day, 4010);
	CHECK_EQ_U64(scene_total_of(&s, NULL, "/pay"), 4000);
	CHECK_EQ_U64(scene_total_of(&s, NULL, "/new"), 10);
	/* The next restart is as any other. */
	peer = scene_hello(&s, &ear, "web-1", 1, 1);
	scene_send_route(&s, peer, 402, "/new", false);
	CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
	scene_crash(&s);
	fleet_step_windows(s.fleet, fleet_now(s.fleet));
	CHECK_EQ_U64(scene_count(&s, WINDOW_1D), day + 10);
	CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 4020);
	scene_end(&s);
}

CHECK_TEST(test_slots_of_a_hub_from_before_are_not_taken_for_newer_ones)
{
	struct scene s;
	struct merge_peer *peer;
	struct ear ear = {0};
	const int64_t older = 5;

	scene_start(&s);
	peer = scene_hello(&s, &ear, "web-1", 1, 1);
	for (unsigned second = 1; second <= 200; second++) {
		CHECK_OK(scene_send(&s, peer, second, 1));
		scene_second(&s);
	}
	CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
	CHECK_OK(store_begin(s.store, NULL));
	CHECK_OK(store_value_put(s.store, "applied", &older, sizeof(older), NULL));
	CHECK_OK(store_commit(s.store, NULL));
	scene_kill(&s);
	s.fleet = NULL;
	CHECK_OK(store_open(check_dir(), &s.store, NULL));
	scene_make(&s);
	/* Totals of 200 and raw ticks behind the fifth contradict nothing: they are read from there. */
	CHECK_OK(checkpoint_load(s.fleet, s.merge, s.store, true, &(struct diag){0}));
	CHECK_EQ_U64(series_clock(fleet_table(s.fleet)).first_tick ? 1 : 0, 1);
	CHECK_LE_U64(scene_count(&s, WINDOW_1H), 200);
	scene_end(&s);
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

CHECK_TEST(test_number_of_a_series_of_an_exemplar_alone_is_no_other_series_later)
{
	struct scene s;
	struct ear ear = {0}, other = {0};
	struct merge_peer *peer = scene_start_hello(&s, &ear), *second;
	struct stream_record record = {.seq = 202};

	CHECK_OK(scene_send(&s, peer, 1, 1));
	scene_send_exemplar(&s, peer, 2);
	for (unsigned seq = 3; seq <= 200; seq++) {
		CHECK_OK(scene_send(&s, peer, seq, 1));
		scene_second(&s);
		if (seq % 20 == 0)
			CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
	}
	scene_crash(&s);
	peer = scene_hello(&s, &ear, "web-1", 1, 1);
	CHECK_OK(scene_send(&s, peer, 201, 1));
	second = scene_hello(&s, &other, "web-2", 1, 1);
	CHECK_OK(scene_send(&s, second, 1, 7));
	scene_second(&s);
	CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
	scene_crash(&s);
	peer = scene_hello(&s, &ear, "web-1", 1, 1);
	scene_tick_of(&s, s.wall - NS_PER_S, 4, "/cart", 100, false, &record);
	CHECK_OK(scene_batch(peer, &record, 0, s.wall));
	scene_second(&s);
	CHECK_EQ_U64(scene_total_of(&s, "web-2", NULL), 7);
	scene_end(&s);
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

	scene_start(&s);
	peer = scene_hello(&s, &s.ears[0], "web-1", 1, 1);
	scene_old_route(&s, peer, 1, 10);
	scene_second(&s);
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

	scene_start(&s);
	peer = scene_hello(&s, &s.ears[0], "web-1", 1, 1);
	scene_old_route(&s, peer, 1, 10);
	scene_second(&s);
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
	   test_windows_of_days_are_the_same_after_each_restart,
	   test_largest_latency_of_seconds_before_a_checkpoint_outlives_a_restart,
	   test_one_value_of_the_bucket_of_the_largest_outlives_a_restart,
	   test_series_of_an_exemplar_alone_keeps_the_windows_over_a_restart,
	   test_number_of_a_series_of_an_exemplar_alone_is_no_other_series_later,
	   test_raw_ticks_that_contradict_the_totals_cost_the_windows_minutes_alone,
	   test_slots_of_a_hub_from_before_are_not_taken_for_newer_ones,
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
