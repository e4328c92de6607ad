/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What capturing HTTP takes of a host, read off the gauges that its agent sets: `vow cost`.
 */
#ifndef VOW_VIEW_COST_H
#define VOW_VIEW_COST_H

#include "view/board.h"

#define VIEW_COST_PROGRAMS 8

struct view_cost_program {
	char name[32];
	double runs; /* a second */
	double run_ns; /* of each */
};

struct view_cost { /* of one host, over the last second */
	char host[SERIES_NAME_MAX + 1];
	unsigned step; /* enum thrift_step */
	double budget_ratio; /* of all processors; 0: no limit */
	double kernel_ratio, agent_ratio;
	double pairs; /* a second; a request of which both ends are on the host is two */
	double kernel_pair_ns, agent_pair_ns; /* of each; 0 without any */
	struct view_cost_program programs[VIEW_COST_PROGRAMS];
	unsigned program_count;
};

/* Fills at most `most` rows, one for each host that captures HTTP; returns how many. */
size_t view_costs(const struct board *board, struct view_cost *rows, size_t most);

/* An array, as docs/json.md says, of rows of this board; malloc'ed, NULL when memory lacks. */
char *view_costs_json(const struct board *board, const struct view_cost *rows, size_t count,
		      bool indented);

#endif
