/* SPDX-License-Identifier: Apache-2.0 */
/* Filling boards: apart, so that who only reads boards links neither judge nor gauges. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "view/board.h"

int board_from_judge(struct board *board, const struct judge *judge)
{
	unsigned objectives = judge_objectives(judge), scalers = judge_scalers(judge);
	/* One more than needed, so that NULL always means that memory lacks. */
	struct board_objective *objective = calloc(objectives + 1, sizeof(*objective));
	struct board_scaler *scaler = calloc(scalers + 1, sizeof(*scaler));

	if (!objective || !scaler) {
		free(objective);
		free(scaler);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < objectives; i++) {
		struct objective_report report;

		judge_objective_report(judge, i, &report);
		objective[i] = (struct board_objective){
			.objective = *report.objective,
			.good = report.good,
			.bad = report.bad,
			.compliance_ratio = report.compliance_ratio,
			.budget_left_ratio = report.budget_left_ratio,
			.burn_long = report.burn_long,
			.burn_short = report.burn_short,
			.coverage_ratio = report.coverage_ratio,
			.exact = report.exact,
			.alert = report.alert,
			.alert_changed = report.alert_changed,
		};
	}
	for (unsigned i = 0; i < scalers; i++) {
		struct scaler_report report;

		judge_scaler_report(judge, i, &report);
		scaler[i] = (struct board_scaler){
			.scaler = *report.scaler,
			.has_value = report.has_value,
			.value = report.value,
			.replicas = report.replicas,
		};
	}
	free(board->objectives);
	free(board->scalers);
	board->objectives = objective;
	board->objective_count = objectives;
	board->scalers = scaler;
	board->scaler_count = scalers;
	return 0;
}

static int board_gauge_order(const void *left, const void *right)
{
	const struct gauge *a = left, *b = right;
	int order = strcmp(a->host, b->host);

	order = order ? order : strcmp(a->service, b->service);
	order = order ? order : strcmp(a->name, b->name);
	return order ? order : strcmp(a->label, b->label);
}

int board_from_gauges(struct board *board, const struct gauge_table *gauges)
{
	size_t count = gauge_count(gauges);
	struct gauge *copy = calloc(count + 1, sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		copy[i] = *gauge_at(gauges, i);
	/* The table has no stable order; what people and scripts see has. */
	qsort(copy, count, sizeof(*copy), board_gauge_order);
	free(board->gauges);
	board->gauges = copy;
	board->gauge_count = count;
	return 0;
}
