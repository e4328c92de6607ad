/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/pace.h"
#include "collectors/http/http_ring.h"
#include "tests/unit/check.h"

#define FOR_EVER UINT64_MAX
#define SHORT	 (2 * PACE_IDLE_NS - 1)

/* Polls that find nothing until they come as rarely as they will; how long that took. */
static dur_ns fall_quiet(struct pace *pace, dur_ns patience)
{
	dur_ns passed = 0;

	for (unsigned i = 0; i < PACE_POLLS_UNTIL_QUIET; i++)
		passed += pace_step(pace, 0, patience);
	return passed;
}

CHECK_TEST(test_polls_become_rarer_while_nothing_comes)
{
	struct pace pace = {0};

	CHECK_EQ_U64(pace_step(&pace, 0, SHORT), PACE_BUSY_NS);
	for (unsigned i = 1; i < PACE_POLLS_UNTIL_IDLE; i++)
		pace_step(&pace, 0, SHORT);
	CHECK_EQ_U64(pace_step(&pace, 0, SHORT), PACE_IDLE_NS);
	pace = (struct pace){0};
	/* Not so soon that a source which only paused is found late when it goes on. */
	CHECK_LE_U64(2 * NS_PER_S, fall_quiet(&pace, FOR_EVER));
	CHECK_EQ_U64(pace_step(&pace, 0, FOR_EVER), PACE_QUIET_NS);
}

CHECK_TEST(test_one_event_ends_the_quiet)
{
	struct pace pace = {0};

	fall_quiet(&pace, FOR_EVER);
	CHECK_EQ_U64(pace_step(&pace, 1, SHORT), PACE_BUSY_NS);
	for (unsigned i = 0; i < PACE_POLLS_UNTIL_IDLE - 1; i++)
		CHECK_EQ_U64(pace_step(&pace, 0, SHORT), PACE_BUSY_NS);
	CHECK_EQ_U64(pace_step(&pace, 0, SHORT), PACE_IDLE_NS);
	fall_quiet(&pace, FOR_EVER);
	CHECK_EQ_U64(pace_step(&pace, 1, FOR_EVER), PACE_IDLE_NS);
}

CHECK_TEST(test_the_more_came_the_sooner_the_next_poll)
{
	struct pace pace = {0};

	CHECK_EQ_U64(pace_step(&pace, PACE_SOME - 1, FOR_EVER), PACE_IDLE_NS);
	CHECK_EQ_U64(pace_step(&pace, PACE_SOME, FOR_EVER), PACE_BUSY_NS);
	CHECK_EQ_U64(pace_step(&pace, PACE_MANY - 1, SHORT), PACE_BUSY_NS);
	CHECK_EQ_U64(pace_step(&pace, PACE_MANY, FOR_EVER), PACE_MANY_NS);
}

CHECK_TEST(test_quiet_is_no_longer_than_a_collector_can_wait)
{
	struct pace pace = {0};

	fall_quiet(&pace, FOR_EVER);
	CHECK_EQ_U64(pace_step(&pace, 0, 30 * NS_PER_MS), 30 * NS_PER_MS);
	/* What it cannot wait in any case is lost with every pace there is. */
	CHECK_EQ_U64(pace_step(&pace, 0, 1), PACE_IDLE_NS);
	CHECK_EQ_U64(pace_step(&pace, 0, FOR_EVER), PACE_QUIET_NS);
}

CHECK_TEST(test_small_rings_of_many_processors_are_drained_as_often_as_ever)
{
	const size_t bytes = 1u << 20;
	struct http_ring_shape two = http_ring_shape_of(bytes, 2);
	struct http_ring_shape eight = http_ring_shape_of(bytes, 8);
	struct pace pace = {0};

	fall_quiet(&pace, FOR_EVER);
	CHECK_EQ_U64(pace_step(&pace, 0, http_ring_patience(&two)), PACE_QUIET_NS);
	CHECK_EQ_U64(pace_step(&pace, 0, http_ring_patience(&eight)), PACE_IDLE_NS);
}

CHECK_MAIN("pace", test_polls_become_rarer_while_nothing_comes, test_one_event_ends_the_quiet,
	   test_the_more_came_the_sooner_the_next_poll,
	   test_quiet_is_no_longer_than_a_collector_can_wait,
	   test_small_rings_of_many_processors_are_drained_as_often_as_ever)
