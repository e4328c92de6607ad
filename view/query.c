/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows from the series table. A first pass looks at counts alone and chooses; only what was chosen
 * is merged and becomes rows. So a question with a limit costs little in a full table. A tick may
 * come in between: rows of one answer may then be as of two seconds.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "view/view.h"

struct query_choice { /* one series that has something to show */
	const struct series *series;
	const struct series_key *key;
	uint64_t count;
};

struct query {
	const struct series_table *table;
	const struct view_query *ask;
	const char *host; /* for keys without one */
	wall_ns now;
	double window_s;
	struct query_choice *choices;
	size_t count;
	struct query_choice *summed; /* what the kernel counted without paths, asked for or not */
	size_t summed_count;
	struct hist *latency, *queue; /* scratch, empty between rows */
};

/* What rates are divided by: the time that the table's windows really cover, which after a restart
 * may be more than this process has lived; for totals the time since they began. */
static double query_window_s(const struct series_table *table, const struct board *board,
			     enum series_window window)
{
	wall_ns from;

	if (window != SERIES_TOTAL || !board)
		return (double)series_window_span(table, window) / (double)NS_PER_S;
	from = board->counted_since ? board->counted_since : board->started;
	return board->at < from ? 0 /* the clock was set back */
				: (double)(board->at - from) / (double)NS_PER_S;
}

static bool query_wants(const struct view_query *ask, const struct series_key *key)
{
	if (ask->service[0] && strcmp(ask->service, key->service) != 0)
		return false;
	if (ask->route[0] && !view_is_route(ask->route, key))
		return false;
	return ask->what != VIEW_DELIVERIES || key->kind == SERIES_DELIVERY ||
	       key->kind == SERIES_ATTEMPT;
}

/*
 * Adds what the window holds of a series. Locked for each alone: a tick waits for who reads, and a
 * hub has tens of thousands of series.
 */
static void query_add(const struct query *q, const struct series *s, struct hist *latency,
		      struct hist *queue, struct series_counts *counts)
{
	series_read_lock();
	series_window_add(q->table, s, q->ask->window, latency, queue, counts);
	series_read_unlock();
}

static bool query_is_summed(const struct series_key *key)
{
	return key->kind == SERIES_HTTP && strcmp(key->route, SERIES_ROUTE_OVERFLOW) == 0;
}

/* What the kernel summed up of a service is in its row of all requests, too. */
static double query_error(const struct query *q, const struct series_key *key)
{
	if (query_is_summed(key))
		return SERIES_OVERFLOW_ERROR;
	for (size_t i = 0; key->kind == SERIES_USER && i < q->summed_count; i++) {
		const struct series_key *summed = q->summed[i].key;

		if (strcmp(summed->service, key->service) == 0 && summed->role == key->role &&
		    (q->ask->all_hosts || strcmp(summed->host, key->host) == 0))
			return SERIES_OVERFLOW_ERROR;
	}
	return HIST_RELATIVE_ERROR;
}

static int query_choose(struct query *q)
{
	size_t series = series_count(q->table);

	q->choices = calloc(series + 1, sizeof(*q->choices));
	q->summed = calloc(series + 1, sizeof(*q->summed));
	if (!q->choices || !q->summed)
		return -ENOMEM;
	for (size_t i = 0; i < series; i++) {
		const struct series *s = series_at(q->table, (series_id)i);
		const struct series_key *key = series_key_of(s);
		bool summed = query_is_summed(key), wanted = query_wants(q->ask, key);
		struct series_counts counts = {0};

		if (!wanted && !summed)
			continue;
		query_add(q, s, NULL, NULL, &counts);
		if (counts.count && wanted)
			q->choices[q->count++] = (struct query_choice){s, key, counts.count};
		if (counts.count && summed)
			q->summed[q->summed_count++] = (struct query_choice){s, key, counts.count};
	}
	return 0;
}

/* Who is measured, without how it ended: what deliveries are grouped by. */
static int query_compare_group(const struct series_key *a, const struct series_key *b,
			       bool all_hosts)
{
	int order = strcmp(a->service, b->service);

	order = order ? order : strcmp(a->route, b->route);
	order = order ? order : strcmp(a->peer, b->peer);
	return order || all_hosts ? order : strcmp(a->host, b->host);
}

static int query_compare_key(const struct series_key *a, const struct series_key *b, bool all_hosts)
{
	int order = query_compare_group(a, b, all_hosts);

	order = order ? order : strcmp(a->method, b->method);
	order = order ? order : (int)a->kind - (int)b->kind;
	order = order ? order : (int)a->role - (int)b->role;
	return order ? order : (int)a->status_class - (int)b->status_class;
}

static int query_by_key(const void *left, const void *right, void *all_hosts)
{
	const struct query_choice *a = left, *b = right;

	return query_compare_key(a->key, b->key, *(const bool *)all_hosts);
}

static void query_host_set(const struct query *q, char host[SERIES_NAME_MAX + 1])
{
	if (!host[0])
		series_text_set(host, SERIES_NAME_MAX + 1, q->host, strlen(q->host));
}

/* Choices that become one row: one series, or the same on all hosts. */
struct query_group {
	const struct query_choice *first;
	size_t length;
	uint64_t count;
};

static int query_by_count(const void *left, const void *right)
{
	const struct query_group *a = left, *b = right;

	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	return query_compare_key(a->first->key, b->first->key, false);
}

/* The choices must be sorted by key. Returns how many groups there are. */
static size_t query_groups(const struct query *q, struct query_group *groups)
{
	size_t count = 0;

	for (size_t i = 0; i < q->count; i++) {
		const struct query_choice *choice = &q->choices[i];

		if (!count ||
		    query_compare_key(groups[count - 1].first->key, choice->key, q->ask->all_hosts))
			groups[count++] = (struct query_group){.first = choice};
		groups[count - 1].length++;
		groups[count - 1].count += choice->count;
	}
	return count;
}

static void query_route(struct query *q, const struct query_group *group, struct view_route *row)
{
	struct series_counts counts = {0};

	for (size_t i = 0; i < group->length; i++)
		query_add(q, group->first[i].series, q->latency, q->queue, &counts);
	row->key = *group->first->key;
	if (q->ask->all_hosts)
		row->key.host[0] = '\0';
	query_host_set(q, row->key.host);
	row->count = counts.count;
	row->errors = counts.errors;
	row->p50 = hist_quantile(q->latency, 0.50);
	row->p90 = hist_quantile(q->latency, 0.90);
	row->p95 = hist_quantile(q->latency, 0.95);
	row->p99 = hist_quantile(q->latency, 0.99);
	row->max_ns = q->latency->max_ns;
	row->has_queue = q->queue->count != 0;
	row->queue_p99_ns = hist_quantile(q->queue, 0.99).value_ns;
	row->window_s = q->window_s;
	row->relative_error = query_error(q, group->first->key);
	hist_clear(q->latency);
	hist_clear(q->queue);
}

static int query_routes(struct query *q, struct view *view)
{
	struct query_group *groups = calloc(q->count + 1, sizeof(*groups));
	size_t rows;

	if (!groups)
		return -ENOMEM;
	rows = query_groups(q, groups);
	qsort(groups, rows, sizeof(*groups), query_by_count);
	rows = view_limit(view, rows);
	view->routes = calloc(rows + 1, sizeof(*view->routes));
	if (!view->routes) {
		free(groups);
		return -ENOMEM;
	}
	/* A tick since it was chosen may have taken a group out of the window. */
	for (size_t i = 0; i < rows; i++) {
		query_route(q, &groups[i], &view->routes[view->route_count]);
		view->route_count += view->routes[view->route_count].count != 0;
	}
	free(groups);
	return 0;
}

enum query_outcome { QUERY_DELIVERED, QUERY_FAILED, QUERY_DEAD_LETTERED };

/* Told by libvow as the method; where nobody tells, as of attempts, the status class says it. */
static enum query_outcome query_outcome(const struct series_key *key)
{
	if (strcmp(key->method, "delivered") == 0)
		return QUERY_DELIVERED;
	if (strcmp(key->method, "failed") == 0)
		return QUERY_FAILED;
	if (strcmp(key->method, "dead_lettered") == 0)
		return QUERY_DEAD_LETTERED;
	switch ((enum series_class)key->status_class) {
	case CLASS_4XX:
	case CLASS_5XX:
		return QUERY_FAILED;
	case CLASS_ERROR:
		return QUERY_DEAD_LETTERED;
	default:
		return QUERY_DELIVERED;
	}
}

/* Adds one series to the row of its group; the scratch histograms gather over the whole group. */
static void query_delivery_add(struct query *q, const struct query_choice *choice,
			       struct view_delivery *row)
{
	enum query_outcome outcome = query_outcome(choice->key);
	bool attempt = choice->key->kind == SERIES_ATTEMPT;
	bool timed = !attempt && outcome == QUERY_DELIVERED;
	struct series_counts counts = {0};

	query_add(q, choice->series, timed ? q->latency : NULL, attempt ? NULL : q->queue, &counts);
	if (attempt) {
		row->attempts += counts.count;
		row->attempts_failed += outcome == QUERY_DELIVERED ? 0 : counts.count;
	} else if (outcome == QUERY_DELIVERED) {
		row->delivered += counts.count;
	} else if (outcome == QUERY_FAILED) {
		row->failed += counts.count;
	} else {
		row->dead_lettered += counts.count;
	}
}

static void query_delivery_end(struct query *q, const struct series_key *key,
			       struct view_delivery *row)
{
	if (!q->ask->all_hosts)
		memcpy(row->host, key->host, sizeof(row->host));
	query_host_set(q, row->host);
	memcpy(row->service, key->service, sizeof(row->service));
	memcpy(row->event_type, key->route, sizeof(row->event_type));
	memcpy(row->endpoint, key->peer, sizeof(row->endpoint));
	row->p50 = hist_quantile(q->latency, 0.50);
	row->p90 = hist_quantile(q->latency, 0.90);
	row->p95 = hist_quantile(q->latency, 0.95);
	row->p99 = hist_quantile(q->latency, 0.99);
	row->max_ns = q->latency->max_ns;
	row->has_wait = q->queue->count != 0;
	row->wait_p99_ns = hist_quantile(q->queue, 0.99).value_ns;
	row->window_s = q->window_s;
	hist_clear(q->latency);
	hist_clear(q->queue);
}

static uint64_t query_delivery_size(const struct view_delivery *row)
{
	return row->delivered + row->failed + row->dead_lettered;
}

static int query_by_size(const void *left, const void *right)
{
	const struct view_delivery *a = left, *b = right;
	uint64_t size_a = query_delivery_size(a), size_b = query_delivery_size(b);

	if (size_a != size_b)
		return size_a < size_b ? 1 : -1;
	if (a->attempts != b->attempts)
		return a->attempts < b->attempts ? 1 : -1;
	return strcmp(a->event_type, b->event_type);
}

static int query_deliveries(struct query *q, struct view *view)
{
	view->deliveries = calloc(q->count + 1, sizeof(*view->deliveries));
	if (!view->deliveries)
		return -ENOMEM;
	for (size_t i = 0; i < q->count;) {
		const struct series_key *key = q->choices[i].key;
		struct view_delivery *row = &view->deliveries[view->delivery_count++];

		while (i < q->count &&
		       query_compare_group(q->choices[i].key, key, q->ask->all_hosts) == 0)
			query_delivery_add(q, &q->choices[i++], row);
		query_delivery_end(q, key, row);
	}
	qsort(view->deliveries, view->delivery_count, sizeof(*view->deliveries), query_by_size);
	view->delivery_count = view_limit(view, view->delivery_count);
	return 0;
}

static int query_series(struct query *q, struct view *view)
{
	bool all_hosts = q->ask->all_hosts;
	int rc = query_choose(q);

	if (rc)
		return rc;
	q->latency = calloc(1, sizeof(*q->latency));
	q->queue = calloc(1, sizeof(*q->queue));
	if (!q->latency || !q->queue)
		return -ENOMEM;
	qsort_r(q->choices, q->count, sizeof(*q->choices), query_by_key, &all_hosts);
	return view->query.what == VIEW_ROUTES ? query_routes(q, view) : query_deliveries(q, view);
}

/* ---- exemplars ----------------------------------------------------------------------------------- */

struct query_exemplar { /* one that was chosen; its text is in the book */
	series_id series;
	const struct exemplar *exemplar;
};

struct query_exemplars {
	const struct query *q;
	struct query_exemplar *chosen; /* NULL: they are only counted */
	size_t count;
};

static int query_exemplar_choose(void *arg, series_id id, const struct exemplar *exemplar)
{
	struct query_exemplars *choosing = arg;
	const struct view_query *ask = choosing->q->ask;
	const struct series *s = series_at(choosing->q->table, id);
	const struct series_key *key = s ? series_key_of(s) : NULL;

	if (!key || !query_wants(ask, key))
		return 0;
	if (choosing->chosen)
		choosing->chosen[choosing->count] = (struct query_exemplar){id, exemplar};
	choosing->count++;
	return 0;
}

static int query_by_latency(const void *left, const void *right)
{
	const struct exemplar *a = ((const struct query_exemplar *)left)->exemplar;
	const struct exemplar *b = ((const struct query_exemplar *)right)->exemplar;

	if (a->latency_ns != b->latency_ns)
		return a->latency_ns < b->latency_ns ? 1 : -1;
	if (a->at != b->at)
		return a->at < b->at ? 1 : -1;
	return strcmp(a->tag, b->tag);
}

static void query_exemplar_row(const struct query *q, const struct query_exemplar *from,
			       struct view_exemplar *row)
{
	row->key = *series_key_of(series_at(q->table, from->series));
	query_host_set(q, row->key.host);
	row->at = from->exemplar->at;
	row->latency_ns = from->exemplar->latency_ns;
	row->status = from->exemplar->status;
	memcpy(row->tag, from->exemplar->tag, sizeof(row->tag));
}

/* The slowest of the window, as many as are wanted. */
static int query_exemplars(struct query *q, const struct exemplar_book *book, struct view *view)
{
	dur_ns length = series_window_length(q->ask->window);
	wall_ns from = length && length < q->now ? q->now - length : 0;
	struct query_exemplars choosing = {.q = q};

	exemplar_book_each(book, from, UINT64_MAX, query_exemplar_choose, &choosing);
	choosing.chosen = calloc(choosing.count + 1, sizeof(*choosing.chosen));
	view->exemplars = calloc(view_limit(view, choosing.count) + 1, sizeof(*view->exemplars));
	if (!choosing.chosen || !view->exemplars) {
		free(choosing.chosen);
		return -ENOMEM;
	}
	choosing.count = 0;
	exemplar_book_each(book, from, UINT64_MAX, query_exemplar_choose, &choosing);
	qsort(choosing.chosen, choosing.count, sizeof(*choosing.chosen), query_by_latency);
	view->exemplar_count = view_limit(view, choosing.count);
	for (size_t i = 0; i < view->exemplar_count; i++)
		query_exemplar_row(q, &choosing.chosen[i], &view->exemplars[i]);
	free(choosing.chosen);
	return 0;
}

int view_query(const struct series_table *table, struct board *board, const char *host, wall_ns now,
	       const struct view_query *query, struct view **view)
{
	struct query q = {.table = table, .ask = query, .host = host, .now = now};
	struct view *made = calloc(1, sizeof(*made));
	int rc = 0;

	if (!made)
		return -ENOMEM;
	made->query = *query;
	made->at = now;
	made->board = board ? board_ref(board) : NULL;
	if (query->what == VIEW_EXEMPLARS && board && board->exemplars) {
		rc = query_exemplars(&q, board->exemplars, made);
	} else if (query->what == VIEW_ROUTES || query->what == VIEW_DELIVERIES) {
		q.window_s = query_window_s(table, board, query->window);
		rc = query_series(&q, made);
	}
	free(q.choices);
	free(q.summed);
	free(q.latency);
	free(q.queue);
	if (rc) {
		view_free(made);
		return rc;
	}
	*view = made;
	return 0;
}
