/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/trend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct trend_point {
	float rate, error_ratio, p50_ns, p90_ns, p95_ns, p99_ns; /* NAN: nothing happened */
};

struct trend_ids { /* of series; grows, never shrinks */
	series_id *at;
	size_t count, room;
};

struct trend_line {
	struct series_key key; /* without host, peer and class; of the fleet's line: empty */
	struct trend_ids
		members; /* none of the fleet's: it is the sum of the others and the loose */
	size_t quiet; /* seconds in a row without an event */
	struct trend_point points[TREND_POINTS]; /* a ring; next is the oldest */
};

/*
 * A route has a line while one of its points shows an event; then the line makes room for others. A
 * series that is in no line is loose, and looked at each second for whether it needs one.
 */
struct trend {
	const struct series_table *table;
	struct trend_line *fleet, *idle; /* idle: of routes that are known and have no line */
	struct trend_line *lines[TREND_ROUTES];
	size_t line_count;
	size_t seen; /* series that are in a line or loose */
	struct trend_ids loose;
	struct hist *latency, *all; /* scratch, empty between steps */
	uint64_t at_unix_s[TREND_POINTS];
	size_t next, filled;
};

/* Nothing happened in it, which is not the same as zero latency. */
static const struct trend_point trend_nothing = {0, 0, NAN, NAN, NAN, NAN};

static struct trend_line *trend_line_new(void)
{
	struct trend_line *line = calloc(1, sizeof(*line));

	for (size_t i = 0; line && i < TREND_POINTS; i++)
		line->points[i] = trend_nothing;
	return line;
}

static void trend_line_free(struct trend_line *line)
{
	if (line)
		free(line->members.at);
	free(line);
}

struct trend *trend_new(const struct series_table *table)
{
	struct trend *trend = calloc(1, sizeof(*trend));

	if (!trend)
		return NULL;
	trend->table = table;
	trend->fleet = trend_line_new();
	trend->idle = trend_line_new();
	trend->latency = calloc(1, sizeof(*trend->latency));
	trend->all = calloc(1, sizeof(*trend->all));
	if (!trend->fleet || !trend->idle || !trend->latency || !trend->all) {
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
	trend_line_free(trend->idle);
	free(trend->loose.at);
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

static const struct series_key *trend_key(const struct trend *trend, series_id id)
{
	return series_key_of(series_at(trend->table, id));
}

const struct trend_line *trend_find(const struct trend *trend, const struct series_key *key)
{
	const struct trend_line *line = trend_line_of(trend, key);

	for (size_t i = 0; !line && i < trend->loose.count; i++)
		if (trend_same(trend_key(trend, trend->loose.at[i]), key))
			line = trend->idle;
	return line;
}

/* Requests that the fleet served: what it asked of others and its deliveries are not among them. */
static bool trend_is_served(const struct series_key *key)
{
	return key->role == SERIES_SERVER && (key->kind == SERIES_HTTP || key->kind == SERIES_APP);
}

/* Room for `more` ids; false when memory lacks. */
static bool trend_reserve(struct trend_ids *ids, size_t more)
{
	size_t room = ids->room ? ids->room : 8;
	series_id *at;

	while (room - ids->count < more)
		room *= 2;
	if (room == ids->room)
		return true;
	at = realloc(ids->at, room * sizeof(*at));
	if (!at)
		return false;
	ids->at = at;
	ids->room = room;
	return true;
}

/* Series that are new to us begin loose. What memory lacks for is tried again at the next step. */
static void trend_meet(struct trend *trend)
{
	size_t series = series_count(trend->table);

	if (!trend_reserve(&trend->loose, series - trend->seen))
		return;
	for (; trend->seen < series; trend->seen++) {
		const struct series_key *key = trend_key(trend, (series_id)trend->seen);

		if (key->kind == SERIES_HTTP || key->kind == SERIES_APP ||
		    key->kind == SERIES_TLS || series_kind_is_view(key->kind))
			trend->loose.at[trend->loose.count++] = (series_id)trend->seen;
	}
}

/* ---- stepping ---------------------------------------------------------------------------------- */

static struct trend_point trend_point(const struct hist *latency,
				      const struct series_counts *counts, double span_s)
{
	if (!counts->count)
		return trend_nothing;
	return (struct trend_point){
		.rate = (float)(span_s > 0 ? (double)counts->count / span_s : 0),
		.error_ratio = (float)((double)counts->errors / (double)counts->count),
		.p50_ns = (float)hist_quantile(latency, 0.50).value_ns,
		.p90_ns = (float)hist_quantile(latency, 0.90).value_ns,
		.p95_ns = (float)hist_quantile(latency, 0.95).value_ns,
		.p99_ns = (float)hist_quantile(latency, 0.99).value_ns,
	};
}

/* Adds a series' last 10 s. A lock for each, so that the writer's tick never waits long. */
static void trend_gather(const struct trend *trend, series_id id, struct hist *latency,
			 struct series_counts *counts)
{
	series_read_lock();
	series_window_add(trend->table, series_at(trend->table, id), WINDOW_10S, latency, NULL,
			  counts);
	series_read_unlock();
}

/* A line that the series may join: its route's, or a new one while there is room; or NULL. */
static struct trend_line *trend_line_for(struct trend *trend, const struct series_key *key)
{
	struct trend_line *line = trend_line_of(trend, key);

	if (!line && trend->line_count < TREND_ROUTES) {
		line = trend_line_new();
		if (!line)
			return NULL;
		line->key = *key;
		trend->lines[trend->line_count++] = line;
	}
	return line && trend_reserve(&line->members, 1) ? line : NULL;
}

/* Loose series that have events join a line. */
static void trend_tie(struct trend *trend)
{
	struct trend_ids *loose = &trend->loose;
	size_t kept = 0;

	for (size_t i = 0; i < loose->count; i++) {
		series_id id = loose->at[i];
		struct series_counts counts = {0};
		struct trend_line *line = NULL;

		trend_gather(trend, id, NULL, &counts);
		if (counts.count)
			line = trend_line_for(trend, trend_key(trend, id));
		if (line)
			line->members.at[line->members.count++] = id;
		else
			loose->at[kept++] = id;
	}
	loose->count = kept;
}

/* Lines of which no point shows an event any more make room, and their series are loose again. */
static void trend_loosen(struct trend *trend)
{
	struct trend_ids *loose = &trend->loose;
	size_t kept = 0;

	for (size_t i = 0; i < trend->line_count; i++) {
		struct trend_line *line = trend->lines[i];
		const struct trend_ids *members = &line->members;

		if (line->quiet < TREND_POINTS || !trend_reserve(loose, members->count)) {
			trend->lines[kept++] = line;
			continue;
		}
		if (members->count)
			memcpy(loose->at + loose->count, members->at,
			       members->count * sizeof(*members->at));
		loose->count += members->count;
		trend_line_free(line);
	}
	trend->line_count = kept;
}

/* The line's point of this second; adds to trend->all and *all what the fleet served in it. */
static void trend_line_step(struct trend *trend, struct trend_line *line, double span_s,
			    struct series_counts *all)
{
	struct series_counts counts = {0};

	for (size_t i = 0; i < line->members.count; i++)
		trend_gather(trend, line->members.at[i], trend->latency, &counts);
	line->points[trend->next] = trend_point(trend->latency, &counts, span_s);
	line->quiet = counts.count ? 0 : line->quiet + 1;
	if (counts.count && trend_is_served(&line->key)) {
		hist_merge(trend->all, trend->latency);
		all->count += counts.count;
		all->errors += counts.errors;
	}
	hist_clear(trend->latency);
}

void trend_step(struct trend *trend, wall_ns wall)
{
	double span_s = (double)series_window_span(trend->table, WINDOW_10S) / (double)NS_PER_S;
	struct series_counts all = {0};

	trend_meet(trend);
	trend_loosen(trend);
	trend_tie(trend);
	for (size_t i = 0; i < trend->line_count; i++)
		trend_line_step(trend, trend->lines[i], span_s, &all);
	for (size_t i = 0; i < trend->loose.count; i++)
		if (trend_is_served(trend_key(trend, trend->loose.at[i])))
			trend_gather(trend, trend->loose.at[i], trend->all, &all);
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
	{"p90_ns", offsetof(struct trend_point, p90_ns)},
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
