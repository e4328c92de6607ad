/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show.h"

#include <math.h>
#include <string.h>

#include "cli/figure.h"
#include "cli/table.h"

#define SHOW_TEXT_MAX 1024

void show_foreign(const struct show *show, const char *text)
{
	char clean[SHOW_TEXT_MAX];
	struct str s;

	str_init(&s, clean, sizeof(clean));
	str_put_escaped(&s, text, strlen(text));
	fputs(clean, show->to);
}

static void show_styled(const struct show *show, enum table_style style, const char *text)
{
	fputs(table_style_begin(style, show->colour), show->to);
	show_foreign(show, text);
	fputs(table_style_end(style, show->colour), show->to);
}

static void show_end(const struct show *show)
{
	fputs(show->line_end, show->to);
}

static void show_table(const struct show *show, struct table *table, size_t rows)
{
	struct table_print how = {
		.width = show->width,
		.rows = rows,
		.colour = show->colour,
		.line_end = show->line_end,
	};

	table_print(table, &how, show->to);
	table_free(table);
}

static void show_nothing(const struct show *show, const char *text)
{
	show_styled(show, TABLE_DIM, text);
	show_end(show);
}

static void cell_dur(struct table *table, enum table_style style, bool known, dur_ns dur)
{
	char figure[STR_FIGURE_SIZE];

	table_cell(table, known ? style : TABLE_DIM, "%s",
		   known ? str_format_dur(figure, sizeof(figure), dur) : "");
}

static void cell_count(struct table *table, enum table_style style, uint64_t count)
{
	char figure[STR_FIGURE_SIZE];

	table_cell(table, style, "%s", str_format_count(figure, sizeof(figure), count));
}

static void cell_share(struct table *table, enum table_style style, double ratio)
{
	char figure[STR_FIGURE_SIZE];

	table_cell(table, style, "%s", figure_share(figure, sizeof(figure), ratio));
}

static void cell_rate(struct table *table, uint64_t count, double window_s)
{
	char figure[STR_FIGURE_SIZE];

	table_cell(table, TABLE_PLAIN, "%s", figure_rate(figure, sizeof(figure), count, window_s));
}

/* ---- routes ------------------------------------------------------------------------------------ */

/* A share of errors: none is quiet, a few are to be seen, more than one in twenty alarms. */
static enum table_style style_of_errors(uint64_t errors, uint64_t count)
{
	if (!errors)
		return TABLE_DIM;
	return (double)errors / (double)count > 0.05 ? TABLE_BAD : TABLE_WARN;
}

static enum table_style style_of_class(enum series_class status_class)
{
	switch (status_class) {
	case CLASS_5XX:
	case CLASS_ERROR:
		return TABLE_BAD;
	case CLASS_4XX:
		return TABLE_WARN;
	default:
		return TABLE_DIM;
	}
}

struct show_same { /* what all rows have in common needs no column */
	bool host, kind, role;
};

static struct show_same show_same_of(const struct view *view)
{
	struct show_same same = {true, true, true};
	const struct series_key *first = view->route_count ? &view->routes[0].key : NULL;

	for (size_t i = 0; i < view->route_count; i++) {
		const struct series_key *key = &view->routes[i].key;

		same.host &= strcmp(key->host, first->host) == 0;
		same.kind &= key->kind == SERIES_HTTP;
		same.role &= key->role == SERIES_SERVER;
	}
	return same;
}

static void show_route(struct table *table, const struct view_route *route,
		       const struct show_same *same)
{
	char name[sizeof(route->key.method) + sizeof(route->key.route) + 1];
	const struct series_key *key = &route->key;

	snprintf(name, sizeof(name), "%s%s%s", key->method, key->method[0] ? " " : "", key->route);
	table_foreign(table, TABLE_DIM, same->host ? "" : key->host);
	table_foreign(table, TABLE_PLAIN, key->service);
	table_cell(table, TABLE_DIM, "%s", same->kind ? "" : series_kind_name(key->kind));
	table_cell(table, TABLE_DIM, "%s", same->role ? "" : series_role_name(key->role));
	table_foreign(table, TABLE_BOLD, name);
	table_foreign(table, TABLE_DIM, key->peer);
	table_cell(table, style_of_class(key->status_class), "%s",
		   series_class_name(key->status_class));
	cell_count(table, TABLE_DIM, route->count);
	cell_rate(table, route->count, route->window_s);
	cell_share(table, style_of_errors(route->errors, route->count),
		   route->count ? (double)route->errors / (double)route->count : 0);
	cell_dur(table, TABLE_PLAIN, true, route->p50.value_ns);
	cell_dur(table, TABLE_PLAIN, true, route->p90.value_ns);
	cell_dur(table, TABLE_BOLD, true, route->p95.value_ns);
	cell_dur(table, TABLE_PLAIN, true, route->p99.value_ns);
	cell_dur(table, TABLE_DIM, true, route->max_ns);
	cell_dur(table, TABLE_DIM, route->has_queue, route->queue_p99_ns);
}

/* On 80 columns rate, errors and all four percentiles stand: all else is left out before them. */
void show_routes(const struct show *show, const struct view *view, size_t rows)
{
	static const struct table_column columns[] = {
		{"HOST", TABLE_LEFT, 6, 6},   {"SERVICE", TABLE_LEFT, 7, 0},
		{"KIND", TABLE_LEFT, 0, 2},   {"ROLE", TABLE_LEFT, 0, 8},
		{"ROUTE", TABLE_LEFT, 16, 0}, {"PEER", TABLE_LEFT, 15, 3},
		{"CODE", TABLE_LEFT, 0, 10},  {"COUNT", TABLE_RIGHT, 0, 1},
		{"RATE", TABLE_RIGHT, 0, 0},  {"ERRORS", TABLE_RIGHT, 0, 13},
		{"P50", TABLE_RIGHT, 0, 12},  {"P90", TABLE_RIGHT, 0, 11},
		{"P95", TABLE_RIGHT, 0, 0},   {"P99", TABLE_RIGHT, 0, 0},
		{"MAX", TABLE_RIGHT, 0, 4},   {"QUEUE99", TABLE_RIGHT, 0, 5},
	};
	struct show_same same = show_same_of(view);
	struct table *table = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < view->route_count; i++)
		show_route(table, &view->routes[i], &same);
	if (view->route_count)
		show_table(show, table, rows);
	else
		table_free(table);
}

/* ---- deliveries -------------------------------------------------------------------------------- */

/* On 100 columns rate, outcomes and all four percentiles stand; on 80 not DELIVERED and P90. */
void show_deliveries(const struct show *show, const struct view *view, size_t rows)
{
	static const struct table_column columns[] = {
		{"HOST", TABLE_LEFT, 6, 2},	{"SERVICE", TABLE_LEFT, 8, 6},
		{"EVENT", TABLE_LEFT, 12, 0},	{"ENDPOINT", TABLE_LEFT, 13, 0},
		{"RATE", TABLE_RIGHT, 0, 0},	{"DELIVERED", TABLE_RIGHT, 0, 7},
		{"FAILED", TABLE_RIGHT, 0, 11}, {"DEAD", TABLE_RIGHT, 0, 10},
		{"TRIES", TABLE_RIGHT, 0, 3},	{"BAD TRIES", TABLE_RIGHT, 0, 1},
		{"P50", TABLE_RIGHT, 0, 9},	{"P90", TABLE_RIGHT, 0, 8},
		{"P95", TABLE_RIGHT, 0, 0},	{"P99", TABLE_RIGHT, 0, 0},
		{"MAX", TABLE_RIGHT, 0, 4},	{"WAIT99", TABLE_RIGHT, 0, 5},
	};
	struct table *table = table_new(columns, ARRAY_LEN(columns));
	bool one_host = true;

	for (size_t i = 1; i < view->delivery_count; i++)
		one_host &= strcmp(view->deliveries[i].host, view->deliveries[0].host) == 0;
	for (size_t i = 0; i < view->delivery_count; i++) {
		const struct view_delivery *row = &view->deliveries[i];
		uint64_t ended = row->delivered + row->failed + row->dead_lettered;
		bool timed = row->delivered != 0;

		table_foreign(table, TABLE_DIM, one_host ? "" : row->host);
		table_foreign(table, TABLE_PLAIN, row->service);
		table_foreign(table, TABLE_BOLD, row->event_type);
		table_foreign(table, TABLE_PLAIN, row->endpoint);
		cell_rate(table, ended, row->window_s);
		cell_count(table, TABLE_PLAIN, row->delivered);
		cell_count(table, row->failed ? TABLE_BAD : TABLE_DIM, row->failed);
		cell_count(table, row->dead_lettered ? TABLE_BAD : TABLE_DIM, row->dead_lettered);
		cell_count(table, TABLE_DIM, row->attempts);
		cell_count(table, row->attempts_failed ? TABLE_WARN : TABLE_DIM,
			   row->attempts_failed);
		cell_dur(table, TABLE_PLAIN, timed, row->p50.value_ns);
		cell_dur(table, TABLE_PLAIN, timed, row->p90.value_ns);
		cell_dur(table, TABLE_PLAIN, timed, row->p95.value_ns);
		cell_dur(table, TABLE_BOLD, timed, row->p99.value_ns);
		cell_dur(table, TABLE_DIM, timed, row->max_ns);
		cell_dur(table, TABLE_DIM, row->has_wait, row->wait_p99_ns);
	}
	if (view->delivery_count)
		show_table(show, table, rows);
	else
		table_free(table);
}

/* ---- objectives -------------------------------------------------------------------------------- */

static enum table_style style_of_alert(enum alert_state state)
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

static enum table_style style_of_budget(double left)
{
	if (left <= 0)
		return TABLE_BAD;
	return left < 0.25 ? TABLE_WARN : TABLE_GOOD;
}

static void cell_promise(struct table *table, const struct objective *promise)
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
	cell_promise(table, &row->objective);
	if (seen)
		cell_share(table, kept, row->compliance_ratio);
	else
		table_cell(table, TABLE_DIM, "no events");
	cell_share(table, seen ? style_of_budget(row->budget_left_ratio) : TABLE_DIM,
		   row->budget_left_ratio);
	table_cell(table, TABLE_PLAIN, "%.2f", row->burn_long);
	table_cell(table, TABLE_DIM, "%g", row->objective.burn_rate);
	cell_count(table, TABLE_DIM, row->good);
	cell_count(table, row->bad ? TABLE_PLAIN : TABLE_DIM, row->bad);
	cell_dur(table, TABLE_DIM, true, row->objective.period);
	cell_share(table, TABLE_DIM, row->coverage_ratio);
	table_cell(table, style_of_alert(row->alert), "%s", alert_state_name(row->alert));
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
	if (board->objective_count)
		show_table(show, table, rows);
	else
		table_free(table);
}

/* ---- alerts ------------------------------------------------------------------------------------ */

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

	fputs("      ", show->to);
	show_foreign(show, key->service);
	fputs(" ", show->to);
	show_foreign(show, key->method);
	fputs(key->method[0] ? " " : "", show->to);
	show_foreign(show, key->route);
	fputs(key->peer[0] ? " to " : "", show->to);
	show_foreign(show, key->peer);
	fprintf(show->to, " %s: %llu bad of %llu", series_class_name(key->status_class),
		(unsigned long long)evidence->bad, (unsigned long long)evidence->count);
	show_end(show);
}

static void show_alert(const struct show *show, const struct board *board,
		       const struct board_alert *row, wall_ns now)
{
	const struct alert_action *alert = &row->alert;
	char age[STR_FIGURE_SIZE];

	fprintf(show->to, "%8s ago  %s%-8s%s  %-6s  ", figure_age(age, sizeof(age), row->at, now),
		table_style_begin(style_of_alert(alert->to), show->colour),
		alert_state_name(alert->to),
		table_style_end(style_of_alert(alert->to), show->colour),
		severity_name(alert->severity));
	show_styled(show, TABLE_BOLD, alert->objective);
	show_where(show, board, row->host);
	show_end(show);
	if (alert->reason[0]) {
		fputs("      ", show->to);
		show_foreign(show, alert->reason);
		show_end(show);
	}
	for (unsigned i = 0; alert->to == ALERT_FIRING && i < alert->evidence_count; i++)
		show_evidence(show, &alert->evidence[i]);
}

static void show_alerts(const struct show *show, const struct view *view)
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

static void cell_signal(struct table *table, const struct scaler *scaler, bool known, double value)
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
		cell_signal(table, scaler, row->has_value, row->value);
		cell_signal(table, scaler, true, scaler->target);
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
	fputs("      ", show->to);
	show_foreign(show, scale->reason);
	show_end(show);
}

static void show_scale(const struct show *show, const struct view *view)
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

/* ---- status, doctor, hosts --------------------------------------------------------------------- */

static void show_process(const struct show *show, const struct view *view)
{
	const struct board *board = view->board;
	char age[STR_FIGURE_SIZE], rss[STR_FIGURE_SIZE];
	char journal[STR_FIGURE_SIZE], series[STR_FIGURE_SIZE];

	show_styled(show, TABLE_BOLD, board->program);
	fputs(" ", show->to);
	show_foreign(show, board->version);
	fputs(" on ", show->to);
	show_styled(show, TABLE_BOLD, board->host);
	fprintf(show->to, "  pid %u, up %s, ", board->pid,
		figure_age(age, sizeof(age), board->started, view->at));
	show_foreign(show, board->config_path[0] ? board->config_path : "default configuration");
	show_end(show);
	fprintf(show->to,
		"memory %s, cpu %.1f %% of a core, %llu series in %s (windows up to 30 d: at most "
		"%u histograms each), %llu events beyond the cap",
		str_format_bytes(rss, sizeof(rss), board->rss_bytes), board->cpu_ratio * 100,
		(unsigned long long)board->series,
		str_format_bytes(series, sizeof(series), board->series_bytes), SERIES_SLOTS,
		(unsigned long long)board->series_other_total);
	show_end(show);
	fprintf(show->to, "journal: record %llu written, %llu at the hub, %s on disk",
		(unsigned long long)board->journal_seq,
		(unsigned long long)board->journal_acked_seq,
		str_format_bytes(journal, sizeof(journal), board->journal_bytes));
	if (board->journal_dropped_records_total)
		fprintf(show->to, ", %llu records given up for its budget",
			(unsigned long long)board->journal_dropped_records_total);
	if (board->journal_failures_total)
		fprintf(show->to, ", %llu failed writes",
			(unsigned long long)board->journal_failures_total);
	show_end(show);
	if (board->trouble[0]) {
		show_styled(show, TABLE_BAD, board->trouble);
		show_end(show);
	}
}

static void drops_text(const struct board_collector *row, char *buf, size_t size)
{
	char figure[STR_FIGURE_SIZE];
	struct str s;

	str_init(&s, buf, size);
	for (unsigned i = 0; i < row->drop_count; i++) {
		if (!row->drops[i].total)
			continue;
		str_printf(&s, "%s%s %s", s.length ? ", " : "",
			   str_format_count(figure, sizeof(figure), row->drops[i].total),
			   row->drops[i].reason);
	}
}

static void show_collectors(const struct show *show, const struct board *board)
{
	static const struct table_column columns[] = {
		{"HOST", TABLE_LEFT, 6, 2},   {"COLLECTOR", TABLE_LEFT, 0, 0},
		{"TIER", TABLE_LEFT, 0, 0},   {"EVENTS", TABLE_RIGHT, 0, 0},
		{"DROPS", TABLE_LEFT, 10, 3}, {"WHAT", TABLE_LEFT, 30, 1},
	};
	struct table *table = table_new(columns, ARRAY_LEN(columns));
	char drops[512];

	for (size_t i = 0; i < board->collector_count; i++) {
		const struct board_collector *row = &board->collectors[i];
		bool off = strcmp(row->tier, "off") == 0;

		drops_text(row, drops, sizeof(drops));
		table_foreign(table, TABLE_DIM, row->host);
		table_foreign(table, TABLE_BOLD, row->name);
		table_foreign(table, off ? TABLE_WARN : TABLE_GOOD, row->tier);
		cell_count(table, TABLE_PLAIN, row->events_total);
		table_foreign(table, drops[0] ? TABLE_WARN : TABLE_DIM, drops[0] ? drops : "none");
		table_foreign(table, row->problem[0] ? TABLE_WARN : TABLE_DIM,
			      row->problem[0] ? row->problem : row->detail);
	}
	if (board->collector_count)
		show_table(show, table, 0);
	else
		table_free(table);
}

static void show_gauges(const struct show *show, const struct board *board)
{
	static const struct table_column columns[] = {
		{"HOST", TABLE_LEFT, 6, 1},   {"SERVICE", TABLE_LEFT, 7, 2},
		{"GAUGE", TABLE_LEFT, 12, 0}, {"OF", TABLE_LEFT, 8, 0},
		{"VALUE", TABLE_RIGHT, 0, 0},
	};
	struct table *table = table_new(columns, ARRAY_LEN(columns));
	char figure[STR_FIGURE_SIZE];

	for (size_t i = 0; i < board->gauge_count; i++) {
		const struct gauge *row = &board->gauges[i];

		table_foreign(table, TABLE_DIM, row->host);
		table_foreign(table, TABLE_PLAIN, row->service);
		table_foreign(table, TABLE_PLAIN, row->name);
		table_foreign(table, TABLE_DIM, row->label);
		table_cell(table, TABLE_PLAIN, "%s",
			   figure_gauge(figure, sizeof(figure), row->name, row->value));
	}
	if (board->gauge_count) {
		show_end(show);
		show_table(show, table, 0);
	} else {
		table_free(table);
	}
}

static void show_hosts(const struct show *show, const struct view *view)
{
	static const struct table_column columns[] = {
		{"HOST", TABLE_LEFT, 10, 0},   {"STATE", TABLE_LEFT, 0, 0},
		{"SEEN", TABLE_RIGHT, 0, 0},   {"VERSION", TABLE_LEFT, 0, 1},
		{"RECORD", TABLE_RIGHT, 0, 2}, {"LOST RECORDS", TABLE_RIGHT, 0, 3},
		{"PROBLEM", TABLE_LEFT, 0, 3},
	};
	struct table *table = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < view->board->host_count; i++) {
		const struct board_host *row = &view->board->hosts[i];
		char age[STR_FIGURE_SIZE];

		table_foreign(table, TABLE_BOLD, row->host);
		table_cell(table, row->connected ? TABLE_GOOD : TABLE_BAD, "%s",
			   row->connected ? "connected" : "silent");
		table_cell(table, TABLE_DIM, "%s ago",
			   figure_age(age, sizeof(age), row->last_seen, view->at));
		table_foreign(table, TABLE_DIM, row->version);
		table_cell(table, TABLE_DIM, "%llu", (unsigned long long)row->last_seq);
		cell_count(table, row->gap_records_total ? TABLE_WARN : TABLE_DIM,
			   row->gap_records_total);
		table_foreign(table, TABLE_BAD, row->problem);
	}
	if (view->board->host_count)
		show_table(show, table, 0);
	else
		show_nothing(show, "no agent has connected yet");
	if (!view->board->host_count)
		table_free(table);
}

static void show_status(const struct show *show, const struct view *view)
{
	show_process(show, view);
	show_end(show);
	show_collectors(show, view->board);
	if (view->board->objective_count)
		show_end(show);
	show_objectives(show, view->board, 0);
	if (view->board->host_count > 1) {
		show_end(show);
		show_hosts(show, view);
	}
	show_gauges(show, view->board);
}

void show_checks(const struct show *show, const struct view_check *checks, size_t count)
{
	static const enum table_style styles[] = {
		[VIEW_GOOD] = TABLE_GOOD, [VIEW_REMARK] = TABLE_WARN, [VIEW_BAD] = TABLE_BAD};
	unsigned widest = 0;

	for (size_t i = 0; i < count; i++)
		widest = table_text_width(checks[i].name) > widest
				 ? table_text_width(checks[i].name)
				 : widest;
	for (size_t i = 0; i < count; i++) {
		const struct view_check *check = &checks[i];
		unsigned width = table_text_width(check->name);

		fprintf(show->to, "%s%-6s%s  ",
			table_style_begin(styles[check->grade], show->colour),
			view_grade_name(check->grade),
			table_style_end(styles[check->grade], show->colour));
		show_styled(show, TABLE_BOLD, check->name);
		fprintf(show->to, "%*s  ", (int)(widest - width), "");
		show_foreign(show, check->what);
		show_end(show);
		if (check->fix[0]) {
			fprintf(show->to, "%*s→ ", (int)(widest + 10), "");
			show_foreign(show, check->fix);
			show_end(show);
		}
	}
}

void show_view(const struct show *show, const struct view *view)
{
	enum view_what what = view->query.what;

	if (what == VIEW_ROUTES) {
		show_routes(show, view, 0);
		if (!view->route_count)
			show_nothing(show, "no request in this window");
		return;
	}
	if (what == VIEW_DELIVERIES) {
		show_deliveries(show, view, 0);
		if (!view->delivery_count)
			show_nothing(show, "no delivery in this window");
		return;
	}
	if (!view->board) {
		show_nothing(show, "no figures yet: the first second is not over");
		return;
	}
	switch (what) {
	case VIEW_STATUS:
		show_status(show, view);
		break;
	case VIEW_SLO:
		show_objectives(show, view->board, 0);
		if (!view->board->objective_count)
			show_nothing(show, "no objective is configured");
		break;
	case VIEW_ALERTS:
		show_alerts(show, view);
		break;
	case VIEW_SCALE:
		show_scale(show, view);
		break;
	case VIEW_HOSTS:
		show_hosts(show, view);
		break;
	case VIEW_DOCTOR:
		show_collectors(show, view->board);
		break;
	case VIEW_ROUTES:
	case VIEW_DELIVERIES:
	case VIEW_COUNT:
		break;
	}
}
