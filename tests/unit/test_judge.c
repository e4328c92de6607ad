/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "lib/model/evidence.h"
#include "tests/unit/judged_world.h"

CHECK_TEST(test_breach_fires_and_resolves_with_one_fingerprint)
{
	struct world *w = world_of(one_objective());
	const struct alert_action *fired = &w->actions[0].alert, *resolved = &w->actions[1].alert;

	for (int i = 0; i < 30; i++)
		world_second(w, 100, 0);
	world_second(w, 0, 100);
	CHECK_EQ_U64(w->count, 0);
	world_second(w, 0, 100); /* 20 % of the long window, two seconds into the breach */
	CHECK_EQ_U64(w->count, 1);
	CHECK_EQ_I64(w->actions[0].kind, ACTION_ALERT);
	CHECK_EQ_U64(w->actions[0].at, START + 31 * NS_PER_S);
	CHECK_STR(fired->objective, "checkout");
	CHECK_EQ_I64(fired->from, ALERT_PENDING);
	CHECK_EQ_I64(fired->to, ALERT_FIRING);
	CHECK_EQ_U64(fired->since, START + 30 * NS_PER_S);
	CHECK_EQ_U64(fired->good, 800);
	CHECK_EQ_U64(fired->bad, 200);
	CHECK_NEAR(fired->burn_long, 4, 1e-9);
	CHECK_NEAR(fired->burn_short, 20, 1e-9);
	CHECK(fired->confidence > 0.999999);
	/* 200 of 3200 were bad where 160 were allowed. */
	CHECK_NEAR(fired->budget_left_ratio, 1 - 200 / 160.0, 1e-9);
	CHECK_STR(fired->reason, "20 % of 1000 requests in 10 s were slower than 200 ms or failed; "
				 "the objective allows 5 %: the budget burns 4 times too fast");
	world_second(w, 0, 100);
	for (int i = 0; i < 3; i++)
		world_second(w, 100, 0);
	CHECK_EQ_U64(w->count, 1); /* short window still holds bad ones for a second */
	world_second(w, 100, 0);
	CHECK_EQ_U64(w->count, 2);
	CHECK_EQ_I64(resolved->from, ALERT_FIRING);
	CHECK_EQ_I64(resolved->to, ALERT_RESOLVED);
	CHECK_STR(resolved->fingerprint, fired->fingerprint);
	CHECK_EQ_U64(resolved->since, fired->since);
	CHECK_STR_HAS(resolved->reason, "calm for 3 s after a breach of 6 s");
	world_free(w);
}

CHECK_TEST(test_no_traffic_keeps_the_alert_firing)
{
	struct world *w = world_of(one_objective());
	struct objective_report report;

	for (int i = 0; i < 5; i++)
		world_second(w, 0, 10);
	for (int i = 0; i < 4000; i++)
		world_tick(w);
	CHECK_EQ_U64(w->count, 1);
	judge_objective_report(w->judge, 0, &report);
	CHECK_EQ_I64(report.alert, ALERT_FIRING);
	CHECK_NEAR(report.burn_long, 0, 0);
	for (int i = 0; i < 4; i++)
		world_second(w, 10, 0);
	CHECK_EQ_U64(w->count, 2);
	world_free(w);
}

CHECK_TEST(test_ticks_that_jitter_fill_one_second_each)
{
	struct policy policy = one_objective();
	struct objective_report report;
	struct world *w;

	policy.objectives[0].short_window = NS_PER_S;
	w = world_new(&policy);
	for (int i = 0; i < 20; i++) {
		mono_ns due = w->now;

		w->now += i % 2 ? 200 * NS_PER_MS : -200 * NS_PER_MS;
		world_second(w, (uint64_t)(99 - i), 1);
		w->now = due + NS_PER_S;
		judge_objective_report(w->judge, 0, &report);
		CHECK_NEAR(report.burn_short, 20.0 / (100 - i), 1e-9);
	}
	world_free(w);
}

/* Ten ticks in each second, as an agent makes them whose lanes fill early. */
CHECK_TEST(test_ticks_of_a_tenth_of_a_second_decide_as_whole_ones_do)
{
	struct policy policy = one_objective();
	struct world *whole = world_new(&policy), *tenths = world_new(&policy);
	struct objective_report report;

	for (int i = 0; i < 40; i++) {
		uint64_t slow = i >= 10 && i < 25 ? 50 : 0;

		world_second(whole, 100 - slow, slow);
		for (int part = 0; part < 10; part++) {
			world_events(tenths, 0, "/pay", 10 - slow / 10, slow / 10, 200 * NS_PER_MS);
			judge_step(tenths->judge, tenths->now, tenths->wall, tenths->gauges,
				   world_take, tenths);
			tenths->now += NS_PER_S / 10;
			tenths->wall += NS_PER_S / 10;
		}
	}
	CHECK_EQ_U64(whole->count, 2); /* fired and resolved */
	CHECK_EQ_U64(tenths->count, 2);
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ_I64(tenths->actions[i].alert.to, whole->actions[i].alert.to);
		/* Seconds are rounded, so the two may see a second's end half of one apart. */
		CHECK_NEAR((double)tenths->actions[i].at, (double)whole->actions[i].at,
			   1.5 * (double)NS_PER_S);
	}
	judge_objective_report(tenths->judge, 0, &report);
	CHECK_EQ_U64(report.good, 40 * 100 - 15 * 50);
	CHECK_EQ_U64(report.bad, 15 * 50);
	CHECK_NEAR(report.coverage_ratio, 40.0 / (30 * 86400), 1.5 / (30 * 86400));
	world_free(whole);
	world_free(tenths);
}

CHECK_TEST(test_a_set_clock_moves_no_window)
{
	struct world *w = world_of(one_objective());

	for (int i = 0; i < 10; i++)
		world_second(w, 100, 0);
	w->wall -= 86400 * NS_PER_S;
	world_second(w, 0, 100);
	world_second(w, 0, 100);
	CHECK_EQ_U64(w->count, 1);
	CHECK_EQ_U64(w->actions[0].alert.good, 800);
	CHECK_EQ_U64(w->actions[0].alert.since, START + 10 * NS_PER_S - 86400 * NS_PER_S);
	world_free(w);
}

CHECK_TEST(test_report_counts_the_period)
{
	struct world *w = world_of(one_objective());
	struct objective_report report;

	judge_objective_report(w->judge, 0, &report);
	CHECK_NEAR(report.compliance_ratio, 1, 0);
	CHECK_NEAR(report.coverage_ratio, 0, 0);
	for (int i = 0; i < 100; i++)
		world_second(w, 98, 2);
	judge_objective_report(w->judge, 0, &report);
	CHECK_EQ_U64(report.good, 9800);
	CHECK_EQ_U64(report.bad, 200);
	CHECK_NEAR(report.compliance_ratio, 0.98, 1e-12);
	CHECK_NEAR(report.budget_left_ratio, 0.6, 1e-9);
	CHECK_NEAR(report.coverage_ratio, 100.0 / (30 * 86400), 1e-12);
	CHECK(report.exact);
	world_free(w);
}

CHECK_TEST(test_unwatched_threshold_is_decided_by_buckets_and_says_so)
{
	struct world *w = world_of(one_objective());
	struct objective_report report;

	world_events(w, 0, "/pay", 90, 10, 150 * NS_PER_MS);
	world_tick(w);
	judge_objective_report(w->judge, 0, &report);
	CHECK_EQ_U64(report.good, 90);
	CHECK_EQ_U64(report.bad, 10);
	CHECK(!report.exact);
	world_free(w);
}

CHECK_TEST(test_errors_alone_are_exact_without_a_threshold)
{
	struct policy policy = one_objective();
	struct series_key key = world_key("/pay");
	struct series_delta delta = {.key = &key, .counts = {.count = 10, .errors = 4}};
	struct objective_report report;
	struct world *w;

	policy.objectives[0].threshold_ns = POLICY_NO_THRESHOLD;
	w = world_new(&policy);
	judge_delta(w->judge, &delta);
	world_tick(w);
	judge_objective_report(w->judge, 0, &report);
	CHECK_EQ_U64(report.bad, 4);
	CHECK_EQ_U64(report.good, 6);
	CHECK(report.exact);
	world_free(w);
}

/* Forty series, of which the one numbered n has worst_of(n) bad events a tick: 0 .. 39. */
static unsigned worst_of(unsigned n, bool rising)
{
	return rising ? n : 39 - n;
}

static void expect_worst(bool rising)
{
	struct world *w = world_of(one_objective());
	const struct alert_action *alert = &w->actions[0].alert;

	for (series_id id = 0; id < 40; id++) {
		char route[16];

		snprintf(route, sizeof(route), "/r%u", id);
		world_events(w, id, route, 5, worst_of(id, rising), 200 * NS_PER_MS);
	}
	world_tick(w);
	CHECK_EQ_U64(w->count, 1);
	CHECK_EQ_U64(alert->evidence_count, ACTION_EVIDENCE);
	for (unsigned i = 0; i < ACTION_EVIDENCE; i++) {
		char route[16];

		snprintf(route, sizeof(route), "/r%u", worst_of(39 - i, rising));
		CHECK_STR(alert->evidence[i].key.route, route);
		CHECK_EQ_U64(alert->evidence[i].bad, 39 - i);
		CHECK_EQ_U64(alert->evidence[i].count, 39 - i + 5);
	}
	world_free(w);
}

CHECK_TEST(test_evidence_names_the_worst_series_first)
{
	expect_worst(true);
	expect_worst(false);
}

CHECK_TEST(test_evidence_forgets_what_left_the_window)
{
	struct world *w = world_of(one_objective());
	const struct alert_action *alert;

	for (int s = 0; s < 3; s++) {
		world_events(w, 1, "/old", 0, 90, 200 * NS_PER_MS);
		world_tick(w);
	}
	for (int s = 0; s < 30; s++) {
		world_events(w, 2, "/good", 100, 0, 200 * NS_PER_MS);
		world_tick(w);
	}
	for (int s = 0; s < 3; s++) {
		world_events(w, 3, "/new", 0, 100, 200 * NS_PER_MS);
		world_tick(w);
	}
	CHECK_EQ_U64(w->count, 3);
	alert = &w->actions[2].alert;
	CHECK_EQ_U64(alert->evidence_count, 1);
	CHECK_STR(alert->evidence[0].key.route, "/new");
	CHECK_EQ_U64(alert->evidence[0].bad, alert->bad);
	world_free(w);
}

CHECK_TEST(test_evidence_covers_the_window_and_little_more)
{
	struct policy policy = one_objective();
	uint64_t window_s = policy.objectives[0].long_window / NS_PER_S;
	uint64_t part_s = (window_s + EVIDENCE_PARTS - 2) / (EVIDENCE_PARTS - 1);
	struct world *w = world_new(&policy);
	const struct alert_action *alert;

	/* Slow once, so that the series is followed; then good for long, and slow again. */
	world_events(w, 1, "/pay", 98, 2, 200 * NS_PER_MS);
	world_tick(w);
	for (int s = 0; s < 100; s++) {
		world_events(w, 1, "/pay", 100, 0, 200 * NS_PER_MS);
		world_tick(w);
	}
	for (int s = 0; s < 30 && !w->count; s++) {
		world_events(w, 1, "/pay", 0, 100, 200 * NS_PER_MS);
		world_tick(w);
	}
	CHECK_EQ_U64(w->count, 1);
	alert = &w->actions[0].alert;
	CHECK_EQ_U64(alert->evidence[0].bad, alert->bad);
	CHECK_GE_U64(alert->evidence[0].count, 100 * window_s);
	CHECK_LE_U64(alert->evidence[0].count, 100 * (window_s + part_s));
	world_free(w);
}

CHECK_TEST(test_selector_keeps_other_series_out)
{
	struct policy policy = one_objective();
	struct objective_report report;
	struct world *w;

	strcpy(policy.objectives[0].selector.route, "/api/*");
	w = world_new(&policy);
	for (int i = 0; i < 2; i++) {
		world_events(w, 0, "/api/a", 1, 0, 200 * NS_PER_MS);
		world_events(w, 1, "/other", 0, 50, 200 * NS_PER_MS);
		world_events(w, 200, "/api", 0, 50, 200 * NS_PER_MS);
		world_tick(w);
	}
	judge_objective_report(w->judge, 0, &report);
	CHECK_EQ_U64(report.good, 2);
	CHECK_EQ_U64(report.bad, 0);
	world_free(w);
}

CHECK_TEST(test_scaler_acts_on_a_gauge_and_says_why)
{
	struct world *w = world_of(one_scaler());
	const struct scale_action *scale = &w->actions[0].scale;
	struct scaler_report report;

	world_tick(w);
	judge_scaler_report(w->judge, 0, &report);
	CHECK(!report.has_value);
	CHECK_EQ_U64(report.replicas, 2);
	CHECK_OK(gauge_set(w->gauges, "h", "shop", "queue_depth", "mail", 300, w->now));
	CHECK_OK(gauge_set(w->gauges, "h", "shop", "queue_depth", "hooks", 250, w->now));
	world_tick(w);
	CHECK_EQ_U64(w->count, 1);
	CHECK_EQ_I64(w->actions[0].kind, ACTION_SCALE);
	CHECK_EQ_U64(scale->from, 2);
	CHECK_EQ_U64(scale->to, 6);
	CHECK_EQ_U64(scale->wanted, 6);
	CHECK_STR(scale->limited_by, "");
	CHECK_STR(scale->reason, "queue_depth of 550 against a target of 100 each: 6 replicas are "
				 "needed; from 2 to 6");
	judge_scaler_report(w->judge, 0, &report);
	CHECK(report.has_value);
	CHECK_NEAR(report.value, 550, 0);
	CHECK_EQ_U64(report.replicas, 6);
	/* Forgotten by the table it is no value any more, and nothing is decided. */
	gauge_expire(w->gauges, w->now + 11 * NS_PER_S);
	world_tick(w);
	judge_scaler_report(w->judge, 0, &report);
	CHECK(!report.has_value);
	CHECK_EQ_U64(report.replicas, 6);
	world_free(w);
}

CHECK_TEST(test_running_replicas_are_believed)
{
	struct policy policy = one_scaler();
	struct world *w;

	policy.scalers[0].gauge_is_mean = true;
	w = world_new(&policy);
	CHECK_OK(gauge_set(w->gauges, "h", "shop", "replicas", "", 5, w->now));
	CHECK_OK(gauge_set(w->gauges, "h", "shop", "queue_depth", "", 150, w->now));
	world_tick(w);
	CHECK_EQ_U64(w->count, 1);
	CHECK_EQ_U64(w->actions[0].scale.from, 5);
	CHECK_EQ_U64(w->actions[0].scale.to, 8);
	world_free(w);
}

CHECK_TEST(test_scaler_on_rate_and_on_latency)
{
	struct policy policy = {.scaler_count = 2};
	struct scaler_report report;
	struct world *w;

	scaler_init(&policy.scalers[0]);
	policy.scalers[1] = policy.scalers[0];
	strcpy(policy.scalers[0].name, "rate");
	policy.scalers[0].signal = SCALE_RATE;
	policy.scalers[0].target = 50;
	strcpy(policy.scalers[1].name, "latency");
	policy.scalers[1].signal = SCALE_LATENCY;
	policy.scalers[1].target = 200e6;
	w = world_new(&policy);
	for (int i = 0; i < 15; i++)
		world_second(w, 92, 8);
	judge_scaler_report(w->judge, 0, &report);
	CHECK_NEAR(report.value, 100, 1e-9);
	CHECK_EQ_U64(report.replicas, 2);
	judge_scaler_report(w->judge, 1, &report);
	CHECK_NEAR(report.value, 300e6, 300e6 * HIST_RELATIVE_ERROR);
	CHECK_EQ_U64(report.replicas, 2);
	CHECK_STR_HAS(report.last.reason, "p95 of 300 ms against a target of 200 ms: 3 replicas "
					  "are needed; held at 2 for 3 min");
	for (int i = 0; i < 10; i++)
		world_tick(w);
	judge_scaler_report(w->judge, 0, &report);
	CHECK(!report.has_value); /* no events in the window: unknown, not zero */
	world_free(w);
}

CHECK_MAIN("judge", test_breach_fires_and_resolves_with_one_fingerprint,
	   test_no_traffic_keeps_the_alert_firing, test_ticks_that_jitter_fill_one_second_each,
	   test_ticks_of_a_tenth_of_a_second_decide_as_whole_ones_do,
	   test_a_set_clock_moves_no_window, test_report_counts_the_period,
	   test_unwatched_threshold_is_decided_by_buckets_and_says_so,
	   test_errors_alone_are_exact_without_a_threshold,
	   test_evidence_names_the_worst_series_first, test_evidence_forgets_what_left_the_window,
	   test_evidence_covers_the_window_and_little_more, test_selector_keeps_other_series_out,
	   test_scaler_acts_on_a_gauge_and_says_why, test_running_replicas_are_believed,
	   test_scaler_on_rate_and_on_latency)
