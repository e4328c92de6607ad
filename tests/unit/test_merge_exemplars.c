/* SPDX-License-Identifier: Apache-2.0 */
/* What a hub still knows of exemplars after a restart. */
#include "tests/unit/merge_scene.h"
#include "view/board.h"

/* A tick of one event and, with a tag, an exemplar of it that took `ms`. */
static void scene_send_tagged(struct scene *s, struct merge_peer *peer, uint64_t seq, uint64_t ms,
			      const char *tag, wall_ns sent)
{
	struct exemplar exemplar = {
		.at = s->wall - NS_PER_S, .latency_ns = ms * NS_PER_MS, .status = 200};
	struct stream_record record = {.seq = seq};

	scene_tick(s, s->wall - NS_PER_S, 1, seq == 1, &record);
	if (tag) {
		CHECK(exemplar_tag_set(&exemplar, tag, strlen(tag)));
		CHECK_OK(tick_add_exemplar(s->writer, 3, &exemplar));
		CHECK_OK(tick_end(s->writer, &record.tick, &record.tick_size));
	}
	CHECK_OK(scene_batch(peer, &record, 0, sent));
}

struct told {
	unsigned count;
	uint64_t latencies_ns;
	series_id series;
};

static int told_add(void *arg, series_id series, const struct exemplar *exemplar)
{
	struct told *told = arg;

	told->count++;
	told->latencies_ns += exemplar->latency_ns;
	told->series = series;
	return 0;
}

static struct told scene_told(const struct scene *s)
{
	struct board *board = board_new();
	struct told told = {0};

	CHECK_OK(fleet_board(s->fleet, board));
	CHECK(board->exemplars);
	CHECK_OK(exemplar_book_each(board->exemplars, 0, UINT64_MAX, told_add, &told));
	board_unref(board);
	return told;
}

static void told_same(struct told after, struct told before)
{
	CHECK_EQ_U64(after.count, before.count);
	CHECK_EQ_U64(after.latencies_ns, before.latencies_ns);
}

CHECK_TEST(test_exemplars_of_the_hour_outlive_a_restart)
{
	struct scene s;
	struct ear ear = {0};
	struct merge_peer *peer = scene_start_hello(&s, &ear);
	struct told before;

	for (unsigned seq = 1; seq <= 600; seq++) {
		char tag[16];

		snprintf(tag, sizeof(tag), "trace-%u", seq);
		scene_send_tagged(&s, peer, seq, seq % 50, seq % 10 ? NULL : tag, s.wall);
		scene_second(&s);
		if (seq % 30 == 0)
			CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
	}
	before = scene_told(&s);
	CHECK_GE_U64(before.count, 40);
	for (unsigned start = 0; start < 2; start++) {
		scene_crash(&s);
		fleet_step_windows(s.fleet, fleet_now(s.fleet));
		told_same(scene_told(&s), before);
		CHECK_EQ_U64(scene_count(&s, SERIES_TOTAL), 600);
		CHECK_EQ_U64(scene_count(&s, WINDOW_1H), 600);
	}
	scene_end(&s);
}

/* As of an agent that was away: its records count in totals alone, and their exemplars all the same. */
CHECK_TEST(test_exemplars_that_came_late_outlive_a_restart)
{
	struct scene s;
	struct ear ear = {0};
	struct merge_peer *peer = scene_start_hello(&s, &ear);
	struct told before;

	for (unsigned seq = 1; seq <= 5; seq++) {
		scene_send_tagged(&s, peer, seq, 10 + seq, seq % 2 ? "late" : NULL,
				  s.wall + NS_PER_MIN);
		scene_second(&s);
	}
	CHECK_EQ_U64(merge_counters(s.merge).late_total, 5);
	before = scene_told(&s);
	CHECK_EQ_U64(before.count, 3);
	CHECK_OK(checkpoint_save(s.fleet, s.merge, s.store, NULL));
	scene_crash(&s);
	told_same(scene_told(&s), before);
	scene_end(&s);
}

CHECK_MAIN("merge_exemplars", test_exemplars_of_the_hour_outlive_a_restart,
	   test_exemplars_that_came_late_outlive_a_restart)
