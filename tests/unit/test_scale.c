/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "lib/model/scale.h"
#include "tests/unit/check.h"

#define T0 UINT64_C(1700000000)

/* A queue of which each replica should carry 100; 2 to 10 replicas, 3 min up, 10 min down. */
static struct scaler queue(void)
{
	struct scaler scaler;

	scaler_init(&scaler);
	strcpy(scaler.name, "workers");
	scaler.signal = SCALE_GAUGE;
	strcpy(scaler.gauge, "queue_depth");
	scaler.target = 100;
	scaler.minimum = 2;
	return scaler;
}

static struct scaler latency(void)
{
	struct scaler scaler = queue();

	scaler.signal = SCALE_LATENCY;
	scaler.target = 200e6;
	return scaler;
}

struct bench {
	struct scaler scaler;
	struct scale scale;
	struct scale_decision decision;
	uint64_t second;
	unsigned news; /* decisions worth telling so far */
};

static struct bench bench_of(struct scaler scaler)
{
	return (struct bench){.scaler = scaler, .second = T0};
}

static bool step_input(struct bench *b, bool has_value, double value, unsigned running)
{
	struct scale_input input = {b->second++, has_value, value, running};
	bool news = scale_step(&b->scale, &b->scaler, &input, &b->decision);

	b->news += news;
	return news;
}

static bool step(struct bench *b, double value)
{
	return step_input(b, true, value, 0);
}

static void steps(struct bench *b, double value, unsigned times)
{
	while (times-- > 0)
		step(b, value);
}

CHECK_TEST(test_sums_ask_for_what_carries_them)
{
	struct bench b = bench_of(queue());

	CHECK(step(&b, 401));
	CHECK_EQ_U64(b.decision.from, 2);
	CHECK_EQ_U64(b.decision.wanted, 5);
	CHECK_EQ_U64(b.decision.to, 5);
	CHECK_EQ_I64(b.decision.limit, SCALE_FREE);
}

CHECK_TEST(test_means_grow_in_proportion)
{
	struct bench b = bench_of(latency());

	CHECK(step_input(&b, true, 500e6, 4));
	CHECK_EQ_U64(b.decision.from, 4);
	CHECK_EQ_U64(b.decision.to, 10);
}

CHECK_TEST(test_exact_multiples_do_not_round_up)
{
	for (unsigned n = 3; n <= 10; n++) {
		struct bench b = bench_of(queue());

		b.scaler.target = 0.1;
		step(&b, 0.1 * n);
		CHECK_EQ_U64(b.decision.wanted, n);
	}
}

CHECK_TEST(test_deadband_holds_without_a_word)
{
	struct bench b = bench_of(queue());

	step(&b, 500);
	CHECK_EQ_U64(b.decision.to, 5);
	CHECK(!step(&b, 550)); /* + 10 % */
	CHECK_EQ_U64(b.decision.wanted, 5);
	CHECK(!step(&b, 450)); /* - 10 % */
	CHECK_EQ_U64(b.decision.wanted, 5);
	step(&b, 551);
	CHECK_EQ_U64(b.decision.wanted, 6);
}

CHECK_TEST(test_cooldown_blocks_second_scale_up)
{
	struct bench b = bench_of(queue());

	step(&b, 400);
	CHECK(step(&b, 800)); /* told once */
	CHECK_EQ_U64(b.decision.to, 4);
	CHECK_EQ_U64(b.decision.wanted, 8);
	CHECK_EQ_I64(b.decision.limit, SCALE_UP_COOLDOWN);
	for (int i = 2; i < 180; i++)
		CHECK(!step(&b, 800));
	CHECK(step(&b, 800)); /* 3 min after the first */
	CHECK_EQ_U64(b.decision.to, 8);
}

CHECK_TEST(test_maximum_and_minimum_hold)
{
	struct bench b = bench_of(queue());

	CHECK(step(&b, 100000));
	CHECK_EQ_U64(b.decision.to, 10);
	CHECK_EQ_U64(b.decision.wanted, 1000);
	CHECK_EQ_I64(b.decision.limit, SCALE_MAXIMUM);
	CHECK(!step(&b, 100000));
	b = bench_of(queue());
	CHECK(step(&b, 0));
	CHECK_EQ_U64(b.decision.to, 2);
	CHECK_EQ_I64(b.decision.limit, SCALE_MINIMUM);
	CHECK(!step(&b, 0));
}

CHECK_TEST(test_down_only_after_ten_quiet_minutes)
{
	struct bench b = bench_of(queue());

	step(&b, 800);
	CHECK(step(&b, 300)); /* held, told once */
	CHECK_EQ_I64(b.decision.limit, SCALE_DOWN_COOLDOWN);
	CHECK_EQ_U64(b.decision.to, 8);
	steps(&b, 300, 598);
	CHECK_EQ_U64(b.news, 2);
	CHECK_EQ_U64(b.decision.to, 8);
	/* The 800 leaves the watched time up to one part (30 s) late, never early. */
	steps(&b, 300, 31);
	CHECK_EQ_U64(b.scale.replicas, 3);
	CHECK_EQ_U64(b.news, 3);
}

CHECK_TEST(test_a_peak_within_the_wait_keeps_what_it_needed)
{
	struct bench b = bench_of(queue());

	step(&b, 800);
	steps(&b, 300, 400);
	steps(&b, 600, 5);
	steps(&b, 300, 240);
	CHECK_EQ_U64(b.scale.replicas, 6);
	steps(&b, 300, 700);
	CHECK_EQ_U64(b.scale.replicas, 3);
}

CHECK_TEST(test_null_is_never_zero)
{
	struct bench b = bench_of(queue());

	step(&b, 800);
	for (int i = 0; i < 5000; i++)
		CHECK(!step_input(&b, false, 0, 0));
	CHECK(!step_input(&b, true, NAN, 0));
	CHECK(!step_input(&b, true, -1, 0));
	CHECK(!step_input(&b, true, INFINITY, 0));
	CHECK_EQ_U64(b.scale.replicas, 8);
	/* And time without a signal is not time watched. */
	steps(&b, 100, 600);
	CHECK_EQ_U64(b.scale.replicas, 8);
	step(&b, 100);
	CHECK_EQ_U64(b.scale.replicas, 2);
}

CHECK_TEST(test_one_second_without_signal_starts_the_wait_anew)
{
	struct bench b = bench_of(queue());

	step(&b, 800);
	steps(&b, 100, 900 - 300);
	step_input(&b, false, 0, 0);
	steps(&b, 100, 600);
	CHECK_EQ_U64(b.scale.replicas, 8);
	step(&b, 100);
	CHECK_EQ_U64(b.scale.replicas, 2);
}

CHECK_TEST(test_time_that_nobody_watched_is_not_quiet)
{
	struct bench b = bench_of(queue());

	step(&b, 800);
	b.second += 700;
	step(&b, 100);
	CHECK_EQ_U64(b.scale.replicas, 8);
	steps(&b, 100, 600);
	CHECK_EQ_U64(b.scale.replicas, 2);
}

CHECK_TEST(test_a_wish_to_shrink_never_grows)
{
	struct bench b = bench_of(queue());

	for (int i = 0; i < 400; i++)
		step_input(&b, true, 800, 8);
	/* Somebody stopped five while the load fell: the 8 of before are no reason to start any. */
	for (int i = 0; i < 400; i++)
		step_input(&b, true, 200, 3);
	CHECK_EQ_U64(b.scale.replicas, 3);
	for (int i = 0; i < 240; i++)
		step_input(&b, true, 200, 3);
	CHECK_EQ_U64(b.scale.replicas, 2);
}

CHECK_TEST(test_a_restart_takes_nothing_away)
{
	struct bench b = bench_of(queue());
	uint8_t bytes[128];
	struct bytes_writer w = {.bytes = bytes, .room = sizeof(bytes)};
	struct bytes_reader r = {.at = bytes};

	step(&b, 800);
	steps(&b, 100, 590);
	scale_save(&b.scale, &w);
	CHECK_LE_U64(w.used, sizeof(bytes));
	memset(&b.scale, 0xff, sizeof(b.scale));
	r.end = bytes + w.used;
	CHECK_OK(scale_restore(&b.scale, b.second, &r));
	CHECK(r.at == r.end);
	CHECK_EQ_U64(b.scale.replicas, 8);
	steps(&b, 100, 600);
	CHECK_EQ_U64(b.scale.replicas, 8);
	step(&b, 100);
	CHECK_EQ_U64(b.scale.replicas, 2);
	for (size_t cut = 0; cut < w.used; cut++) {
		r = (struct bytes_reader){.at = bytes, .end = bytes + cut};
		CHECK_RC(scale_restore(&b.scale, b.second, &r), -EPROTO);
	}
	r = (struct bytes_reader){.at = bytes, .end = bytes + w.used};
	CHECK_RC(scale_restore(&b.scale, T0, &r), -EPROTO); /* from the future */
	CHECK_EQ_U64(b.scale.replicas, 2);
}

CHECK_TEST(test_running_replicas_count_once_boot_time_is_over)
{
	struct bench b = bench_of(queue());

	CHECK(step_input(&b, true, 800, 2));
	CHECK_EQ_U64(b.decision.to, 8);
	/* Six boot: two run, eight are on their way. */
	CHECK(!step_input(&b, true, 800, 2));
	CHECK_EQ_U64(b.decision.from, 8);
	b.second += 200;
	/* Somebody else stopped them: that is the truth now. */
	CHECK(step_input(&b, true, 800, 3));
	CHECK_EQ_U64(b.decision.from, 3);
	CHECK_EQ_U64(b.decision.to, 8);
}

CHECK_TEST(test_flapping_between_limits_is_told_once_a_change)
{
	struct bench b = bench_of(queue());

	step(&b, 100000);
	b.news = 0;
	for (int i = 0; i < 300; i++)
		step(&b, i % 2 ? 2000 : 500);
	/* The wait for a step down; the maximum was told with the change. */
	CHECK_EQ_U64(b.news, 1);
	/* Long quiet between two wishes for less is still the wait that follows the same change. */
	for (int i = 0; i < 5; i++) {
		steps(&b, 1000, 300);
		step(&b, 500);
	}
	CHECK_EQ_U64(b.news, 1);
}

CHECK_TEST(test_bound_met_again_after_an_hour_is_told_again)
{
	struct bench b = bench_of(queue());

	CHECK(step(&b, 0));
	steps(&b, 200, 3500);
	CHECK(!step(&b, 0));
	steps(&b, 200, 3600);
	CHECK(step(&b, 0));
}

CHECK_TEST(test_reasons_name_figures_and_limits)
{
	struct bench b = bench_of(queue());
	char text[240];

	step(&b, 401);
	scale_reason(&b.scaler, 401, &b.decision, text, sizeof(text));
	CHECK_STR(text, "queue_depth of 401 against a target of 100 each: 5 replicas are needed; "
			"from 2 to 5");
	step(&b, 5000);
	scale_reason(&b.scaler, 5000, &b.decision, text, sizeof(text));
	CHECK_STR_HAS(text, "50 replicas are needed; held at 5 for 3 min after the last step up");
	b = bench_of(latency());
	step(&b, 20e6);
	scale_reason(&b.scaler, 20e6, &b.decision, text, sizeof(text));
	CHECK_STR(text, "p95 of 20 ms against a target of 200 ms: 1 replica is needed; held at the "
			"minimum of 2");
	b.scaler.signal = SCALE_RATE;
	b.scaler.target = 2.5;
	step(&b, 100);
	scale_reason(&b.scaler, 100, &b.decision, text, sizeof(text));
	CHECK_STR(text, "100 events/s against a target of 2.5 each: 40 replicas are needed; from 2 "
			"to 10, limited by the maximum");
}

CHECK_MAIN("scale", test_sums_ask_for_what_carries_them, test_means_grow_in_proportion,
	   test_exact_multiples_do_not_round_up, test_deadband_holds_without_a_word,
	   test_cooldown_blocks_second_scale_up, test_maximum_and_minimum_hold,
	   test_down_only_after_ten_quiet_minutes, test_a_peak_within_the_wait_keeps_what_it_needed,
	   test_null_is_never_zero, test_one_second_without_signal_starts_the_wait_anew,
	   test_time_that_nobody_watched_is_not_quiet, test_a_wish_to_shrink_never_grows,
	   test_a_restart_takes_nothing_away, test_running_replicas_count_once_boot_time_is_over,
	   test_flapping_between_limits_is_told_once_a_change,
	   test_bound_met_again_after_an_hour_is_told_again, test_reasons_name_figures_and_limits)
