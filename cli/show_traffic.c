/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the series table: routes, and deliveries. */
#include <stdio.h>
#include <string.h>

#include "cli/cell.h"
#include "cli/show_parts.h"

/* ---- routes ------------------------------------------------------------------------------------ */

/* A share of errors: none is quiet, a few are to be seen, more than one in twenty alarms. */
static enum table_style show_style_of_errors(uint64_t errors, uint64_t count)
{
	if (!errors)
		return TABLE_DIM;
	return (double)errors / (double)count > 0.05 ? TABLE_BAD : TABLE_WARN;
}

static enum table_style show_style_of_class(enum series_class status_class)
{
	switch (status_class) {
	case CLASS_5XX:
	case CLASS_ERROR:
		return TABLE_BAD;
	case CLASS_4XX:
		return TABLE_WARN;
	default:
		return TABLE_DIM;
	}
}

struct show_same { /* what all rows have in common needs no column */
	bool host, kind, role;
};

static struct show_same show_same_of(const struct view *view)
{
	struct show_same same = {true, true, true};
	const struct series_key *first = view->route_count ? &view->routes[0].key : NULL;

	for (size_t i = 0; i < view->route_count; i++) {
		const struct series_key *key = &view->routes[i].key;

		same.host &= strcmp(key->host, first->host) == 0;
		same.kind &= key->kind == SERIES_HTTP;
		same.role &= key->role == SERIES_SERVER;
	}
	return same;
}

static void show_route(struct table *table, const struct view_route *route,
		       const struct show_same *same)
{
	char name[sizeof(route->key.method) + sizeof(route->key.route) + 1];
	const struct series_key *key = &route->key;

	snprintf(name, sizeof(name), "%s%s%s", key->method, key->method[0] ? " " : "", key->route);
	table_foreign(table, TABLE_DIM, same->host ? "" : key->host);
	table_foreign(table, TABLE_PLAIN, key->service);
	table_cell(table, TABLE_DIM, "%s", same->kind ? "" : series_kind_name(key->kind));
	table_cell(table, TABLE_DIM, "%s", same->role ? "" : series_role_name(key->role));
	table_foreign(table, TABLE_BOLD, name);
	table_foreign(table, TABLE_DIM, key->peer);
	table_cell(table, show_style_of_class(key->status_class), "%s",
		   series_class_name(key->status_class));
	cell_count(table, TABLE_DIM, route->count);
	cell_rate(table, route->count, route->window_s);
	cell_share(table, show_style_of_errors(route->errors, route->count),
		   route->count ? (double)route->errors / (double)route->count : 0);
	cell_dur(table, TABLE_PLAIN, true, route->p50.value_ns);
	cell_dur(table, TABLE_PLAIN, true, route->p90.value_ns);
	cell_dur(table, TABLE_BOLD, true, route->p95.value_ns);
	cell_dur(table, TABLE_PLAIN, true, route->p99.value_ns);
	cell_dur(table, TABLE_DIM, true, route->max_ns);
	cell_dur(table, TABLE_DIM, route->has_queue, route->queue_p99_ns);
}

/* On 80 columns rate, errors and all four percentiles stand: all else is left out before them. */
void show_routes(const struct show *show, const struct view *view, size_t rows)
{
	static const struct table_column columns[] = {
		{"HOST", TABLE_LEFT, 6, 6},   {"SERVICE", TABLE_LEFT, 7, 0},
		{"KIND", TABLE_LEFT, 0, 2},   {"ROLE", TABLE_LEFT, 0, 8},
		{"ROUTE", TABLE_LEFT, 16, 0}, {"PEER", TABLE_LEFT, 15, 3},
		{"CODE", TABLE_LEFT, 0, 10},  {"COUNT", TABLE_RIGHT, 0, 1},
		{"RATE", TABLE_RIGHT, 0, 0},  {"ERRORS", TABLE_RIGHT, 0, 13},
		{"P50", TABLE_RIGHT, 0, 12},  {"P90", TABLE_RIGHT, 0, 11},
		{"P95", TABLE_RIGHT, 0, 0},   {"P99", TABLE_RIGHT, 0, 0},
		{"MAX", TABLE_RIGHT, 0, 4},   {"QUEUE99", TABLE_RIGHT, 0, 5},
	};
	struct show_same same = show_same_of(view);
	struct table *table = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < view->route_count; i++)
		show_route(table, &view->routes[i], &same);
	show_table(show, table, rows);
}

/* ---- deliveries -------------------------------------------------------------------------------- */

/* On 100 columns rate, outcomes and all four percentiles stand; on 80 not DELIVERED and P90. */
void show_deliveries(const struct show *show, const struct view *view, size_t rows)
{
	static const struct table_column columns[] = {
		{"HOST", TABLE_LEFT, 6, 2},	{"SERVICE", TABLE_LEFT, 8, 6},
		{"EVENT", TABLE_LEFT, 12, 0},	{"ENDPOINT", TABLE_LEFT, 13, 0},
		{"RATE", TABLE_RIGHT, 0, 0},	{"DELIVERED", TABLE_RIGHT, 0, 7},
		{"FAILED", TABLE_RIGHT, 0, 11}, {"DEAD", TABLE_RIGHT, 0, 10},
		{"TRIES", TABLE_RIGHT, 0, 3},	{"BAD TRIES", TABLE_RIGHT, 0, 1},
		{"P50", TABLE_RIGHT, 0, 9},	{"P90", TABLE_RIGHT, 0, 8},
		{"P95", TABLE_RIGHT, 0, 0},	{"P99", TABLE_RIGHT, 0, 0},
		{"MAX", TABLE_RIGHT, 0, 4},	{"WAIT99", TABLE_RIGHT, 0, 5},
	};
	struct table *table = table_new(columns, ARRAY_LEN(columns));
	bool one_host = true;

	for (size_t i = 1; i < view->delivery_count; i++)
		one_host &= strcmp(view->deliveries[i].host, view->deliveries[0].host) == 0;
	for (size_t i = 0; i < view->delivery_count; i++) {
		const struct view_delivery *row = &view->deliveries[i];
		uint64_t ended = row->delivered + row->failed + row->dead_lettered;
		bool timed = row->delivered != 0;

		table_foreign(table, TABLE_DIM, one_host ? "" : row->host);
		table_foreign(table, TABLE_PLAIN, row->service);
		table_foreign(table, TABLE_BOLD, row->event_type);
		table_foreign(table, TABLE_PLAIN, row->endpoint);
		cell_rate(table, ended, row->window_s);
		cell_count(table, TABLE_PLAIN, row->delivered);
		cell_count(table, row->failed ? TABLE_BAD : TABLE_DIM, row->failed);
		cell_count(table, row->dead_lettered ? TABLE_BAD : TABLE_DIM, row->dead_lettered);
		cell_count(table, TABLE_DIM, row->attempts);
		cell_count(table, row->attempts_failed ? TABLE_WARN : TABLE_DIM,
			   row->attempts_failed);
		cell_dur(table, TABLE_PLAIN, timed, row->p50.value_ns);
		cell_dur(table, TABLE_PLAIN, timed, row->p90.value_ns);
		cell_dur(table, TABLE_PLAIN, timed, row->p95.value_ns);
		cell_dur(table, TABLE_BOLD, timed, row->p99.value_ns);
		cell_dur(table, TABLE_DIM, timed, row->max_ns);
		cell_dur(table, TABLE_DIM, row->has_wait, row->wait_p99_ns);
	}
	show_table(show, table, rows);
}
