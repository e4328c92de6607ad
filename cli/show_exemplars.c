/* SPDX-License-Identifier: Apache-2.0 */
/* Exemplars: the slowest observations with the tags by which they can be found again. */
#include <string.h>
#include <time.h>

#include "cli/cell.h"
#include "cli/show_parts.h"

/* To the millisecond, in local time; with the day when that is another one than now's. */
static void show_when(struct table *table, wall_ns at, wall_ns now)
{
	time_t seconds = (time_t)(at / NS_PER_S), now_seconds = (time_t)(now / NS_PER_S);
	struct tm tm, today;
	char when[32];

	localtime_r(&seconds, &tm);
	localtime_r(&now_seconds, &today);
	bool same_day = tm.tm_yday == today.tm_yday && tm.tm_year == today.tm_year;
	strftime(when, sizeof(when), same_day ? "%H:%M:%S" : "%m-%d %H:%M:%S", &tm);
	table_cell(table, TABLE_PLAIN, "%s.%03u", when, (unsigned)(at % NS_PER_S / NS_PER_MS));
}

static void show_exemplar(struct table *table, const struct view_exemplar *row, wall_ns now,
			  bool one_host)
{
	const struct series_key *key = &row->key;
	char name[sizeof(key->method) + sizeof(key->route) + 1];

	snprintf(name, sizeof(name), "%s%s%s", key->method, key->method[0] ? " " : "", key->route);
	show_when(table, row->at, now);
	cell_dur(table, TABLE_BOLD, true, row->latency_ns);
	table_cell(table, TABLE_DIM, "%u", row->status);
	table_foreign(table, TABLE_PLAIN, row->tag);
	table_foreign(table, TABLE_DIM, one_host ? "" : key->host);
	table_foreign(table, TABLE_PLAIN, key->service);
	table_cell(table, TABLE_DIM, "%s", series_kind_name(key->kind));
	table_foreign(table, TABLE_BOLD, name);
	table_foreign(table, TABLE_DIM, key->peer);
}

/* On 80 columns a trace id stands whole, beside when, how long and the route. */
void show_exemplars(const struct show *show, const struct view *view)
{
	static const struct table_column columns[] = {
		{"WHEN", TABLE_LEFT, 0, 0},    {"LATENCY", TABLE_RIGHT, 0, 0},
		{"STATUS", TABLE_RIGHT, 0, 5}, {"TAG", TABLE_LEFT, 0, 0},
		{"HOST", TABLE_LEFT, 6, 4},    {"SERVICE", TABLE_LEFT, 7, 3},
		{"KIND", TABLE_LEFT, 0, 1},    {"ROUTE", TABLE_LEFT, 8, 0},
		{"PEER", TABLE_LEFT, 12, 2},
	};
	struct table *table = table_new(columns, ARRAY_LEN(columns));
	bool one_host = true;

	for (size_t i = 1; i < view->exemplar_count; i++)
		one_host &= strcmp(view->exemplars[i].key.host, view->exemplars[0].key.host) == 0;
	for (size_t i = 0; i < view->exemplar_count; i++)
		show_exemplar(table, &view->exemplars[i], view->at, one_host);
	show_table(show, table, 0);
}
