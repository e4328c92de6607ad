/* SPDX-License-Identifier: Apache-2.0 */
/* A judge whose past comes from elsewhere: replayed, restored, recalled, under another policy. */
#include <errno.h>

#include "tests/unit/judged_world.h"

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
	struct world *a = world_of(both()), *b = world_of(both());

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
	struct world *a = world_of(both()), *b = world_of(both());

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
	struct world *w = world_of(both());
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
	struct world *w = world_of(both());
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
	struct world *w = world_of(both());
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
	struct world *w = world_of(one_scaler());
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

/* A restart between a recalled decision and the first value of its gauge lost all counters. */
CHECK_TEST(test_recalled_decision_is_saved_before_the_next_value)
{
	struct world *w = world_of(one_scaler());
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
	struct world *w = world_of(both());
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

CHECK_MAIN("judge_save", test_replay_gives_the_same_actions, test_restart_changes_no_decision,
	   test_downtime_is_not_coverage, test_a_clock_set_back_over_a_restart_keeps_counters,
	   test_replay_by_time_of_day_goes_on_with_the_live_clock,
	   test_recalled_alert_ends_under_its_old_fingerprint,
	   test_recalled_decision_begins_its_cooldown,
	   test_recalled_decision_is_saved_before_the_next_value,
	   test_damaged_state_is_refused_and_changes_nothing,
	   test_reload_keeps_what_has_the_same_name, test_restore_skips_rules_that_are_gone,
	   test_lack_of_memory_is_survived)
