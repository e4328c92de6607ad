/* SPDX-License-Identifier: Apache-2.0 */
/* The asked program itself, its collectors and gauges, and the hosts that it hears. */
#include <stdio.h>
#include <string.h>

#include "cli/cell.h"
#include "cli/figure.h"
#include "cli/show_parts.h"

static void show_process(const struct show *show, const struct view *view)
{
	const struct board *board = view->board;
	char age[STR_FIGURE_SIZE];

	show_styled(show, TABLE_BOLD, board->program);
	fputs(" ", show->to);
	show_foreign(show, board->version);
	fputs(" on ", show->to);
	show_styled(show, TABLE_BOLD, board->host);
	fprintf(show->to, "  pid %u, up %s, ", board->pid,
		figure_age(age, sizeof(age), board->started, view->at));
	show_foreign(show, board->config_path[0] ? board->config_path : "default configuration");
	show_end(show);
}

static void show_cost(const struct show *show, const struct board *board)
{
	char rss[STR_FIGURE_SIZE], series[STR_FIGURE_SIZE], line[SHOW_TEXT_MAX];

	snprintf(line, sizeof(line),
		 "memory %s, cpu %.1f %% of a core, %llu series in %s (windows up to 30 d: at most "
		 "%u histograms each), %llu events beyond the cap",
		 str_format_bytes(rss, sizeof(rss), board->rss_bytes), board->cpu_ratio * 100,
		 (unsigned long long)board->series,
		 str_format_bytes(series, sizeof(series), board->series_bytes), SERIES_SLOTS,
		 (unsigned long long)board->series_other_total);
	show_wrapped(show, 0, line);
}

static void show_journal(const struct show *show, const struct board *board)
{
	char figure[STR_FIGURE_SIZE], line[SHOW_TEXT_MAX];
	struct str s;

	str_init(&s, line, sizeof(line));
	str_format_bytes(figure, sizeof(figure), board->journal_bytes);
	if (strcmp(board->scope, "fleet") == 0)
		str_printf(&s, "store: %llu records merged, %s on disk",
			   (unsigned long long)board->journal_seq, figure);
	else
		str_printf(&s, "journal: record %llu written, %llu at the hub, %s on disk",
			   (unsigned long long)board->journal_seq,
			   (unsigned long long)board->journal_acked_seq, figure);
	if (board->journal_dropped_records_total)
		str_printf(&s, ", %llu records given up for its budget",
			   (unsigned long long)board->journal_dropped_records_total);
	if (board->journal_torn_total)
		str_printf(&s, ", a torn end cut off at the start");
	if (board->journal_quarantined_total)
		str_printf(&s, ", %llu broken segments set aside with %llu records at least",
			   (unsigned long long)board->journal_quarantined_total,
			   (unsigned long long)board->journal_lost_records_total);
	if (board->journal_failures_total)
		str_printf(&s, ", %llu failed writes",
			   (unsigned long long)board->journal_failures_total);
	show_wrapped(show, 0, line);
}

static void show_trouble(const struct show *show, const struct board *board)
{
	fputs(table_style_begin(TABLE_BAD, show->colour), show->to);
	show_wrapped(show, 0, board->trouble);
	fputs(table_style_end(TABLE_BAD, show->colour), show->to);
}

static void show_drops_text(const struct board_collector *row, char *buf, size_t size)
{
	char figure[STR_FIGURE_SIZE];
	struct str s;

	str_init(&s, buf, size);
	for (unsigned i = 0; i < row->drop_count; i++) {
		if (!row->drops[i].total)
			continue;
		str_printf(&s, "%s%s %s", s.length ? ", " : "",
			   str_format_count(figure, sizeof(figure), row->drops[i].total),
			   row->drops[i].reason);
	}
}

void show_collectors(const struct show *show, const struct board *board)
{
	static const struct table_column columns[] = {
		{"HOST", TABLE_LEFT, 6, 2},   {"COLLECTOR", TABLE_LEFT, 0, 0},
		{"TIER", TABLE_LEFT, 0, 0},   {"EVENTS", TABLE_RIGHT, 0, 0},
		{"DROPS", TABLE_LEFT, 10, 3}, {"WHAT", TABLE_LEFT, 30, 1},
	};
	struct table *table = table_new(columns, ARRAY_LEN(columns));
	char drops[512];

	for (size_t i = 0; i < board->collector_count; i++) {
		const struct board_collector *row = &board->collectors[i];
		bool off = strcmp(row->tier, "off") == 0;

		show_drops_text(row, drops, sizeof(drops));
		table_foreign(table, TABLE_DIM, row->host);
		table_foreign(table, TABLE_BOLD, row->name);
		table_foreign(table,
			      !off		? TABLE_GOOD
			      : row->problem[0] ? TABLE_WARN
						: TABLE_DIM,
			      row->tier);
		cell_count(table, TABLE_PLAIN, row->events_total);
		table_foreign(table, drops[0] ? TABLE_WARN : TABLE_DIM, drops[0] ? drops : "none");
		table_foreign(table, row->problem[0] ? TABLE_WARN : TABLE_DIM,
			      row->problem[0] ? row->problem : row->detail);
	}
	show_table(show, table, 0);
}

/* First what happens: what never did, and queues with nothing in them, are lines to be read past. */
static void show_gauges(const struct show *show, const struct board *board)
{
	static const struct table_column columns[] = {
		{"HOST", TABLE_LEFT, 6, 1},   {"SERVICE", TABLE_LEFT, 7, 2},
		{"GAUGE", TABLE_LEFT, 12, 0}, {"OF", TABLE_LEFT, 8, 0},
		{"VALUE", TABLE_RIGHT, 0, 0},
	};
	struct table *table = table_new(columns, ARRAY_LEN(columns));
	char figure[STR_FIGURE_SIZE], line[SHOW_TEXT_MAX];
	size_t zeros = 0;

	for (size_t i = 0; i < board->gauge_count; i++) {
		const struct gauge *row = &board->gauges[i];

		if (row->value == 0 && !show->all) {
			zeros++;
			continue;
		}
		table_foreign(table, TABLE_DIM, row->host);
		table_foreign(table, TABLE_PLAIN, row->service);
		table_foreign(table, TABLE_PLAIN, row->name);
		table_foreign(table, TABLE_DIM, row->label);
		table_cell(table, TABLE_PLAIN, "%s",
			   figure_gauge(figure, sizeof(figure), row->name, row->value));
	}
	if (board->gauge_count)
		show_end(show);
	show_table(show, table, 0);
	if (!zeros)
		return;
	snprintf(line, sizeof(line), "%zu gauge%s of 0 %s not shown; --all shows %s", zeros,
		 zeros == 1 ? "" : "s", zeros == 1 ? "is" : "are", zeros == 1 ? "it" : "them");
	show_wrapped(show, 0, line);
}

void show_hosts(const struct show *show, const struct view *view)
{
	static const struct table_column columns[] = {
		{"HOST", TABLE_LEFT, 10, 0},   {"STATE", TABLE_LEFT, 0, 0},
		{"SEEN", TABLE_RIGHT, 0, 0},   {"VERSION", TABLE_LEFT, 0, 1},
		{"RECORD", TABLE_RIGHT, 0, 2}, {"LOST RECORDS", TABLE_RIGHT, 0, 3},
		{"PROBLEM", TABLE_LEFT, 0, 3},
	};
	struct table *table = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < view->board->host_count; i++) {
		const struct board_host *row = &view->board->hosts[i];
		char age[STR_FIGURE_SIZE];

		table_foreign(table, TABLE_BOLD, row->host);
		table_cell(table, row->connected ? TABLE_GOOD : TABLE_BAD, "%s",
			   row->connected ? "connected" : "silent");
		table_cell(table, TABLE_DIM, "%s ago",
			   figure_age(age, sizeof(age), row->last_seen, view->at));
		table_foreign(table, TABLE_DIM, row->version);
		table_cell(table, TABLE_DIM, "%llu", (unsigned long long)row->last_seq);
		cell_count(table, row->gap_records_total ? TABLE_WARN : TABLE_DIM,
			   row->gap_records_total);
		table_foreign(table, TABLE_BAD, row->problem);
	}
	show_table(show, table, 0);
	if (!view->board->host_count)
		show_nothing(show, "no agent has connected yet");
}

void show_status(const struct show *show, const struct view *view)
{
	const struct board *board = view->board;

	show_process(show, view);
	show_cost(show, board);
	show_journal(show, board);
	if (board->trouble[0])
		show_trouble(show, board);
	show_end(show);
	show_collectors(show, board);
	if (board->objective_count)
		show_end(show);
	show_objectives(show, board, 0);
	if (board->host_count > 1) {
		show_end(show);
		show_hosts(show, view);
	}
	show_gauges(show, board);
}
