/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/model/thrift.h"
#include "view/cost.h"
#include "view/json_put.h"

static void json_cost_part(struct json *json, json_t *row, const char *key, double ratio,
			   const struct view_cost *cost, double pair_ns)
{
	json_t *part = json_object();

	json_number(json, part, "cost_ratio", ratio);
	json_number_or_null(json, part, "pair_ns", cost->pairs > 0, pair_ns);
	json_put(json, row, key, part);
}

static void json_cost(struct json *json, json_t *row, const char *host,
		      const struct view_cost *cost)
{
	json_t *programs;

	json_text(json, row, "host", host);
	json_text(json, row, "step", thrift_step_name(cost->step));
	json_number(json, row, "cost_ratio", cost->kernel_ratio + cost->agent_ratio);
	json_number_or_null(json, row, "budget_ratio", cost->budget_ratio > 0, cost->budget_ratio);
	json_number(json, row, "pairs_per_s", cost->pairs);
	json_cost_part(json, row, "kernel", cost->kernel_ratio, cost, cost->kernel_pair_ns);
	json_cost_part(json, row, "agent", cost->agent_ratio, cost, cost->agent_pair_ns);
	programs = json_list(json, row, "programs");
	for (unsigned i = 0; i < cost->program_count; i++) {
		json_t *program = json_row(json, programs);

		json_text(json, program, "name", cost->programs[i].name);
		json_number(json, program, "runs_per_s", cost->programs[i].runs);
		json_number(json, program, "run_ns", cost->programs[i].run_ns);
	}
}

char *view_costs_json(const struct board *board, const struct view_cost *rows, size_t count,
		      bool indented)
{
	struct json json = {false};
	json_t *root = json_array();

	for (size_t i = 0; i < count; i++)
		json_cost(&json, json_row(&json, root), board_host_of(board, rows[i].host),
			  &rows[i]);
	return json_print(&json, root, indented);
}
