/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/compact.h"
#include "proto/tick.h"
#include "tests/unit/check.h"

#define START (1700000000 * NS_PER_S)

static struct tick_writer *writer;
static uint8_t *kept[64]; /* wire parts of the records of a test */
static struct journal_record records[64];
static size_t record_count;

/* A second in which each of two routes had n events, the first of them bad. */
static void tick_make(wall_ns wall, uint64_t n, bool names, bool action, dur_ns threshold)
{
	static struct hist_delta hist;
	static uint8_t packed[HIST_PACKED_MAX];
	struct journal_record *record = &records[record_count];
	const struct action alert = {.kind = ACTION_ALERT, .at = wall};
	const uint8_t *bytes;
	size_t size;

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
	CHECK_OK(tick_end(writer, &bytes, &size));
	kept[record_count] = malloc(size);
	memcpy(kept[record_count], bytes, size);
	*record = (struct journal_record){
		.seq = record_count + 1, .wire = kept[record_count], .wire_size = size};
	record_count++;
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
	CHECK_EQ_U64(exemplar->at, START + seen->exemplars * NS_PER_S);
	CHECK_EQ_U64(exemplar->latency_ns, ++seen->exemplars);
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
	CHECK_EQ_U64(seen.exemplars, 10);
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
	   test_a_tick_with_an_action_stays_alone,
	   test_spans_end_at_an_hour_a_clock_set_back_and_other_thresholds,
	   test_bytes_that_are_no_tick_stay_as_they_are)
