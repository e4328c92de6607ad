/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/backlog.h"
#include "tests/unit/check.h"

static const struct series_key key = {.service = "shop", .route = "/pay", .kind = SERIES_HTTP};

/* One tick's delta of series `id`: `count` observations of `ns`, all bad for both thresholds. */
static void add(struct backlog *backlog, series_id id, uint64_t ns, uint64_t count,
		const dur_ns *thresholds, unsigned threshold_count)
{
	struct hist *h = calloc(1, sizeof(*h));
	uint8_t packed[256];

	hist_record(h, ns, count);
	struct series_delta delta = {
		.id = id,
		.key = &key,
		.hist = packed,
		.hist_size = (size_t)hist_pack(h, packed, sizeof(packed)),
		.counts = {.count = count, .errors = 1},
		.threshold_count = threshold_count,
		.thresholds = thresholds,
	};
	for (unsigned i = 0; i < threshold_count; i++)
		delta.counts.bad[i] = count;
	CHECK_OK(backlog_add_delta(backlog, &delta));
	free(h);
}

struct seen {
	unsigned deltas;
	series_id last_id;
	uint64_t count, errors, bad_first, max_ns, packed_count;
	unsigned actions;
	char first[POLICY_NAME_MAX + 1];
};

static int see_delta(void *arg, const struct series_delta *delta)
{
	struct seen *seen = arg;
	uint64_t sum;

	seen->deltas++;
	seen->last_id = delta->id;
	seen->count = delta->counts.count;
	seen->errors = delta->counts.errors;
	seen->bad_first = delta->counts.bad[0];
	CHECK_STR(delta->key->route, "/pay");
	CHECK_OK(hist_packed_totals(delta->hist, delta->hist_size, &seen->packed_count, &sum,
				    &seen->max_ns));
	return 0;
}

static int see_action(void *arg, const struct action *action)
{
	struct seen *seen = arg;

	if (!seen->actions++)
		snprintf(seen->first, sizeof(seen->first), "%s", action->scale.scaler);
	return 0;
}

CHECK_TEST(test_failed_ticks_add_up_to_one_delta_a_series)
{
	const dur_ns thresholds[] = {200 * NS_PER_MS};
	struct backlog *backlog = backlog_new();
	struct seen seen = {0};

	CHECK(backlog_empty(backlog));
	add(backlog, 7, 1000, 5, thresholds, 1);
	add(backlog, 7, 9000, 6, thresholds, 1);
	CHECK(!backlog_empty(backlog));
	CHECK_OK(backlog_deltas(backlog, see_delta, &seen));
	CHECK_EQ_U64(seen.deltas, 1);
	CHECK_EQ_U64(seen.last_id, 7);
	CHECK_EQ_U64(seen.count, 11);
	CHECK_EQ_U64(seen.packed_count, 11);
	CHECK_EQ_U64(seen.errors, 2);
	CHECK_EQ_U64(seen.bad_first, 11);
	CHECK_EQ_U64(seen.max_ns, 9000);
	backlog_clear(backlog);
	CHECK(backlog_empty(backlog));
	CHECK_EQ_U64(backlog_lost_total(backlog), 0);
	backlog_free(backlog);
}

CHECK_TEST(test_new_thresholds_keep_the_counts_of_those_that_stay)
{
	const dur_ns before[] = {100 * NS_PER_MS, 200 * NS_PER_MS};
	const dur_ns after[] = {200 * NS_PER_MS};
	struct backlog *backlog = backlog_new();
	struct seen seen = {0};

	add(backlog, 0, 1000, 5, before, 2);
	add(backlog, 0, 1000, 3, after, 1);
	CHECK_OK(backlog_deltas(backlog, see_delta, &seen));
	CHECK_EQ_U64(seen.bad_first, 8);
	backlog_free(backlog);
}

CHECK_TEST(test_oldest_actions_go_beyond_the_cap_and_are_counted)
{
	struct action action = {.kind = ACTION_SCALE};
	struct backlog *backlog = backlog_new();
	struct seen seen = {0};

	for (unsigned i = 0; i < BACKLOG_ACTIONS + 3; i++) {
		snprintf(action.scale.scaler, sizeof(action.scale.scaler), "number %u", i);
		backlog_add_action(backlog, &action);
	}
	CHECK_OK(backlog_actions(backlog, see_action, &seen));
	CHECK_EQ_U64(seen.actions, BACKLOG_ACTIONS);
	CHECK_STR(seen.first, "number 3");
	CHECK_EQ_U64(backlog_lost_total(backlog), 3);
	backlog_free(backlog);
}

CHECK_MAIN("backlog", test_failed_ticks_add_up_to_one_delta_a_series,
	   test_new_thresholds_keep_the_counts_of_those_that_stay,
	   test_oldest_actions_go_beyond_the_cap_and_are_counted)
