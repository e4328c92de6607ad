/* SPDX-License-Identifier: Apache-2.0 */
/* What the judge says: objectives, their alerts, and scaling. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/cell.h"
#include "cli/figure.h"
#include "cli/show_parts.h"

#define SHOW_INDENT 6 /* columns before what belongs to the line above */

/* ---- objectives -------------------------------------------------------------------------------- */

static enum table_style show_style_of_alert(enum alert_state state)
{
	switch (state) {
	case ALERT_FIRING:
		return TABLE_BAD;
	case ALERT_PENDING:
		return TABLE_WARN;
	case ALERT_RESOLVED:
	case ALERT_OK:
		break;
	}
	return TABLE_GOOD;
}

static enum table_style show_style_of_budget(double left)
{
	if (left <= 0)
		return TABLE_BAD;
	return left < 0.25 ? TABLE_WARN : TABLE_GOOD;
}

static void show_promise(struct table *table, const struct objective *promise)
{
	char within[STR_FIGURE_SIZE];
	double percent = promise->target_ratio * 100;

	if (promise->threshold_ns == POLICY_NO_THRESHOLD)
		table_cell(table, TABLE_DIM, "%.7g %% without error", percent);
	else
		table_cell(table, TABLE_DIM, "%.7g %% in %s", percent,
			   str_format_dur(within, sizeof(within), promise->threshold_ns));
}

static void show_objective(struct table *table, const struct board_objective *row)
{
	bool seen = row->good + row->bad != 0;
	enum table_style kept = view_breached(row) ? TABLE_BAD : TABLE_GOOD;

	table_foreign(table, TABLE_BOLD, row->objective.name);
	show_promise(table, &row->objective);
	if (seen)
		cell_share(table, kept, row->compliance_ratio);
	else
		table_cell(table, TABLE_DIM, "no events");
	cell_share(table, seen ? show_style_of_budget(row->budget_left_ratio) : TABLE_DIM,
		   row->budget_left_ratio);
	table_cell(table, TABLE_PLAIN, "%.2f", row->burn_long);
	table_cell(table, TABLE_DIM, "%g", row->objective.burn_rate);
	cell_count(table, TABLE_DIM, row->good);
	cell_count(table, row->bad ? TABLE_PLAIN : TABLE_DIM, row->bad);
	cell_dur(table, TABLE_DIM, true, row->objective.period);
	cell_share(table, TABLE_DIM, row->coverage_ratio);
	table_cell(table, show_style_of_alert(row->alert), "%s", alert_state_name(row->alert));
}

void show_objectives(const struct show *show, const struct board *board, size_t rows)
{
	static const struct table_column columns[] = {
		{"OBJECTIVE", TABLE_LEFT, 12, 0}, {"PROMISE", TABLE_LEFT, 0, 8},
		{"KEPT", TABLE_RIGHT, 0, 0},	  {"BUDGET LEFT", TABLE_RIGHT, 0, 9},
		{"BURN", TABLE_RIGHT, 0, 6},	  {"ALERT AT", TABLE_RIGHT, 0, 2},
		{"GOOD", TABLE_RIGHT, 0, 3},	  {"BAD", TABLE_RIGHT, 0, 7},
		{"PERIOD", TABLE_RIGHT, 0, 4},	  {"SEEN", TABLE_RIGHT, 0, 1},
		{"ALERT", TABLE_LEFT, 0, 0},
	};
	struct table *table = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < board->objective_count; i++)
		show_objective(table, &board->objectives[i]);
	show_table(show, table, rows);
}

/* ---- alerts ------------------------------------------------------------------------------------ */

static void show_indented(const struct show *show, const char *text)
{
	fprintf(show->to, "%*s", SHOW_INDENT, "");
	show_wrapped(show, SHOW_INDENT, text);
}

/* Whose judge spoke, where it is not simply the asked one: a hub knows both. */
static void show_where(const struct show *show, const struct board *board, const char *host)
{
	if (host[0]) {
		fputs("  on ", show->to);
		show_foreign(show, host);
	} else if (strcmp(board->scope, "fleet") == 0) {
		fputs("  over the fleet", show->to);
	}
}

static void show_evidence(const struct show *show, const struct action_evidence *evidence)
{
	const struct series_key *key = &evidence->key;
	char line[SHOW_TEXT_MAX];

	snprintf(line, sizeof(line), "as it fired: %s %s%s%s%s%s %s%s%s: %llu bad of %llu",
		 key->service, key->method, key->method[0] ? " " : "", key->route,
		 key->peer[0] ? " to " : "", key->peer, series_class_name(key->status_class),
		 key->host[0] ? " on " : "", key->host, (unsigned long long)evidence->bad,
		 (unsigned long long)evidence->count);
	show_indented(show, line);
}

/* The objective as it stands, when it is firing still and this is why. */
static void show_alert_now(const struct show *show, const struct board *board,
			   const struct board_alert *row)
{
	for (size_t i = 0; i < board->objective_count; i++) {
		const struct board_objective *stands = &board->objectives[i];
		const struct objective *objective = &stands->objective;
		char longer[STR_FIGURE_SIZE], shorter[STR_FIGURE_SIZE], line[SHOW_TEXT_MAX];

		if (row->host[0] || stands->alert != ALERT_FIRING ||
		    stands->alert_changed != row->at ||
		    strcmp(objective->name, row->alert.objective) != 0)
			continue;
		snprintf(line, sizeof(line),
			 "now: the budget burns %.2f times too fast over %s, %.2f over %s; the "
			 "alert is for %g",
			 stands->burn_long,
			 str_format_dur(longer, sizeof(longer), objective->long_window),
			 stands->burn_short,
			 str_format_dur(shorter, sizeof(shorter), objective->short_window),
			 objective->burn_rate);
		show_indented(show, line);
	}
}

/* What an alert says of the moment in which it fired is not to be taken for how things stand. */
static void show_reason(const struct show *show, const struct alert_action *alert)
{
	char line[SHOW_TEXT_MAX];

	snprintf(line, sizeof(line), "%s%s", alert->to == ALERT_FIRING ? "as it fired: " : "",
		 alert->reason);
	show_indented(show, line);
}

static void show_alert(const struct show *show, const struct board *board,
		       const struct board_alert *row, wall_ns now)
{
	const struct alert_action *alert = &row->alert;
	char age[STR_FIGURE_SIZE];

	fprintf(show->to, "%8s ago  %s%-8s%s  %-6s  ", figure_age(age, sizeof(age), row->at, now),
		table_style_begin(show_style_of_alert(alert->to), show->colour),
		alert_state_name(alert->to),
		table_style_end(show_style_of_alert(alert->to), show->colour),
		severity_name(alert->severity));
	show_styled(show, TABLE_BOLD, alert->objective);
	show_where(show, board, row->host);
	show_end(show);
	if (alert->reason[0])
		show_reason(show, alert);
	for (unsigned i = 0; alert->to == ALERT_FIRING && i < alert->evidence_count; i++)
		show_evidence(show, &alert->evidence[i]);
	if (alert->to == ALERT_FIRING)
		show_alert_now(show, board, row);
}

void show_alerts(const struct show *show, const struct view *view)
{
	const struct board *board = view->board;
	size_t firing = 0;

	for (size_t i = 0; i < board->objective_count; i++)
		firing += board->objectives[i].alert == ALERT_FIRING;
	fputs(table_style_begin(firing ? TABLE_BAD : TABLE_GOOD, show->colour), show->to);
	fprintf(show->to, "%zu of %zu objectives firing", firing, board->objective_count);
	fputs(table_style_end(TABLE_BAD, show->colour), show->to);
	show_end(show);
	for (size_t i = 0; i < view_limit(view, board->alert_count); i++)
		show_alert(show, board, &board->alerts[i], view->at);
	if (!board->alert_count)
		show_nothing(show, "no alert changed since the start");
}

/* ---- scale ------------------------------------------------------------------------------------- */

static void show_signal(struct table *table, const struct scaler *scaler, bool known, double value)
{
	char figure[STR_FIGURE_SIZE];

	if (!known)
		table_cell(table, TABLE_DIM, "no data");
	else if (scaler->signal == SCALE_LATENCY)
		cell_dur(table, TABLE_PLAIN, true, value > 0 ? (dur_ns)fmin(value, 1e18) : 0);
	else if (scaler->signal == SCALE_GAUGE)
		table_cell(table, TABLE_PLAIN, "%s",
			   figure_gauge(figure, sizeof(figure), scaler->gauge, value));
	else
		table_cell(table, TABLE_PLAIN, "%s /s",
			   figure_number(figure, sizeof(figure), round(value * 100) / 100));
}

static void show_scalers(const struct show *show, const struct board *board)
{
	static const struct table_column columns[] = {
		{"SCALER", TABLE_LEFT, 10, 0},	 {"SIGNAL", TABLE_LEFT, 8, 4},
		{"VALUE", TABLE_RIGHT, 0, 0},	 {"TARGET", TABLE_RIGHT, 0, 5},
		{"REPLICAS", TABLE_RIGHT, 0, 0}, {"MIN", TABLE_RIGHT, 0, 3},
		{"MAX", TABLE_RIGHT, 0, 3},
	};
	struct table *table = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < board->scaler_count; i++) {
		const struct board_scaler *row = &board->scalers[i];
		const struct scaler *scaler = &row->scaler;

		table_foreign(table, TABLE_BOLD, scaler->name);
		table_foreign(table, TABLE_DIM,
			      scaler->signal == SCALE_RATE	? "rate"
			      : scaler->signal == SCALE_LATENCY ? "p95 latency"
								: scaler->gauge);
		show_signal(table, scaler, row->has_value, row->value);
		show_signal(table, scaler, true, scaler->target);
		table_cell(table, TABLE_BOLD, "%u", row->replicas);
		table_cell(table, TABLE_DIM, "%u", scaler->minimum);
		table_cell(table, TABLE_DIM, "%u", scaler->maximum);
	}
	show_table(show, table, 0);
}

static void show_decision(const struct show *show, const struct board *board,
			  const struct board_decision *row, wall_ns now)
{
	const struct scale_action *scale = &row->scale;
	enum table_style style = scale->to > scale->from   ? TABLE_WARN
				 : scale->to < scale->from ? TABLE_GOOD
							   : TABLE_DIM;
	char age[STR_FIGURE_SIZE];

	fprintf(show->to, "%8s ago  ", figure_age(age, sizeof(age), row->at, now));
	show_styled(show, TABLE_BOLD, scale->scaler);
	fprintf(show->to, "  %s%u → %u%s", table_style_begin(style, show->colour), scale->from,
		scale->to, table_style_end(style, show->colour));
	if (scale->wanted != scale->to)
		fprintf(show->to, "  wanted %u", scale->wanted);
	show_where(show, board, row->host);
	show_end(show);
	show_indented(show, scale->reason);
}

void show_scale(const struct show *show, const struct view *view)
{
	if (view->board->scaler_count)
		show_scalers(show, view->board);
	else
		show_nothing(show, "no scaling policy is configured");
	show_end(show);
	if (view->board->decision_count)
		for (size_t i = 0; i < view_limit(view, view->board->decision_count); i++)
			show_decision(show, view->board, &view->board->decisions[i], view->at);
	else
		show_nothing(show, "no decision since the start");
}
