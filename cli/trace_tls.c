/* SPDX-License-Identifier: Apache-2.0 */
/* `vow trace-tls`: whose requests within TLS are read in the clear, to begin that and to end it. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "cli/ask.h"
#include "cli/cell.h"
#include "cli/options.h"
#include "cli/show_parts.h"
#include "lib/base/str.h"

#define TRACE_LASTS (10 * NS_PER_MIN) /* long enough to look, too short to be forgotten */
#define LOOK_EVERY  (100 * NS_PER_MS)
#define LOOKS_MAX   50 /* the agent looks through /proc for a second or two, and tells each second */

/* ---- what is traced ------------------------------------------------------------------------------ */

static void traced_row(struct table *table, const struct view *view, const struct traced_row *row)
{
	bool traced = row->processes && !row->problem[0];

	table_foreign(table, TABLE_BOLD, row->service);
	table_cell(table, TABLE_DIM, "%s", row->configured ? "configuration" : "command");
	cell_dur(table, TABLE_DIM, row->since != 0,
		 view->at > row->since ? view->at - row->since : 0);
	cell_dur(table, TABLE_PLAIN, row->until != 0,
		 row->until > view->at ? row->until - view->at : 0);
	table_cell(table, traced ? TABLE_GOOD : TABLE_WARN, "%u", row->processes);
	table_foreign(table, TABLE_PLAIN, row->library);
	table_foreign(table, TABLE_DIM,
		      traced	     ? row->how
		      : row->looking ? "looking"
				     : "not traced");
}

static void traced_why_not(const struct show *show, const struct traced_row *row)
{
	char line[sizeof(row->service) + sizeof(row->problem) + 2];

	if (!row->problem[0])
		return;
	snprintf(line, sizeof(line), "%s: %s", row->service, row->problem);
	show_wrapped(show, 0, line);
}

void show_traced(const struct show *show, const struct view *view)
{
	static const struct table_column columns[] = {
		{"SERVICE", TABLE_LEFT, 10, 0},	  {"BY", TABLE_LEFT, 0, 3},
		{"SINCE", TABLE_RIGHT, 0, 2},	  {"LEFT", TABLE_RIGHT, 0, 5},
		{"PROCESSES", TABLE_RIGHT, 0, 4}, {"LIBRARY", TABLE_LEFT, 8, 1},
		{"HOW", TABLE_LEFT, 0, 4},
	};
	struct table *table = table_new(columns, ARRAY_LEN(columns));
	const struct board *board = view->board;

	for (size_t i = 0; i < board->traced_count; i++)
		traced_row(table, view, &board->traced[i]);
	show_table(show, table, 0);
	for (size_t i = 0; i < board->traced_count; i++)
		traced_why_not(show, &board->traced[i]);
	if (!board->traced_count)
		show_nothing(show, "no service's requests within TLS are read in the clear");
}

/* ---- orders -------------------------------------------------------------------------------------- */

/* Of what was asked for; a name is one that a service could have. */
static int order_fill(const struct cli_options *options, const char *service,
		      struct trace_order *order, struct diag *d)
{
	series_text_set(order->service, sizeof(order->service), service, strlen(service));
	if (!service[0] || strcmp(order->service, service) != 0)
		return diag_set(d, -EINVAL, NULL, "vow routes shows the names of services",
				"'%.60s' cannot be the name of a service", service);
	if (strpbrk(service, "*?"))
		return diag_set(d, -EINVAL, NULL,
				"name one service; patterns belong into capture.tls of the "
				"configuration",
				"'%.60s' is a pattern", service);
	if (!options->off)
		order->lasts = options->lasts ? options->lasts : TRACE_LASTS;
	return 0;
}

static bool is_looking(const struct view *view, const char *service)
{
	for (size_t i = 0; view->board && i < view->board->traced_count; i++)
		if (view->board->traced[i].looking &&
		    !strcmp(view->board->traced[i].service, service))
			return true;
	return false;
}

/* Until the agent has found the processes; *view is then what it says. */
static int order_follow(struct ask *ask, struct view_query *query, struct view **view,
			struct diag *d)
{
	const struct timespec pause = {.tv_nsec = (long)LOOK_EVERY};
	const struct trace_order order = query->trace;
	int rc = 0;

	query->trace = (struct trace_order){0};
	for (int i = 0; !rc && i < LOOKS_MAX && is_looking(*view, order.service); i++) {
		view_free(*view);
		*view = NULL;
		nanosleep(&pause, NULL);
		rc = ask_view(ask, query, view, d);
	}
	return rc;
}

/* Whether it was the agent that refused, and not the way to it that failed. */
static bool is_refusal(int rc)
{
	return rc == -EPERM || rc == -ENOTSUP || rc == -ENOSPC || rc == -ENOENT || rc == -EBUSY;
}

static void order_tell(const struct show *show, const struct trace_order *order)
{
	char line[SHOW_TEXT_MAX], lasts[STR_FIGURE_SIZE];

	if (order->lasts)
		snprintf(line, sizeof(line),
			 "Requests of %s within TLS are read in the clear for %s. A new "
			 "configuration "
			 "leaves that as it is; a restart of vowd ends it.",
			 order->service, str_format_dur(lasts, sizeof(lasts), order->lasts));
	else
		snprintf(line, sizeof(line), "%s is traced by command no longer.", order->service);
	show_wrapped(show, 0, line);
	show_end(show);
}

static int trace_print(const struct cli_options *options, const struct trace_order *order,
		       const struct view *view)
{
	struct show show = cli_stdout(options);

	if (options->output == CLI_JSON)
		return cli_print_json(view_json(view, true));
	if (order->service[0])
		order_tell(&show, order);
	show_view(&show, view);
	return CLI_FINE;
}

int cli_trace_tls(const struct cli_options *options, const char *service)
{
	struct view_query query = cli_query(options, VIEW_TRACED, WINDOW_1M);
	struct trace_order order;
	struct view *view = NULL;
	struct ask ask;
	struct diag d = {0};
	int rc;

	if (service && order_fill(options, service, &query.trace, &d))
		return cli_complain(&d, CLI_USAGE);
	order = query.trace;
	rc = ask_open(&ask, options->dir, NULL, &d);
	if (rc)
		return cli_complain(&d, CLI_UNREACHABLE);
	rc = ask_view(&ask, &query, &view, &d);
	if (!rc && service)
		rc = order_follow(&ask, &query, &view, &d);
	ask_close(&ask);
	rc = rc ? cli_complain(&d, service && is_refusal(rc) ? CLI_NO : CLI_UNREACHABLE)
		: trace_print(options, &order, view);
	view_free(view);
	return rc;
}
