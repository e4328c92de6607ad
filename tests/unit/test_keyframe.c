/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/keyframe.h"
#include "lib/base/clock.h"
#include "tests/unit/check.h"

static struct hist latency, queue;

static void agent_make(struct agent *agent)
{
	memset(agent, 0, sizeof(*agent));
	agent->series = series_table_new(&(struct series_table_options){0});
	agent->judge = judge_new(&agent->policy, "host:web1");
	agent->exemplars = exemplars_new(100);
	CHECK(agent->series && agent->judge && agent->exemplars);
}

static void agent_unmake(struct agent *agent)
{
	exemplars_free(agent->exemplars);
	judge_free(agent->judge);
	series_table_free(agent->series);
	local_free(&agent->local);
}

static const struct keyframe_options whole = {.slots_max = SIZE_MAX};

/* All pieces one behind the other, while nothing comes between. */
static void written(struct agent *agent, const struct keyframe_options *options)
{
	struct keyframe *keyframe;
	int more;

	agent->local.size = 0;
	CHECK_OK(keyframe_begin(agent, options, &agent->local, &keyframe));
	while ((more = keyframe_fill(keyframe, &agent->local)) > 0) {
	}
	CHECK_OK(more);
	keyframe_free(keyframe);
}

/* Sections that did not fit. */
static unsigned taken_up(struct agent *agent, const uint8_t *bytes, size_t size)
{
	struct keyframe_reading reading = {.agent = agent, .now = clock_wall()};

	keyframe_read(&reading, bytes, size);
	free(reading.by_id);
	return reading.skipped;
}

static struct series *series_named(struct agent *agent, const char *route)
{
	struct series_key key = {.kind = SERIES_HTTP, .role = SERIES_SERVER};

	key.status_class = CLASS_2XX;
	series_text_set(key.route, sizeof(key.route), route, strlen(route));
	return series_get(agent->series, &key);
}

static uint64_t count_of(struct agent *agent, const char *route, enum series_window window)
{
	struct series_counts counts = {0};

	hist_clear(&latency);
	hist_clear(&queue);
	series_window_add(agent->series, series_named(agent, route), window, &latency, &queue,
			  &counts);
	CHECK_EQ_U64(latency.count, counts.count);
	return counts.count;
}

static void same_windows(struct agent *a, struct agent *b, const char *route)
{
	for (unsigned w = 0; w < WINDOW_COUNT; w++) {
		enum series_window window = (enum series_window)w;
		uint64_t count = count_of(a, route, window), waited = queue.count;
		uint64_t p99 = hist_quantile(&latency, 0.99).value_ns;

		CHECK_EQ_U64(count_of(b, route, window), count);
		CHECK_EQ_U64(queue.count, waited);
		CHECK_EQ_U64(hist_quantile(&latency, 0.99).value_ns, p99);
		CHECK_EQ_U64(series_window_span(b->series, window),
			     series_window_span(a->series, window));
	}
}

/* Three days of a busy route and of one that ended after a day; a tick every half minute. */
static mono_ns live(struct agent *agent, mono_ns from, unsigned ticks, bool both)
{
	for (unsigned i = 0; i < ticks; i++, from += 30 * NS_PER_S) {
		series_record(series_named(agent, "/busy"), NS_PER_MS * (1 + i % 50), i % 3);
		if (both)
			series_record(series_named(agent, "/old"), NS_PER_MS, SERIES_NO_QUEUE);
		series_tick(agent->series, from, NULL, NULL);
	}
	return from;
}

CHECK_TEST(test_a_keyframe_carries_every_window_over_a_restart)
{
	static struct agent before, after;
	mono_ns now = 1700000000 * NS_PER_S;

	agent_make(&before);
	agent_make(&after);
	now = live(&before, now, 2880, true);
	now = live(&before, now, 2 * 2880, false);
	written(&before, &whole);
	CHECK(keyframe_found(before.local.bytes, before.local.size));
	CHECK_EQ_U64(taken_up(&after, before.local.bytes, before.local.size), 0);
	CHECK_EQ_U64(count_of(&after, "/old", SERIES_TOTAL), 2880);
	CHECK_EQ_U64(count_of(&after, "/old", WINDOW_1D), 0);
	CHECK_EQ_U64(count_of(&after, "/old", WINDOW_3D), 2880);
	CHECK_EQ_U64(count_of(&after, "/busy", WINDOW_10S), 1);
	same_windows(&before, &after, "/busy");
	same_windows(&before, &after, "/old");
	/* What comes later is folded onto it as if nothing had happened. */
	live(&before, now + 7 * NS_PER_S, 4000, true);
	live(&after, now + 7 * NS_PER_S, 4000, true);
	same_windows(&before, &after, "/busy");
	same_windows(&before, &after, "/old");
	agent_unmake(&before);
	agent_unmake(&after);
}

static int exemplar_same(void *arg, series_id id, const struct exemplar *exemplar)
{
	struct agent *agent = arg;

	CHECK_STR(series_key_of(series_at(agent->series, id))->route, "/old");
	CHECK_EQ_U64(exemplar->latency_ns, 77);
	CHECK_EQ_U64(exemplar->status, 200);
	CHECK_STR(exemplar->tag, "a-trace");
	return 1;
}

CHECK_TEST(test_a_keyframe_carries_exemplars_of_the_last_hour)
{
	static struct agent before, after;
	struct exemplar exemplar = {.latency_ns = 77, .status = 200, .tag = "a-trace"};
	struct exemplar_book *book;

	agent_make(&before);
	agent_make(&after);
	exemplar.at = before.tick_wall = clock_wall();
	series_named(&after, "/another-number");
	live(&before, exemplar.at, 3, true);
	CHECK(exemplars_add(before.exemplars, series_id_of(series_named(&before, "/old")),
			    &exemplar, exemplar.at));
	written(&before, &whole);
	CHECK_EQ_U64(taken_up(&after, before.local.bytes, before.local.size), 0);
	book = exemplars_publish(after.exemplars, exemplar.at);
	CHECK_RC(exemplar_book_each(book, 0, UINT64_MAX, exemplar_same, &after), 1);
	exemplar_book_unref(book);
	agent_unmake(&before);
	agent_unmake(&after);
}

CHECK_TEST(test_a_keyframe_that_is_cut_or_changed_breaks_nothing)
{
	static struct agent before, after;
	uint64_t random = 88172645463325252u;

	agent_make(&before);
	live(&before, NS_PER_S, 500, true);
	written(&before, &whole);
	for (unsigned i = 0; i < 200; i++) {
		size_t size = before.local.size;
		uint8_t *bytes = malloc(size);

		memcpy(bytes, before.local.bytes, size);
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		bytes[random % size] ^= (uint8_t)(1 + random % 255);
		agent_make(&after);
		taken_up(&after, bytes, size - (i % 2 ? random / 256 % size : 0));
		live(&after, 9000 * NS_PER_S, 3, true);
		agent_unmake(&after);
		free(bytes);
	}
	agent_unmake(&before);
}

CHECK_TEST(test_a_keyframe_with_too_much_leaves_the_finest_windows_out)
{
	static struct agent before, after;
	struct keyframe_options options = whole;
	size_t most, size;

	agent_make(&before);
	agent_make(&after);
	live(&before, 1700000000 * NS_PER_S, 2880, true);
	written(&before, &whole);
	most = before.local.size;
	for (options.slots_max = most; before.local.size == most; options.slots_max -= 64)
		written(&before, &options);
	size = before.local.size;
	CHECK_LE_U64(size, most);
	CHECK_EQ_U64(taken_up(&after, before.local.bytes, before.local.size), 0);
	CHECK_EQ_U64(count_of(&after, "/old", SERIES_TOTAL), 2880);
	/* Only the finest grain is left out, which the newest tick was still in. */
	CHECK_EQ_U64(count_of(&after, "/old", WINDOW_30D), 2879);
	options.slots_max = 0;
	written(&before, &options);
	CHECK_LE_U64(before.local.size, size - 1);
	CHECK(keyframe_found(before.local.bytes, before.local.size));
	agent_unmake(&before);
	agent_unmake(&after);
}

/* ---- in steps ---------------------------------------------------------------------------------- */

struct steps {
	unsigned totals, slots, exemplars; /* in one piece */
	unsigned pieces;
};

static int step_total(void *arg, const struct series_delta *delta)
{
	(void)delta;
	((struct steps *)arg)->totals++;
	return 0;
}

static int step_exemplar(void *arg, series_id id, const struct exemplar *exemplar)
{
	(void)id;
	(void)exemplar;
	((struct steps *)arg)->exemplars++;
	return 0;
}

static unsigned slots_in(const struct local_section *section)
{
	unsigned slots = 0;

	for (size_t at = 0; at < section->size; slots++) {
		uint32_t length;

		memcpy(&length, section->bytes + at, sizeof(length));
		at += sizeof(length) + length;
	}
	return slots;
}

/* A piece's share is bounded, whatever the agent holds. */
static void check_piece(struct steps *steps, const uint8_t *bytes, size_t size)
{
	const struct tick_visitor totals = {.delta = step_total};
	const struct tick_visitor tagged = {.exemplar = step_exemplar};
	struct local_section section;
	size_t at = 0;

	*steps = (struct steps){.pieces = steps->pieces + 1};
	while (local_next(bytes, size, &at, &section) > 0) {
		if (!strcmp(section.name, "@totals"))
			CHECK_OK(tick_read(section.bytes, section.size, &totals, steps, NULL));
		else if (!strcmp(section.name, "@exemplars"))
			CHECK_OK(tick_read(section.bytes, section.size, &tagged, steps, NULL));
		else if (!strncmp(section.name, "@slots", 6))
			steps->slots += slots_in(&section);
	}
	CHECK_LE_U64(steps->totals, KEYFRAME_STEP_TOTALS);
	CHECK_LE_U64(steps->exemplars, KEYFRAME_STEP_EXEMPLARS);
	CHECK_LE_U64(steps->slots, KEYFRAME_STEP_SLOTS + SERIES_SLOTS);
}

#define MANY 100 /* series, more than a step's share of anything */

static void route_of(char route[32], unsigned i)
{
	snprintf(route, 32, "/route/%u", i);
}

static mono_ns live_many(struct agent *agent, mono_ns from, unsigned ticks, dur_ns slow)
{
	for (unsigned t = 0; t < ticks; t++, from += NS_PER_S) {
		for (unsigned i = 0; i < MANY; i++) {
			char route[32];

			route_of(route, i);
			series_record(series_named(agent, route), slow + i, i);
		}
		series_tick(agent->series, from, NULL, NULL);
	}
	return from;
}

/* Between any two pieces come whole turns: seconds in which every window changes, and new series. */
CHECK_TEST(test_pieces_with_turns_between_them_hold_one_tick)
{
	static struct agent before, after, going_on;
	struct keyframe *keyframe;
	struct steps steps = {0};
	mono_ns now = 1700000000 * NS_PER_S;
	int more = 1;

	agent_make(&before);
	agent_make(&after);
	agent_make(&going_on);
	now = live_many(&before, now, 400, NS_PER_MS);
	live_many(&going_on, 1700000000 * NS_PER_S, 400, NS_PER_MS);
	before.tick_wall = clock_wall();
	for (unsigned i = 0; i < 600; i++) {
		struct exemplar exemplar = {.latency_ns = i, .status = 200, .tag = "a"};
		char route[32];

		exemplar.at = before.tick_wall - i / MANY * NS_PER_MIN;
		route_of(route, i % MANY);
		exemplars_add(before.exemplars, series_id_of(series_named(&before, route)),
			      &exemplar, before.tick_wall);
	}
	CHECK_OK(keyframe_begin(&before, &whole, &before.local, &keyframe));
	for (size_t at = 0; more; at = before.local.size) {
		more = keyframe_fill(keyframe, &before.local);
		CHECK(more >= 0);
		check_piece(&steps, before.local.bytes + at, before.local.size - at);
		now = live_many(&before, now, 3, 7 * NS_PER_MS);
		series_named(&before, steps.pieces % 2 ? "/born/odd" : "/born/even");
	}
	keyframe_free(keyframe);
	CHECK_GE_U64(steps.pieces, 20);
	CHECK_EQ_U64(taken_up(&after, before.local.bytes, before.local.size), 0);
	CHECK_EQ_U64(series_count(after.series), MANY);
	for (unsigned i = 0; i < MANY; i++) {
		char route[32];

		route_of(route, i);
		same_windows(&going_on, &after, route);
	}
	agent_unmake(&before);
	agent_unmake(&after);
	agent_unmake(&going_on);
}

/* Whatever allocation fails, of a turn between the pieces too: it is made whole, or given up. */
CHECK_TEST(test_a_keyframe_without_memory_is_given_up_and_costs_no_count)
{
	CHECK_ALLOC_LOOP(n)
	{
		static struct agent before, after;
		struct keyframe *keyframe = NULL;
		mono_ns now = 1700000000 * NS_PER_S;
		unsigned failing = n;
		int rc;

		check_alloc_fail_at(0);
		agent_make(&before);
		agent_make(&after);
		now = live(&before, now, 40, true) - 30 * NS_PER_S;
		check_alloc_fail_at(failing);
		rc = keyframe_begin(&before, &whole, &before.local, &keyframe);
		while (!rc && (rc = keyframe_fill(keyframe, &before.local)) > 0) {
			series_tick(before.series, now += NS_PER_S, NULL, NULL);
			rc = 0;
		}
		if (!check_alloc_failed()) {
			CHECK_OK(rc);
			check_alloc_fail_at(0);
		}
		if (!rc)
			CHECK_EQ_U64(taken_up(&after, before.local.bytes, before.local.size), 0);
		else
			CHECK_RC(rc, -ENOMEM);
		keyframe_free(keyframe);
		CHECK_EQ_U64(count_of(&before, "/busy", SERIES_TOTAL), 40);
		if (!rc)
			CHECK_EQ_U64(count_of(&after, "/busy", SERIES_TOTAL), 40);
		agent_unmake(&before);
		agent_unmake(&after);
	}
}

CHECK_MAIN("keyframe", test_a_keyframe_carries_every_window_over_a_restart,
	   test_a_keyframe_carries_exemplars_of_the_last_hour,
	   test_a_keyframe_that_is_cut_or_changed_breaks_nothing,
	   test_a_keyframe_with_too_much_leaves_the_finest_windows_out,
	   test_pieces_with_turns_between_them_hold_one_tick,
	   test_a_keyframe_without_memory_is_given_up_and_costs_no_count)
