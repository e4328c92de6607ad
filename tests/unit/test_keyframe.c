/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
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
	agent->keyframe_writer = tick_writer_new();
	agent->exemplars = exemplars_new(100);
	CHECK(agent->series && agent->judge && agent->keyframe_writer && agent->exemplars);
}

static void agent_unmake(struct agent *agent)
{
	exemplars_free(agent->exemplars);
	tick_writer_free(agent->keyframe_writer);
	judge_free(agent->judge);
	series_table_free(agent->series);
	local_free(&agent->local);
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
	CHECK_OK(keyframe_write(&before, JOURNAL_RECORD_MAX));
	CHECK(keyframe_found(before.local.bytes, before.local.size));
	CHECK_EQ_U64(keyframe_read(&after, before.local.bytes, before.local.size), 0);
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
	CHECK_OK(keyframe_write(&before, JOURNAL_RECORD_MAX));
	CHECK_EQ_U64(keyframe_read(&after, before.local.bytes, before.local.size), 0);
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
	CHECK_OK(keyframe_write(&before, JOURNAL_RECORD_MAX));
	for (unsigned i = 0; i < 200; i++) {
		size_t size = before.local.size;
		uint8_t *bytes = malloc(size);

		memcpy(bytes, before.local.bytes, size);
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		bytes[random % size] ^= (uint8_t)(1 + random % 255);
		agent_make(&after);
		keyframe_read(&after, bytes, size - (i % 2 ? random / 256 % size : 0));
		live(&after, 9000 * NS_PER_S, 3, true);
		agent_unmake(&after);
		free(bytes);
	}
	agent_unmake(&before);
}

CHECK_TEST(test_a_keyframe_too_large_leaves_windows_out_before_it_gives_up)
{
	static struct agent before, after;
	size_t whole;

	agent_make(&before);
	agent_make(&after);
	live(&before, 1700000000 * NS_PER_S, 2880, true);
	CHECK_OK(keyframe_write(&before, JOURNAL_RECORD_MAX));
	whole = before.local.size;
	before.local.size = 0;
	CHECK_OK(keyframe_write(&before, whole));
	CHECK_EQ_U64(before.local.size, whole);
	before.local.size = 0;
	CHECK_OK(keyframe_write(&before, whole - 1));
	CHECK_LE_U64(before.local.size, whole - 1);
	CHECK_EQ_U64(keyframe_read(&after, before.local.bytes, before.local.size), 0);
	CHECK_EQ_U64(count_of(&after, "/old", SERIES_TOTAL), 2880);
	/* Only the finest grain is left out, which the newest tick was still in. */
	CHECK_EQ_U64(count_of(&after, "/old", WINDOW_30D), 2879);
	before.local.size = 0;
	CHECK_RC(keyframe_write(&before, 64), -EMSGSIZE);
	agent_unmake(&before);
	agent_unmake(&after);
}

CHECK_MAIN("keyframe", test_a_keyframe_carries_every_window_over_a_restart,
	   test_a_keyframe_carries_exemplars_of_the_last_hour,
	   test_a_keyframe_that_is_cut_or_changed_breaks_nothing,
	   test_a_keyframe_too_large_leaves_windows_out_before_it_gives_up)
