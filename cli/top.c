/* SPDX-License-Identifier: Apache-2.0 */
/* `vow top`: the figures of now, every second, on a full screen; once when there is no terminal. */
#include "cli/top.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/past.h"
#include "lib/base/clock.h"

#define TOP_EVERY NS_PER_S /* the agent's tick: nothing changes faster */

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

/* Parts that nothing is to be cut from before they are arranged, and of alerts the newest. */
static struct view_query top_query(const struct top *top, enum top_part part)
{
	struct view_query query = cli_query(top->options, top_whats[part], top->window);

	query.window = top->window;
	if (part == TOP_ROUTES)
		query.limit = 0;
	else if (part == TOP_ALERTS)
		query.limit = 1;
	return query;
}

/* Of the rows, which come busiest first, as many as are wanted, in the order that is wanted. */
static void top_arrange(struct top *top)
{
	struct view *routes = top->parts[TOP_ROUTES];

	if (top->options->output != CLI_JSON)
		top_drop_deliveries(routes);
	if (top->options->limit && top->options->limit < routes->route_count)
		routes->route_count = top->options->limit;
	top_sort_routes(top);
}

/* All parts from the journal: what was. */
static int top_recall(struct top *top, struct diag *d)
{
	struct past *past = NULL;
	wall_ns at;
	int rc = past_parse(top->options->at, clock_wall(), &at, d);

	if (!rc)
		rc = past_open(top->options->dir, at, top->window, &past, d);
	for (unsigned i = 0; !rc && i < TOP_PARTS; i++) {
		const struct view_query query = top_query(top, i);

		rc = past_view(past, &query, &top->parts[i]);
		if (rc)
			diag_errno(d, rc, NULL, NULL, "cannot read the past");
	}
	past_close(past);
	if (!rc)
		top_arrange(top);
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
		const struct view_query query = top_query(top, i);

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
	top_arrange(top);
	return 0;
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
	if (top->options->output == CLI_JSON)
		return cli_print_json(view_json(top->parts[TOP_ROUTES], true));
	top_print(top);
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
		status = top_once(&top);
		top_forget(&top);
		return status;
	}
	/* The first answer is asked for before the screen is taken: an error stays readable. */
	if (top_refresh(&top, &d))
		return cli_complain(&d, CLI_UNREACHABLE);
	if (options->output != CLI_JSON && isatty(STDOUT_FILENO) && isatty(STDIN_FILENO))
		status = top_live(&top);
	else
		status = top_once(&top);
	top_forget(&top);
	ask_close(&top.ask);
	return status;
}
