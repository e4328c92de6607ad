/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "lib/model/alert.h"
#include "lib/model/chance.h"
#include "tests/unit/check.h"

/* 95 % under 200 ms, 4 times over 10 s and 2 s, clear after 3 s, at least 3 bad. */
static struct objective alert_objective(void)
{
	struct objective objective;

	objective_init(&objective);
	strcpy(objective.name, "checkout");
	objective.selector.kind = SERIES_HTTP;
	objective.threshold_ns = 200 * NS_PER_MS;
	objective.target_ratio = 0.95;
	objective.burn_rate = 4;
	objective.long_window = 10 * NS_PER_S;
	objective.short_window = 2 * NS_PER_S;
	objective.clear_after = 3 * NS_PER_S;
	objective.min_bad = 3;
	return objective;
}

static struct alert_input alert_at(uint64_t second, uint64_t long_good, uint64_t long_bad,
				   uint64_t short_good, uint64_t short_bad)
{
	return (struct alert_input){second, {long_good, long_bad}, {short_good, short_bad}};
}

#define STEP(...) alert_step(&alert, &objective, &(struct alert_input[]){alert_at(__VA_ARGS__)}[0])

CHECK_TEST(test_fires_when_both_windows_burn)
{
	struct objective objective = alert_objective();
	struct alert alert = {0};

	CHECK(!STEP(100, 100, 0, 20, 0));
	CHECK(STEP(101, 95, 15, 10, 15)); /* short only: 13.6 % of the long window */
	CHECK_EQ_I64(alert.state, ALERT_PENDING);
	CHECK(STEP(102, 80, 20, 5, 15)); /* exactly 4 times 5 % */
	CHECK_EQ_I64(alert.state, ALERT_FIRING);
}

CHECK_TEST(test_long_window_alone_does_not_fire)
{
	struct objective objective = alert_objective();
	struct alert alert = {0};

	CHECK(!STEP(100, 50, 50, 20, 0));
	CHECK_EQ_I64(alert.state, ALERT_OK);
}

CHECK_TEST(test_two_bad_events_are_not_enough)
{
	struct objective objective = alert_objective();
	struct alert alert = {0};

	STEP(100, 0, 2, 0, 2);
	CHECK_EQ_I64(alert.state, ALERT_PENDING);
	STEP(101, 0, 3, 0, 3);
	CHECK_EQ_I64(alert.state, ALERT_FIRING);
}

CHECK_TEST(test_resolves_after_clear_after_of_good_traffic)
{
	struct objective objective = alert_objective();
	struct alert alert = {0};

	STEP(100, 0, 50, 0, 10);
	CHECK_EQ_I64(alert.state, ALERT_FIRING);
	CHECK(!STEP(101, 10, 50, 10, 0));
	CHECK(!STEP(102, 20, 50, 10, 0));
	CHECK(STEP(103, 30, 50, 10, 0));
	CHECK_EQ_I64(alert.state, ALERT_RESOLVED);
	CHECK(!STEP(105, 50, 50, 10, 0));
	CHECK(STEP(106, 60, 50, 10, 0));
	CHECK_EQ_I64(alert.state, ALERT_OK);
}

CHECK_TEST(test_a_bad_second_starts_the_wait_anew)
{
	struct objective objective = alert_objective();
	struct alert alert = {0};

	STEP(100, 0, 50, 0, 10);
	STEP(101, 10, 50, 10, 0);
	STEP(102, 20, 50, 10, 0);
	STEP(103, 20, 60, 10, 10);
	STEP(104, 30, 60, 10, 0);
	STEP(105, 40, 60, 10, 0);
	CHECK_EQ_I64(alert.state, ALERT_FIRING);
	STEP(106, 50, 60, 10, 0);
	CHECK_EQ_I64(alert.state, ALERT_RESOLVED);
}

CHECK_TEST(test_no_data_resolves_nothing)
{
	struct objective objective = alert_objective();
	struct alert alert = {0};

	STEP(100, 0, 50, 0, 10);
	STEP(101, 10, 50, 10, 0);
	for (uint64_t second = 102; second < 100000; second++)
		CHECK(!STEP(second, 0, 0, 0, 0));
	CHECK_EQ_I64(alert.state, ALERT_FIRING);
	/* What was quiet before still counts; the silence does not: at most the short window. */
	CHECK(!STEP(100000, 10, 0, 10, 0));
	CHECK(STEP(100001, 20, 0, 20, 0));
	CHECK_EQ_I64(alert.state, ALERT_RESOLVED);
}

CHECK_TEST(test_no_data_keeps_pending_pending)
{
	struct objective objective = alert_objective();
	struct alert alert = {0};

	STEP(100, 100, 3, 0, 3);
	CHECK_EQ_I64(alert.state, ALERT_PENDING);
	CHECK(!STEP(101, 100, 3, 0, 0));
	CHECK_EQ_I64(alert.state, ALERT_PENDING);
	CHECK(STEP(102, 100, 3, 5, 0));
	CHECK_EQ_I64(alert.state, ALERT_OK);
}

CHECK_TEST(test_a_gap_between_steps_is_not_quiet_time)
{
	struct objective objective = alert_objective();
	struct alert alert = {0};

	STEP(100, 0, 50, 0, 10);
	CHECK(!STEP(5000, 10, 0, 10, 0));
	CHECK_EQ_I64(alert.state, ALERT_FIRING);
}

CHECK_TEST(test_resolved_fires_again)
{
	struct objective objective = alert_objective();
	struct alert alert = {.state = ALERT_RESOLVED, .second = 99};

	CHECK(STEP(100, 0, 50, 0, 10));
	CHECK_EQ_I64(alert.state, ALERT_FIRING);
}

CHECK_TEST(test_burn_is_share_over_budget)
{
	struct objective objective = alert_objective();

	CHECK_NEAR(alert_burn(&objective, (struct slo_counts){688, 312}), 6.24, 1e-9);
	CHECK_NEAR(alert_burn(&objective, (struct slo_counts){0, 0}), 0, 0);
	CHECK_NEAR(alert_burn(&objective, (struct slo_counts){0, 7}), 20, 1e-9);
}

/* Plays the breach second by second with 1000 events each against the state machine. */
static dur_ns alert_played(const struct objective *objective, double bad_ratio)
{
	uint64_t bad = (uint64_t)(1000 * bad_ratio);
	uint64_t long_s = objective->long_window / NS_PER_S;
	uint64_t short_s = objective->short_window / NS_PER_S;
	struct alert alert = {0};

	for (uint64_t t = 1; t <= 2 * long_s; t++) {
		uint64_t in_long = bad * (t < long_s ? t : long_s);
		uint64_t in_short = bad * (t < short_s ? t : short_s);
		struct alert_input input = alert_at(1000 + t, 1000 * long_s - in_long, in_long,
						    1000 * short_s - in_short, in_short);

		alert_step(&alert, objective, &input);
		if (alert.state == ALERT_FIRING)
			return t * NS_PER_S;
	}
	return ALERT_NEVER;
}

CHECK_TEST(test_time_to_fire_is_what_the_machine_does)
{
	static const double targets[] = {0.5, 0.9, 0.95, 0.99, 0.999};
	static const double ratios[] = {0.001, 0.05, 0.2, 0.3, 0.5, 1};

	for (size_t i = 0; i < ARRAY_LEN(targets); i++)
		for (size_t k = 0; k < ARRAY_LEN(ratios); k++) {
			struct objective objective = alert_objective();

			objective.target_ratio = targets[i];
			CHECK_EQ_U64(alert_time_to_fire(&objective, ratios[k]),
				     alert_played(&objective, ratios[k]));
			objective_alert_defaults(&objective);
			CHECK_EQ_U64(alert_time_to_fire(&objective, ratios[k]),
				     alert_played(&objective, ratios[k]));
		}
}

CHECK_TEST(test_defaults_fire_within_seconds_when_all_is_bad)
{
	struct objective objective = alert_objective();

	objective_alert_defaults(&objective);
	CHECK_EQ_U64(alert_time_to_fire(&objective, 1), 12 * NS_PER_S);
	CHECK_EQ_U64(alert_time_to_fire(&objective, 0.3), 40 * NS_PER_S);
	CHECK_EQ_U64(alert_time_to_fire(&objective, 0.1), ALERT_NEVER);
}

CHECK_TEST(test_fingerprint_names_one_incident)
{
	char a[33], b[33];

	alert_fingerprint("fleet", "checkout", 1700000000 * NS_PER_S, a);
	alert_fingerprint("fleet", "checkout", 1700000000 * NS_PER_S + 5, b);
	CHECK_EQ_U64(strlen(a), 32);
	CHECK_STR(a, b);
	alert_fingerprint("fleetc", "heckout", 1700000000 * NS_PER_S, b);
	CHECK(strcmp(a, b) != 0);
	alert_fingerprint("fleet", "checkout", 1700000001 * NS_PER_S, b);
	CHECK(strcmp(a, b) != 0);
	/* FNV-1a of 128 bits over ten zero bytes, from the definition in another language. */
	alert_fingerprint("", "", 0, a);
	CHECK_STR(a, "bc123534f58e9255d05412bd6c30f3a5");
}

CHECK_TEST(test_reasons_are_sentences)
{
	struct objective objective = alert_objective();
	char text[240];

	alert_reason_firing(&objective, (struct slo_counts){579, 263}, text, sizeof(text));
	CHECK_STR(text, "31.2 % of 842 requests in 10 s were slower than 200 ms or failed; the "
			"objective allows 5 %: the budget burns 6.25 times too fast");
	alert_reason_resolved(&objective, (struct slo_counts){99, 1}, 72 * NS_PER_S, text,
			      sizeof(text));
	CHECK_STR(text, "1 % of 100 requests in 2 s were slower than 200 ms or failed; calm for "
			"3 s after a breach of 1 min 12 s");
	objective.threshold_ns = POLICY_NO_THRESHOLD;
	objective.selector.kind = SERIES_DELIVERY;
	alert_reason_firing(&objective, (struct slo_counts){0, 3}, text, sizeof(text));
	CHECK_STR_HAS(text, "100 % of 3 deliveries in 10 s failed; ");
}

CHECK_TEST(test_reason_is_cut_to_its_room)
{
	struct objective objective = alert_objective();

	for (size_t room = 1; room < 200; room++) {
		char text[240];

		memset(text, 'x', sizeof(text));
		alert_reason_firing(&objective, (struct slo_counts){5, 5}, text, room);
		CHECK_LE_U64(strlen(text), room - 1);
		CHECK_EQ_I64(text[room], 'x');
	}
}

/* P(X <= bad), X binomial of n + 1 tries, summed term by term. */
static double alert_tail(uint64_t good, uint64_t bad, double limit)
{
	uint64_t n = good + bad + 1;
	double sum = 0;

	for (uint64_t k = 0; k <= bad; k++)
		sum += exp(lgamma((double)n + 1) - lgamma((double)k + 1) -
			   lgamma((double)(n - k) + 1) + (double)k * log(limit) +
			   (double)(n - k) * log(1 - limit));
	return sum;
}

CHECK_TEST(test_confidence_is_the_binomial_tail)
{
	static const uint64_t counts[][2] = {{0, 0},	{0, 3},	   {10, 0},	{95, 5},
					     {90, 10},	{900, 60}, {9500, 500}, {9400, 600},
					     {1000, 0}, {0, 1000}};
	static const double limits[] = {0.001, 0.05, 0.1, 0.5};

	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		for (size_t k = 0; k < ARRAY_LEN(limits); k++)
			CHECK_NEAR(chance_share_above(counts[i][0], counts[i][1], limits[k]),
				   alert_tail(counts[i][0], counts[i][1], limits[k]), 1e-7);
	CHECK_NEAR(chance_share_above(0, 0, 0.05), 0.95, 1e-12);
}

CHECK_TEST(test_confidence_goes_on_beyond_a_million)
{
	/* 5.03 % of events near the million on both sides of the change of method. */
	CHECK_NEAR(chance_share_above(949698, 50300, 0.05), chance_share_above(949701, 50300, 0.05),
		   1e-3);
	CHECK_NEAR(chance_share_above(UINT64_C(9) << 40, UINT64_C(1) << 40, 0.05), 1, 1e-12);
	CHECK_NEAR(chance_share_above(UINT64_C(99) << 40, UINT64_C(1) << 40, 0.05), 0, 1e-12);
}

CHECK_MAIN("alert", test_fires_when_both_windows_burn, test_long_window_alone_does_not_fire,
	   test_two_bad_events_are_not_enough, test_resolves_after_clear_after_of_good_traffic,
	   test_a_bad_second_starts_the_wait_anew, test_no_data_resolves_nothing,
	   test_no_data_keeps_pending_pending, test_a_gap_between_steps_is_not_quiet_time,
	   test_resolved_fires_again, test_burn_is_share_over_budget,
	   test_time_to_fire_is_what_the_machine_does,
	   test_defaults_fire_within_seconds_when_all_is_bad, test_fingerprint_names_one_incident,
	   test_reasons_are_sentences, test_reason_is_cut_to_its_room,
	   test_confidence_is_the_binomial_tail, test_confidence_goes_on_beyond_a_million)
