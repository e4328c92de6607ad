/* SPDX-License-Identifier: Apache-2.0 */
/* `vow host`: what holds a host and its services up: processors, memory, disks, peers, queues. */
#include "view/host.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "cli/ask.h"
#include "cli/figure.h"
#include "cli/options.h"
#include "cli/show_parts.h"

/* Heads of the gauges, in their order; widths are for 80 columns and a host's name before them. */
static const struct table_column columns[VIEW_HOST_PARTS][VIEW_HOST_GAUGES + 2] = {
	[VIEW_HOST_HOSTS] = {{"HOST", TABLE_LEFT, 6, 0},
			     {"", TABLE_LEFT, 0, 0},
			     {"CPU", TABLE_RIGHT, 0, 2},
			     {"MEMORY", TABLE_RIGHT, 0, 2},
			     {"CPU WAIT", TABLE_RIGHT, 0, 0},
			     {"ALARMS", TABLE_RIGHT, 0, 0},
			     {"MEM WAIT", TABLE_RIGHT, 0, 0},
			     {"ALARMS", TABLE_RIGHT, 0, 0},
			     {"IO WAIT", TABLE_RIGHT, 0, 0},
			     {"ALARMS", TABLE_RIGHT, 0, 0},
			     {"SENT AGAIN", TABLE_RIGHT, 0, 1}},
	[VIEW_HOST_SERVICES] = {{"HOST", TABLE_LEFT, 6, 6},
				{"SERVICE", TABLE_LEFT, 8, 0},
				{"RUN QUEUE", TABLE_RIGHT, 0, 0},
				{"THROTTLED", TABLE_RIGHT, 0, 0},
				{"FOR", TABLE_RIGHT, 0, 2},
				{"CPU WAIT", TABLE_RIGHT, 0, 3},
				{"MEM WAIT", TABLE_RIGHT, 0, 4},
				{"LIMIT HITS", TABLE_RIGHT, 0, 1},
				{"OOM KILLS", TABLE_RIGHT, 0, 5}},
	[VIEW_HOST_PEERS] = {{"HOST", TABLE_LEFT, 6, 1},
			     {"PEER", TABLE_LEFT, 15, 0},
			     {"SENT AGAIN", TABLE_RIGHT, 0, 0},
			     {"REFUSED", TABLE_RIGHT, 0, 0},
			     {"TIMED OUT", TABLE_RIGHT, 0, 0},
			     {"UNREACHABLE", TABLE_RIGHT, 0, 0},
			     {"GIVEN UP", TABLE_RIGHT, 0, 0}},
	[VIEW_HOST_LISTENERS] = {{"HOST", TABLE_LEFT, 6, 1},
				 {"LISTENS AT", TABLE_LEFT, 15, 0},
				 {"DROPS", TABLE_RIGHT, 0, 0}},
};

static void host_cell(struct table *table, const char *gauge, double value)
{
	char figure[STR_FIGURE_SIZE];

	if (isnan(value))
		table_cell(table, TABLE_DIM, "%s", "");
	else
		table_cell(table, value > 0 ? TABLE_PLAIN : TABLE_DIM, "%s",
			   figure_gauge(figure, sizeof(figure), gauge, value));
}

/* How many columns a part has: host, key and gauges. */
static size_t host_columns(const struct view_host_part *part)
{
	size_t count = 2;

	while (part->gauges[count - 2])
		count++;
	return count;
}

/* A table, and an empty line before it when it is not the first; 1 when it has rows. */
static int host_part(const struct show *show, const struct board *board, unsigned which, bool first)
{
	const struct view_host_part *part = &view_host_parts[which];
	struct view_host_row *rows;
	struct table *table;
	size_t count;

	if (view_host_rows(board, which, &rows, &count))
		return -ENOMEM;
	table = table_new(columns[which], host_columns(part));
	for (size_t i = 0; i < count; i++) {
		table_foreign(table, TABLE_BOLD, rows[i].host);
		table_foreign(table, TABLE_BOLD, rows[i].key);
		for (unsigned at = 0; part->gauges[at]; at++)
			host_cell(table, part->gauges[at], rows[i].values[at]);
	}
	if (count && !first)
		show_end(show);
	show_table(show, table, 0);
	free(rows);
	return count > 0;
}

static int host_print(const struct cli_options *options, const struct board *board)
{
	struct show show = cli_stdout(options);
	struct diag d;
	int some = 0;

	if (options->output == CLI_JSON)
		return cli_print_json(view_host_json(board, true));
	for (unsigned i = 0; i < VIEW_HOST_PARTS; i++) {
		int rc = host_part(&show, board, i, !some);

		if (rc < 0) {
			diag_errno(&d, rc, NULL, NULL, "cannot show the host");
			return cli_complain(&d, CLI_NO);
		}
		some |= rc;
	}
	if (!some)
		show_nothing(&show, "nothing is known of the host; vow doctor says why");
	return CLI_FINE;
}

int cli_host(const struct cli_options *options)
{
	struct view_query query = cli_query(options, VIEW_STATUS, WINDOW_1M);
	struct view *view = NULL;
	struct diag d;
	int rc = ask_once(options->dir, options->hub, &query, &view, &d);

	rc = rc ? cli_complain(&d, CLI_UNREACHABLE) : host_print(options, view->board);
	view_free(view);
	return rc;
}
