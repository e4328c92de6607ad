/* SPDX-License-Identifier: Apache-2.0 */
/* `vow cost`: what capturing HTTP takes, in the kernel and in vowd, beside its budget. */
#include "view/cost.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/cell.h"
#include "cli/figure.h"
#include "cli/options.h"
#include "cli/show_parts.h"
#include "lib/model/thrift.h"

#define COST_HOSTS 1024 /* of a hub; those beyond are not listed */

static void cost_share(struct table *table, enum table_style style, double ratio)
{
	table_cell(table, style, "%.2f %%", ratio * 100);
}

static void cost_ns(struct table *table, double ns)
{
	cell_dur(table, TABLE_PLAIN, ns > 0, ns > 0 && ns < 1e18 ? (dur_ns)ns : 0);
}

static void cost_hosts(const struct show *show, const struct view_cost *rows, size_t count)
{
	static const struct table_column columns[] = {
		{"HOST", TABLE_LEFT, 6, 0},	   {"CAPTURED", TABLE_LEFT, 0, 0},
		{"COST", TABLE_RIGHT, 0, 0},	   {"BUDGET", TABLE_RIGHT, 0, 0},
		{"KERNEL", TABLE_RIGHT, 0, 2},	   {"AGENT", TABLE_RIGHT, 0, 2},
		{"PAIRS", TABLE_RIGHT, 0, 1},	   {"KERNEL/PAIR", TABLE_RIGHT, 0, 3},
		{"AGENT/PAIR", TABLE_RIGHT, 0, 3},
	};
	struct table *table = table_new(columns, ARRAY_LEN(columns));
	char figure[STR_FIGURE_SIZE];

	for (size_t i = 0; i < count; i++) {
		const struct view_cost *row = &rows[i];
		double cost = row->kernel_ratio + row->agent_ratio;
		bool above = row->budget_ratio > 0 && cost > row->budget_ratio;

		table_foreign(table, TABLE_BOLD, row->host);
		table_cell(table, row->step == THRIFT_ALL ? TABLE_GOOD : TABLE_WARN, "%s",
			   thrift_step_name(row->step));
		cost_share(table, above ? TABLE_BAD : TABLE_PLAIN, cost);
		if (row->budget_ratio > 0)
			cost_share(table, TABLE_DIM, row->budget_ratio);
		else
			table_cell(table, TABLE_DIM, "none");
		cost_share(table, TABLE_PLAIN, row->kernel_ratio);
		cost_share(table, TABLE_PLAIN, row->agent_ratio);
		table_cell(table, TABLE_PLAIN, "%s",
			   figure_gauge(figure, sizeof(figure), "_per_s", row->pairs));
		cost_ns(table, row->kernel_pair_ns);
		cost_ns(table, row->agent_pair_ns);
	}
	show_table(show, table, 0);
}

static void cost_programs(const struct show *show, const struct view_cost *rows, size_t count)
{
	static const struct table_column columns[] = {
		{"HOST", TABLE_LEFT, 6, 0},
		{"PROGRAM", TABLE_LEFT, 0, 0},
		{"RUNS", TABLE_RIGHT, 0, 0},
		{"EACH", TABLE_RIGHT, 0, 0},
	};
	struct table *table = table_new(columns, ARRAY_LEN(columns));
	char figure[STR_FIGURE_SIZE];

	for (size_t i = 0; i < count; i++)
		for (unsigned p = 0; p < rows[i].program_count; p++) {
			const struct view_cost_program *program = &rows[i].programs[p];

			table_foreign(table, TABLE_DIM, rows[i].host);
			table_foreign(table, TABLE_BOLD, program->name);
			table_cell(table, TABLE_PLAIN, "%s",
				   figure_gauge(figure, sizeof(figure), "_per_s", program->runs));
			cost_ns(table, program->run_ns);
		}
	show_table(show, table, 0);
}

static int cost_print(const struct cli_options *options, const struct board *board,
		      const struct view_cost *rows, size_t count)
{
	struct show show = cli_stdout(options);

	if (options->output == CLI_JSON)
		return cli_print_json(view_costs_json(board, rows, count, true));
	if (!count) {
		show_nothing(&show, "HTTP is captured nowhere; vow doctor says why");
		return CLI_FINE;
	}
	cost_hosts(&show, rows, count);
	fputs(show.line_end, show.to);
	cost_programs(&show, rows, count);
	return CLI_FINE;
}

int cli_cost(const struct cli_options *options)
{
	struct view_query query = cli_query(options, VIEW_STATUS, WINDOW_1M);
	struct view_cost *rows = calloc(COST_HOSTS, sizeof(*rows));
	struct view *view = NULL;
	struct diag d;
	int rc;

	if (!rows) {
		diag_errno(&d, -ENOMEM, NULL, NULL, "cannot ask");
		return cli_complain(&d, CLI_NO);
	}
	rc = ask_once(options->dir, options->hub, &query, &view, &d);
	rc = rc ? cli_complain(&d, CLI_UNREACHABLE)
		: cost_print(options, view->board, rows, view_costs(view->board, rows, COST_HOSTS));
	view_free(view);
	free(rows);
	return rc;
}
