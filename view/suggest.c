/* SPDX-License-Identifier: Apache-2.0 */
#include "view/suggest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"

/* One route of one service, its methods, peers, statuses and hosts together. */
struct seen {
	const char *service, *route;
	uint64_t requests;
	bool folded; /* it is inside a suggestion with names */
};

struct work {
	struct seen *seen;
	size_t count;
	struct suggestion *rows;
	size_t row_count, row_room;
};

const char *suggest_reason_name(enum suggest_reason reason)
{
	static const char *const names[] = {
		[SUGGEST_SHAPE] = "shape", [SUGGEST_NAME] = "names", [SUGGEST_WORD] = "word"};

	return names[reason];
}

void suggest_free(struct suggestions *suggestions)
{
	free(suggestions->rows);
	*suggestions = (struct suggestions){0};
}

/* ---- patterns ----------------------------------------------------------------------------------- */

static bool is_placeholder(const char *segment, size_t length)
{
	return length > 2 && segment[0] == '{' && segment[length - 1] == '}' &&
	       !memchr(segment + 1, '}', length - 2);
}

/* Whether a template can say it, a request's path be it, which ends at '?', and a line of YAML hold it. */
static bool can_say(const char *route)
{
	if (route[0] != '/' || strlen(route) >= SERIES_ROUTE_MAX)
		return false;
	for (const char *p = route; *p; p++)
		if (*p <= ' ' || *p >= 127 || strchr("\"\\*?", *p))
			return false;
	return true;
}

/*
 * The route as a template: a segment that is a placeholder in part ("{id}.jpg") becomes one whole.
 * Returns how many placeholders it has; -1 when it cannot be one.
 */
static int pattern_of(const char *route, char pattern[SERIES_ROUTE_MAX + 1])
{
	struct str out;
	int placeholders = 0;

	str_init(&out, pattern, SERIES_ROUTE_MAX + 1);
	if (!can_say(route) || strstr(route, "{rest}"))
		return -1;
	while (*route == '/') {
		size_t length = strcspn(++route, "/");

		str_put(&out, "/");
		if (is_placeholder(route, length)) {
			placeholders++;
			str_put_bytes(&out, route, length);
		} else if (memchr(route, '{', length) || memchr(route, '}', length)) {
			placeholders++;
			str_put(&out, "{file}");
		} else {
			str_put_bytes(&out, route, length);
		}
		route += length;
	}
	return out.cut ? -1 : placeholders;
}

/* Whether a template names the route; placeholders stand for any segment. */
static bool fits(const char *pattern, const char *route)
{
	while (*pattern == '/' && *route == '/') {
		size_t want = strcspn(++pattern, "/"), got = strcspn(++route, "/");

		if (is_placeholder(pattern, want) ? !got
						  : want != got || memcmp(pattern, route, got) != 0)
			return false;
		pattern += want;
		route += got;
	}
	return !*pattern && !*route;
}

static int placeholders_in(const char *pattern)
{
	int count = 0;

	for (; *pattern; pattern++)
		count += *pattern == '{';
	return count;
}

/* ---- what was seen ------------------------------------------------------------------------------ */

static int by_route(const void *left, const void *right)
{
	const struct seen *a = left, *b = right;
	int order = strcmp(a->service, b->service);

	return order ? order : strcmp(a->route, b->route);
}

static int seen_take(struct work *work, const struct view *view, struct suggestions *out)
{
	size_t kept = 0;

	work->seen = calloc(view->route_count + 1, sizeof(*work->seen));
	if (!work->seen)
		return -ENOMEM;
	for (size_t i = 0; i < view->route_count; i++) {
		const struct view_route *row = &view->routes[i];

		if (row->key.kind != SERIES_HTTP)
			continue;
		out->requests += row->count;
		if (!strcmp(row->key.route, "{other}"))
			out->other += row->count;
		work->seen[work->count++] =
			(struct seen){row->key.service, row->key.route, row->count, false};
	}
	qsort(work->seen, work->count, sizeof(*work->seen), by_route);
	for (size_t i = 0; i < work->count; i++) {
		if (kept && !by_route(&work->seen[kept - 1], &work->seen[i]))
			work->seen[kept - 1].requests += work->seen[i].requests;
		else
			work->seen[kept++] = work->seen[i];
	}
	work->count = kept;
	return 0;
}

/* ---- suggestions -------------------------------------------------------------------------------- */

/* Another template that names the same paths, whatever its placeholders are called. */
static struct suggestion *row_alike(const struct work *work, const char *service,
				    const char *pattern)
{
	for (size_t i = 0; i < work->row_count; i++)
		if (!strcmp(work->rows[i].service, service) &&
		    fits(work->rows[i].pattern, pattern) && fits(pattern, work->rows[i].pattern))
			return &work->rows[i];
	return NULL;
}

static int row_add(struct work *work, const char *service, const char *pattern,
		   enum suggest_reason reason)
{
	struct suggestion *row;

	if (row_alike(work, service, pattern))
		return 0;
	if (work->row_count == work->row_room) {
		size_t room = work->row_room ? 2 * work->row_room : 64;
		struct suggestion *rows = realloc(work->rows, room * sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		work->rows = rows;
		work->row_room = room;
	}
	row = &work->rows[work->row_count++];
	memset(row, 0, sizeof(*row));
	memcpy(row->service, service, strlen(service) + 1);
	memcpy(row->pattern, pattern, strlen(pattern) + 1);
	row->reason = reason;
	return 0;
}

/* The route with one segment, from `at` on, replaced; false when it does not fit. */
static bool with_name(const char *route, const char *at, char pattern[SERIES_ROUTE_MAX + 1])
{
	struct str out;

	str_init(&out, pattern, SERIES_ROUTE_MAX + 1);
	str_put_bytes(&out, route, (size_t)(at - route));
	str_put(&out, "{name}");
	str_put(&out, at + strcspn(at, "/"));
	return !out.cut;
}

/* How many routes differ from this one in the segment at `at` alone. */
static unsigned siblings(const struct work *work, const struct seen *of, const char *at)
{
	size_t before = (size_t)(at - of->route);
	const char *behind = at + strcspn(at, "/");
	unsigned count = 0;

	for (size_t i = 0; i < work->count; i++) {
		const struct seen *s = &work->seen[i];

		if (strcmp(s->service, of->service) != 0 || strncmp(s->route, of->route, before))
			continue;
		count += s->route[before] &&
			 !strcmp(s->route + before + strcspn(s->route + before, "/"), behind);
	}
	return count;
}

/* Places with many names. */
static int names_find(struct work *work)
{
	for (size_t i = 0; i < work->count; i++) {
		const struct seen *s = &work->seen[i];

		for (const char *at = s->route; (at = strchr(at, '/')) && at[1];) {
			char route[SERIES_ROUTE_MAX + 1], pattern[SERIES_ROUTE_MAX + 1];
			int rc;

			at++;
			if (*at == '{' || *at == '/' || siblings(work, s, at) < SUGGEST_NAMES ||
			    !with_name(s->route, at, route) || pattern_of(route, pattern) < 0)
				continue;
			rc = row_add(work, s->service, pattern, SUGGEST_NAME);
			if (rc)
				return rc;
		}
	}
	for (size_t i = 0; i < work->count; i++)
		for (size_t k = 0; k < work->row_count; k++)
			work->seen[i].folded |=
				!strcmp(work->seen[i].service, work->rows[k].service) &&
				fits(work->rows[k].pattern, work->seen[i].route);
	return 0;
}

static int shapes_find(struct work *work)
{
	for (size_t i = 0; i < work->count; i++) {
		const struct seen *s = &work->seen[i];
		char pattern[SERIES_ROUTE_MAX + 1];
		int rc;

		if (pattern_of(s->route, pattern) <= 0)
			continue;
		rc = row_add(work, s->service, pattern,
			     strstr(pattern, "{name}") ? SUGGEST_NAME : SUGGEST_SHAPE);
		if (rc)
			return rc;
	}
	return 0;
}

/* "/users/me" beside "/users/{id}" would be an id: it gets a template, to stand before. */
static int words_find(struct work *work)
{
	size_t found = work->row_count;

	for (size_t i = 0; i < work->count; i++) {
		const struct seen *s = &work->seen[i];
		bool lost = false;

		if (s->folded || strchr(s->route, '{') || !can_say(s->route))
			continue;
		for (size_t k = 0; k < found && !lost; k++)
			lost = !strcmp(work->rows[k].service, s->service) &&
			       fits(work->rows[k].pattern, s->route);
		if (lost && row_add(work, s->service, s->route, SUGGEST_WORD))
			return -ENOMEM;
	}
	return 0;
}

static int by_order(const void *left, const void *right)
{
	const struct suggestion *a = left, *b = right;
	int order = strcmp(a->service, b->service);

	/* Those that say more come first: the first template that fits names the path. */
	order = order ? order : placeholders_in(a->pattern) - placeholders_in(b->pattern);
	return order ? order : strcmp(a->pattern, b->pattern);
}

/* Each route goes to the first template that fits, as it will be. */
static void rows_count(struct work *work)
{
	for (size_t i = 0; i < work->count; i++)
		for (size_t k = 0; k < work->row_count; k++) {
			struct suggestion *row = &work->rows[k];

			if (strcmp(row->service, work->seen[i].service) != 0 ||
			    !fits(row->pattern, work->seen[i].route))
				continue;
			row->requests += work->seen[i].requests;
			row->routes++;
			break;
		}
}

int suggest_routes(const struct view *view, struct suggestions *out)
{
	struct work work = {0};
	int rc;

	*out = (struct suggestions){0};
	rc = seen_take(&work, view, out);
	rc = rc ? rc : names_find(&work);
	rc = rc ? rc : shapes_find(&work);
	rc = rc ? rc : words_find(&work);
	if (!rc && work.row_count) {
		qsort(work.rows, work.row_count, sizeof(*work.rows), by_order);
		rows_count(&work);
	}
	free(work.seen);
	if (rc) {
		free(work.rows);
		return rc;
	}
	out->rows = work.rows;
	out->count = work.row_count;
	return 0;
}
