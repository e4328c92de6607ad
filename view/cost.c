/* SPDX-License-Identifier: Apache-2.0 */
#include "view/cost.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Gauges that are one figure of a host. */
static const struct {
	const char *name, *label;
	size_t at; /* a double of struct view_cost */
} cost_figures[] = {
	{"http_budget_ratio", "", offsetof(struct view_cost, budget_ratio)},
	{"http_cost_ratio", "kernel", offsetof(struct view_cost, kernel_ratio)},
	{"http_cost_ratio", "agent", offsetof(struct view_cost, agent_ratio)},
	{"http_pairs_per_s", "", offsetof(struct view_cost, pairs)},
	{"http_pair_ns", "kernel", offsetof(struct view_cost, kernel_pair_ns)},
	{"http_pair_ns", "agent", offsetof(struct view_cost, agent_pair_ns)},
};

static struct view_cost_program *cost_program(struct view_cost *row, const char *name)
{
	struct view_cost_program *program;

	for (unsigned i = 0; i < row->program_count; i++)
		if (strcmp(row->programs[i].name, name) == 0)
			return &row->programs[i];
	if (row->program_count == VIEW_COST_PROGRAMS)
		return NULL;
	program = &row->programs[row->program_count++];
	snprintf(program->name, sizeof(program->name), "%.31s", name);
	return program;
}

static void cost_add(struct view_cost *row, const struct gauge *gauge)
{
	bool runs = strcmp(gauge->name, "http_runs_per_s") == 0;
	struct view_cost_program *program;

	if (runs || strcmp(gauge->name, "http_run_ns") == 0) {
		program = cost_program(row, gauge->label);
		if (program)
			*(runs ? &program->runs : &program->run_ns) = gauge->value;
		return;
	}
	if (strcmp(gauge->name, "http_step") == 0)
		row->step = gauge->value > 0 && gauge->value < 100 ? (unsigned)gauge->value : 0;
	for (size_t i = 0; i < ARRAY_LEN(cost_figures); i++)
		if (strcmp(gauge->name, cost_figures[i].name) == 0 &&
		    strcmp(gauge->label, cost_figures[i].label) == 0)
			memcpy((char *)row + cost_figures[i].at, &gauge->value, sizeof(double));
}

/* The row of a host that captures HTTP; NULL when it is none, or there is no room. */
static struct view_cost *cost_row(struct view_cost *rows, size_t *count, size_t most,
				  const struct gauge *gauge)
{
	if (strncmp(gauge->name, "http_", 5) != 0 || gauge->service[0])
		return NULL;
	for (size_t i = 0; i < *count; i++)
		if (strcmp(rows[i].host, gauge->host) == 0)
			return &rows[i];
	if (*count == most)
		return NULL;
	rows[*count] = (struct view_cost){0};
	memcpy(rows[*count].host, gauge->host, sizeof(gauge->host));
	return &rows[(*count)++];
}

size_t view_costs(const struct board *board, struct view_cost *rows, size_t most)
{
	size_t count = 0;

	for (size_t i = 0; board && i < board->gauge_count; i++) {
		struct view_cost *row = cost_row(rows, &count, most, &board->gauges[i]);

		if (row)
			cost_add(row, &board->gauges[i]);
	}
	return count;
}
