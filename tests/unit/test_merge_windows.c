/* SPDX-License-Identifier: Apache-2.0 */
/* What the windows of a hub hold after a restart, whatever raw ticks it lives through again. */
#include <errno.h>
#include <string.h>

#include "tests/unit/merge_scene.h"

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

/* An application that subtracts its clocks the wrong way round: sums end at the largest number. */
CHECK_TEST(test_windows_outlive_a_restart_when_a_sum_of_latencies_is_at_its_end)
{
	largest_outlives_restart(150, UINT64_MAX, UINT64_MAX);
}

CHECK_TEST(test_one_value_beside_a_sum_at_its_end_outlives_a_restart)
{
	largest_outlives_restart(1, UINT64_MAX, 0);
}

/* Somebody sets the clock by so much, in seconds, while the hub runs; then it is killed. */
static void clock_set_before_restart(int64_t by, unsigned after_s)
{
	static struct shown before, after;
	struct scene s;
	struct ear ear = {0};
	struct merge_peer *peer = scene_start_hello(&s, &ear);
	const mono_ns offset = s.wall - clock_mono();

	for (unsigned seq = 1; seq <= 300 + after_s; seq++) {
		CHECK_OK(scene_send(&s, peer, seq, 1));
		s.wall += NS_PER_S + (seq == 300 ? (wall_ns)by * NS_PER_S : 0);
		clock_fake(s.wall - offset - (seq < 300 ? 0 : (wall_ns)by * NS_PER_S), s.wall);
		CHECK_OK(merge_commit(s.merge, NULL));
		fleet_step(s.fleet, fleet_now(s.fleet), s.wall, scene_no_action, NULL);
		if (seq % 20 == 0)
			CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
	}
	scene_show(&s, &before);
	scene_crash(&s);
	fleet_step_windows(s.fleet, fleet_now(s.fleet));
	scene_show(&s, &after);
	same_windows(&after, &before);
	/* A second more or less by when records arrived. */
	CHECK_GE_U64(after.counts[WINDOW_1M] + 2, before.counts[WINDOW_1M]);
	CHECK_LE_U64(after.counts[WINDOW_1M], before.counts[WINDOW_1M] + 2);
	scene_end(&s);
}

CHECK_TEST(test_windows_outlive_a_restart_after_the_clock_was_set_forward)
{
	clock_set_before_restart(7200, 200);
}

CHECK_TEST(test_windows_outlive_a_restart_after_the_clock_was_set_back)
{
	clock_set_before_restart(-7200, 200);
}

CHECK_TEST(test_windows_of_a_hub_that_did_not_note_the_time_of_day_are_taken_up)
{
	static struct shown before, after;
	struct scene s;
	struct ear ear = {0};
	struct merge_peer *peer = scene_start_hello(&s, &ear);
	uint8_t *bytes;
	size_t size;

	for (unsigned seq = 1; seq <= 300; seq++) {
		CHECK_OK(scene_send(&s, peer, seq, 1));
		scene_second(&s);
		if (seq == 100)
			scene_clock(&s, s.wall + 2 * NS_PER_H);
		if (seq % 20 == 0)
			CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
	}
	CHECK_RC(store_value_get(s.store, "windows", &bytes, &size, NULL), 1);
	CHECK_OK(store_begin(s.store, NULL));
	CHECK_OK(store_value_put(s.store, "windows", bytes, size - sizeof(int64_t), NULL));
	CHECK_OK(store_commit(s.store, NULL));
	free(bytes);
	scene_show(&s, &before);
	scene_crash(&s);
	fleet_step_windows(s.fleet, fleet_now(s.fleet));
	scene_show(&s, &after);
	same_windows(&after, &before);
	scene_end(&s);
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

static void scene_send_route(struct scene *s, struct merge_peer *peer, uint64_t seq,
			     const char *route, bool named)
{
	struct stream_record record = {.seq = seq};

	scene_tick_of(s, s->wall - NS_PER_S, 3, route, 10, named, &record);
	CHECK_OK(scene_batch(peer, &record, 0, s->wall));
	scene_second(s);
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

CHECK_MAIN("merge_windows", test_windows_of_days_are_the_same_after_each_restart,
	   test_largest_latency_of_seconds_before_a_checkpoint_outlives_a_restart,
	   test_one_value_of_the_bucket_of_the_largest_outlives_a_restart,
	   test_windows_outlive_a_restart_when_a_sum_of_latencies_is_at_its_end,
	   test_one_value_beside_a_sum_at_its_end_outlives_a_restart,
	   test_windows_outlive_a_restart_after_the_clock_was_set_forward,
	   test_windows_outlive_a_restart_after_the_clock_was_set_back,
	   test_windows_of_a_hub_that_did_not_note_the_time_of_day_are_taken_up,
	   test_series_of_an_exemplar_alone_keeps_the_windows_over_a_restart,
	   test_number_of_a_series_of_an_exemplar_alone_is_no_other_series_later,
	   test_raw_ticks_that_contradict_the_totals_cost_the_windows_minutes_alone,
	   test_slots_of_a_hub_from_before_are_not_taken_for_newer_ones)
