/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/series_shop.h"

static uint8_t packed[HIST_PACKED_MAX];

CHECK_TEST(test_status_classes_and_errors)
{
	CHECK_EQ_U64(series_class_of(0), CLASS_OK);
	CHECK_EQ_U64(series_class_of(100), CLASS_1XX);
	CHECK_EQ_U64(series_class_of(204), CLASS_2XX);
	CHECK_EQ_U64(series_class_of(399), CLASS_3XX);
	CHECK_EQ_U64(series_class_of(404), CLASS_4XX);
	CHECK_EQ_U64(series_class_of(599), CLASS_5XX);
	CHECK_EQ_U64(series_class_of(99), CLASS_ERROR);
	CHECK_EQ_U64(series_class_of(600), CLASS_ERROR);
	CHECK(!series_class_is_error(SERIES_SERVER, CLASS_4XX));
	CHECK(series_class_is_error(SERIES_CLIENT, CLASS_4XX));
	CHECK(series_class_is_error(SERIES_SERVER, CLASS_5XX));
	CHECK(series_class_is_error(SERIES_SERVER, CLASS_ERROR));
	CHECK(!series_class_is_error(SERIES_CLIENT, CLASS_OK));
	CHECK(!series_class_is_error(SERIES_CLIENT, CLASS_UNKNOWN));
	CHECK_STR(series_class_name(CLASS_5XX), "5xx");
	CHECK_STR(series_class_name(CLASS_UNKNOWN), "unknown");
	CHECK_STR(series_kind_name(SERIES_TLS), "tls");
	CHECK_STR(series_kind_name(SERIES_USER), "user");
	CHECK_STR(series_kind_name(SERIES_CONNECTION), "connection");
	CHECK_STR(series_kind_name(SERIES_JOB), "job");
	CHECK_STR(series_role_name(SERIES_CLIENT), "client");
	CHECK_STR(series_kind_name((enum series_kind)77), "?");
}

CHECK_TEST(test_window_names)
{
	static const char *const names[] = {"10s", "1m", "5m", "30m", "1h",
					    "6h",  "1d", "3d", "30d", "total"};
	enum series_window window;

	for (unsigned i = 0; i < WINDOW_COUNT; i++) {
		CHECK_OK(series_window_parse(names[i], &window));
		CHECK_EQ_U64(window, i);
		CHECK_STR(series_window_name(window), names[i]);
	}
	CHECK_RC(series_window_parse("2m", &window), -EINVAL);
	CHECK_RC(series_window_parse("", &window), -EINVAL);
	CHECK_EQ_U64(series_window_length(WINDOW_5M), 300 * NS_PER_S);
	CHECK_EQ_U64(series_window_length(SERIES_TOTAL), 0);
}

CHECK_TEST(test_text_from_outside_is_cleaned_and_cut_between_characters)
{
	static const struct {
		const char *in;
		const char *out;
	} cases[] = {
		{"", ""},
		{"plain", "plain"},
		{"a\tb\x7f", "a?b?"},
		{"caf\xc3\xa9", "caf\xc3\xa9"},
		{"\xc3", "?"},
		{"\xc0\xaf", "??"}, /* overlong */
		{"\xed\xa0\x80", "???"}, /* surrogate */
		{"\xf4\x90\x80\x80", "????"}, /* beyond Unicode */
		{"\xc2\x85", "??"}, /* C1 control */
		{"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
		{"0123456789abcdef", "0123456789abcde"},
		{"0123456789abcd\xc3\xa9", "0123456789abcd"},
	};
	char field[16];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		series_text_set(field, sizeof(field), cases[i].in, strlen(cases[i].in));
		CHECK_STR(field, cases[i].out);
	}
	series_text_set(field, sizeof(field), "a\0b", 3);
	CHECK_STR(field, "a?b");
}

CHECK_TEST(test_same_key_is_same_series)
{
	struct series_table *table = table_of(0, NULL, NULL);
	struct series_key a = key_of("shop", "/a", CLASS_2XX), b = a;
	struct series *s = series_get(table, &a);

	memset(b.route + 3, 'x', 5); /* Behind the NUL: does not count. */
	CHECK(s && series_get(table, &b) == s);
	CHECK_EQ_U64(series_id_of(s), 0);
	b.status_class = CLASS_5XX;
	CHECK_EQ_U64(series_id_of(series_get(table, &b)), 1);
	b.method[0] = 'P';
	CHECK_EQ_U64(series_id_of(series_get(table, &b)), 2);
	CHECK_EQ_U64(series_count(table), 3);
	CHECK(series_at(table, 0) == s);
	CHECK(!series_at(table, 3));
	CHECK_STR(series_key_of(s)->route, "/a");
	series_table_free(table);
}

CHECK_TEST(test_cap_sends_the_rest_to_other_and_loses_no_count)
{
	struct series_table *table = table_of(16, NULL, NULL);
	uint64_t sum = 0, other = 0;

	for (int i = 0; i < 1000; i++) {
		char route[32], service[32];
		struct series_key key;

		snprintf(route, sizeof(route), "/r%d", i);
		snprintf(service, sizeof(service), "service%d", i % 10);
		key = key_of(service, route, CLASS_2XX);
		series_record(series_get(table, &key), NS_PER_MS, SERIES_NO_QUEUE);
	}
	series_tick(table, NS_PER_S, NULL, NULL);
	for (series_id id = 0; id < series_count(table); id++) {
		const struct series *s = series_at(table, id);
		struct series_counts counts = read_window(table, s, SERIES_TOTAL);

		sum += counts.count;
		if (strcmp(series_key_of(s)->route, "{other}") == 0)
			other += counts.count;
	}
	CHECK_EQ_U64(sum, 1000);
	CHECK_EQ_U64(other, 984);
	CHECK_EQ_U64(series_other_total(table), 984);
	/* 16 ordinary, 4 of a service each, 1 for all others. */
	CHECK_EQ_U64(series_count(table), 21);
	series_table_free(table);
}

struct tick_sums {
	uint64_t count[128], bad[128][2], errors[128], sum_of_sizes;
	uint64_t latency_sum[128];
};

static void tick_sums_add(void *arg, const struct series_delta *delta)
{
	struct tick_sums *sums = arg;

	CHECK(delta->id < 128);
	sums->count[delta->id] += delta->counts.count;
	sums->errors[delta->id] += delta->counts.errors;
	sums->bad[delta->id][0] += delta->counts.bad[0];
	sums->bad[delta->id][1] += delta->counts.bad[1];
	sums->sum_of_sizes += delta->hist_size;
	hist_clear(&latency);
	CHECK_OK(hist_merge_packed(&latency, delta->hist, delta->hist_size));
	sums->latency_sum[delta->id] += latency.sum_ns;
}

/*
 * Two tables are told the same, one observation at a time and in batches: with few series and with
 * many, of which some are errors and some stand for the rest.
 */
CHECK_TEST(test_a_batch_counts_as_its_observations_one_by_one)
{
	static const unsigned routes[] = {5, 100};
	static struct tick_sums one, many;

	for (size_t k = 0; k < ARRAY_LEN(routes); k++) {
		struct series_table *single = table_of(80, watch_two, NULL);
		struct series_table *batched = table_of(80, watch_two, NULL);
		struct series *batch[SERIES_BATCH];
		dur_ns latencies[SERIES_BATCH];
		uint64_t state = 5;

		memset(&one, 0, sizeof(one));
		memset(&many, 0, sizeof(many));
		for (uint64_t second = 1; second <= 3; second++) {
			for (unsigned i = 0; i < 100; i++) {
				unsigned count = i % (SERIES_BATCH + 1);

				for (unsigned n = 0; n < count; n++) {
					state = state * 6364136223846793005u + 1442695040888963407u;
					char route[16];
					snprintf(route, sizeof(route), "/r%u",
						 (unsigned)(state >> 33) % routes[k]);
					struct series_key key = key_of(
						"shop", route, state >> 61 ? CLASS_2XX : CLASS_5XX);
					latencies[n] = state % (120 * NS_PER_MS) >> state % 7;
					batch[n] = series_get(batched, &key);
					series_record(series_get(single, &key), latencies[n],
						      SERIES_NO_QUEUE);
				}
				series_record_batch(batch, latencies, count);
			}
			series_tick(single, second * NS_PER_S, tick_sums_add, &one);
			series_tick(batched, second * NS_PER_S, tick_sums_add, &many);
		}
		CHECK(one.sum_of_sizes > 0);
		CHECK(memcmp(&one, &many, sizeof(one)) == 0);
		CHECK_EQ_U64(series_other_total(single), series_other_total(batched));
		CHECK_EQ_U64(series_other_total(batched) > 0, routes[k] > 80);
		series_table_free(single);
		series_table_free(batched);
	}
}

/* Latencies from one microsecond to a day, so that every block of a histogram is taken. */
static void record_widely(struct series *s)
{
	for (dur_ns ns = NS_PER_US; ns < 24 * NS_PER_H; ns += ns / 2)
		series_record(s, ns, ns);
}

/*
 * Where the pool of a small table is empty, an observation may be refused and the next one of the
 * same series find room: that one is of the tick all the same.
 */
CHECK_TEST(test_what_comes_after_a_refused_observation_is_of_the_tick)
{
	struct series_table *table = table_of(1, NULL, NULL);
	struct series_key key = key_of("shop", "/a", CLASS_2XX);
	struct series *s = series_get(table, &key);
	static struct tick_sums sums;
	uint64_t refused;

	series_record(s, NS_PER_MS, SERIES_NO_QUEUE);
	series_tick(table, NS_PER_S, NULL, NULL);
	for (unsigned i = 0; i < SERIES_KINDS * CLASS_COUNT; i++) {
		struct series_key wide = key;

		wide.route[1] = 'b';
		wide.kind = (uint8_t)(i % SERIES_KINDS);
		wide.status_class = (uint8_t)(i / SERIES_KINDS);
		record_widely(series_get(table, &wide));
	}
	refused = series_unrecorded_total(table);
	CHECK(refused > 0);
	series_record(s, NS_PER_H, SERIES_NO_QUEUE);
	CHECK_EQ_U64(series_unrecorded_total(table), refused + 1);
	series_record(s, NS_PER_MS, SERIES_NO_QUEUE);
	CHECK_EQ_U64(series_unrecorded_total(table), refused + 1);
	memset(&sums, 0, sizeof(sums));
	series_tick(table, 2 * NS_PER_S, tick_sums_add, &sums);
	CHECK_EQ_U64(sums.count[series_id_of(s)], 1);
	CHECK_EQ_U64(read_window(table, s, SERIES_TOTAL).count, 2);
	series_table_free(table);
}

static unsigned watch_arg(void *arg, const struct series_key *key, dur_ns thresholds[])
{
	const dur_ns *from = arg;
	unsigned n = 0;

	(void)key;
	for (; from[n]; n++)
		thresholds[n] = from[n] * NS_PER_MS;
	return n;
}

CHECK_TEST(test_reload_keeps_counts_of_thresholds_that_stay)
{
	dur_ns watched[SERIES_THRESHOLDS + 1] = {100, 200};
	struct series_table *table = table_of(0, watch_arg, watched);
	struct series_key key = key_of("shop", "/a", CLASS_2XX);
	struct series *s = series_get(table, &key);
	dur_ns thresholds[SERIES_THRESHOLDS];
	struct series_counts counts;
	uint64_t second;

	for (second = 1; second <= 20; second++) {
		series_record(s, 150 * NS_PER_MS, SERIES_NO_QUEUE);
		series_record(s, 250 * NS_PER_MS, SERIES_NO_QUEUE);
		series_tick(table, second * NS_PER_S, NULL, NULL);
	}
	series_record(s, 250 * NS_PER_MS, SERIES_NO_QUEUE);
	watched[0] = 50;
	watched[1] = 300;
	watched[2] = 200;
	series_thresholds_reload(table);
	CHECK_EQ_U64(series_thresholds_of(s, thresholds), 3);
	CHECK_EQ_U64(thresholds[2], 200 * NS_PER_MS);
	counts = read_window(table, s, SERIES_TOTAL);
	CHECK_EQ_U64(counts.bad[0], 0);
	CHECK_EQ_U64(counts.bad[2], 20);
	for (; second <= 40; second++) {
		series_record(s, 250 * NS_PER_MS, SERIES_NO_QUEUE);
		series_tick(table, second * NS_PER_S, NULL, NULL);
	}
	counts = read_window(table, s, SERIES_TOTAL);
	CHECK_EQ_U64(counts.count, 61);
	/* A new threshold counts what was recorded after it came. */
	CHECK_EQ_U64(counts.bad[0], 20);
	CHECK_EQ_U64(counts.bad[1], 0);
	CHECK_EQ_U64(counts.bad[2], 41);
	CHECK_EQ_U64(read_window(table, s, WINDOW_1M).bad[2], 41);
	series_table_free(table);
}

CHECK_TEST(test_merged_and_restored_sums_count_once)
{
	struct series_table *table = table_of(0, watch_two, NULL);
	struct series_key key = key_of("shop", "/a", CLASS_2XX);
	struct series *s = series_get(table, &key);
	struct series_counts counts = {.count = 7, .errors = 2, .bad = {3, 2}}, wrong = counts, got;
	size_t size;

	hist_clear(&latency);
	hist_record(&latency, 5 * NS_PER_MS, 4);
	hist_record(&latency, 500 * NS_PER_MS, 3);
	size = (size_t)hist_pack(&latency, packed, sizeof(packed));
	CHECK_OK(series_restore_total(s, packed, size, NULL, 0, &counts));
	CHECK_EQ_U64(read_window(table, s, SERIES_TOTAL).bad[0], 3);
	CHECK_OK(series_merge_packed(s, packed, size, packed, size, &counts));
	CHECK_OK(series_merge_packed(s, packed, size, NULL, 0, &counts));
	series_record(s, NS_PER_MS, SERIES_NO_QUEUE);
	for (uint64_t second = 1; second < 30; second++) {
		series_tick(table, second * NS_PER_S, NULL, NULL);
		got = read_window(table, s, SERIES_TOTAL);
		CHECK_EQ_U64(got.count, 22);
		CHECK_EQ_U64(got.errors, 6);
		CHECK_EQ_U64(got.bad[0], 9);
		CHECK_EQ_U64(got.bad[1], 6);
		CHECK_EQ_U64(queue.count, 7);
		CHECK_EQ_U64(read_window(table, s, WINDOW_1M).count, 15);
	}
	CHECK_OK(series_restore_total(s, packed, size, packed, size, &counts));
	CHECK_EQ_U64(read_window(table, s, SERIES_TOTAL).count, 29);
	CHECK_EQ_U64(queue.count, 14);

	wrong.count = 8;
	CHECK_RC(series_merge_packed(s, packed, size, NULL, 0, &wrong), -EPROTO);
	wrong.count = 7;
	wrong.bad[1] = 8;
	CHECK_RC(series_merge_packed(s, packed, size, NULL, 0, &wrong), -EPROTO);
	CHECK_RC(series_restore_total(s, packed, size, NULL, 0, &wrong), -EPROTO);
	CHECK_RC(series_merge_packed(s, packed, size, packed, size - 1, &counts), -EPROTO);
	CHECK_RC(series_merge_packed(s, packed, size - 1, NULL, 0, &counts), -EPROTO);
	hist_clear(&latency);
	hist_record(&latency, 1, UINT64_C(1) << 33);
	size = (size_t)hist_pack(&latency, packed, sizeof(packed));
	counts = (struct series_counts){.count = UINT64_C(1) << 33};
	CHECK_RC(series_merge_packed(s, packed, size, NULL, 0, &counts), -EOVERFLOW);
	series_tick(table, 100 * NS_PER_S, NULL, NULL);
	CHECK_EQ_U64(read_window(table, s, SERIES_TOTAL).count, 29);
	series_table_free(table);
}

CHECK_TEST(test_failed_allocations_lose_nothing)
{
	CHECK_ALLOC_LOOP(n)
	{
		struct series_table_options options = {.thresholds = watch_two};
		struct series_table *table = series_table_new(&options);
		struct series_key key = key_of("shop", "/a", CLASS_2XX);
		struct series *s = table ? series_get(table, &key) : NULL;
		uint64_t recorded = 0;

		if (!s) {
			CHECK(check_alloc_failed());
			series_table_free(table);
			continue;
		}
		for (uint64_t second = 1; second < 20; second++, recorded += 2) {
			series_record(s, NS_PER_MS, 1000);
			series_record(s, second * NS_PER_MS, SERIES_NO_QUEUE);
			series_tick(table, second * NS_PER_S, NULL, NULL);
		}
		series_tick(table, 20 * NS_PER_S, NULL, NULL);
		CHECK_EQ_U64(read_window(table, s, SERIES_TOTAL).count, recorded);
		CHECK_EQ_U64(read_window(table, s, WINDOW_1M).count, recorded);
		CHECK_EQ_U64(read_window(table, s, WINDOW_1H).count, recorded);
		CHECK_EQ_U64(series_unrecorded_total(table), 0);
		series_table_free(table);
	}
}

/* ---- readers beside the writer ------------------------------------------------------------------ */

enum { READERS = 2, CONCURRENT_SECONDS = 700, PER_SECOND = 3 };

struct concurrent {
	struct series_table *table;
	bool done;
	uint64_t reads[READERS], wrong; /* finished reads of each reader; what was not to be seen */
};

struct reader {
	struct concurrent *shared;
	unsigned number;
};

/*
 * The writer records PER_SECOND in every second, so a reader knows what each window may hold
 * whatever second it catches: whole seconds, and a total that never goes back.
 */
static void *reader_main(void *arg)
{
	struct reader *reader = arg;
	struct concurrent *c = reader->shared;
	struct hist *sum = calloc(1, sizeof(*sum));
	uint64_t last_total = 0;

	series_reader_register();
	for (unsigned w = 0; sum && !__atomic_load_n(&c->done, __ATOMIC_ACQUIRE);
	     w = (w + 1) % WINDOW_COUNT) {
		uint64_t least = series_window_span(c->table, w) / NS_PER_S * PER_SECOND;
		struct series_counts counts = {0};
		const struct series *s;
		bool wrong;

		hist_clear(sum);
		series_read_lock();
		s = series_at(c->table, 0);
		series_window_add(c->table, s, w, sum, NULL, &counts);
		series_read_unlock();
		wrong = counts.count != sum->count || counts.count % PER_SECOND != 0;
		if (w == WINDOW_10S)
			wrong |= counts.count < least;
		if (w == SERIES_TOTAL) {
			wrong |= counts.count < least || counts.count < last_total;
			last_total = counts.count;
		}
		__atomic_fetch_add(&c->wrong, wrong, __ATOMIC_RELAXED);
		(void)series_table_bytes(c->table);
		__atomic_fetch_add(&c->reads[reader->number], 1, __ATOMIC_RELEASE);
	}
	series_reader_unregister();
	free(sum);
	return NULL;
}

CHECK_TEST(test_readers_beside_the_writer_see_whole_ticks)
{
	struct concurrent c = {.table = table_of(0, watch_two, NULL)};
	struct series_key key = key_of("shop", "/a", CLASS_2XX);
	struct series *s = series_get(c.table, &key);
	struct reader readers[READERS];
	pthread_t threads[READERS];

	for (unsigned i = 0; i < READERS; i++) {
		readers[i] = (struct reader){&c, i};
		CHECK_OK(pthread_create(&threads[i], NULL, reader_main, &readers[i]));
	}
	for (uint64_t second = 1; second <= CONCURRENT_SECONDS; second++) {
		uint64_t before[READERS];

		for (unsigned i = 0; i < READERS; i++)
			before[i] = __atomic_load_n(&c.reads[i], __ATOMIC_ACQUIRE);
		for (int i = 0; i < PER_SECOND; i++)
			series_record(s, NS_PER_MS * second, SERIES_NO_QUEUE);
		series_tick(c.table, second * NS_PER_S, NULL, NULL);
		if (second % 100 == 0)
			series_thresholds_reload(c.table);
		/* As with real seconds, no more than one tick passes while a read goes on. */
		for (unsigned i = 0; i < READERS; i++)
			while (__atomic_load_n(&c.reads[i], __ATOMIC_ACQUIRE) == before[i])
				sched_yield();
	}
	__atomic_store_n(&c.done, true, __ATOMIC_RELEASE);
	for (int i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ_U64(c.wrong, 0);
	CHECK_EQ_U64(read_window(c.table, s, SERIES_TOTAL).count, CONCURRENT_SECONDS * PER_SECOND);
	series_table_free(c.table);
}

CHECK_MAIN("series", test_status_classes_and_errors, test_window_names,
	   test_text_from_outside_is_cleaned_and_cut_between_characters,
	   test_same_key_is_same_series, test_cap_sends_the_rest_to_other_and_loses_no_count,
	   test_a_batch_counts_as_its_observations_one_by_one,
	   test_what_comes_after_a_refused_observation_is_of_the_tick,
	   test_reload_keeps_counts_of_thresholds_that_stay,
	   test_merged_and_restored_sums_count_once, test_failed_allocations_lose_nothing,
	   test_readers_beside_the_writer_see_whole_ticks)
