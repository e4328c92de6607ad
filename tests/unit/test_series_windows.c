/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "tests/unit/series_shop.h"

static uint8_t packed[HIST_PACKED_MAX];

struct seen {
	uint64_t calls, count, errors, bad0, last_id, waited;
};

static void see_delta(void *arg, const struct series_delta *delta)
{
	struct seen *seen = arg;
	uint64_t count;

	if (seen->calls)
		CHECK(delta->id > seen->last_id);
	seen->calls++;
	seen->last_id = delta->id;
	seen->count += delta->counts.count;
	seen->errors += delta->counts.errors;
	seen->bad0 += delta->counts.bad[0];
	CHECK_OK(hist_packed_totals(delta->hist, delta->hist_size, &count, NULL, NULL));
	CHECK_EQ_U64(count, delta->counts.count);
	if (delta->queue_size) {
		CHECK_OK(hist_packed_totals(delta->queue, delta->queue_size, &count, NULL, NULL));
		seen->waited += count;
	}
}

CHECK_TEST(test_tick_hands_out_each_observation_once)
{
	struct series_table *table = table_of(0, watch_two, NULL);
	struct series_key ok = key_of("shop", "/a", CLASS_2XX), bad = ok;
	struct seen seen = {0};
	struct series *a, *b;

	bad.status_class = CLASS_5XX;
	a = series_get(table, &ok);
	b = series_get(table, &bad);
	series_record(b, 5 * NS_PER_MS, SERIES_NO_QUEUE);
	for (int i = 0; i < 10; i++)
		series_record(a, (dur_ns)i * 20 * NS_PER_MS, i % 2 ? 1000 : SERIES_NO_QUEUE);
	series_tick(table, 1000 * NS_PER_S, see_delta, &seen);
	CHECK_EQ_U64(seen.calls, 2);
	CHECK_EQ_U64(seen.count, 11);
	CHECK_EQ_U64(seen.errors, 1);
	CHECK_EQ_U64(seen.waited, 5);
	/* 120, 140, 160, 180 ms are slower than 100 ms, 100 ms is not; and the error. */
	CHECK_EQ_U64(seen.bad0, 5);
	series_tick(table, 1001 * NS_PER_S, see_delta, &seen);
	CHECK_EQ_U64(seen.calls, 2);
	CHECK_EQ_U64(read_window(table, a, WINDOW_10S).bad[0], 4);
	CHECK_EQ_U64(read_window(table, a, WINDOW_10S).bad[1], 0);
	CHECK_EQ_U64(queue.count, 5);
	CHECK_EQ_U64(queue.max_ns, 1000);
	CHECK_EQ_U64(read_window(table, b, SERIES_TOTAL).bad[1], 1);
	CHECK_EQ_U64(read_window(table, b, SERIES_TOTAL).errors, 1);
	series_table_free(table);
}

/*
 * The independent answer: observations of every second are remembered, and a window is the sum
 * over the seconds that the header says it covers.
 */
enum { MODEL_SECONDS = 9000 };
static uint64_t model[MODEL_SECONDS + 1];

/* The first second of a window, by the grains that the header names. */
static uint64_t model_first(enum series_window window, uint64_t second)
{
	static const uint64_t grain[] = {1, 5, 30, 300, 300, 3600, 10800, 43200, 259200};
	static const uint64_t length[] = {10, 60, 300, 1800, 3600, 21600, 86400, 259200, 2592000};

	if (window == SERIES_TOTAL || second <= length[window])
		return 1;
	return (second - length[window]) / grain[window] * grain[window] + 1;
}

static uint64_t model_window(enum series_window window, uint64_t second)
{
	uint64_t sum = 0;

	for (uint64_t s = model_first(window, second); s <= second; s++)
		sum += model[s];
	return sum;
}

static void check_windows(const struct series_table *table, const struct series *s, uint64_t second)
{
	for (unsigned w = 0; w < WINDOW_COUNT; w++) {
		struct series_counts counts = read_window(table, s, (enum series_window)w);

		if (counts.count != model_window((enum series_window)w, second))
			CHECK_FAIL("window %u at second %llu: %llu, expected %llu", w,
				   (unsigned long long)second, (unsigned long long)counts.count,
				   (unsigned long long)model_window((enum series_window)w, second));
		/* Every third observation is slow. */
		CHECK_EQ_U64(counts.bad[0], hist_quantile(&latency, 1).value_ns > 100 * NS_PER_MS
						    ? latency.slots[hist_slot(150 * NS_PER_MS)]
						    : 0);
	}
}

static void record_second(struct series *s, uint64_t second, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		series_record(s, i % 3 == 2 ? 150 * NS_PER_MS : 10 * NS_PER_MS + i, 100 + i);
	model[second] += n;
}

CHECK_TEST(test_windows_hold_exactly_the_seconds_they_promise)
{
	struct series_table *table = table_of(0, watch_two, NULL);
	struct series_key key = key_of("shop", "/a", CLASS_2XX);
	struct series *s = series_get(table, &key);

	memset(model, 0, sizeof(model));
	CHECK_EQ_U64(series_window_span(table, WINDOW_10S), 0);
	for (uint64_t second = 1; second <= 8000; second++) {
		record_second(s, second, second % 11);
		/* Ticks shake by up to 0.4 s around their second. */
		series_tick(table, (second * 10 + 1000 + second % 5) * (NS_PER_S / 10), NULL, NULL);
		if (second < 700 || second % 97 == 0)
			check_windows(table, s, second);
	}
	CHECK_EQ_U64(series_window_span(table, WINDOW_10S), 10 * NS_PER_S);
	CHECK_EQ_U64(series_window_span(table, WINDOW_1M), 60 * NS_PER_S);
	CHECK_EQ_U64(series_window_span(table, WINDOW_5M), 320 * NS_PER_S);
	CHECK_EQ_U64(series_window_span(table, WINDOW_30M), 2000 * NS_PER_S);
	CHECK_EQ_U64(series_window_span(table, WINDOW_1H), 3800 * NS_PER_S);
	CHECK_EQ_U64(series_window_span(table, WINDOW_30D), 8000 * NS_PER_S);
	CHECK_EQ_U64(series_window_span(table, SERIES_TOTAL), 8000 * NS_PER_S);
	CHECK_EQ_U64(series_unrecorded_total(table), 0);
	series_table_free(table);
}

static uint64_t next_random(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

CHECK_TEST(test_windows_stay_exact_over_gaps_and_late_ticks)
{
	struct series_table *table = table_of(0, watch_two, NULL);
	struct series_key key = key_of("shop", "/a", CLASS_2XX);
	struct series *s = series_get(table, &key);
	uint64_t random = 88172645463325252u, second = 1;

	memset(model, 0, sizeof(model));
	while (second <= MODEL_SECONDS) {
		record_second(s, second, random % 4);
		series_tick(table, (500 + second) * NS_PER_S, NULL, NULL);
		check_windows(table, s, second);
		next_random(&random);
		/* Mostly the next second, sometimes seconds later, rarely most of an hour. */
		second += random % 16 ? 1 : random % 1024 ? 1 + random / 1024 % 40 : 2500;
	}
	series_table_free(table);
}

/*
 * Forty days: what was observed when stands in a list, and every window is the sum over its
 * seconds. Latencies say when they were observed, so that a percentile shows a wrong slot as well.
 */
enum { LONG_TICKS = 30000 };
static struct {
	uint64_t second, n;
} observed[LONG_TICKS];
static size_t observed_count;

static void observe_at(struct series *s, uint64_t second, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		series_record(s, NS_PER_MS * (1 + second % 3600), SERIES_NO_QUEUE);
	observed[observed_count].second = second;
	observed[observed_count++].n = n;
}

static void check_long_windows(const struct series_table *table, const struct series *s,
			       uint64_t second)
{
	for (unsigned w = 0; w < WINDOW_COUNT; w++) {
		enum series_window window = (enum series_window)w;
		uint64_t first = model_first(window, second), count = 0, slowest = 0;

		for (size_t i = observed_count; i-- > 0 && observed[i].second >= first;) {
			uint64_t latency_ns = NS_PER_MS * (1 + observed[i].second % 3600);

			count += observed[i].n;
			if (observed[i].n && latency_ns > slowest)
				slowest = latency_ns;
		}
		if (read_window(table, s, window).count != count)
			CHECK_FAIL("%s at second %llu: %llu, expected %llu",
				   series_window_name(window), (unsigned long long)second,
				   (unsigned long long)latency.count, (unsigned long long)count);
		CHECK_EQ_U64(hist_quantile(&latency, 1).value_ns, slowest);
		CHECK_EQ_U64(series_window_span(table, window), (second + 1 - first) * NS_PER_S);
	}
}

/* Mostly a few minutes on, often a second, at times most of a day. */
static uint64_t next_second(uint64_t second, uint64_t *random)
{
	uint64_t step = next_random(random);

	if (step % 2)
		return second + 1;
	return second + (step % 512 ? 1 + step / 512 % 450 : 1 + step / 512 % 70000);
}

CHECK_TEST(test_windows_of_days_are_exact_over_forty_days)
{
	struct series_table *table = table_of(0, NULL, NULL);
	struct series_key key = key_of("shop", "/a", CLASS_2XX);
	struct series *s = series_get(table, &key);
	uint64_t random = 0x9e3779b97f4a7c15u, second = 1;
	unsigned checks = 0;

	observed_count = 0;
	while (second < 40 * 86400 && observed_count < LONG_TICKS) {
		observe_at(s, second, next_random(&random) % 5);
		series_tick(table, (77 + second) * NS_PER_S, NULL, NULL);
		if (observed_count % 61 == 0) {
			check_long_windows(table, s, second);
			checks++;
		}
		second = next_second(second, &random);
	}
	CHECK(second > 35 * 86400);
	CHECK(checks > 100);
	CHECK_EQ_U64(series_unrecorded_total(table), 0);
	series_table_free(table);
}

/* A table's clock, totals and slots, moved into a fresh table as a keyframe does. */
struct move {
	struct series_table *to;
	unsigned tier;
	uint64_t slots;
};

static int move_slot(void *arg, uint32_t start, const struct series_delta *delta)
{
	struct move *move = arg;

	move->slots++;
	return series_restore_slot(series_get(move->to, delta->key), move->tier, start, delta->hist,
				   delta->hist_size, delta->queue, delta->queue_size,
				   &delta->counts);
}

static int move_total(void *arg, const struct series_delta *delta)
{
	return series_restore_total(series_get(((struct move *)arg)->to, delta->key), delta->hist,
				    delta->hist_size, delta->queue, delta->queue_size,
				    &delta->counts);
}

static struct series_table *moved(struct series_table *from)
{
	const struct series_clock clock = series_clock(from);
	struct move move = {.to = table_of(0, NULL, NULL)};
	struct series_snapshot *snapshot;

	CHECK_OK(series_restore_clock(move.to, &clock));
	CHECK_RC(series_restore_clock(move.to, &clock), -EBUSY);
	CHECK_OK(series_snapshot_take(from, &snapshot));
	CHECK_OK(series_snapshot_totals(snapshot, UINT_MAX, move_total, &move));
	for (; move.tier < SERIES_TIERS; move.tier++)
		CHECK_OK(series_snapshot_slots(snapshot, move.tier, UINT_MAX, move_slot, &move));
	series_snapshot_free(snapshot);
	CHECK(move.slots > 0);
	CHECK_LE_U64(move.slots, SERIES_SLOTS);
	return move.to;
}

CHECK_TEST(test_windows_go_on_exactly_after_being_saved_and_restored)
{
	struct series_table *table = table_of(0, NULL, NULL);
	struct series_key key = key_of("shop", "/a", CLASS_2XX);
	uint64_t random = 0x2545f4914f6cdd1du, second = 1;

	observed_count = 0;
	series_get(table, &key);
	while (second < 36 * 86400 && observed_count < LONG_TICKS) {
		observe_at(series_get(table, &key), second, next_random(&random) % 5);
		series_tick(table, (77 + second) * NS_PER_S, NULL, NULL);
		if (observed_count % 199 == 0) {
			struct series_table *fresh = moved(table);

			series_table_free(table);
			table = fresh;
			check_long_windows(table, series_get(table, &key), second);
		}
		second = next_second(second, &random);
	}
	CHECK(second > 35 * 86400);
	series_table_free(table);
}

CHECK_TEST(test_slots_that_cannot_be_are_refused)
{
	static const uint32_t wrong[][2] = {{0, 10000}, {0, 9980}, {1, 9991}, {1, 9999},
					    {3, 9900},	{3, 5999}, {8, 0},    {7, 0}};
	struct series_table *table = table_of(0, NULL, NULL);
	struct series_key key = key_of("shop", "/a", CLASS_2XX);
	struct series *s = series_get(table, &key);
	const struct series_clock clock = {5 * NS_PER_S, 10000}, none = {0, 0};
	struct series_counts counts = {.count = 1};
	size_t size;

	hist_clear(&latency);
	hist_record(&latency, NS_PER_MS, 1);
	size = (size_t)hist_pack(&latency, packed, sizeof(packed));
	CHECK_RC(series_restore_clock(table, &none), -EPROTO);
	CHECK_OK(series_restore_clock(table, &clock));
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		CHECK_RC(series_restore_slot(s, wrong[i][0], wrong[i][1], packed, size, NULL, 0,
					     &counts),
			 -EPROTO);
	CHECK_RC(series_restore_slot(s, 3, 9600, packed, size - 1, NULL, 0, &counts), -EPROTO);
	CHECK_EQ_U64(read_window(table, s, WINDOW_30D).count, 0);
	CHECK_OK(series_restore_slot(s, 3, 9600, packed, size, NULL, 0, &counts));
	CHECK_EQ_U64(read_window(table, s, WINDOW_1H).count, 1);
	CHECK_EQ_U64(read_window(table, s, WINDOW_5M).count, 0);
	series_table_free(table);
}

/* An agent that restarts within a second of its keyframe goes on in the second of that keyframe. */
CHECK_TEST(test_what_comes_in_the_second_of_a_restored_total_is_added_to_it)
{
	struct series_table *table = table_of(0, NULL, NULL), *later;
	struct series_key key = key_of("shop", "/a", CLASS_2XX);
	const mono_ns begin = 1000 * NS_PER_S;

	for (unsigned i = 0; i < 5; i++) {
		record_second(series_get(table, &key), 1, 10);
		series_tick(table, begin + i * NS_PER_S, NULL, NULL);
	}
	later = moved(table);
	struct series *s = series_get(later, &key);
	CHECK_EQ_U64(read_window(later, s, SERIES_TOTAL).count, 50);
	/* The same second, twice, then the next. */
	for (unsigned i = 1; i <= 3; i++) {
		record_second(s, 1, 7);
		series_tick(later, begin + 4 * NS_PER_S + i * NS_PER_S / 5, NULL, NULL);
		CHECK_EQ_U64(read_window(later, s, SERIES_TOTAL).count, 50 + 7 * i);
		CHECK_EQ_U64(read_window(later, s, WINDOW_10S).count, 50 + 7 * i);
	}
	for (unsigned i = 5; i < 400; i++)
		series_tick(later, begin + i * NS_PER_S, NULL, NULL);
	CHECK_EQ_U64(read_window(later, s, SERIES_TOTAL).count, 71);
	CHECK_EQ_U64(latency.count, 71);
	series_table_free(later);
	series_table_free(table);
}

CHECK_TEST(test_tick_within_the_same_second_adds_to_it)
{
	struct series_table *table = table_of(0, watch_two, NULL);
	struct series_key key = key_of("shop", "/a", CLASS_2XX);
	struct series *s = series_get(table, &key);
	struct seen seen = {0};

	/* Three ticks a second: rounding gives the first second two, each later one three. */
	for (uint64_t i = 0; i < 200; i++) {
		record_second(s, 1, 1);
		seen.calls = 0;
		seen.count = 0;
		series_tick(table, 1000 * NS_PER_S + (i * NS_PER_S + NS_PER_S / 2) / 3, see_delta,
			    &seen);
		CHECK_EQ_U64(seen.count, 1);
		CHECK_EQ_U64(read_window(table, s, SERIES_TOTAL).count, i + 1);
	}
	/* A clock that stands still or goes back is no reason to lose anything. */
	record_second(s, 1, 1);
	series_tick(table, 0, NULL, NULL);
	CHECK_EQ_U64(read_window(table, s, SERIES_TOTAL).count, 201);
	CHECK_EQ_U64(read_window(table, s, WINDOW_10S).count, 31);
	series_table_free(table);
}

CHECK_TEST(test_idle_series_gives_its_memory_back)
{
	struct series_table *table = table_of(0, NULL, NULL);
	struct series_key key = key_of("shop", "/a", CLASS_2XX);
	struct series *s = series_get(table, &key);
	size_t before, busy;
	uint64_t second = 1;

	series_tick(table, second++ * NS_PER_S, NULL, NULL);
	before = series_table_bytes(table);
	for (; second < 100; second++) {
		record_second(s, second, 100);
		series_tick(table, second * NS_PER_S, NULL, NULL);
	}
	busy = series_table_bytes(table);
	CHECK(busy > before + 5000);
	for (; second < 34 * 86400; second += 600)
		series_tick(table, second * NS_PER_S, NULL, NULL);
	/* What stays: the total, and the pool's few blocks for whoever comes next. */
	CHECK_LE_U64(series_table_bytes(table), before + 3000);
	CHECK_EQ_U64(read_window(table, s, WINDOW_30D).count, 0);
	CHECK_EQ_U64(read_window(table, s, SERIES_TOTAL).count, 9800);
	series_table_free(table);
}

CHECK_MAIN("series_windows", test_tick_hands_out_each_observation_once,
	   test_windows_hold_exactly_the_seconds_they_promise,
	   test_windows_stay_exact_over_gaps_and_late_ticks,
	   test_windows_of_days_are_exact_over_forty_days,
	   test_windows_go_on_exactly_after_being_saved_and_restored,
	   test_slots_that_cannot_be_are_refused,
	   test_what_comes_in_the_second_of_a_restored_total_is_added_to_it,
	   test_tick_within_the_same_second_adds_to_it, test_idle_series_gives_its_memory_back)
