/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/compact.h"
#include "proto/tick.h"
#include "tests/unit/check.h"

#define START (1700000000 * NS_PER_S)

static struct tick_writer *writer;
static uint8_t *kept[1200]; /* wire parts of the records of a test */
static struct journal_record records[1200];
static size_t record_count;

static void tick_keep(void)
{
	struct journal_record *record = &records[record_count];
	const uint8_t *bytes;
	size_t size;

	CHECK(record_count < ARRAY_LEN(records));
	CHECK_OK(tick_end(writer, &bytes, &size));
	kept[record_count] = malloc(size);
	memcpy(kept[record_count], bytes, size);
	*record = (struct journal_record){
		.seq = record_count + 1, .wire = kept[record_count], .wire_size = size};
	record_count++;
}

/* A second in which each of two routes had n events, the first of them bad. */
static void tick_make(wall_ns wall, uint64_t n, bool names, bool action, dur_ns threshold)
{
	static struct hist_delta hist;
	static uint8_t packed[HIST_PACKED_MAX];
	const struct action alert = {.kind = ACTION_ALERT, .at = wall};

	tick_begin(writer, wall, NS_PER_S);
	for (series_id id = 0; id < 2; id++) {
		struct series_key key = {.kind = SERIES_APP};
		struct series_delta delta = {.id = id,
					     .hist = packed,
					     .counts = {.count = n, .errors = 1, .bad = {1}},
					     .threshold_count = 1,
					     .thresholds = &threshold};

		key.route[0] = (char)('a' + id);
		if (names)
			CHECK_OK(tick_add_series(writer, id, &key));
		hist_delta_clear(&hist);
		for (uint64_t i = 0; i < n; i++)
			hist_delta_record(&hist, NS_PER_MS * (1 + i));
		delta.hist_size = (size_t)hist_delta_pack(&hist, packed, sizeof(packed));
		CHECK_OK(tick_add_delta(writer, &delta));
	}
	CHECK_OK(tick_add_gauge(writer, &(struct gauge){.name = "queue", .value = (double)n}));
	CHECK_OK(tick_add_total(writer, "http", NULL, wall / NS_PER_S));
	if (action)
		CHECK_OK(tick_add_action(writer, &alert));
	CHECK_OK(tick_add_exemplar(writer, 1,
				   &(struct exemplar){.at = wall, .latency_ns = n, .tag = "one"}));
	tick_keep();
}

static void ticks_begin(void)
{
	writer = tick_writer_new();
	record_count = 0;
}

static void ticks_end(void)
{
	for (size_t i = 0; i < record_count; i++)
		free(kept[i]);
	tick_writer_free(writer);
}

struct seen {
	wall_ns start, end;
	uint64_t names, deltas, count, errors, bad, events_total, gauges, exemplars;
	double gauge;
	uint64_t slowest;
};

static int see_begin(void *arg, wall_ns wall, dur_ns duration)
{
	struct seen *seen = arg;

	seen->start = wall;
	seen->end = wall + duration;
	return 0;
}

static int see_series(void *arg, series_id id, const struct series_key *key)
{
	((struct seen *)arg)->names++;
	CHECK(key->route[0] == (char)('a' + id));
	return 0;
}

static int see_delta(void *arg, const struct series_delta *delta)
{
	struct seen *seen = arg;
	uint64_t count, max;

	CHECK_OK(hist_packed_totals(delta->hist, delta->hist_size, &count, NULL, &max));
	CHECK_EQ_U64(count, delta->counts.count);
	seen->deltas++;
	seen->count += count;
	seen->errors += delta->counts.errors;
	seen->bad += delta->counts.bad[0];
	seen->slowest = max > seen->slowest ? max : seen->slowest;
	return 0;
}

static int see_gauge(void *arg, const struct gauge *gauge)
{
	struct seen *seen = arg;

	seen->gauges++;
	seen->gauge = gauge->value;
	return 0;
}

static int see_total(void *arg, const char *collector, const char *reason, uint64_t total)
{
	(void)collector;
	(void)reason;
	((struct seen *)arg)->events_total = total;
	return 0;
}

static int see_exemplar(void *arg, series_id id, const struct exemplar *exemplar)
{
	struct seen *seen = arg;

	CHECK_EQ_U64(id, 1);
	CHECK_STR(exemplar->tag, "one");
	CHECK_EQ_U64(exemplar->latency_ns, 10 - seen->exemplars++);
	CHECK_EQ_U64(exemplar->at, START + (exemplar->latency_ns - 1) * NS_PER_S);
	return 0;
}

static struct seen see(const uint8_t *wire, size_t size, const struct tick_visitor *exemplars)
{
	const struct tick_visitor visitor = {.begin = see_begin,
					     .series = see_series,
					     .delta = see_delta,
					     .gauge = see_gauge,
					     .total = see_total};
	struct seen seen = {0};

	CHECK_OK(tick_read(wire, size, &visitor, &seen, NULL));
	CHECK_OK(tick_read(wire, size, exemplars, &seen, NULL));
	return seen;
}

static ssize_t merged_with(size_t from, struct seen *seen, const struct tick_visitor *exemplars)
{
	struct compact *compact = compact_new();
	const uint8_t *wire = NULL;
	size_t size = 0;
	ssize_t taken;

	taken = compact_merge(compact, records + from, record_count - from, &wire, &size);
	if (taken > 1)
		*seen = see(wire, size, exemplars);
	compact_free(compact);
	return taken;
}

static ssize_t merged(size_t from, struct seen *seen)
{
	return merged_with(from, seen, &(struct tick_visitor){0});
}

CHECK_TEST(test_neighbours_become_one_with_their_sums)
{
	struct seen seen;

	ticks_begin();
	for (uint64_t i = 0; i < 10; i++)
		tick_make(START + i * NS_PER_S, 1 + i, i == 3, false, 100);
	CHECK_RC(merged_with(0, &seen, &(struct tick_visitor){.exemplar = see_exemplar}), 10);
	CHECK_EQ_U64(seen.exemplars, EXEMPLARS_KEPT); /* the slowest of their minute */
	CHECK_EQ_U64(seen.start, START);
	CHECK_EQ_U64(seen.end, START + 10 * NS_PER_S);
	CHECK_EQ_U64(seen.names, 2);
	CHECK_EQ_U64(seen.deltas, 2);
	CHECK_EQ_U64(seen.count, 2 * 55);
	CHECK_EQ_U64(seen.errors, 20);
	CHECK_EQ_U64(seen.bad, 20);
	CHECK_EQ_U64(seen.slowest, 10 * NS_PER_MS);
	/* What is not a sum is as it was last. */
	CHECK_EQ_U64(seen.gauges, 1);
	CHECK_NEAR(seen.gauge, 10, 0);
	CHECK_EQ_U64(seen.events_total, START / NS_PER_S + 9);
	ticks_end();
}

enum { HOUR_TICKS = 1200, HOUR_MINUTES = 62, HOUR_SERIES = 3 };

/* Of one series and minute: what there was, and what is left of it. */
struct hour_minute {
	unsigned count;
	dur_ns latencies[NS_PER_MIN / (3 * NS_PER_S)];
	struct {
		unsigned count;
		dur_ns sum;
	} left[HOUR_SERIES];
};

static unsigned hour_minute_of(wall_ns at)
{
	uint64_t minute = at / NS_PER_MIN - (START / NS_PER_MIN - 1);

	CHECK_LE_U64(minute, HOUR_MINUTES - 1);
	return (unsigned)minute;
}

/* Three seconds with an exemplar of each series; the first came late, from the minute before. */
static void hour_tick(unsigned i, struct hour_minute *minutes)
{
	wall_ns wall = START + i * 3 * NS_PER_S;
	struct exemplar exemplar = {.at = i ? wall + NS_PER_S : wall - 25 * NS_PER_S,
				    .latency_ns = (1 + i * 7 % 20) * NS_PER_MS};
	struct hour_minute *minute = &minutes[hour_minute_of(exemplar.at)];

	minute->latencies[minute->count++] = exemplar.latency_ns;
	snprintf(exemplar.tag, sizeof(exemplar.tag), "%u", i);
	tick_begin(writer, wall, 3 * NS_PER_S);
	for (series_id id = 0; id < HOUR_SERIES; id++)
		CHECK_OK(tick_add_exemplar(writer, id, &exemplar));
	tick_keep();
}

static int see_left(void *arg, series_id id, const struct exemplar *exemplar)
{
	struct hour_minute *minutes = arg, *minute = &minutes[hour_minute_of(exemplar->at)];

	CHECK_LE_U64(id, HOUR_SERIES - 1);
	minute->left[id].count++;
	minute->left[id].sum += exemplar->latency_ns;
	return 0;
}

static int slower_first(const void *left, const void *right)
{
	dur_ns a = *(const dur_ns *)left, b = *(const dur_ns *)right;

	return (a < b) - (a > b);
}

CHECK_TEST(test_of_an_hour_the_slowest_exemplars_of_each_series_and_minute_are_left)
{
	static struct hour_minute minutes[HOUR_MINUTES];
	struct compact *compact = compact_new();
	const uint8_t *wire = NULL;
	size_t size = 0;

	ticks_begin();
	for (unsigned i = 0; i < HOUR_TICKS; i++)
		hour_tick(i, minutes);
	CHECK_RC(compact_merge(compact, records, record_count, &wire, &size), HOUR_TICKS);
	CHECK_OK(
		tick_read(wire, size, &(struct tick_visitor){.exemplar = see_left}, minutes, NULL));
	for (unsigned i = 0; i < HOUR_MINUTES; i++) {
		struct hour_minute *minute = &minutes[i];
		dur_ns sum = 0;

		CHECK_GE_U64(minute->count, 1);
		qsort(minute->latencies, minute->count, sizeof(dur_ns), slower_first);
		for (unsigned k = 0; k < EXEMPLARS_KEPT && k < minute->count; k++)
			sum += minute->latencies[k];
		for (unsigned id = 0; id < HOUR_SERIES; id++) {
			CHECK_EQ_U64(minute->left[id].count, minute->count < EXEMPLARS_KEPT
								     ? minute->count
								     : EXEMPLARS_KEPT);
			CHECK_EQ_U64(minute->left[id].sum, sum);
		}
	}
	compact_free(compact);
	ticks_end();
}

CHECK_TEST(test_a_tick_with_an_action_stays_alone)
{
	struct seen seen;

	ticks_begin();
	for (uint64_t i = 0; i < 6; i++)
		tick_make(START + i * NS_PER_S, 1, false, i == 3, 100);
	CHECK_RC(merged(0, &seen), 3);
	CHECK_EQ_U64(seen.count, 6);
	CHECK_RC(merged(3, &seen), 1);
	CHECK_RC(merged(4, &seen), 2);
	ticks_end();
}

CHECK_TEST(test_spans_end_at_an_hour_a_clock_set_back_and_other_thresholds)
{
	struct seen seen;

	ticks_begin();
	for (uint64_t i = 0; i < 6; i++)
		tick_make(START + i * 20 * NS_PER_MIN, 1, false, false, 100);
	CHECK_RC(merged(0, &seen), 3); /* the fourth would end a second after the hour */
	ticks_end();
	ticks_begin();
	tick_make(START, 1, false, false, 100);
	tick_make(START + NS_PER_S - NS_PER_MS, 1, false, false, 100); /* slewed by a ms */
	tick_make(START - 60 * NS_PER_S, 1, false, false, 100);
	CHECK_RC(merged(0, &seen), 2);
	ticks_end();
	ticks_begin();
	tick_make(START, 1, false, false, 100);
	tick_make(START + NS_PER_S, 1, false, false, 200);
	CHECK_RC(merged(0, &seen), 1);
	ticks_end();
}

CHECK_TEST(test_bytes_that_are_no_tick_stay_as_they_are)
{
	struct seen seen;

	ticks_begin();
	tick_make(START, 1, false, false, 100);
	tick_make(START + NS_PER_S, 1, false, false, 100);
	records[1].wire_size--;
	CHECK_RC(merged(0, &seen), 1);
	CHECK_RC(merged(1, &seen), 1);
	ticks_end();
}

CHECK_MAIN("compact", test_neighbours_become_one_with_their_sums,
	   test_of_an_hour_the_slowest_exemplars_of_each_series_and_minute_are_left,
	   test_a_tick_with_an_action_stays_alone,
	   test_spans_end_at_an_hour_a_clock_set_back_and_other_thresholds,
	   test_bytes_that_are_no_tick_stay_as_they_are)
