/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/trend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct trend_point {
	float rate, error_ratio, p50_ns, p95_ns, p99_ns; /* NAN: nothing happened */
};

struct trend_line {
	struct series_key key; /* without host, peer and class; of the fleet's line: empty */
	series_id *members;
	size_t count, room;
	struct trend_point points[TREND_POINTS]; /* a ring; next is the oldest */
};

struct trend {
	const struct series_table *table;
	struct trend_line *fleet; /* its members are those that no other line took */
	struct trend_line *lines[TREND_ROUTES];
	size_t line_count;
	size_t seen; /* series that have their line */
	struct hist *latency, *all; /* scratch, empty between steps */
	uint64_t at_unix_s[TREND_POINTS];
	size_t next, filled;
};

static struct trend_line *trend_line_new(void)
{
	struct trend_line *line = calloc(1, sizeof(*line));

	if (!line)
		return NULL;
	/* Before a line began nothing happened in it, which is not the same as zero latency. */
	for (size_t i = 0; i < TREND_POINTS; i++)
		line->points[i] = (struct trend_point){0, 0, NAN, NAN, NAN};
	return line;
}

static void trend_line_free(struct trend_line *line)
{
	if (line)
		free(line->members);
	free(line);
}

struct trend *trend_new(const struct series_table *table)
{
	struct trend *trend = calloc(1, sizeof(*trend));

	if (!trend)
		return NULL;
	trend->table = table;
	trend->fleet = trend_line_new();
	trend->latency = calloc(1, sizeof(*trend->latency));
	trend->all = calloc(1, sizeof(*trend->all));
	if (!trend->fleet || !trend->latency || !trend->all) {
		trend_free(trend);
		return NULL;
	}
	return trend;
}

void trend_free(struct trend *trend)
{
	if (!trend)
		return;
	for (size_t i = 0; i < trend->line_count; i++)
		trend_line_free(trend->lines[i]);
	trend_line_free(trend->fleet);
	free(trend->latency);
	free(trend->all);
	free(trend);
}

/* ---- which series belongs to which line -------------------------------------------------------- */

static bool trend_same(const struct series_key *a, const struct series_key *b)
{
	return a->kind == b->kind && a->role == b->role && strcmp(a->route, b->route) == 0 &&
	       strcmp(a->service, b->service) == 0 && strcmp(a->method, b->method) == 0;
}

static struct trend_line *trend_line_of(const struct trend *trend, const struct series_key *key)
{
	for (size_t i = 0; i < trend->line_count; i++)
		if (trend_same(&trend->lines[i]->key, key))
			return trend->lines[i];
	return NULL;
}

const struct trend_line *trend_fleet(const struct trend *trend)
{
	return trend->fleet;
}

const struct trend_line *trend_find(const struct trend *trend, const struct series_key *key)
{
	return trend_line_of(trend, key);
}

/* Requests that the fleet served: what it asked of others and its deliveries are not among them. */
static bool trend_is_served(const struct series_key *key)
{
	return key->role == SERIES_SERVER && (key->kind == SERIES_HTTP || key->kind == SERIES_APP);
}

static bool trend_line_add(struct trend_line *line, series_id id)
{
	if (line->count == line->room) {
		size_t room = line->room ? line->room * 2 : 8;
		series_id *members = realloc(line->members, room * sizeof(*members));

		if (!members)
			return false;
		line->members = members;
		line->room = room;
	}
	line->members[line->count++] = id;
	return true;
}

/* False when memory lacks: it is tried again at the next step. */
static bool trend_place(struct trend *trend, series_id id)
{
	const struct series_key *key = series_key_of(series_at(trend->table, id));
	struct trend_line *line;

	if (key->kind != SERIES_HTTP && key->kind != SERIES_APP)
		return true;
	line = trend_line_of(trend, key);
	if (!line && trend->line_count < TREND_ROUTES) {
		line = trend_line_new();
		if (!line)
			return false;
		line->key = *key;
		trend->lines[trend->line_count++] = line;
	}
	if (!line) {
		if (!trend_is_served(key))
			return true;
		line = trend->fleet;
	}
	return trend_line_add(line, id);
}

/* ---- stepping ---------------------------------------------------------------------------------- */

static struct trend_point trend_point(const struct hist *latency,
				      const struct series_counts *counts, double span_s)
{
	if (!counts->count)
		return (struct trend_point){0, 0, NAN, NAN, NAN};
	return (struct trend_point){
		.rate = (float)(span_s > 0 ? (double)counts->count / span_s : 0),
		.error_ratio = (float)((double)counts->errors / (double)counts->count),
		.p50_ns = (float)hist_quantile(latency, 0.50).value_ns,
		.p95_ns = (float)hist_quantile(latency, 0.95).value_ns,
		.p99_ns = (float)hist_quantile(latency, 0.99).value_ns,
	};
}

/* Adds the members' last 10 s. A short lock for each, so that the writer's tick never waits long. */
static void trend_gather(const struct trend *trend, const struct trend_line *line,
			 struct hist *latency, struct series_counts *counts)
{
	for (size_t i = 0; i < line->count; i++) {
		series_read_lock();
		series_window_add(trend->table, series_at(trend->table, line->members[i]),
				  WINDOW_10S, latency, NULL, counts);
		series_read_unlock();
	}
}

void trend_step(struct trend *trend, wall_ns wall)
{
	double span_s = (double)series_window_span(trend->table, WINDOW_10S) / (double)NS_PER_S;
	size_t series = series_count(trend->table);
	struct series_counts all = {0};

	while (trend->seen < series && trend_place(trend, (series_id)trend->seen))
		trend->seen++;
	for (size_t i = 0; i < trend->line_count; i++) {
		struct trend_line *line = trend->lines[i];
		struct series_counts counts = {0};

		trend_gather(trend, line, trend->latency, &counts);
		line->points[trend->next] = trend_point(trend->latency, &counts, span_s);
		if (counts.count && trend_is_served(&line->key)) {
			hist_merge(trend->all, trend->latency);
			all.count += counts.count;
			all.errors += counts.errors;
		}
		hist_clear(trend->latency);
	}
	trend_gather(trend, trend->fleet, trend->all, &all);
	trend->fleet->points[trend->next] = trend_point(trend->all, &all, span_s);
	hist_clear(trend->all);
	trend->at_unix_s[trend->next] = wall / NS_PER_S;
	trend->next = (trend->next + 1) % TREND_POINTS;
	if (trend->filled < TREND_POINTS)
		trend->filled++;
}

/* ---- as JSON ----------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	size_t offset;
} trend_fields[] = {
	{"rate", offsetof(struct trend_point, rate)},
	{"error_ratio", offsetof(struct trend_point, error_ratio)},
	{"p50_ns", offsetof(struct trend_point, p50_ns)},
	{"p95_ns", offsetof(struct trend_point, p95_ns)},
	{"p99_ns", offsetof(struct trend_point, p99_ns)},
};

static double trend_value(const struct trend_point *point, size_t field)
{
	return (double)*(const float *)((const char *)point + trend_fields[field].offset);
}

/* The i-th of the filled points, oldest first, as a place in the ring. */
static size_t trend_place_of(const struct trend *trend, size_t i)
{
	return (trend->next + TREND_POINTS - trend->filled + i) % TREND_POINTS;
}

void trend_put_json(const struct trend *trend, const struct trend_line *line, struct text *text)
{
	text_put(text, "{\"at_unix_s\":[");
	for (size_t i = 0; i < trend->filled; i++)
		text_printf(text, "%s%llu", i ? "," : "",
			    (unsigned long long)trend->at_unix_s[trend_place_of(trend, i)]);
	text_put(text, "]");
	for (size_t field = 0; field < ARRAY_LEN(trend_fields); field++) {
		text_printf(text, ",\"%s\":[", trend_fields[field].name);
		for (size_t i = 0; i < trend->filled; i++) {
			text_put(text, i ? "," : "");
			text_put_number(
				text, trend_value(&line->points[trend_place_of(trend, i)], field));
		}
		text_put(text, "]");
	}
	text_put(text, "}");
}

static size_t trend_newest(const struct trend *trend)
{
	return (trend->next + TREND_POINTS - 1) % TREND_POINTS;
}

static void trend_put_point(const struct trend *trend, const struct trend_line *line,
			    struct text *text)
{
	text_printf(text, "\"at_unix_s\":%llu",
		    (unsigned long long)trend->at_unix_s[trend_newest(trend)]);
	for (size_t field = 0; field < ARRAY_LEN(trend_fields); field++) {
		text_printf(text, ",\"%s\":", trend_fields[field].name);
		text_put_number(text, trend_value(&line->points[trend_newest(trend)], field));
	}
}

void trend_put_newest(const struct trend *trend, const struct trend_line *line, struct text *text)
{
	text_put(text, "{");
	trend_put_point(trend, line, text);
	text_put(text, "}");
}

void trend_put_routes(const struct trend *trend, struct text *text)
{
	const char *comma = "";

	text_put(text, "[");
	for (size_t i = 0; i < trend->line_count; i++) {
		const struct trend_line *line = trend->lines[i];

		if (!(line->points[trend_newest(trend)].rate > 0))
			continue;
		text_printf(text, "%s{\"kind\":\"%s\",\"role\":\"%s\",\"service\":", comma,
			    series_kind_name(line->key.kind), series_role_name(line->key.role));
		text_put_json(text, line->key.service);
		text_put(text, ",\"method\":");
		text_put_json(text, line->key.method);
		text_put(text, ",\"route\":");
		text_put_json(text, line->key.route);
		text_put(text, ",");
		trend_put_point(trend, line, text);
		text_put(text, "}");
		comma = ",";
	}
	text_put(text, "]");
}
