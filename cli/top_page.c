/* SPDX-License-Identifier: Apache-2.0 */
/* The page of `vow top`: title, summary and trouble, three tables, the newest alert, the keys. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/columns.h"
#include "cli/figure.h"
#include "cli/table.h"
#include "cli/top.h"
#include "lib/base/clock.h"

static const char *const top_sorts[TOP_SORTS] = {"rate", "p95", "p99", "errors", "name"};

static const char *top_window_name(enum series_window window)
{
	static const char *const names[WINDOW_COUNT] = {
		[WINDOW_10S] = "10 s", [WINDOW_1M] = "1 min",
		[WINDOW_5M] = "5 min", [WINDOW_30M] = "30 min",
		[WINDOW_1H] = "1 h",   [WINDOW_6H] = "6 h",
		[WINDOW_1D] = "1 d",   [WINDOW_3D] = "3 d",
		[WINDOW_30D] = "30 d", [SERIES_TOTAL] = "since start",
	};

	return names[window];
}

static const struct board *top_board(const struct top *top)
{
	return top->parts[TOP_STATUS] ? top->parts[TOP_STATUS]->board : NULL;
}

static void top_title(const struct top *top, const struct show *show)
{
	const struct board *board = top_board(top);
	time_t now = (time_t)(clock_wall() / NS_PER_S);
	char clock[16];
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	fprintf(show->to, "%svow top%s  %s  ", table_style_begin(TABLE_BOLD, show->colour),
		table_style_end(TABLE_BOLD, show->colour), clock);
	show_foreign(show, board ? board->host : top->ask.where);
	fprintf(show->to, "  window %s%s%s  by %s%s%s", table_style_begin(TABLE_BOLD, show->colour),
		top_window_name(top->window), table_style_end(TABLE_BOLD, show->colour),
		table_style_begin(TABLE_BOLD, show->colour), top_sorts[top->sort],
		table_style_end(TABLE_BOLD, show->colour));
	if (top->options->service) {
		fputs("  service ", show->to);
		show_foreign(show, top->options->service);
	}
	if (top->paused)
		fprintf(show->to, "  %spaused%s", table_style_begin(TABLE_WARN, show->colour),
			table_style_end(TABLE_WARN, show->colour));
	fputs(show->line_end, show->to);
}

/* A line of parts with two spaces between; a part that does not fit is left out whole. */
struct top_line {
	const struct show *show;
	unsigned columns; /* taken so far */
};

__attribute__((format(printf, 3, 4))) static void top_part(struct top_line *line,
							   enum table_style style,
							   const char *format, ...)
{
	const struct show *show = line->show;
	unsigned gap = line->columns ? 2 : 0, columns;
	char text[128];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	columns = gap + columns_of(text);
	if (show->width && line->columns + columns > show->width)
		return;
	line->columns += columns;
	fprintf(show->to, "%*s%s%s%s", (int)gap, "", table_style_begin(style, show->colour), text,
		table_style_end(style, show->colour));
}

/* What the server side of this host answered, all routes together. */
static void top_load(const struct top *top, struct top_line *line)
{
	const struct view *view = top->parts[TOP_ROUTES];
	uint64_t count = 0, errors = 0;
	double window_s = view && view->route_count ? view->routes[0].window_s : 0;
	char figure[STR_FIGURE_SIZE];

	for (size_t i = 0; view && i < view->route_count; i++) {
		const struct view_route *route = &view->routes[i];

		if (route->key.role != SERIES_SERVER || route->key.kind > SERIES_APP)
			continue;
		count += route->count;
		errors += route->errors;
	}
	top_part(line, TABLE_PLAIN, "served %s",
		 figure_rate(figure, sizeof(figure), count, window_s));
	if (count)
		top_part(line, errors ? TABLE_WARN : TABLE_PLAIN, "errors %s",
			 figure_share(figure, sizeof(figure), (double)errors / (double)count));
}

static void top_gauge(const struct board *board, struct top_line *line, const char *name,
		      const char *title)
{
	char figure[STR_FIGURE_SIZE];

	for (size_t i = 0; board->host_count <= 1 && i < board->gauge_count; i++) {
		const struct gauge *gauge = &board->gauges[i];

		if (gauge->service[0] || strcmp(gauge->name, name) != 0)
			continue;
		top_part(line, TABLE_PLAIN, "%s %s", title,
			 figure_gauge(figure, sizeof(figure), name, gauge->value));
		return;
	}
}

static uint64_t top_drops(const struct board *board)
{
	uint64_t drops = 0;

	for (size_t i = 0; i < board->collector_count; i++)
		for (unsigned k = 0; k < board->collectors[i].drop_count; k++)
			drops += board->collectors[i].drops[k].total;
	return drops;
}

static void top_summary(const struct top *top, const struct show *show)
{
	const struct board *board = top_board(top);
	struct top_line line = {.show = show};
	char figure[STR_FIGURE_SIZE];

	top_load(top, &line);
	if (board) {
		top_gauge(board, &line, "cpu_ratio", "cpu");
		top_gauge(board, &line, "memory_used_ratio", "memory");
		if (board->host_count > 1)
			top_part(&line, TABLE_PLAIN, "%zu hosts", board->host_count);
		if (top_drops(board))
			top_part(&line, TABLE_WARN, "%s dropped",
				 str_format_count(figure, sizeof(figure), top_drops(board)));
		top_part(&line, TABLE_DIM, "%s %s, %.1f %% cpu", board->program,
			 str_format_bytes(figure, sizeof(figure), board->rss_bytes),
			 board->cpu_ratio * 100);
	}
	fputs(show->line_end, show->to);
}

/* The one line for what is wrong: with the connection first, then with the agent. */
static void top_trouble(const struct top *top, const struct show *show)
{
	const struct board *board = top_board(top);
	const char *text = !top->connected ? top->lost.what : board ? board->trouble : "";
	enum table_style style = *text ? TABLE_BAD : TABLE_DIM;

	fputs(table_style_begin(style, show->colour), show->to);
	show_foreign(show, text);
	if (!top->connected)
		fputs("; asking again every second", show->to);
	fputs(table_style_end(style, show->colour), show->to);
	fputs(show->line_end, show->to);
}

/* The newest alert in words, and before them when it came. */
struct top_words {
	char when[64], what[sizeof(((struct alert_action *)0)->reason) + 128];
	enum table_style style;
};

/* False when no alert changed yet. */
static bool top_alert_words(const struct top *top, struct top_words *words)
{
	const struct view *view = top->parts[TOP_ALERTS];
	const struct board_alert *row;
	char age[STR_FIGURE_SIZE];

	if (!view || !view->board || !view->board->alert_count)
		return false;
	row = &view->board->alerts[0];
	words->style = row->alert.to == ALERT_FIRING ? TABLE_BAD : TABLE_PLAIN;
	snprintf(words->when, sizeof(words->when), "%s %s ago  ", alert_state_name(row->alert.to),
		 figure_age(age, sizeof(age), row->at, view->at));
	snprintf(words->what, sizeof(words->what), "%s: %s", row->alert.objective,
		 row->alert.reason);
	return true;
}

/* With the blank line before it. */
static size_t top_alert_lines(const struct top *top, const struct show *show)
{
	struct top_words words;

	if (!top_alert_words(top, &words))
		return 0;
	return 1 + show_wrapped_lines(show, columns_of(words.when), words.what);
}

static void top_alert(const struct top *top, const struct show *show)
{
	struct top_words words;

	if (!top_alert_words(top, &words))
		return;
	fprintf(show->to, "%s%s%s%s", show->line_end, table_style_begin(words.style, show->colour),
		words.when, table_style_end(words.style, show->colour));
	show_wrapped(show, columns_of(words.when), words.what);
}

/* Lines that the parts of the page get, from top to bottom. */
struct top_rows {
	size_t objectives, routes, deliveries; /* rows without their heads; SIZE_MAX: all */
};

/*
 * Title, summary, trouble and keys take a line each, each table a head and a blank line; the alert
 * what its words need. Then objectives get up to a quarter, deliveries up to a third of what is
 * left, routes the rest.
 */
static struct top_rows top_layout(const struct top *top, const struct show *show, size_t height)
{
	const struct board *board = top_board(top);
	const struct view *deliveries = top->parts[TOP_DELIVERIES];
	size_t objective_count = board ? board->objective_count : 0;
	size_t delivery_count = deliveries ? deliveries->delivery_count : 0;
	size_t taken = 4 + top_alert_lines(top, show) + 2;
	size_t lines = height > taken ? height - taken : 1;
	struct top_rows rows = {0};

	if (objective_count && lines > 6) {
		rows.objectives = top_least(objective_count, lines / 4);
		lines -= rows.objectives + 2;
	}
	if (delivery_count && lines > 6) {
		rows.deliveries = top_least(delivery_count, lines / 3);
		lines -= rows.deliveries + 2;
	}
	rows.routes = lines;
	return rows;
}

static void top_routes(const struct top *top, const struct show *show, size_t rows)
{
	const struct view *all = top->parts[TOP_ROUTES];
	struct view part;
	size_t from;

	if (!all || !all->route_count) {
		fprintf(show->to, "%sno request in this window%s%s",
			table_style_begin(TABLE_DIM, show->colour),
			table_style_end(TABLE_DIM, show->colour), show->line_end);
		return;
	}
	part = *all;
	from = rows < all->route_count ? top_least(top->scroll, all->route_count - rows) : 0;
	part.routes = all->routes + from;
	part.route_count = top_least(rows, all->route_count - from);
	show_routes(show, &part, 0);
}

static void top_page(const struct top *top, const struct show *show, const struct top_rows *rows)
{
	const struct board *board = top_board(top);

	if (rows->objectives && board && board->objective_count) {
		show_objectives(show, board, rows->objectives);
		fputs(show->line_end, show->to);
	}
	top_routes(top, show, rows->routes);
	if (rows->deliveries && top->parts[TOP_DELIVERIES] &&
	    top->parts[TOP_DELIVERIES]->delivery_count) {
		fputs(show->line_end, show->to);
		show_deliveries(show, top->parts[TOP_DELIVERIES], rows->deliveries);
	}
}

/*
 * Drops what stands beyond the right edge: a terminal that does not wrap draws all of it into its
 * last column. Returns the size that is left.
 */
static size_t top_trim(char *page, unsigned width)
{
	char *to = page;
	unsigned column = 0;

	for (const char *from = page; *from;) {
		size_t bytes = 1;
		unsigned columns = 0;

		if (*from == '\033') {
			/* ESC [ parameters letter; H puts the cursor elsewhere. */
			bytes = 2 + strcspn(from + 2, "HKm") + 1;
			column = from[bytes - 1] == 'H' ? 0 : column;
		} else if (*from == '\r' || *from == '\n') {
			column = 0;
		} else {
			bytes = columns_next(from, &columns);
		}
		if (column + columns <= width) {
			memmove(to, from, bytes);
			to += bytes;
		}
		column += columns;
		from += bytes;
	}
	return (size_t)(to - page);
}

void top_draw(const struct top *top, const struct screen *screen, bool colour)
{
	size_t size = 0;
	char *page = NULL;
	FILE *to = open_memstream(&page, &size);
	struct show show = {to, screen->width, colour, screen_line_end(), false};
	struct top_rows rows;

	if (!to)
		return; /* memory lacks now: the next second draws */
	rows = top_layout(top, &show, screen->height);
	top_title(top, &show);
	top_summary(top, &show);
	top_trouble(top, &show);
	top_page(top, &show, &rows);
	top_alert(top, &show);
	fprintf(to, "\033[%u;1H%sq quit  s sort  w window  t since start  ↑↓ scroll  p pause%s",
		screen->height, table_style_begin(TABLE_DIM, colour),
		table_style_end(TABLE_DIM, colour));
	if (fclose(to) == 0)
		screen_show(page, top_trim(page, screen->width));
	free(page);
}

void top_print(const struct top *top)
{
	struct top_rows all = {SIZE_MAX, SIZE_MAX, SIZE_MAX};
	struct show show = cli_stdout(top->options);

	top_page(top, &show, &all);
}
