/* SPDX-License-Identifier: Apache-2.0 */
/* Which record a hub cannot read: found out by sending each alone, and never guessed. */
#include "export/suspect.h"
#include "tests/unit/check.h"

/*
 * A hub that cannot read record `bad` unless it comes without content (0: reads all; `deaf` reads
 * nothing), and an exporter that follows the suspicion with messages of up to `room` records.
 */
struct world {
	struct suspect suspect;
	uint64_t bad, committed, room;
	unsigned streams, lost;
	bool deaf;
};

/* One stream, up to its end or to the record `last`. */
static void world_stream(struct world *w, uint64_t last)
{
	uint64_t next = w->committed + 1;

	w->streams++;
	while (next <= last) {
		uint64_t count = suspect_alone(&w->suspect, next) ? 1 : w->room;
		bool refused = w->deaf;

		for (uint64_t seq = next; seq < next + count; seq++)
			refused |= seq == w->bad && !suspect_is_aside(&w->suspect, seq);
		next += count;
		if (refused) {
			suspect_refused(&w->suspect, next - 1);
			return;
		}
		for (uint64_t seq = w->committed + 1; seq < next; seq++)
			w->lost += suspect_is_aside(&w->suspect, seq);
		w->committed = next - 1;
		suspect_answered(&w->suspect, w->committed);
	}
}

CHECK_TEST(test_one_record_that_cannot_be_read_costs_itself_and_no_other)
{
	for (uint64_t bad = 1; bad <= 64; bad++) {
		struct world w = {.bad = bad, .room = 16};

		while (w.committed < 64 && w.streams < 10)
			world_stream(&w, 64);
		CHECK_EQ_U64(w.committed, 64);
		CHECK_EQ_U64(w.lost, 1);
		CHECK(suspect_is_aside(&w.suspect, bad));
		/* In company, alone as often as it takes, and without content. */
		CHECK_EQ_U64(w.streams, 2 + SUSPECT_REFUSALS);
		CHECK(!suspect_alone(&w.suspect, 65));
	}
}

CHECK_TEST(test_record_that_is_taken_the_second_time_is_not_set_aside)
{
	struct world w = {.bad = 7, .room = 16};

	for (unsigned i = 0; i < SUSPECT_REFUSALS; i++)
		world_stream(&w, 64);
	CHECK_EQ_U64(w.committed, 6);
	w.bad = 0;
	world_stream(&w, 64);
	CHECK_EQ_U64(w.committed, 64);
	CHECK_EQ_U64(w.lost, 0);
}

CHECK_TEST(test_hub_that_reads_nothing_costs_no_record)
{
	struct world w = {.deaf = true, .room = 16};

	for (unsigned i = 0; i < 1000; i++)
		world_stream(&w, 64);
	CHECK_EQ_U64(w.committed, 0);
	w.deaf = false;
	/* Whatever it was about to do: with content at the latest after it was asked without. */
	if (suspect_is_aside(&w.suspect, 1)) {
		w.deaf = true;
		world_stream(&w, 64);
		w.deaf = false;
	}
	world_stream(&w, 64);
	CHECK_EQ_U64(w.committed, 64);
	CHECK_EQ_U64(w.lost, 0);
}

CHECK_TEST(test_as_many_as_are_remembered_go_without_content_when_asked_for_again)
{
	struct suspect suspect = {0};

	for (uint64_t seq = 1; seq <= SUSPECT_ASIDE + 1; seq++) {
		CHECK_EQ_U64(suspect_refused(&suspect, seq), SUSPECT_LOOK);
		for (unsigned i = 1; i < SUSPECT_REFUSALS; i++)
			CHECK_EQ_U64(suspect_refused(&suspect, seq), SUSPECT_LOOK);
		CHECK_EQ_U64(suspect_refused(&suspect, seq), SUSPECT_SET_ASIDE);
		suspect_answered(&suspect, seq);
	}
	CHECK(!suspect_is_aside(&suspect, 1));
	for (uint64_t seq = 2; seq <= SUSPECT_ASIDE + 1; seq++)
		CHECK(suspect_is_aside(&suspect, seq));
	CHECK_EQ_U64(suspect_refused(&suspect, 9), SUSPECT_LOOK);
	CHECK_EQ_U64(suspect_refused(&suspect, 9), SUSPECT_HUB);
	CHECK(!suspect_is_aside(&suspect, 9));
}

CHECK_MAIN("suspect", test_one_record_that_cannot_be_read_costs_itself_and_no_other,
	   test_record_that_is_taken_the_second_time_is_not_set_aside,
	   test_hub_that_reads_nothing_costs_no_record,
	   test_as_many_as_are_remembered_go_without_content_when_asked_for_again)
