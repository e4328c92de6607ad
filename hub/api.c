/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/api.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/metrics.h"
#include "hub/page.h"
#include "hub/text.h"
#include "hub/trend.h"
#include "lib/base/clock.h"
#include "lib/base/str.h"

#define API_PREFIX "/api/v1/"
/* Rows of routes and deliveries in an event; the views have all of them. */
#define API_EVENT_ROWS 200
/* The hub ticks each second; without a tick for so long it is not well. */
#define API_STALE (5 * NS_PER_S)

struct api {
	const struct series_table *table;
	struct board_post *post;
	struct trend *trend;
	struct board *board; /* the newest that was seen; NULL before the first */
	struct http_text *events[WINDOW_COUNT]; /* of this board, made when first asked for */
	pthread_mutex_t lock; /* of facts */
	struct api_facts facts;
};

struct api *api_new(const struct series_table *table, struct board_post *post)
{
	struct api *api = calloc(1, sizeof(*api));

	if (!api)
		return NULL;
	api->table = table;
	api->post = post;
	pthread_mutex_init(&api->lock, NULL);
	api->trend = trend_new(table);
	if (!api->trend) {
		api_free(api);
		return NULL;
	}
	return api;
}

static void api_forget_events(struct api *api)
{
	for (size_t i = 0; i < WINDOW_COUNT; i++) {
		http_text_unref(api->events[i]);
		api->events[i] = NULL;
	}
}

void api_free(struct api *api)
{
	if (!api)
		return;
	api_forget_events(api);
	board_unref(api->board);
	trend_free(api->trend);
	pthread_mutex_destroy(&api->lock);
	free(api);
}

void api_publish(struct api *api, const struct api_facts *facts)
{
	pthread_mutex_lock(&api->lock);
	api->facts = *facts;
	pthread_mutex_unlock(&api->lock);
}

static struct api_facts api_facts(struct api *api)
{
	struct api_facts facts;

	pthread_mutex_lock(&api->lock);
	facts = api->facts;
	pthread_mutex_unlock(&api->lock);
	return facts;
}

/* ---- answers ----------------------------------------------------------------------------------- */

static void api_answer_text(struct http_answer *answer, unsigned status, const char *type,
			    struct text *text)
{
	answer->status = status;
	answer->type = type;
	answer->text = text_finish(text);
}

static void api_error(struct http_answer *answer, unsigned status, const char *what,
		      const char *fix)
{
	struct text text = {0};

	text_put(&text, "{\"error\":");
	text_put_json(&text, what);
	text_put(&text, ",\"fix\":");
	text_put_json(&text, fix);
	text_put(&text, "}\n");
	api_answer_text(answer, status, "application/json", &text);
}

static void api_not_yet(struct http_answer *answer)
{
	api_error(answer, 503, "the hub has just begun", "ask again in a second");
}

/* ---- parameters -------------------------------------------------------------------------------- */

struct api_params { /* names that a path takes, besides token */
	const char *const *names;
	size_t count;
	char unknown[64];
};

static int api_param_check(void *arg, const char *name)
{
	struct api_params *params = arg;

	if (strcmp(name, "token") == 0)
		return 0;
	for (size_t i = 0; i < params->count; i++)
		if (strcmp(params->names[i], name) == 0)
			return 0;
	series_text_set(params->unknown, sizeof(params->unknown), name, strlen(name));
	return 1;
}

/* 1: an unknown parameter, and the answer says so. */
static int api_params_refuse(const struct http_request *request, const char *const *names,
			     size_t count, struct http_answer *answer)
{
	struct api_params params = {.names = names, .count = count};
	char what[128], fix[160];
	const char *near;
	struct str s;

	if (!http_each_param(request, api_param_check, &params))
		return 0;
	snprintf(what, sizeof(what), "unknown parameter '%s'", params.unknown);
	near = str_nearest(params.unknown, names, count);
	str_init(&s, fix, sizeof(fix));
	if (near) {
		str_printf(&s, "did you mean '%s'?", near);
	} else {
		str_put(&s, count ? "it takes" : "it takes none");
		for (size_t i = 0; i < count; i++)
			str_printf(&s, "%s %s", i ? "," : "", names[i]);
	}
	api_error(answer, 400, what, fix);
	return 1;
}

/* 1: not a window, and the answer says so. Absent: one minute. */
static int api_window(const struct http_request *request, enum series_window *window,
		      struct http_answer *answer)
{
	const char *text = http_param(request, "window");

	*window = WINDOW_1M;
	if (!text || !series_window_parse(text, window))
		return 0;
	api_error(answer, 400, "that is no window",
		  "use window=10s, 1m, 5m, 30m, 1h, 6h, 1d, 3d, 30d or total");
	return 1;
}

static int api_flag(const struct http_request *request, const char *name, bool *flag,
		    struct http_answer *answer)
{
	const char *text = http_param(request, name);

	*flag = text && strcmp(text, "1") == 0;
	if (!text || *flag || strcmp(text, "0") == 0)
		return 0;
	api_error(answer, 400, "that is neither yes nor no", "use 1 or 0");
	return 1;
}

static void api_text_param(const struct http_request *request, const char *name, char *field,
			   size_t room)
{
	const char *value = http_param(request, name);

	if (value)
		series_text_set(field, room, value, strlen(value));
}

/* ---- views ------------------------------------------------------------------------------------- */

static int api_view_query(const struct http_request *request, struct view_query *query,
			  struct http_answer *answer)
{
	static const char *const traffic[] = {"limit", "window", "service", "route", "all_hosts"};
	/* Windows, services and hosts are what routes and deliveries are chosen by. */
	bool is_traffic = query->what == VIEW_ROUTES || query->what == VIEW_DELIVERIES;
	bool is_exemplars = query->what == VIEW_EXEMPLARS;
	const char *limit = http_param(request, "limit");
	uint64_t rows = 0;

	if (api_params_refuse(request, traffic,
			      is_traffic     ? ARRAY_LEN(traffic)
			      : is_exemplars ? ARRAY_LEN(traffic) - 1
					     : 1,
			      answer) ||
	    api_window(request, &query->window, answer) ||
	    api_flag(request, "all_hosts", &query->all_hosts, answer))
		return 1;
	if (limit && str_parse_u64(limit, 1, 1000000, &rows)) {
		api_error(answer, 400, "limit is no number of rows", "use limit=1 to 1000000");
		return 1;
	}
	query->limit = (uint32_t)rows;
	api_text_param(request, "service", query->service, sizeof(query->service));
	api_text_param(request, "route", query->route, sizeof(query->route));
	return 0;
}

static char *api_view_json(const struct api *api, const struct view_query *query, bool indented)
{
	struct view *view;
	char *json;

	if (view_query(api->table, api->board, "", clock_wall(), query, &view))
		return NULL;
	json = view_json(view, indented);
	view_free(view);
	return json;
}

static void api_view(struct api *api, const struct http_request *request, enum view_what what,
		     struct http_answer *answer)
{
	struct view_query query = {.what = what};
	struct text text = {0};

	if (api_view_query(request, &query, answer))
		return;
	text_take(&text, api_view_json(api, &query, true));
	api_answer_text(answer, 200, "application/json", &text);
}

/* ---- charts ------------------------------------------------------------------------------------ */

static int api_trend_key(const struct http_request *request, struct series_key *key,
			 struct http_answer *answer)
{
	const char *kind = http_param(request, "kind"), *role = http_param(request, "role");

	while (kind && key->kind < SERIES_KINDS && strcmp(kind, series_kind_name(key->kind)) != 0)
		key->kind++;
	while (role && key->role < SERIES_ROLES && strcmp(role, series_role_name(key->role)) != 0)
		key->role++;
	if (key->kind == SERIES_KINDS || key->role == SERIES_ROLES) {
		api_error(answer, 400, "no such kind or role of series",
			  "use kind=http, app, tls, user or connection, role=server or client");
		return 1;
	}
	api_text_param(request, "service", key->service, sizeof(key->service));
	api_text_param(request, "method", key->method, sizeof(key->method));
	api_text_param(request, "route", key->route, sizeof(key->route));
	return 0;
}

static void api_trend(struct api *api, const struct http_request *request,
		      struct http_answer *answer)
{
	static const char *const names[] = {"service", "kind", "role", "method", "route"};
	const struct trend_line *line = trend_fleet(api->trend);
	struct series_key key = {0};
	struct text text = {0};

	if (api_params_refuse(request, names, ARRAY_LEN(names), answer) ||
	    api_trend_key(request, &key, answer))
		return;
	if (http_param(request, "route"))
		line = trend_find(api->trend, &key);
	if (!line) {
		api_error(answer, 404, "no such route was seen yet",
			  "take service, kind, role, method and route from /api/v1/routes");
		return;
	}
	trend_put_json(api->trend, line, &text);
	text_put(&text, "\n");
	api_answer_text(answer, 200, "application/json", &text);
}

/* ---- events ------------------------------------------------------------------------------------ */

static void api_put_view(struct api *api, struct text *text, const char *name, enum view_what what,
			 enum series_window window)
{
	const struct view_query query = {
		.what = what, .window = window, .limit = API_EVENT_ROWS, .all_hosts = true};

	text_printf(text, ",\"%s\":", name);
	text_take(text, api_view_json(api, &query, false));
}

/* An event's data is one line: nothing in compact JSON may break it. */
static void api_one_line(struct text *text, size_t from)
{
	for (size_t i = from; i < text->size; i++)
		if (text->bytes[i] == '\n')
			text->bytes[i] = ' ';
}

static struct http_text *api_event_new(struct api *api, enum series_window window)
{
	const struct api_facts facts = api_facts(api);
	struct text text = {0};
	size_t data;

	text_printf(&text,
		    "event: tick\nid: %llu\ndata: ", (unsigned long long)api->board->ticks_total);
	data = text.size;
	text_printf(&text, "{\"window\":\"%s\",\"records_total\":%llu", series_window_name(window),
		    (unsigned long long)facts.merge.records_total);
	api_put_view(api, &text, "status", VIEW_STATUS, window);
	api_put_view(api, &text, "routes", VIEW_ROUTES, window);
	api_put_view(api, &text, "deliveries", VIEW_DELIVERIES, window);
	api_put_view(api, &text, "alerts", VIEW_ALERTS, window);
	api_put_view(api, &text, "scale", VIEW_SCALE, window);
	text_put(&text, ",\"trend\":{\"fleet\":");
	trend_put_newest(api->trend, trend_fleet(api->trend), &text);
	text_put(&text, ",\"routes\":");
	trend_put_routes(api->trend, &text);
	text_put(&text, "}}");
	api_one_line(&text, data);
	text_put(&text, "\n\n");
	return text_finish(&text);
}

static struct http_text *api_event(void *arg, unsigned key)
{
	struct api *api = arg;
	enum series_window window = (enum series_window)(key - 1);

	if (!api->board)
		return http_text_of(": the hub has just begun\n\n");
	if (!api->events[window])
		api->events[window] = api_event_new(api, window);
	if (api->events[window])
		api->events[window]->references++;
	return api->events[window];
}

/* A new board: one more point for the charts, and new events. */
static uint64_t api_newest(void *arg)
{
	struct api *api = arg;
	struct board *board = board_take(api->post);

	if (!board)
		return 0;
	if (api->board && api->board->ticks_total == board->ticks_total) {
		board_unref(board);
		return api->board->ticks_total;
	}
	board_unref(api->board);
	api->board = board;
	api_forget_events(api);
	trend_step(api->trend, board->at);
	return board->ticks_total;
}

static void api_events(const struct http_request *request, struct http_answer *answer)
{
	static const char *const names[] = {"window"};
	enum series_window window;

	if (api_params_refuse(request, names, ARRAY_LEN(names), answer) ||
	    api_window(request, &window, answer))
		return;
	answer->status = 200;
	answer->type = "text/event-stream";
	answer->events = window + 1;
}

/* ---- questions, health, metrics ---------------------------------------------------------------- */

static void api_query(struct api *api, const struct http_request *request,
		      struct http_answer *answer)
{
	uint8_t *bytes;
	size_t size;

	if (view_answer(api->table, api->board, "", clock_wall(), request->body, request->body_size,
			&bytes, &size)) {
		api_error(answer, 500, "no memory for the answer", "ask for fewer rows");
		return;
	}
	answer->status = 200;
	answer->type = "application/x-protobuf";
	answer->text = http_text_new(size);
	if (answer->text)
		memcpy(answer->text->bytes, bytes, size);
	free(bytes);
}

static void api_health(const struct api *api, struct http_answer *answer)
{
	wall_ns now = clock_wall();
	struct text text = {0};
	const char *reason = "";

	if (!api->board)
		reason = "the hub has just begun";
	else if (api->board->trouble[0])
		reason = api->board->trouble;
	else if (now > api->board->at && now - api->board->at > API_STALE)
		reason = "the hub is stuck: it did not tick for more than 5 s";
	text_printf(&text, "{\"status\":\"%s\",\"reason\":", reason[0] ? "trouble" : "ok");
	if (reason[0])
		text_put_json(&text, reason);
	else
		text_put(&text, "null");
	text_put(&text, "}\n");
	api_answer_text(answer, reason[0] ? 503 : 200, "application/json", &text);
}

static void api_metrics(struct api *api, struct http_answer *answer)
{
	const struct view_query totals = {.what = VIEW_ROUTES, .window = SERIES_TOTAL};
	const struct view_query recents = {.what = VIEW_ROUTES, .window = WINDOW_1M};
	const struct api_facts facts = api_facts(api);
	struct view *total = NULL, *recent = NULL;
	struct text text = {0};

	if (!view_query(api->table, api->board, "", clock_wall(), &totals, &total) &&
	    !view_query(api->table, api->board, "", clock_wall(), &recents, &recent))
		metrics_put(&text, total, recent, api->board, &facts);
	else
		text.failed = true;
	view_free(total);
	view_free(recent);
	api_answer_text(answer, 200, "text/plain; version=0.0.4; charset=utf-8", &text);
}

/* ---- paths ------------------------------------------------------------------------------------- */

static void api_no_such_path(const char *path, struct http_answer *answer)
{
	char clean[80], what[128];

	series_text_set(clean, sizeof(clean), path, strlen(path));
	snprintf(what, sizeof(what), "there is nothing at %s", clean);
	api_error(answer, 404, what,
		  "see /, /healthz, /metrics and /api/v1/status, routes, deliveries, exemplars, "
		  "slo, alerts, scale, hosts, doctor, trend, events");
}

static void api_get(struct api *api, const struct http_request *request, const char *name,
		    struct http_answer *answer)
{
	enum view_what what;

	if (strcmp(name, "events") == 0)
		api_events(request, answer);
	else if (!api->board)
		api_not_yet(answer);
	else if (strcmp(name, "trend") == 0)
		api_trend(api, request, answer);
	else if (!view_what_parse(name, &what) && what != VIEW_TRACED)
		api_view(api, request, what, answer);
	else
		api_no_such_path(request->path, answer);
}

static void api_page(const struct http_request *request, struct http_answer *answer)
{
	struct page_file file;

	if (!page_find(request->path, &file)) {
		api_no_such_path(request->path, answer);
		return;
	}
	answer->status = 200;
	answer->type = file.type;
	answer->file = file.bytes;
	answer->file_size = file.size;
}

static void api_answer(void *arg, const struct http_request *request, struct http_answer *answer)
{
	static const size_t prefix = sizeof(API_PREFIX) - 1;
	struct api *api = arg;
	bool post = strcmp(request->method, "POST") == 0;
	bool is_query = strcmp(request->path, API_PREFIX "query") == 0;

	if (post != is_query)
		api_error(answer, 405, post ? "nothing is posted there" : "a question is posted",
			  post ? "use GET" : "POST a packed vow.v1.Question");
	else if (is_query && api->board)
		api_query(api, request, answer);
	else if (strncmp(request->path, API_PREFIX, prefix) == 0)
		api_get(api, request, request->path + prefix, answer);
	else if (strcmp(request->path, "/healthz") == 0)
		api_health(api, answer);
	else if (strcmp(request->path, "/metrics") == 0 && !api->board)
		api_not_yet(answer);
	else if (strcmp(request->path, "/metrics") == 0)
		api_metrics(api, answer);
	else
		api_page(request, answer);
}

/* The page itself holds no figures, and whether the hub is well is for everyone to know. */
static bool api_asks_token(void *arg, const char *path)
{
	(void)arg;
	return strcmp(path, "/healthz") != 0 && !page_find(path, NULL);
}

struct http_handlers api_handlers(struct api *api)
{
	return (struct http_handlers){
		.asks_token = api_asks_token,
		.answer = api_answer,
		.newest = api_newest,
		.event = api_event,
		.arg = api,
	};
}
