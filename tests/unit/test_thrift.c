/* SPDX-License-Identifier: Apache-2.0 */
/* How much is captured, second by second, for what it takes. */
#include <string.h>

#include "lib/model/thrift.h"
#include "tests/unit/check.h"

static struct thrift state;
static struct thrift_change change;
static mono_ns now;

/* What a request takes in each step, of all processors at one request a second. */
static const double each[THRIFT_STEPS] = {10e-6, 9e-6, 6e-6, 4e-6, 0};

static void begin(void)
{
	memset(&state, 0, sizeof(state));
	now = 1000 * NS_PER_S;
}

/* So many seconds at this rate; returns how often the step changed. */
static unsigned pass(unsigned seconds, double rate, double budget)
{
	unsigned changes = 0;

	while (seconds-- > 0) {
		struct thrift_input input = {
			.now = now += NS_PER_S,
			.cost_ratio = each[state.step] * rate,
			.budget_ratio = budget,
			.rate = state.step == THRIFT_OFF ? 0 : rate,
		};

		changes += thrift_step(&state, &input, &change);
	}
	return changes;
}

CHECK_TEST(test_within_the_budget_everything_is_captured)
{
	begin();
	CHECK_EQ_U64(pass(1000, 9000, 0.1), 0);
	CHECK_EQ_U64(state.step, THRIFT_ALL);
}

CHECK_TEST(test_short_excess_changes_nothing)
{
	begin();
	for (int i = 0; i < 50; i++) {
		CHECK_EQ_U64(pass(3, 20000, 0.1), 0);
		CHECK_EQ_U64(pass(1, 9000, 0.1), 0);
	}
}

CHECK_TEST(test_each_step_gives_way_to_the_next_after_three_seconds)
{
	begin();
	CHECK_EQ_U64(pass(3, 50000, 0.1), 0);
	for (unsigned step = THRIFT_NO_PATHS; step < THRIFT_STEPS; step++) {
		CHECK_EQ_U64(pass(1, 50000, 0.1), 1);
		CHECK_EQ_U64(change.from, step - 1);
		CHECK_EQ_U64(change.to, step);
		CHECK(strstr(change.reason, "for 3 s, above its budget of 10 %") != NULL);
		CHECK(strstr(change.reason, "at 50000 requests/s") != NULL);
		if (step < THRIFT_OFF)
			CHECK_EQ_U64(pass(3, 50000, 0.1), 0);
	}
	CHECK(!strncmp(change.reason, "took 20 %", 9));
}

CHECK_TEST(test_step_that_suffices_stays_as_long_as_the_load)
{
	begin();
	/* Counting takes 8 %, but records of those that are not busy would take 12 %. */
	CHECK_EQ_U64(pass(3600, 20000, 0.1), 3);
	CHECK_EQ_U64(state.step, THRIFT_COUNTS);
}

CHECK_TEST(test_busy_services_alone_give_way_where_that_suffices)
{
	begin();
	CHECK_EQ_U64(pass(3600, 15000, 0.1), 2);
	CHECK_EQ_U64(state.step, THRIFT_BUSY);
	CHECK_STR(thrift_step_name(change.to), "busy");
	CHECK_EQ_U64(pass(4, 20000, 0.1), 1);
	CHECK_EQ_U64(state.step, THRIFT_COUNTS);
}

CHECK_TEST(test_less_load_brings_back_step_by_step)
{
	begin();
	pass(60, 20000, 0.1);
	CHECK_EQ_U64(state.step, THRIFT_COUNTS);
	CHECK_EQ_U64(pass(30, 5000, 0.1), 0);
	CHECK_EQ_U64(pass(1, 5000, 0.1), 1);
	CHECK_EQ_U64(state.step, THRIFT_BUSY);
	CHECK(strstr(change.reason, "would take 3 %") != NULL);
	CHECK_EQ_U64(pass(31, 5000, 0.1), 1);
	CHECK_EQ_U64(state.step, THRIFT_NO_PATHS);
	CHECK(strstr(change.reason, "would take 4.5 %") != NULL);
	CHECK_EQ_U64(pass(31, 5000, 0.1), 1);
	CHECK_EQ_U64(state.step, THRIFT_ALL);
	CHECK_EQ_U64(pass(3600, 5000, 0.1), 0);
}

CHECK_TEST(test_load_between_both_limits_changes_nothing)
{
	begin();
	pass(60, 10500, 0.1);
	CHECK_EQ_U64(state.step, THRIFT_NO_PATHS);
	/* All of it would take 9.5 %, within the budget and above its 0.8. */
	CHECK_EQ_U64(pass(3600, 9500, 0.1), 0);
	/* Below for less than 30 s at a time. */
	for (int i = 0; i < 20; i++) {
		CHECK_EQ_U64(pass(29, 5000, 0.1), 0);
		CHECK_EQ_U64(pass(1, 9500, 0.1), 0);
	}
}

CHECK_TEST(test_off_is_tried_again_ever_more_seldom)
{
	static const dur_ns pauses[] = {60, 120, 240, 480, 960, 1920, 3600, 3600};

	begin();
	pass(16, 50000, 0.1);
	for (unsigned i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
		CHECK_EQ_U64(state.step, THRIFT_OFF);
		CHECK_EQ_U64(thrift_back_at(&state), now + pauses[i] * NS_PER_S);
		CHECK_EQ_U64(pass((unsigned)pauses[i] - 1, 50000, 0.1), 0);
		CHECK_EQ_U64(pass(1, 50000, 0.1), 1);
		CHECK_EQ_U64(state.step, THRIFT_COUNTS);
		CHECK_EQ_U64(thrift_back_at(&state), 0);
		CHECK_EQ_U64(pass(4, 50000, 0.1), 1);
	}
}

CHECK_TEST(test_after_coming_down_the_first_pause_is_short_again)
{
	begin();
	pass(16, 50000, 0.1);
	pass(60 + 4 + 120, 50000, 0.1);
	CHECK_EQ_U64(state.step, THRIFT_COUNTS);
	pass(100, 1000, 0.1);
	CHECK_EQ_U64(state.step, THRIFT_ALL);
	pass(16, 50000, 0.1);
	CHECK_EQ_U64(state.step, THRIFT_OFF);
	CHECK_EQ_U64(thrift_back_at(&state), now + THRIFT_PAUSE_FIRST);
}

CHECK_TEST(test_attempt_that_fails_waits_for_the_pause_again)
{
	begin();
	pass(16, 50000, 0.1);
	pass(60, 50000, 0.1);
	CHECK_EQ_U64(state.step, THRIFT_COUNTS);
	thrift_failed(&state, now);
	CHECK_EQ_U64(state.step, THRIFT_OFF);
	CHECK_EQ_U64(pass(59, 50000, 0.1), 0);
	CHECK_EQ_U64(pass(1, 50000, 0.1), 1);
}

CHECK_TEST(test_without_a_budget_everything_is_captured_at_once)
{
	begin();
	CHECK_EQ_U64(pass(100, 1e6, 0), 0);
	pass(16, 50000, 0.1);
	CHECK_EQ_U64(state.step, THRIFT_OFF);
	CHECK_EQ_U64(pass(1, 50000, 0), 1);
	CHECK_EQ_U64(state.step, THRIFT_ALL);
	CHECK_STR(thrift_step_name(change.to), "all");
}

CHECK_MAIN("thrift", test_within_the_budget_everything_is_captured,
	   test_short_excess_changes_nothing,
	   test_each_step_gives_way_to_the_next_after_three_seconds,
	   test_step_that_suffices_stays_as_long_as_the_load,
	   test_busy_services_alone_give_way_where_that_suffices,
	   test_less_load_brings_back_step_by_step, test_load_between_both_limits_changes_nothing,
	   test_off_is_tried_again_ever_more_seldom,
	   test_after_coming_down_the_first_pause_is_short_again,
	   test_attempt_that_fails_waits_for_the_pause_again,
	   test_without_a_budget_everything_is_captured_at_once)
