/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/model/evidence.h"
#include "lib/model/judge.h"
#include "tests/unit/check.h"

#define START (UINT64_C(1700000000) * NS_PER_S) /* time of day of the first tick */

/* A judge under test with the actions it took and a clock that only the test moves. */
struct world {
	struct judge *judge;
	mono_ns now;
	wall_ns wall;
	struct gauge_table *gauges;
	struct action actions[64];
	unsigned count;
};

static void world_take(void *arg, const struct action *action)
{
	struct world *w = arg;

	CHECK(w->count < ARRAY_LEN(w->actions));
	w->actions[w->count++] = *action;
}

static struct world *world_new(const struct policy *policy)
{
	struct world *w = calloc(1, sizeof(*w));

	w->judge = judge_new(policy, "host:web-1");
	w->now = 5000 * NS_PER_S;
	w->wall = START;
	w->gauges = gauge_table_new(0);
	CHECK(w->judge && w->gauges);
	return w;
}

static void world_free(struct world *w)
{
	judge_free(w->judge);
	gauge_table_free(w->gauges);
	free(w);
}

static void world_tick(struct world *w)
{
	judge_step(w->judge, w->now, w->wall, w->gauges, world_take, w);
	w->now += NS_PER_S;
	w->wall += NS_PER_S;
}

static struct series_key world_key(const char *route)
{
	struct series_key key = {
		.service = "shop", .method = "GET", .kind = SERIES_HTTP, .role = SERIES_SERVER};

	key.status_class = CLASS_2XX;
	strcpy(key.route, route);
	return key;
}

/* `fast` events of 10 ms and `slow` ones of 300 ms, counted against threshold (0: none). */
static void world_events(struct world *w, series_id id, const char *route, uint64_t fast,
			 uint64_t slow, dur_ns threshold)
{
	static uint8_t packed[HIST_PACKED_MAX];
	static struct hist hist;
	struct series_key key = world_key(route);
	struct series_delta delta = {
		.id = id,
		.key = &key,
		.hist = packed,
		.counts = {.count = fast + slow, .bad = {slow}},
		.threshold_count = threshold > 0,
		.thresholds = &threshold,
	};

	hist_clear(&hist);
	hist_record(&hist, 10 * NS_PER_MS, fast);
	hist_record(&hist, 300 * NS_PER_MS, slow);
	delta.hist_size = (size_t)hist_pack(&hist, packed, sizeof(packed));
	judge_delta(w->judge, &delta);
}

static void world_second(struct world *w, uint64_t fast, uint64_t slow)
{
	world_events(w, 0, "/pay", fast, slow, 200 * NS_PER_MS);
	world_tick(w);
}

static struct policy one_objective(void)
{
	struct policy policy = {.objective_count = 1};
	struct objective *objective = &policy.objectives[0];

	objective_init(objective);
	strcpy(objective->name, "checkout");
	objective->selector.kind = SERIES_HTTP;
	objective->threshold_ns = 200 * NS_PER_MS;
	objective->target_ratio = 0.95;
	objective->burn_rate = 4;
	objective->long_window = 10 * NS_PER_S;
	objective->short_window = 2 * NS_PER_S;
	objective->clear_after = 3 * NS_PER_S;
	objective->min_bad = 3;
	return policy;
}

static struct policy one_scaler(void)
{
	struct policy policy = {.scaler_count = 1};
	struct scaler *scaler = &policy.scalers[0];

	scaler_init(scaler);
	strcpy(scaler->name, "workers");
	scaler->signal = SCALE_GAUGE;
	strcpy(scaler->gauge, "queue_depth");
	scaler->target = 100;
	scaler->minimum = 2;
	scaler->maximum = 8;
	return policy;
}

CHECK_TEST(test_breach_fires_and_resolves_with_one_fingerprint)
{
	struct policy policy = one_objective();
	struct world *w = world_new(&policy);
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
	struct policy policy = one_objective();
	struct world *w = world_new(&policy);
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
	struct policy policy = one_objective();
	struct world *w = world_new(&policy);

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
	struct policy policy = one_objective();
	struct world *w = world_new(&policy);
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
	struct policy policy = one_objective();
	struct world *w = world_new(&policy);
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
	struct policy policy = one_objective();
	struct world *w = world_new(&policy);
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
	struct policy policy = one_objective();
	struct world *w = world_new(&policy);
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
	struct policy policy = one_scaler();
	struct world *w = world_new(&policy);
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

/* The same history, whatever happens to the judge in between. */
static void play(struct world *w, int from, int to, void (*between)(struct world *w))
{
	for (int s = from; s < to; s++) {
		uint64_t slow = s / 40 % 3 == 1 ? (uint64_t)(s % 7) * 10 : (uint64_t)(s % 40 == 0);

		world_events(w, (series_id)(s % 5), "/pay", 100, slow, 200 * NS_PER_MS);
		gauge_set(w->gauges, "h", "shop", "queue_depth", "", (double)(s % 97) * 10, w->now);
		world_tick(w);
		if (between && s % 50 == 49)
			between(w);
	}
}

static struct policy both(void)
{
	struct policy policy = one_objective(), scaling = one_scaler();

	policy.scalers[0] = scaling.scalers[0];
	policy.scaler_count = 1;
	return policy;
}

static void expect_same_actions(const struct world *a, const struct world *b)
{
	CHECK_EQ_U64(a->count, b->count);
	CHECK_MEM(a->actions, b->actions, a->count * sizeof(a->actions[0]));
}

CHECK_TEST(test_replay_gives_the_same_actions)
{
	struct policy policy = both();
	struct world *a = world_new(&policy), *b = world_new(&policy);

	play(a, 0, 400, NULL);
	play(b, 0, 400, NULL);
	CHECK(a->count >= 6);
	expect_same_actions(a, b);
	world_free(a);
	world_free(b);
}

static uint8_t *saved(const struct judge *judge, size_t *size)
{
	ssize_t need = judge_save(judge, NULL, 0);
	uint8_t *bytes;

	CHECK(need > 0);
	*size = (size_t)need;
	bytes = malloc(*size);
	CHECK_EQ_I64(judge_save(judge, bytes, *size), need);
	return bytes;
}

/* A restart: another judge that knows only what was saved. */
static void restart(struct world *w)
{
	struct policy policy = both();
	size_t size, again_size;
	uint8_t *bytes = saved(w->judge, &size), *again;

	judge_free(w->judge);
	w->judge = judge_new(&policy, "host:web-1");
	CHECK_OK(judge_restore(w->judge, bytes, size));
	again = saved(w->judge, &again_size);
	CHECK_EQ_U64(again_size, size);
	CHECK_MEM(again, bytes, size);
	free(bytes);
	free(again);
}

/* Which series carry a breach builds up anew; all else must not notice. */
static void forget_evidence(struct world *w)
{
	for (unsigned i = 0; i < w->count; i++)
		if (w->actions[i].kind == ACTION_ALERT) {
			memset(w->actions[i].alert.evidence, 0,
			       sizeof(w->actions[i].alert.evidence));
			w->actions[i].alert.evidence_count = 0;
		}
}

CHECK_TEST(test_restart_changes_no_decision)
{
	struct policy policy = both();
	struct world *a = world_new(&policy), *b = world_new(&policy);

	play(a, 0, 400, NULL);
	play(b, 0, 400, restart);
	forget_evidence(a);
	forget_evidence(b);
	expect_same_actions(a, b);
	world_free(a);
	world_free(b);
}

CHECK_TEST(test_downtime_is_not_coverage)
{
	struct policy policy = both();
	struct world *w = world_new(&policy);
	struct objective_report report;

	play(w, 0, 50, restart);
	w->now = 7 * NS_PER_S; /* another boot */
	w->wall += 3600 * NS_PER_S;
	play(w, 50, 60, NULL);
	judge_objective_report(w->judge, 0, &report);
	CHECK_NEAR(report.coverage_ratio, 60.0 / (30 * 86400), 1e-12);
	CHECK_EQ_U64(report.good, 6000);
	world_free(w);
}

CHECK_TEST(test_a_clock_set_back_over_a_restart_keeps_counters)
{
	struct policy policy = both();
	struct world *w = world_new(&policy);
	struct objective_report report;

	play(w, 0, 50, restart);
	w->wall -= 86400 * NS_PER_S;
	play(w, 50, 60, NULL);
	judge_objective_report(w->judge, 0, &report);
	CHECK_EQ_U64(report.good, 6000);
	world_free(w);
}

CHECK_TEST(test_replay_by_time_of_day_goes_on_with_the_live_clock)
{
	struct policy policy = both();
	struct world *w = world_new(&policy);
	struct objective_report report;

	w->now = w->wall;
	play(w, 0, 45, NULL);
	w->now = 77 * NS_PER_S;
	play(w, 45, 60, NULL);
	judge_objective_report(w->judge, 0, &report);
	CHECK_EQ_U64(report.good, 6000);
	CHECK_NEAR(report.coverage_ratio, 60.0 / (30 * 86400), 1e-12);
	/* The breach began by the one clock and is seen as one with the other. */
	CHECK_EQ_I64(report.alert, ALERT_FIRING);
	CHECK_EQ_U64(report.last_alert.since, START + 40 * NS_PER_S);
	world_free(w);
}

CHECK_TEST(test_recalled_alert_ends_under_its_old_fingerprint)
{
	struct policy policy = one_objective();
	struct world *w = world_new(&policy);
	struct objective_report report;
	struct action told;

	for (int i = 0; i < 3; i++)
		world_second(w, 0, 100);
	CHECK_EQ_U64(w->count, 1);
	told = w->actions[0];
	/* The same seconds again in another judge, whose clock is half a minute off. */
	judge_free(w->judge);
	w->judge = judge_new(&policy, "host:web-1");
	w->wall += 27 * NS_PER_S;
	judge_recall(w->judge, &told);
	for (int i = 0; i < 3; i++)
		world_second(w, 0, 100);
	CHECK_EQ_U64(w->count, 1); /* it burns already: nothing to tell */
	for (int i = 0; i < 6; i++)
		world_second(w, 100, 0);
	CHECK_EQ_U64(w->count, 2);
	CHECK_EQ_I64(w->actions[1].alert.to, ALERT_RESOLVED);
	CHECK_STR(w->actions[1].alert.fingerprint, told.alert.fingerprint);
	CHECK_EQ_U64(w->actions[1].alert.since, told.alert.since);
	judge_recall(w->judge, &w->actions[1]);
	for (int i = 0; i < 3; i++)
		world_second(w, 100, 0);
	judge_objective_report(w->judge, 0, &report);
	CHECK_EQ_I64(report.alert, ALERT_OK);
	world_free(w);
}

CHECK_TEST(test_recalled_decision_begins_its_cooldown)
{
	struct policy policy = one_scaler();
	struct world *w = world_new(&policy);
	struct action told = {.kind = ACTION_SCALE, .at = START};
	struct scaler_report report;

	world_tick(w);
	strcpy(told.scale.scaler, "workers");
	told.scale.from = 2;
	told.scale.to = 4;
	judge_recall(w->judge, &told);
	strcpy(told.scale.scaler, "gone");
	judge_recall(w->judge, &told);
	CHECK_OK(gauge_set(w->gauges, "h", "shop", "queue_depth", "", 700, w->now));
	world_tick(w);
	CHECK_EQ_U64(w->count, 1);
	CHECK_EQ_U64(w->actions[0].scale.from, 4);
	CHECK_EQ_U64(w->actions[0].scale.to, 4);
	CHECK_STR(w->actions[0].scale.limited_by, "up_cooldown");
	judge_scaler_report(w->judge, 0, &report);
	CHECK_EQ_U64(report.replicas, 4);
	world_free(w);
}

/* A restart between a recalled decision and the first value of its gauge: all counters were lost. */
CHECK_TEST(test_recalled_decision_is_saved_before_the_next_value)
{
	struct policy policy = one_scaler();
	struct world *w = world_new(&policy);
	struct action told = {.kind = ACTION_SCALE, .at = START};
	struct scaler_report report;
	uint8_t *bytes;
	size_t size;

	world_tick(w);
	strcpy(told.scale.scaler, "workers");
	told.scale.from = 2;
	told.scale.to = 4;
	judge_recall(w->judge, &told);
	world_tick(w);
	bytes = saved(w->judge, &size);
	CHECK_OK(judge_restore(w->judge, bytes, size));
	judge_scaler_report(w->judge, 0, &report);
	CHECK_EQ_U64(report.replicas, 4);
	free(bytes);
	world_free(w);
}

CHECK_TEST(test_damaged_state_is_refused_and_changes_nothing)
{
	struct policy policy = both();
	struct world *w = world_new(&policy);
	size_t size, after_size;
	uint8_t *bytes, *after;

	play(w, 0, 120, NULL);
	bytes = saved(w->judge, &size);
	for (size_t i = 0; i < size; i += 1 + i / 16) {
		bytes[i] ^= 0x41;
		CHECK_RC(judge_restore(w->judge, bytes, size), -EPROTO);
		bytes[i] ^= 0x41;
	}
	for (size_t cut = 0; cut < size; cut += 1 + cut / 16)
		CHECK_RC(judge_restore(w->judge, bytes, cut), -EPROTO);
	after = saved(w->judge, &after_size);
	CHECK_EQ_U64(after_size, size);
	CHECK_MEM(after, bytes, size);
	CHECK_RC((int)judge_save(w->judge, bytes, size - 1), -ENOBUFS);
	free(bytes);
	free(after);
	world_free(w);
}

CHECK_TEST(test_reload_keeps_what_has_the_same_name)
{
	struct policy policy = both();
	struct world *w = world_new(&policy);
	struct objective_report report;
	struct scaler_report scaler;

	play(w, 0, 60, NULL);
	policy.objectives[1] = policy.objectives[0];
	strcpy(policy.objectives[0].name, "new");
	policy.objective_count = 2;
	policy.scalers[0].maximum = 9;
	CHECK_OK(judge_reload(w->judge, &policy));
	judge_objective_report(w->judge, 0, &report);
	CHECK_EQ_U64(report.good, 0);
	judge_objective_report(w->judge, 1, &report);
	CHECK_EQ_U64(report.good, 6000);
	CHECK_EQ_I64(report.alert, ALERT_FIRING);
	judge_scaler_report(w->judge, 0, &scaler);
	CHECK_EQ_U64(scaler.scaler->maximum, 9);
	CHECK(scaler.replicas > 2);
	world_second(w, 100, 0);
	judge_objective_report(w->judge, 0, &report);
	CHECK_EQ_U64(report.good, 100);
	policy.objective_count = 0;
	policy.scaler_count = 0;
	CHECK_OK(judge_reload(w->judge, &policy));
	CHECK_EQ_U64(judge_objectives(w->judge), 0);
	world_second(w, 100, 0);
	world_free(w);
}

CHECK_TEST(test_restore_skips_rules_that_are_gone)
{
	struct policy policy = both();
	struct world *w = world_new(&policy);
	struct objective_report report;
	size_t size;
	uint8_t *bytes;

	play(w, 0, 60, NULL);
	bytes = saved(w->judge, &size);
	strcpy(policy.objectives[0].name, "other");
	CHECK_OK(judge_reload(w->judge, &policy));
	CHECK_OK(judge_restore(w->judge, bytes, size));
	judge_objective_report(w->judge, 0, &report);
	CHECK_EQ_U64(report.good, 0);
	free(bytes);
	world_free(w);
}

CHECK_TEST(test_lack_of_memory_is_survived)
{
	struct policy policy = both();
	struct world *w = world_new(&policy);
	size_t size;
	uint8_t *bytes;

	play(w, 0, 60, NULL);
	bytes = saved(w->judge, &size);
	CHECK_ALLOC_LOOP(n)
	{
		struct judge *judge = judge_new(&policy, "x");

		CHECK(!judge == check_alloc_failed());
		judge_free(judge);
	}
	CHECK_ALLOC_LOOP(n)
	{
		int rc = judge_reload(w->judge, &policy);

		CHECK_RC(rc, check_alloc_failed() ? -ENOMEM : 0);
	}
	CHECK_ALLOC_LOOP(n)
	{
		int rc = judge_restore(w->judge, bytes, size);

		CHECK_RC(rc, check_alloc_failed() ? -ENOMEM : 0);
	}
	/* Without memory for its cache a series is still judged. */
	judge_free(w->judge);
	w->judge = judge_new(&policy, "x");
	check_alloc_fail_at(1);
	world_events(w, 3, "/pay", 7, 0, 200 * NS_PER_MS);
	CHECK(check_alloc_failed());
	check_alloc_fail_at(0);
	world_tick(w);
	{
		struct objective_report report;

		judge_objective_report(w->judge, 0, &report);
		CHECK_EQ_U64(report.good, 7);
	}
	free(bytes);
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
	   test_scaler_on_rate_and_on_latency, test_replay_gives_the_same_actions,
	   test_restart_changes_no_decision, test_downtime_is_not_coverage,
	   test_a_clock_set_back_over_a_restart_keeps_counters,
	   test_replay_by_time_of_day_goes_on_with_the_live_clock,
	   test_recalled_alert_ends_under_its_old_fingerprint,
	   test_recalled_decision_begins_its_cooldown,
	   test_recalled_decision_is_saved_before_the_next_value,
	   test_damaged_state_is_refused_and_changes_nothing,
	   test_reload_keeps_what_has_the_same_name, test_restore_skips_rules_that_are_gone,
	   test_lack_of_memory_is_survived)
