/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/arena.h"
#include "proto/tick.h"
#include "tests/unit/check.h"

static const struct series_key key_of_shop = {
	.host = "not-on-the-wire",
	.service = "shop",
	.method = "GET",
	.route = "/api/suppliers/{id}",
	.peer = "",
	.kind = SERIES_APP,
	.role = SERIES_CLIENT,
	.status_class = CLASS_5XX,
};
static const dur_ns thresholds[] = {200 * NS_PER_MS, UINT64_MAX};
static const struct series_delta delta_of_shop = {
	.id = 7,
	.hist = (const uint8_t *)"packed",
	.hist_size = 6,
	.queue = (const uint8_t *)"wait",
	.queue_size = 4,
	.counts = {.count = 1000, .errors = 3, .bad = {17, 3}},
	.threshold_count = 2,
	.thresholds = thresholds,
};
static const struct gauge gauge_of_queue = {
	.host = "not-on-the-wire",
	.service = "shop",
	.name = "queue_depth",
	.label = "mail",
	.value = -2.5,
};

static const struct exemplar exemplar_of_shop = {
	.at = 1700000000 * NS_PER_S,
	.latency_ns = 1234567,
	.status = 503,
	.tag = "4bf92f3577b34da6a3ce929d0e0e4736",
};

static struct action alert_of_shop(void)
{
	struct action action = {.kind = ACTION_ALERT, .at = 1700000000 * NS_PER_S};

	action.alert = (struct alert_action){
		.objective = "api",
		.fingerprint = "0123456789abcdef0123456789abcdef",
		.from = ALERT_PENDING,
		.to = ALERT_FIRING,
		.severity = SEVERITY_PAGE,
		.since = 1699999990 * NS_PER_S,
		.burn_long = INFINITY,
		.burn_short = NAN,
		.good = 900,
		.bad = 100,
		.confidence = 0.999,
		.budget_left_ratio = -0.25,
		.reason = "10 % of requests are slower than 200 ms",
		.evidence_count = 2,
	};
	action.alert.evidence[0] = (struct action_evidence){key_of_shop, 60, 500};
	action.alert.evidence[1] = (struct action_evidence){key_of_shop, 40, 500};
	return action;
}

static struct action scale_of_shop(void)
{
	struct action action = {.kind = ACTION_SCALE, .at = 1};

	action.scale = (struct scale_action){
		.scaler = "web",
		.from = 3,
		.to = 5,
		.value = 420.5,
		.target = 200,
		.wanted = 7,
		.limited_by = "maximum",
		.reason = "twice the target",
	};
	return action;
}

/* One of everything; the bytes are the writer's. */
static int write_all(struct tick_writer *writer, const uint8_t **bytes, size_t *size)
{
	const struct action alert = alert_of_shop(), scale = scale_of_shop();
	const struct exemplar no_tag = {.latency_ns = 1};
	int rc;

	tick_begin(writer, 1700000001 * NS_PER_S, NS_PER_S);
	/* Not in the order of reading, and series twice: order is the reader's. */
	rc = tick_add_exemplar(writer, 7, &no_tag);
	if (!rc)
		rc = tick_add_action(writer, &alert);
	if (!rc)
		rc = tick_add_delta(writer, &delta_of_shop);
	if (!rc)
		rc = tick_add_series(writer, 7, &key_of_shop);
	if (!rc)
		rc = tick_add_gauge(writer, &gauge_of_queue);
	if (!rc)
		rc = tick_add_total(writer, "http", NULL, 12345);
	if (!rc)
		rc = tick_add_total(writer, "http", "ring_full", 6);
	if (!rc)
		rc = tick_add_action(writer, &scale);
	if (!rc)
		rc = tick_add_exemplar(writer, 7, &exemplar_of_shop);
	return rc ? rc : tick_end(writer, bytes, size);
}

/* ---- a reader that remembers ----------------------------------------------------------------- */

struct seen {
	char order[32]; /* a letter for each callback */
	wall_ns wall;
	dur_ns duration;
	struct series_key key;
	struct series_delta delta;
	uint8_t hist[16], queue[16];
	dur_ns thresholds[SERIES_THRESHOLDS];
	struct gauge gauge;
	uint64_t reported, dropped;
	struct action alert, scale;
	struct exemplar exemplar;
	int refuse; /* what the delta callback returns */
};

static void note(struct seen *seen, char letter)
{
	size_t length = strlen(seen->order);

	if (length + 1 < sizeof(seen->order))
		seen->order[length] = letter;
}

static int seen_begin(void *arg, wall_ns wall, dur_ns duration)
{
	struct seen *seen = arg;

	note(seen, 'b');
	seen->wall = wall;
	seen->duration = duration;
	return 0;
}

static int seen_series(void *arg, series_id id, const struct series_key *key)
{
	struct seen *seen = arg;

	note(seen, 's');
	CHECK_EQ_U64(id, 7);
	seen->key = *key;
	return 0;
}

static int seen_delta(void *arg, const struct series_delta *delta)
{
	struct seen *seen = arg;

	note(seen, 'd');
	CHECK(!delta->key);
	seen->delta = *delta;
	if (delta->hist_size == 6)
		memcpy(seen->hist, delta->hist, delta->hist_size);
	if (delta->queue_size == 4)
		memcpy(seen->queue, delta->queue, delta->queue_size);
	memcpy(seen->thresholds, delta->thresholds,
	       delta->threshold_count * sizeof(seen->thresholds[0]));
	return seen->refuse;
}

static int seen_gauge(void *arg, const struct gauge *gauge)
{
	struct seen *seen = arg;

	note(seen, 'g');
	seen->gauge = *gauge;
	return 0;
}

static int seen_total(void *arg, const char *collector, const char *reason, uint64_t total)
{
	struct seen *seen = arg;

	note(seen, 't');
	CHECK_STR(collector, "http");
	if (!reason)
		seen->reported = total;
	else
		seen->dropped = total;
	return 0;
}

static int seen_action(void *arg, const struct action *action)
{
	struct seen *seen = arg;

	note(seen, 'a');
	if (action->kind == ACTION_ALERT)
		seen->alert = *action;
	else
		seen->scale = *action;
	return 0;
}

static int seen_exemplar(void *arg, series_id id, const struct exemplar *exemplar)
{
	struct seen *seen = arg;

	note(seen, 'e');
	CHECK_EQ_U64(id, 7);
	seen->exemplar = *exemplar;
	return 0;
}

static const struct tick_visitor seeing = {
	.begin = seen_begin,
	.series = seen_series,
	.delta = seen_delta,
	.gauge = seen_gauge,
	.total = seen_total,
	.action = seen_action,
	.exemplar = seen_exemplar,
};

/* ---- tests ----------------------------------------------------------------------------------- */

CHECK_TEST(test_everything_comes_back_in_the_promised_order)
{
	struct tick_writer *writer = tick_writer_new();
	struct seen seen = {0};
	const uint8_t *bytes;
	size_t size;

	CHECK_OK(write_all(writer, &bytes, &size));
	CHECK_OK(tick_read(bytes, size, &seeing, &seen, NULL));
	tick_writer_free(writer);

	CHECK_STR(seen.order, "bsdgttaae");
	CHECK_EQ_U64(seen.wall, 1700000001 * NS_PER_S);
	CHECK_EQ_U64(seen.duration, NS_PER_S);
	CHECK_STR(seen.key.host, "");
	CHECK_STR(seen.key.service, "shop");
	CHECK_STR(seen.key.method, "GET");
	CHECK_STR(seen.key.route, "/api/suppliers/{id}");
	CHECK_EQ_U64(seen.key.kind, SERIES_APP);
	CHECK_EQ_U64(seen.key.role, SERIES_CLIENT);
	CHECK_EQ_U64(seen.key.status_class, CLASS_5XX);
	CHECK_EQ_U64(seen.delta.id, 7);
	CHECK_EQ_U64(seen.delta.hist_size, 6);
	CHECK_MEM(seen.hist, "packed", 6);
	CHECK_EQ_U64(seen.delta.queue_size, 4);
	CHECK_MEM(seen.queue, "wait", 4);
	CHECK_EQ_U64(seen.delta.counts.count, 1000);
	CHECK_EQ_U64(seen.delta.counts.errors, 3);
	CHECK_EQ_U64(seen.delta.threshold_count, 2);
	CHECK_EQ_U64(seen.delta.counts.bad[0], 17);
	CHECK_EQ_U64(seen.delta.counts.bad[1], 3);
	CHECK_MEM(seen.thresholds, thresholds, sizeof(thresholds));
	CHECK_STR(seen.gauge.name, "queue_depth");
	CHECK_STR(seen.gauge.label, "mail");
	CHECK_NEAR(seen.gauge.value, -2.5, 0);
	CHECK_EQ_U64(seen.reported, 12345);
	CHECK_EQ_U64(seen.dropped, 6);
	CHECK_EQ_U64(seen.exemplar.at, 1700000000 * NS_PER_S);
	CHECK_EQ_U64(seen.exemplar.latency_ns, 1234567);
	CHECK_EQ_U64(seen.exemplar.status, 503);
	CHECK_STR(seen.exemplar.tag, "4bf92f3577b34da6a3ce929d0e0e4736");
}

CHECK_TEST(test_actions_carry_their_evidence_and_only_numbers)
{
	struct tick_writer *writer = tick_writer_new();
	struct seen seen = {0};
	const struct alert_action *alert = &seen.alert.alert;
	const struct scale_action *scale = &seen.scale.scale;
	const uint8_t *bytes;
	size_t size;

	CHECK_OK(write_all(writer, &bytes, &size));
	CHECK_OK(tick_read(bytes, size, &seeing, &seen, NULL));
	tick_writer_free(writer);
	CHECK_EQ_U64(seen.alert.at, 1700000000 * NS_PER_S);
	CHECK_STR(alert->objective, "api");
	CHECK_STR(alert->fingerprint, "0123456789abcdef0123456789abcdef");
	CHECK_EQ_I64(alert->from, ALERT_PENDING);
	CHECK_EQ_I64(alert->to, ALERT_FIRING);
	CHECK_EQ_I64(alert->severity, SEVERITY_PAGE);
	CHECK_EQ_U64(alert->since, 1699999990 * NS_PER_S);
	CHECK(isfinite(alert->burn_long) && alert->burn_long > 1e6);
	CHECK_NEAR(alert->burn_short, 0, 0);
	CHECK_EQ_U64(alert->good, 900);
	CHECK_EQ_U64(alert->bad, 100);
	CHECK_NEAR(alert->confidence, 0.999, 0);
	CHECK_NEAR(alert->budget_left_ratio, -0.25, 0);
	CHECK_EQ_U64(alert->evidence_count, 2);
	CHECK_EQ_U64(alert->evidence[0].bad, 60);
	CHECK_EQ_U64(alert->evidence[1].bad, 40);
	CHECK_STR(alert->evidence[1].key.route, "/api/suppliers/{id}");
	CHECK_EQ_U64(seen.scale.at, 1);
	CHECK_STR(scale->scaler, "web");
	CHECK_EQ_U64(scale->from, 3);
	CHECK_EQ_U64(scale->to, 5);
	CHECK_EQ_U64(scale->wanted, 7);
	CHECK_NEAR(scale->value, 420.5, 0);
	CHECK_NEAR(scale->target, 200, 0);
	CHECK_STR(scale->limited_by, "maximum");
	CHECK_STR(scale->reason, "twice the target");
}

CHECK_TEST(test_gauge_that_is_no_number_is_not_written)
{
	struct tick_writer *writer = tick_writer_new();
	struct gauge gauge = gauge_of_queue;

	tick_begin(writer, 0, NS_PER_S);
	gauge.value = NAN;
	CHECK_RC(tick_add_gauge(writer, &gauge), -EINVAL);
	gauge.value = -INFINITY;
	CHECK_RC(tick_add_gauge(writer, &gauge), -EINVAL);
	tick_writer_free(writer);
}

CHECK_TEST(test_empty_tick_is_a_tick)
{
	struct tick_writer *writer = tick_writer_new();
	struct seen seen = {0};
	const uint8_t *bytes;
	size_t size;

	tick_begin(writer, 5, 6);
	CHECK_OK(tick_end(writer, &bytes, &size));
	CHECK_OK(tick_read(bytes, size, &seeing, &seen, NULL));
	CHECK_STR(seen.order, "b");
	CHECK_EQ_U64(seen.duration, 6);
	tick_writer_free(writer);
}

CHECK_TEST(test_begin_forgets_the_tick_before)
{
	struct tick_writer *writer = tick_writer_new();
	struct seen seen = {0};
	const uint8_t *bytes;
	size_t size;

	CHECK_OK(write_all(writer, &bytes, &size));
	tick_begin(writer, 5, 6);
	CHECK_OK(tick_end(writer, &bytes, &size));
	CHECK_OK(tick_read(bytes, size, &seeing, &seen, NULL));
	CHECK_STR(seen.order, "b");
	tick_writer_free(writer);
}

CHECK_TEST(test_visitor_ends_the_reading)
{
	struct tick_writer *writer = tick_writer_new();
	struct seen seen = {.refuse = 42};
	const struct tick_visitor nobody = {0};
	const uint8_t *bytes;
	size_t size;

	CHECK_OK(write_all(writer, &bytes, &size));
	CHECK_RC(tick_read(bytes, size, &seeing, &seen, NULL), 42);
	CHECK_STR(seen.order, "bsd");
	CHECK_OK(tick_read(bytes, size, &nobody, NULL, NULL));
	tick_writer_free(writer);
}

/* Cut anywhere, it is refused or read as a tick of fewer parts, never beyond (ASan sees it). */
CHECK_TEST(test_every_cut_is_refused_or_a_shorter_tick)
{
	struct tick_writer *writer = tick_writer_new();
	const uint8_t *bytes;
	size_t size, whole = 0;

	CHECK_OK(write_all(writer, &bytes, &size));
	for (size_t cut = 0; cut < size; cut++) {
		uint8_t *copy = malloc(cut ? cut : 1);
		struct seen seen = {0};
		struct diag d = {0};
		int rc;

		memcpy(copy, bytes, cut);
		rc = tick_read(copy, cut, &seeing, &seen, &d);
		free(copy);
		if (rc == 0)
			whole++;
		else
			CHECK_RC(rc, -EPROTO);
		CHECK((rc == 0) == (d.err == 0));
	}
	/* Nothing, the time, the duration, and behind each of the eight first additions. */
	CHECK_EQ_U64(whole, 11);
	tick_writer_free(writer);
}

CHECK_TEST(test_exemplars_are_found_without_reading_the_rest)
{
	struct tick_writer *writer = tick_writer_new();
	const uint8_t *bytes;
	size_t size, tagged;

	tick_begin(writer, 1700000001 * NS_PER_S, NS_PER_S);
	CHECK_OK(tick_add_series(writer, 7, &key_of_shop));
	CHECK_OK(tick_add_delta(writer, &delta_of_shop));
	CHECK_OK(tick_add_total(writer, "http", "ring_full", 6));
	CHECK_OK(tick_end(writer, &bytes, &size));
	CHECK(!tick_has_exemplars(bytes, size));
	tagged = size;
	CHECK_OK(tick_add_exemplar(writer, 7, &exemplar_of_shop));
	CHECK_OK(tick_add_gauge(writer, &gauge_of_queue));
	CHECK_OK(tick_end(writer, &bytes, &size));
	for (size_t cut = 0; cut <= size; cut++) {
		uint8_t *copy = malloc(cut ? cut : 1);

		memcpy(copy, bytes, cut);
		CHECK(tick_has_exemplars(copy, cut) == (cut > tagged));
		free(copy);
	}
	tick_writer_free(writer);
}

CHECK_TEST(test_garbage_is_refused_or_read_but_never_harms)
{
	struct tick_writer *writer = tick_writer_new();
	uint32_t random = 1;
	unsigned refused = 0;
	const uint8_t *bytes;
	uint8_t broken[1024];
	size_t size;

	CHECK_OK(write_all(writer, &bytes, &size));
	CHECK_LE_U64(size, sizeof(broken));
	for (unsigned i = 0; i < 20000; i++) {
		const struct tick_visitor nobody = {0};
		int rc;

		memcpy(broken, bytes, size);
		for (unsigned n = 0; n < 1 + i % 5; n++) {
			random = random * 1664525 + 1013904223;
			broken[(random >> 8) % size] = (uint8_t)(random >> 24);
		}
		rc = tick_read(broken, size, &nobody, NULL, NULL);
		if (rc)
			CHECK_RC(rc, -EPROTO);
		refused += rc != 0;
	}
	CHECK_GE_U64(refused, 5000);
	tick_writer_free(writer);
}

/* Each is a tick on the wire, and one that no agent writes. */
CHECK_TEST(test_values_out_of_range_are_refused)
{
	static const struct {
		const char *bytes;
		size_t size;
		const char *what;
	} bad[] = {
		{"\x1a\x02\x18\x08", 4, "unknown kind 8"}, /* series { kind: 8 } */
		{"\x1a\x02\x20\x02", 4, "role 2"},
		{"\x1a\x02\x40\x08", 4, "class 8"},
		{"\x22\x04\x20\x01\x28\x02", 6, "more errors"}, /* delta { count: 1 errors: 2 } */
		{"\x22\x04\x32\x02\x10\x01", 6, "more bad events"},
		{"\x22\x0a\x32\x00\x32\x00\x32\x00\x32\x00\x32\x00", 12, "more thresholds"},
		{"\x2a\x09\x21\x00\x00\x00\x00\x00\x00\xf0\x7f", 11, "no number"}, /* infinite */
		{"\x3a\x00", 2, "action of unknown kind"},
		{"\x3a\x04\x12\x02\x18\x04", 6, "unknown state"}, /* alert { from: 4 } */
		{"\x3a\x04\x12\x02\x28\x02", 6, "severity"},
		{"\x3a\x04\x12\x02\x72\x00", 6, "without a series"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct diag d = {0};

		CHECK_RC(tick_read((const uint8_t *)bad[i].bytes, bad[i].size, &seeing,
				   &(struct seen){0}, &d),
			 -EPROTO);
		CHECK_STR_HAS(d.what, bad[i].what);
	}
}

CHECK_TEST(test_million_empty_parts_are_refused_before_they_cost_memory)
{
	size_t size = 2 << 20;
	uint8_t *bytes = calloc(1, size);
	struct diag d = {0};

	for (size_t i = 0; i < size; i += 2)
		bytes[i] = 0x22; /* delta {} */
	CHECK_RC(tick_read(bytes, size, &seeing, &(struct seen){0}, &d), -EPROTO);
	CHECK_STR_HAS(d.what, "more parts than any real one");
	free(bytes);
}

CHECK_TEST(test_the_densest_honest_tick_is_read)
{
	struct tick_writer *writer = tick_writer_new();
	struct seen seen = {0};
	const uint8_t *bytes;
	size_t size;

	tick_begin(writer, 1, 1);
	for (unsigned i = 0; i < 100000; i++)
		CHECK_OK(tick_add_total(writer, "http", NULL, 1));
	CHECK_OK(tick_end(writer, &bytes, &size));
	CHECK_OK(tick_read(bytes, size, &seeing, &seen, NULL));
	CHECK_EQ_U64(seen.reported, 1);
	tick_writer_free(writer);
}

/* As many series as fit into a record, each named as shortly as any and with four thresholds. */
CHECK_TEST(test_the_densest_large_honest_tick_is_read)
{
	static const dur_ns four[] = {1, 2, 3, 4};
	struct tick_writer *writer = tick_writer_new();
	struct series_key key = {.service = "shop", .route = "/r"};
	struct series_delta delta = {
		.hist = (const uint8_t *)"a latency",
		.hist_size = 9,
		.counts.count = 1,
		.threshold_count = 4,
		.thresholds = four,
	};
	const uint8_t *bytes;
	size_t size = 0;

	tick_begin(writer, 1, 1);
	for (uint32_t id = 0; size < 32u << 20; id++) {
		delta.id = id;
		CHECK_OK(tick_add_series(writer, id, &key));
		CHECK_OK(tick_add_delta(writer, &delta));
		CHECK_OK(tick_end(writer, &bytes, &size));
	}
	CHECK_OK(tick_read(bytes, size, &(struct tick_visitor){0}, NULL, NULL));
	tick_writer_free(writer);
}

CHECK_TEST(test_the_largest_message_takes_no_more_than_is_promised)
{
	const size_t largest = 33u << 20;
	struct arena arena = {.limit = arena_limit(largest)};
	size_t taken = 0;

	CHECK_LE_U64(arena.limit, 545u << 20);
	CHECK_LE_U64(arena_limit(largest - 1), arena.limit);
	/* A part a time, as the decoder takes them. */
	while (arena_take(&arena, 40))
		taken += 40;
	CHECK(arena.limited);
	CHECK_LE_U64(taken, arena.limit);
	arena_release(&arena);
}

CHECK_TEST(test_text_from_outside_is_cleaned)
{
	struct seen seen = {0};

	/* series { id: 7 service: "a\x1b[2J" } */
	CHECK_OK(tick_read((const uint8_t *)"\x1a\x09\x08\x07\x12\x05\x61\x1b[2J", 11, &seeing,
			   &seen, NULL));
	CHECK_STR(seen.key.service, "a?[2J");
}

static int see_span(void *arg, wall_ns wall, dur_ns duration)
{
	uint64_t *span = arg;

	span[0] = wall;
	span[1] = duration;
	return 0;
}

/* Else the hub would refuse the record of an agent that was stopped, and all that follow. */
CHECK_TEST(test_a_tick_after_a_long_standstill_ends_when_it_did)
{
	static const struct tick_visitor visitor = {.begin = see_span};
	struct tick_writer *writer = tick_writer_new();
	const wall_ns start = 1700000000 * NS_PER_S;
	uint64_t span[2] = {0};
	const uint8_t *bytes;
	size_t size;

	tick_begin(writer, start, 30 * NS_PER_H);
	CHECK_OK(tick_end(writer, &bytes, &size));
	CHECK_OK(tick_read(bytes, size, &visitor, span, NULL));
	CHECK(span[1] == TICK_DURATION_MAX);
	CHECK(span[0] + span[1] == start + 30 * NS_PER_H);
	tick_writer_free(writer);
}

CHECK_TEST(test_lack_of_memory_is_told)
{
	CHECK_ALLOC_LOOP(n)
	{
		struct tick_writer *writer = tick_writer_new();
		const uint8_t *bytes;
		size_t size;
		int rc = -ENOMEM;

		if (writer)
			rc = write_all(writer, &bytes, &size);
		if (!rc)
			rc = tick_read(bytes, size, &seeing, &(struct seen){0}, NULL);
		if (check_alloc_failed())
			CHECK_RC(rc, -ENOMEM);
		else
			CHECK_OK(rc);
		tick_writer_free(writer);
	}
}

CHECK_MAIN("tick", test_everything_comes_back_in_the_promised_order,
	   test_actions_carry_their_evidence_and_only_numbers,
	   test_gauge_that_is_no_number_is_not_written, test_empty_tick_is_a_tick,
	   test_begin_forgets_the_tick_before, test_visitor_ends_the_reading,
	   test_every_cut_is_refused_or_a_shorter_tick,
	   test_exemplars_are_found_without_reading_the_rest,
	   test_garbage_is_refused_or_read_but_never_harms, test_values_out_of_range_are_refused,
	   test_million_empty_parts_are_refused_before_they_cost_memory,
	   test_the_densest_honest_tick_is_read, test_the_densest_large_honest_tick_is_read,
	   test_the_largest_message_takes_no_more_than_is_promised,
	   test_text_from_outside_is_cleaned, test_a_tick_after_a_long_standstill_ends_when_it_did,
	   test_lack_of_memory_is_told)
