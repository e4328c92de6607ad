/* SPDX-License-Identifier: Apache-2.0 */
/* A judge under test in a small world: its clocks, gauges and events, and the actions it took. */
#ifndef VOW_TESTS_UNIT_JUDGED_WORLD_H
#define VOW_TESTS_UNIT_JUDGED_WORLD_H

#include <stdlib.h>
#include <string.h>

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

/* The same for a policy that the test does not look at again. */
static struct world *world_of(struct policy policy)
{
	return world_new(&policy);
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

#endif
