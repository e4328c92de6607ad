/* SPDX-License-Identifier: Apache-2.0 */
/* `vow top`: the figures of now, every second, on a full screen; once when there is no terminal. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/figure.h"
#include "cli/options.h"
#include "cli/past.h"
#include "cli/screen.h"
#include "cli/show.h"
#include "cli/table.h"
#include "lib/base/clock.h"

#define TOP_EVERY NS_PER_S /* the agent's tick: nothing changes faster */

enum top_sort { TOP_BY_RATE, TOP_BY_P95, TOP_BY_P99, TOP_BY_ERRORS, TOP_BY_NAME, TOP_SORTS };
static const char *const top_sorts[TOP_SORTS] = {"rate", "p95", "p99", "errors", "name"};

enum top_part { TOP_STATUS, TOP_ROUTES, TOP_DELIVERIES, TOP_ALERTS, TOP_PARTS };

struct top {
	const struct cli_options *options;
	struct ask ask;
	bool connected, paused;
	enum series_window window;
	enum top_sort sort;
	size_t scroll; /* routes above the first that is shown */
	struct view *parts[TOP_PARTS];
	struct diag lost; /* why there are no newer figures, while !connected */
};

/* ---- asking ------------------------------------------------------------------------------------ */

static void top_forget(struct top *top)
{
	for (unsigned i = 0; i < TOP_PARTS; i++) {
		view_free(top->parts[i]);
		top->parts[i] = NULL;
	}
}

static int top_compare(const void *left, const void *right, void *sort)
{
	const struct view_route *a = left, *b = right;
	int order = 0;

	switch (*(const enum top_sort *)sort) {
	case TOP_BY_P95:
		order = (a->p95.value_ns < b->p95.value_ns) - (a->p95.value_ns > b->p95.value_ns);
		break;
	case TOP_BY_P99:
		order = (a->p99.value_ns < b->p99.value_ns) - (a->p99.value_ns > b->p99.value_ns);
		break;
	case TOP_BY_ERRORS:
		order = (a->errors < b->errors) - (a->errors > b->errors);
		break;
	case TOP_BY_NAME:
		order = strcmp(a->key.service, b->key.service);
		order = order ? order : strcmp(a->key.route, b->key.route);
		break;
	case TOP_BY_RATE:
	case TOP_SORTS:
		break;
	}
	return order ? order : (a->count < b->count) - (a->count > b->count);
}

/* Deliveries and their attempts have a table of their own. */
static void top_drop_deliveries(struct view *view)
{
	size_t kept = 0;

	for (size_t i = 0; i < view->route_count; i++) {
		enum series_kind kind = view->routes[i].key.kind;

		if (kind != SERIES_DELIVERY && kind != SERIES_ATTEMPT)
			view->routes[kept++] = view->routes[i];
	}
	view->route_count = kept;
}

static void top_sort_routes(struct top *top)
{
	struct view *view = top->parts[TOP_ROUTES];

	if (view)
		qsort_r(view->routes, view->route_count, sizeof(*view->routes), top_compare,
			&top->sort);
}

static const enum view_what top_whats[TOP_PARTS] = {
	[TOP_STATUS] = VIEW_STATUS,
	[TOP_ROUTES] = VIEW_ROUTES,
	[TOP_DELIVERIES] = VIEW_DELIVERIES,
	[TOP_ALERTS] = VIEW_ALERTS,
};

/* All parts from the journal: what was. */
static int top_recall(struct top *top, struct diag *d)
{
	struct past *past = NULL;
	wall_ns at;
	int rc = past_parse(top->options->at, clock_wall(), &at, d);

	if (!rc)
		rc = past_open(top->options->dir, at, top->window, &past, d);
	for (unsigned i = 0; !rc && i < TOP_PARTS; i++) {
		struct view_query query = cli_query(top->options, top_whats[i], top->window);

		rc = past_view(past, &query, &top->parts[i]);
		if (rc)
			diag_errno(d, rc, NULL, NULL, "cannot read the past");
	}
	past_close(past);
	if (!rc && top->options->output != CLI_JSON)
		top_drop_deliveries(top->parts[TOP_ROUTES]);
	if (!rc)
		top_sort_routes(top);
	return rc;
}

/* Asks for all parts; the old ones stay until the new ones are there. */
static int top_refresh(struct top *top, struct diag *d)
{
	struct view *fresh[TOP_PARTS] = {NULL};
	int rc = 0;

	if (!top->connected)
		rc = ask_open(&top->ask, top->options->dir, top->options->hub, d);
	for (unsigned i = 0; !rc && i < TOP_PARTS; i++) {
		struct view_query query = cli_query(top->options, top_whats[i], top->window);

		query.window = top->window;
		query.limit = i == TOP_ALERTS ? 3 : 0;
		rc = ask_view(&top->ask, &query, &fresh[i], d);
	}
	top->connected = rc == 0;
	if (rc) {
		for (unsigned i = 0; i < TOP_PARTS; i++)
			view_free(fresh[i]);
		ask_close(&top->ask);
		return rc;
	}
	top_forget(top);
	memcpy(top->parts, fresh, sizeof(fresh));
	if (top->options->output != CLI_JSON)
		top_drop_deliveries(top->parts[TOP_ROUTES]);
	top_sort_routes(top);
	return 0;
}

/* ---- the page ---------------------------------------------------------------------------------- */

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

/* What the server side of this host answered, all routes together. */
static void top_load(const struct top *top, const struct show *show)
{
	const struct view *view = top->parts[TOP_ROUTES];
	uint64_t count = 0, errors = 0;
	double window_s = view && view->route_count ? view->routes[0].window_s : 0;
	char rate[STR_FIGURE_SIZE], share[STR_FIGURE_SIZE];

	for (size_t i = 0; view && i < view->route_count; i++) {
		const struct view_route *route = &view->routes[i];

		if (route->key.role != SERIES_SERVER || route->key.kind > SERIES_APP)
			continue;
		count += route->count;
		errors += route->errors;
	}
	fprintf(show->to, "served %s", figure_rate(rate, sizeof(rate), count, window_s));
	if (count)
		fprintf(show->to, ", %s%s errors%s",
			table_style_begin(errors ? TABLE_WARN : TABLE_PLAIN, show->colour),
			figure_share(share, sizeof(share), (double)errors / (double)count),
			table_style_end(errors ? TABLE_WARN : TABLE_PLAIN, show->colour));
}

static void top_gauge(const struct board *board, const struct show *show, const char *name,
		      const char *title)
{
	char figure[STR_FIGURE_SIZE];

	for (size_t i = 0; board->host_count <= 1 && i < board->gauge_count; i++) {
		const struct gauge *gauge = &board->gauges[i];

		if (gauge->service[0] || strcmp(gauge->name, name) != 0)
			continue;
		fprintf(show->to, "  %s %s", title,
			figure_gauge(figure, sizeof(figure), name, gauge->value));
		return;
	}
}

static void top_summary(const struct top *top, const struct show *show)
{
	const struct board *board = top_board(top);
	char rss[STR_FIGURE_SIZE];
	uint64_t drops = 0;

	top_load(top, show);
	if (board) {
		top_gauge(board, show, "cpu_ratio", "cpu");
		top_gauge(board, show, "memory_used_ratio", "memory");
		if (board->host_count > 1)
			fprintf(show->to, "  %zu hosts", board->host_count);
		for (size_t i = 0; i < board->collector_count; i++)
			for (unsigned k = 0; k < board->collectors[i].drop_count; k++)
				drops += board->collectors[i].drops[k].total;
		if (drops)
			fprintf(show->to, "  %s%llu dropped%s",
				table_style_begin(TABLE_WARN, show->colour),
				(unsigned long long)drops,
				table_style_end(TABLE_WARN, show->colour));
		fprintf(show->to, "  %s%s %s, %.1f %% cpu%s",
			table_style_begin(TABLE_DIM, show->colour), board->program,
			str_format_bytes(rss, sizeof(rss), board->rss_bytes),
			board->cpu_ratio * 100, table_style_end(TABLE_DIM, show->colour));
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

static void top_alert(const struct top *top, const struct show *show)
{
	const struct view *view = top->parts[TOP_ALERTS];
	const struct board_alert *row;
	enum table_style style;
	char age[STR_FIGURE_SIZE];

	if (!view || !view->board || !view->board->alert_count)
		return;
	fputs(show->line_end, show->to);
	row = &view->board->alerts[0];
	style = row->alert.to == ALERT_FIRING ? TABLE_BAD : TABLE_PLAIN;
	fprintf(show->to, "%s%s %s ago%s  ", table_style_begin(style, show->colour),
		alert_state_name(row->alert.to), figure_age(age, sizeof(age), row->at, view->at),
		table_style_end(style, show->colour));
	show_foreign(show, row->alert.objective);
	fputs(": ", show->to);
	show_foreign(show, row->alert.reason);
	fputs(show->line_end, show->to);
}

/* Lines that the parts of the page get, from top to bottom. */
struct top_rows {
	size_t objectives, routes, deliveries; /* rows without their heads; SIZE_MAX: all */
};

static size_t top_least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * Title, summary, trouble, alert and keys take 7 lines, each table a head and a blank line. Then
 * objectives get up to a quarter, deliveries up to a third of what is left, routes the rest.
 */
static struct top_rows top_layout(const struct top *top, unsigned height)
{
	const struct board *board = top_board(top);
	const struct view *deliveries = top->parts[TOP_DELIVERIES];
	size_t objective_count = board ? board->objective_count : 0;
	size_t delivery_count = deliveries ? deliveries->delivery_count : 0;
	size_t lines = height > 9 ? height - 9 : 1;
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
			bytes = table_text_next(from, &columns);
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

static void top_draw(const struct top *top, const struct screen *screen, bool colour)
{
	struct top_rows rows = top_layout(top, screen->height);
	size_t size = 0;
	char *page = NULL;
	FILE *to = open_memstream(&page, &size);
	struct show show = {to, screen->width, colour, screen_line_end()};

	if (!to)
		return; /* memory lacks now: the next second draws */
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

/* ---- keys -------------------------------------------------------------------------------------- */

enum top_next { TOP_QUIT, TOP_REDRAW, TOP_REFRESH, TOP_WAIT };

static enum top_next top_scroll(struct top *top, ptrdiff_t by)
{
	size_t count = top->parts[TOP_ROUTES] ? top->parts[TOP_ROUTES]->route_count : 0;
	ptrdiff_t to = (ptrdiff_t)top->scroll + by;

	top->scroll = to < 0 ? 0 : top_least((size_t)to, count ? count - 1 : 0);
	return TOP_REDRAW;
}

static enum top_next top_window(struct top *top, enum series_window window)
{
	top->window = window;
	return TOP_REFRESH;
}

static enum top_next top_key(struct top *top, int key)
{
	switch (key) {
	case SCREEN_QUIT:
	case 'q':
		return TOP_QUIT;
	case SCREEN_TIMEOUT:
		return top->paused ? TOP_WAIT : TOP_REFRESH;
	case 's':
		top->sort = (top->sort + 1) % TOP_SORTS;
		top_sort_routes(top);
		return TOP_REDRAW;
	case 'w':
		return top_window(top, top->window < WINDOW_30D ? top->window + 1 : WINDOW_10S);
	case 't':
		return top_window(top, top->window == SERIES_TOTAL ? WINDOW_10S : SERIES_TOTAL);
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
	case '7':
	case '8':
	case '9':
		return top_window(top, (enum series_window)(key - '1'));
	case 'p':
	case ' ':
		top->paused = !top->paused;
		return TOP_REDRAW;
	case SCREEN_UP:
	case 'k':
		return top_scroll(top, -1);
	case SCREEN_DOWN:
	case 'j':
		return top_scroll(top, 1);
	case SCREEN_PAGE_UP:
		return top_scroll(top, -10);
	case SCREEN_PAGE_DOWN:
		return top_scroll(top, 10);
	default:
		return TOP_REDRAW;
	}
}

static int top_live(struct top *top)
{
	bool colour = cli_colour(top->options);
	struct screen screen;
	enum top_next next = TOP_REDRAW;
	mono_ns deadline = clock_mono();
	struct diag d;
	int rc = screen_open(&screen, &d);

	if (rc)
		return cli_complain(&d, CLI_NO);
	while (next != TOP_QUIT) {
		if (next == TOP_REFRESH && top_refresh(top, &d))
			top->lost = d;
		if (next != TOP_WAIT)
			top_draw(top, &screen, colour);
		if (next == TOP_REFRESH || next == TOP_WAIT)
			deadline = clock_mono() + TOP_EVERY;
		next = top_key(top, screen_wait(&screen, deadline));
	}
	screen_close(&screen);
	return CLI_FINE;
}

static int top_once(const struct top *top)
{
	struct top_rows all = {SIZE_MAX, SIZE_MAX, SIZE_MAX};
	struct show show = {stdout, 0, cli_colour(top->options), "\n"};

	top_page(top, &show, &all);
	return CLI_FINE;
}

int cli_top(const struct cli_options *options)
{
	struct top top = {
		.options = options,
		.ask = {.fd = -1},
		.window = cli_query(options, VIEW_ROUTES, WINDOW_10S).window,
	};
	struct diag d;
	int status;

	if (options->at) {
		int rc = top_recall(&top, &d);

		if (rc)
			return cli_complain(&d, rc == -EINVAL ? CLI_USAGE : CLI_UNREACHABLE);
		status = options->output == CLI_JSON
				 ? cli_print_json(view_json(top.parts[TOP_ROUTES], true))
				 : top_once(&top);
		top_forget(&top);
		return status;
	}
	/* The first answer is asked for before the screen is taken: an error stays readable. */
	if (top_refresh(&top, &d))
		return cli_complain(&d, CLI_UNREACHABLE);
	if (options->output == CLI_JSON)
		status = cli_print_json(view_json(top.parts[TOP_ROUTES], true));
	else if (isatty(STDOUT_FILENO) && isatty(STDIN_FILENO))
		status = top_live(&top);
	else
		status = top_once(&top);
	top_forget(&top);
	ask_close(&top.ask);
	return status;
}
