/* SPDX-License-Identifier: Apache-2.0 */
/* The charts' lines: percentiles of merged histograms, and room for the routes that are in use. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/trend.h"
#include "tests/unit/check.h"

#define BEGIN (UINT64_C(1000) * NS_PER_S) /* any time */

struct scene {
	struct series_table *table;
	struct trend *trend;
	uint64_t second;
};

static void scene_start(struct scene *s)
{
	const struct series_table_options options = {.series_max = 2 * TREND_ROUTES};

	*s = (struct scene){.table = series_table_new(&options)};
	s->trend = trend_new(s->table);
	CHECK(s->table && s->trend);
	series_reader_register();
	series_tick(s->table, BEGIN, NULL, NULL);
}

static void scene_end(struct scene *s)
{
	series_reader_unregister();
	trend_free(s->trend);
	series_table_free(s->table);
}

static void scene_second(struct scene *s)
{
	series_tick(s->table, BEGIN + ++s->second * NS_PER_S, NULL, NULL);
	trend_step(s->trend, BEGIN + s->second * NS_PER_S);
}

static struct series_key scene_key(unsigned route, const char *host)
{
	struct series_key key = {.service = "shop", .method = "GET", .status_class = CLASS_2XX};

	snprintf(key.route, sizeof(key.route), "/r%u", route);
	snprintf(key.host, sizeof(key.host), "%s", host);
	return key;
}

/* Events of 1 ms, 2 ms, up to `count` ms. */
static void scene_events(struct scene *s, unsigned route, const char *host, unsigned count)
{
	struct series_key key = scene_key(route, host);

	for (unsigned ms = 1; ms <= count; ms++)
		series_record(series_get(s->table, &key), ms * NS_PER_MS, SERIES_NO_QUEUE);
}

static char *scene_text(struct text *text)
{
	struct http_text *done = text_finish(text);
	char *copy;

	CHECK(done);
	copy = strndup(done->bytes, done->size);
	CHECK(copy);
	http_text_unref(done);
	return copy;
}

/* The newest value of a field of a route's line. */
static double scene_newest(struct scene *s, const struct trend_line *line, const char *field)
{
	struct text text = {0};
	char *json, name[32];
	const char *at;
	double value;

	CHECK(line);
	trend_put_newest(s->trend, line, &text);
	json = scene_text(&text);
	snprintf(name, sizeof(name), "\"%s\":", field);
	at = strstr(json, name);
	CHECK(at);
	value = strncmp(at + strlen(name), "null", 4) ? strtod(at + strlen(name), NULL) : -1;
	free(json);
	return value;
}

static double scene_of_route(struct scene *s, unsigned route, const char *field)
{
	const struct series_key key = scene_key(route, "");

	return scene_newest(s, trend_find(s->trend, &key), field);
}

/* How many routes the newest second tells of. */
static unsigned scene_routes(struct scene *s)
{
	struct text text = {0};
	unsigned count = 0;
	char *json;

	trend_put_routes(s->trend, &text);
	json = scene_text(&text);
	for (const char *at = json; (at = strstr(at, "\"route\":")); at++)
		count++;
	free(json);
	return count;
}

CHECK_TEST(test_line_of_a_route_has_the_percentiles_of_all_its_hosts)
{
	static const struct {
		const char *field;
		double ms;
	} expected[] = {{"p50_ns", 50}, {"p90_ns", 90}, {"p95_ns", 95}, {"p99_ns", 99}};
	struct scene s;

	scene_start(&s);
	scene_events(&s, 1, "web-1", 100);
	scene_events(&s, 1, "web-2", 100);
	scene_second(&s);
	for (size_t i = 0; i < ARRAY_LEN(expected); i++)
		CHECK_NEAR(scene_of_route(&s, 1, expected[i].field), expected[i].ms * 1e6,
			   expected[i].ms * 1e6 * HIST_RELATIVE_ERROR + 1);
	CHECK_NEAR(scene_newest(&s, trend_fleet(s.trend), "p90_ns"), 90e6, 90e6 * 0.003);
	for (unsigned i = 0; i < 15; i++)
		scene_second(&s);
	CHECK_NEAR(scene_of_route(&s, 1, "p90_ns"), -1, 0);
	CHECK_NEAR(scene_of_route(&s, 1, "rate"), 0, 0);
	scene_end(&s);
}

CHECK_TEST(test_routes_that_are_not_used_make_room_for_those_that_are)
{
	const struct series_key first = scene_key(0, ""), unknown = scene_key(9999, "");
	struct scene s;

	scene_start(&s);
	for (unsigned route = 0; route < TREND_ROUTES; route++)
		scene_events(&s, route, "web-1", 1);
	scene_second(&s);
	CHECK_EQ_U64(scene_routes(&s), TREND_ROUTES);
	/* All lines show something: one more counts in the fleet's alone. */
	scene_events(&s, TREND_ROUTES, "web-1", 3);
	scene_second(&s);
	CHECK_EQ_U64(scene_routes(&s), TREND_ROUTES);
	CHECK_NEAR(scene_of_route(&s, TREND_ROUTES, "rate"), 0, 0);
	CHECK_NEAR(scene_newest(&s, trend_fleet(s.trend), "rate"), (TREND_ROUTES + 3) / 3.0, 0.01);
	/* Five minutes later all but route 7 are out of use. */
	for (unsigned i = 0; i < TREND_POINTS + 20; i++) {
		if (i % 5 == 0)
			scene_events(&s, 7, "web-1", 1);
		scene_second(&s);
	}
	CHECK_EQ_U64(scene_routes(&s), 1);
	scene_events(&s, TREND_ROUTES, "web-1", 3);
	scene_events(&s, 0, "web-2", 5);
	scene_second(&s);
	CHECK_EQ_U64(scene_routes(&s), 3);
	CHECK(scene_of_route(&s, TREND_ROUTES, "rate") > 0);
	CHECK(scene_of_route(&s, 0, "rate") > 0);
	CHECK(trend_find(s.trend, &first) != NULL);
	CHECK_NEAR(scene_of_route(&s, 1, "rate"), 0, 0); /* known, and idle */
	CHECK(!trend_find(s.trend, &unknown));
	scene_end(&s);
}

CHECK_TEST(test_lack_of_memory_leaves_the_lines_whole)
{
	struct scene s;

	scene_start(&s);
	for (unsigned n = 1; n < 40; n++) {
		scene_events(&s, n % 4, "web-1", 1);
		series_tick(s.table, BEGIN + ++s.second * NS_PER_S, NULL, NULL);
		check_alloc_fail_at(n);
		trend_step(s.trend, BEGIN + s.second * NS_PER_S);
		check_alloc_fail_at(0);
	}
	scene_second(&s);
	CHECK_EQ_U64(scene_routes(&s), 4);
	CHECK_NEAR(scene_newest(&s, trend_fleet(s.trend), "rate"), 1, 0.2);
	scene_end(&s);
}

CHECK_MAIN("trend", test_line_of_a_route_has_the_percentiles_of_all_its_hosts,
	   test_routes_that_are_not_used_make_room_for_those_that_are,
	   test_lack_of_memory_leaves_the_lines_whole)
