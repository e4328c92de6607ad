/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes to views. The bytes may come from anyone: texts are cut and cleaned, numbers of enums
 * checked, memory bounded by proto/arena.h.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <vow/v1/control.pb-c.h>

#include "proto/action.h"
#include "proto/message.h"
#include "view/protocol.h"

#define DECODE_TEXT(field, text) series_text_set(field, sizeof(field), text, strlen(text))

static double decode_real(double value)
{
	return isfinite(value) ? value : 0;
}

static int decode_refuse(struct diag *d, const char *what)
{
	return diag_set(d, -EPROTO, "answer", NULL, "%s", what);
}

/* *rows is NULL when memory lacks; for no rows as well a block of its own. */
static int decode_rows(void **rows, size_t count, size_t size, struct diag *d)
{
	*rows = calloc(count + 1, size);
	return *rows ? 0 : diag_errno(d, -ENOMEM, "answer", NULL, "cannot take the rows");
}

static int decode_order(const Vow__V1__Question *message, struct view_query *query, struct diag *d)
{
	const Vow__V1__TraceOrder *order = message->trace;

	if (!order)
		return 0;
	DECODE_TEXT(query->trace.service, order->service);
	query->trace.lasts = order->lasts_ns;
	/* A name that was cut or cleaned would be another one. */
	if (message->what != VIEW_TRACED || !order->service[0] ||
	    strcmp(query->trace.service, order->service) != 0 || order->lasts_ns > TRACE_LASTS_MAX)
		return diag_set(d, -EPROTO, "question", "use programs of the same release",
				"an order that cannot be obeyed");
	return 0;
}

static int decode_question(const Vow__V1__Question *message, struct view_query *query,
			   struct diag *d)
{
	if (message->protocol != VIEW_PROTOCOL)
		return diag_set(d, -EPROTO, "question", "use programs of the same release",
				"control protocol %u is not %u", message->protocol, VIEW_PROTOCOL);
	if (message->what >= VIEW_COUNT || message->window >= WINDOW_COUNT)
		return diag_set(d, -EPROTO, "question", "use programs of the same release",
				"view %u over window %u is unknown here", message->what,
				message->window);
	*query = (struct view_query){
		.what = message->what,
		.window = message->window,
		.limit = message->limit,
		.all_hosts = message->all_hosts,
	};
	DECODE_TEXT(query->service, message->service);
	DECODE_TEXT(query->route, message->route);
	return decode_order(message, query, d);
}

static struct hist_quantile decode_quantile(const Vow__V1__Quantile *quantile)
{
	if (!quantile)
		return (struct hist_quantile){0};
	return (struct hist_quantile){
		.value_ns = quantile->value_ns,
		.lower_ns = quantile->lower_ns,
		.upper_ns = quantile->upper_ns,
	};
}

static int decode_route(const Vow__V1__RouteRow *row, struct view_route *route, struct diag *d)
{
	if (!row->series)
		return decode_refuse(d, "a route without a series");
	if (series_key_from_message(row->series, &route->key, d))
		return -EPROTO;
	DECODE_TEXT(route->key.host, row->host);
	route->count = row->count;
	route->errors = row->errors;
	route->p50 = decode_quantile(row->p50);
	route->p90 = decode_quantile(row->p90);
	route->p95 = decode_quantile(row->p95);
	route->p99 = decode_quantile(row->p99);
	route->max_ns = row->max_ns;
	route->has_queue = row->has_queue;
	route->queue_p99_ns = row->queue_p99_ns;
	route->window_s = decode_real(row->window_s);
	route->relative_error = decode_real(row->relative_error);
	/* Who does not know the field says 0, and has no percentiles but a histogram's. */
	if (route->relative_error <= 0)
		route->relative_error = HIST_RELATIVE_ERROR;
	return 0;
}

static int decode_routes(const Vow__V1__Answer *answer, struct view *view, struct diag *d)
{
	int rc = decode_rows((void **)&view->routes, answer->n_routes, sizeof(*view->routes), d);

	for (size_t i = 0; !rc && i < answer->n_routes; i++)
		rc = decode_route(answer->routes[i], &view->routes[i], d);
	view->route_count = answer->n_routes;
	return rc;
}

static int decode_deliveries(const Vow__V1__Answer *answer, struct view *view, struct diag *d)
{
	int rc = decode_rows((void **)&view->deliveries, answer->n_deliveries,
			     sizeof(*view->deliveries), d);

	if (rc)
		return rc;
	for (size_t i = 0; i < answer->n_deliveries; i++) {
		const Vow__V1__DeliveryRow *row = answer->deliveries[i];
		struct view_delivery *delivery = &view->deliveries[i];

		DECODE_TEXT(delivery->host, row->host);
		DECODE_TEXT(delivery->service, row->service);
		DECODE_TEXT(delivery->event_type, row->event_type);
		DECODE_TEXT(delivery->endpoint, row->endpoint);
		delivery->delivered = row->delivered;
		delivery->failed = row->failed;
		delivery->dead_lettered = row->dead_lettered;
		delivery->attempts = row->attempts;
		delivery->attempts_failed = row->attempts_failed;
		delivery->p50 = decode_quantile(row->p50);
		delivery->p90 = decode_quantile(row->p90);
		delivery->p95 = decode_quantile(row->p95);
		delivery->p99 = decode_quantile(row->p99);
		delivery->max_ns = row->max_ns;
		delivery->has_wait = row->has_wait;
		delivery->wait_p99_ns = row->wait_p99_ns;
		delivery->window_s = decode_real(row->window_s);
	}
	view->delivery_count = answer->n_deliveries;
	return 0;
}

static int decode_exemplar(const Vow__V1__ExemplarRow *row, struct view_exemplar *exemplar,
			   struct diag *d)
{
	struct exemplar tagged;

	if (!row->series)
		return decode_refuse(d, "an exemplar without a series");
	if (series_key_from_message(row->series, &exemplar->key, d))
		return -EPROTO;
	if (!exemplar_tag_set(&tagged, row->tag, strlen(row->tag)))
		return decode_refuse(d, "an exemplar without a tag");
	DECODE_TEXT(exemplar->key.host, row->host);
	memcpy(exemplar->tag, tagged.tag, sizeof(exemplar->tag));
	exemplar->at = row->at_unix_ns;
	exemplar->latency_ns = row->latency_ns;
	exemplar->status = row->status < UINT16_MAX ? (uint16_t)row->status : UINT16_MAX;
	return 0;
}

static int decode_exemplars(const Vow__V1__Answer *answer, struct view *view, struct diag *d)
{
	int rc = decode_rows((void **)&view->exemplars, answer->n_exemplars,
			     sizeof(*view->exemplars), d);

	for (size_t i = 0; !rc && i < answer->n_exemplars; i++)
		rc = decode_exemplar(answer->exemplars[i], &view->exemplars[i], d);
	view->exemplar_count = answer->n_exemplars;
	return rc;
}

static void decode_process(const Vow__V1__Process *process, struct board *board)
{
	DECODE_TEXT(board->program, process->program);
	DECODE_TEXT(board->version, process->version);
	DECODE_TEXT(board->host, process->host);
	DECODE_TEXT(board->scope, process->scope);
	DECODE_TEXT(board->config_path, process->config_path);
	DECODE_TEXT(board->trouble, process->trouble);
	board->pid = process->pid;
	board->started = process->started_unix_ns;
	board->counted_since = process->counted_since_unix_ns;
	board->at = process->at_unix_ns;
	board->rss_bytes = process->rss_bytes;
	board->cpu_ratio = decode_real(process->cpu_ratio);
	board->series = process->series;
	board->series_other_total = process->series_other_total;
	board->series_bytes = process->series_bytes;
	board->ticks_total = process->ticks_total;
	board->journal_seq = process->journal_seq;
	board->journal_acked_seq = process->journal_acked_seq;
	board->journal_bytes = process->journal_bytes;
	board->journal_dropped_records_total = process->journal_dropped_records_total;
	board->journal_failures_total = process->journal_failures_total;
	board->journal_torn_total = process->journal_torn_total;
	board->journal_quarantined_total = process->journal_quarantined_total;
	board->journal_lost_records_total = process->journal_lost_records_total;
	board->journal_merged_records_total = process->journal_merged_records_total;
}

static int decode_collector(const Vow__V1__CollectorRow *row, struct board_collector *collector,
			    struct diag *d)
{
	if (row->n_drops > ARRAY_LEN(collector->drops))
		return decode_refuse(d, "a collector with too many reasons of drops");
	DECODE_TEXT(collector->host, row->host);
	DECODE_TEXT(collector->name, row->name);
	DECODE_TEXT(collector->tier, row->tier);
	DECODE_TEXT(collector->detail, row->detail);
	DECODE_TEXT(collector->problem, row->problem);
	collector->events_total = row->events_total;
	collector->drop_count = (unsigned)row->n_drops;
	for (size_t i = 0; i < row->n_drops; i++) {
		DECODE_TEXT(collector->drops[i].reason, row->drops[i]->reason);
		collector->drops[i].total = row->drops[i]->total;
	}
	return 0;
}

static int decode_collectors(const Vow__V1__Answer *answer, struct board *board, struct diag *d)
{
	int rc = decode_rows((void **)&board->collectors, answer->n_collectors,
			     sizeof(*board->collectors), d);

	for (size_t i = 0; !rc && i < answer->n_collectors; i++)
		rc = decode_collector(answer->collectors[i], &board->collectors[i], d);
	board->collector_count = answer->n_collectors;
	return rc;
}

static int decode_selector(const Vow__V1__Selector *message, struct selector *selector,
			   struct diag *d)
{
	if (!message)
		return decode_refuse(d, "a rule without a selector");
	if (message->kind < POLICY_ANY || message->kind >= SERIES_KINDS ||
	    message->role < POLICY_ANY || message->role >= SERIES_ROLES)
		return decode_refuse(d, "a selector of unknown kind or role");
	DECODE_TEXT(selector->service, message->service);
	DECODE_TEXT(selector->method, message->method);
	DECODE_TEXT(selector->route, message->route);
	DECODE_TEXT(selector->peer, message->peer);
	selector->kind = message->kind;
	selector->role = message->role;
	return 0;
}

static int decode_objective(const Vow__V1__ObjectiveRow *row, struct board_objective *objective,
			    struct diag *d)
{
	struct objective *promise = &objective->objective;

	if (row->severity > SEVERITY_PAGE || row->alert > ALERT_RESOLVED)
		return decode_refuse(d, "an objective of unknown severity or state");
	DECODE_TEXT(promise->name, row->name);
	promise->threshold_ns = row->threshold_ns;
	promise->target_ratio = decode_real(row->target_ratio);
	promise->period = row->period_ns;
	promise->burn_rate = decode_real(row->burn_rate);
	promise->long_window = row->long_window_ns;
	promise->short_window = row->short_window_ns;
	promise->clear_after = row->clear_after_ns;
	promise->min_bad = row->min_bad;
	promise->severity = row->severity;
	objective->good = row->good;
	objective->bad = row->bad;
	objective->compliance_ratio = decode_real(row->compliance_ratio);
	objective->budget_left_ratio = decode_real(row->budget_left_ratio);
	objective->burn_long = decode_real(row->burn_long);
	objective->burn_short = decode_real(row->burn_short);
	objective->coverage_ratio = decode_real(row->coverage_ratio);
	objective->exact = row->exact;
	objective->alert = row->alert;
	objective->alert_changed = row->alert_changed_unix_ns;
	return decode_selector(row->selector, &promise->selector, d);
}

static int decode_objectives(const Vow__V1__Answer *answer, struct board *board, struct diag *d)
{
	int rc = decode_rows((void **)&board->objectives, answer->n_objectives,
			     sizeof(*board->objectives), d);

	for (size_t i = 0; !rc && i < answer->n_objectives; i++)
		rc = decode_objective(answer->objectives[i], &board->objectives[i], d);
	board->objective_count = answer->n_objectives;
	return rc;
}

static int decode_scaler(const Vow__V1__ScalerRow *row, struct board_scaler *stands, struct diag *d)
{
	struct scaler *scaler = &stands->scaler;

	if (row->signal > SCALE_GAUGE)
		return decode_refuse(d, "a scaler of unknown signal");
	DECODE_TEXT(scaler->name, row->name);
	DECODE_TEXT(scaler->gauge, row->gauge);
	scaler->signal = row->signal;
	scaler->gauge_is_mean = row->gauge_is_mean;
	scaler->target = decode_real(row->target);
	scaler->minimum = row->minimum;
	scaler->maximum = row->maximum;
	scaler->deadband_ratio = decode_real(row->deadband_ratio);
	scaler->up_cooldown = row->up_cooldown_ns;
	scaler->down_cooldown = row->down_cooldown_ns;
	stands->has_value = row->has_value;
	stands->value = decode_real(row->value);
	stands->replicas = row->replicas;
	return decode_selector(row->selector, &scaler->selector, d);
}

static int decode_scalers(const Vow__V1__Answer *answer, struct board *board, struct diag *d)
{
	int rc = decode_rows((void **)&board->scalers, answer->n_scalers, sizeof(*board->scalers),
			     d);

	for (size_t i = 0; !rc && i < answer->n_scalers; i++)
		rc = decode_scaler(answer->scalers[i], &board->scalers[i], d);
	board->scaler_count = answer->n_scalers;
	return rc;
}

static int decode_action(const Vow__V1__ActionRow *row, enum action_kind kind,
			 struct action *action, struct diag *d)
{
	if (!row->action)
		return decode_refuse(d, "a row without its action");
	if (action_from_message(row->action, action, d))
		return -EPROTO;
	return action->kind == kind ? 0 : decode_refuse(d, "an action of the wrong kind");
}

static int decode_alerts(const Vow__V1__Answer *answer, struct board *board, struct diag *d)
{
	int rc = decode_rows((void **)&board->alerts, answer->n_alerts, sizeof(*board->alerts), d);

	for (size_t i = 0; !rc && i < answer->n_alerts; i++) {
		struct board_alert *alert = &board->alerts[i];
		struct action action;

		rc = decode_action(answer->alerts[i], ACTION_ALERT, &action, d);
		if (rc)
			return rc;
		DECODE_TEXT(alert->host, answer->alerts[i]->host);
		alert->at = action.at;
		alert->alert = action.alert;
	}
	board->alert_count = answer->n_alerts;
	return rc;
}

static int decode_decisions(const Vow__V1__Answer *answer, struct board *board, struct diag *d)
{
	int rc = decode_rows((void **)&board->decisions, answer->n_decisions,
			     sizeof(*board->decisions), d);

	for (size_t i = 0; !rc && i < answer->n_decisions; i++) {
		struct board_decision *decision = &board->decisions[i];
		struct action action;

		rc = decode_action(answer->decisions[i], ACTION_SCALE, &action, d);
		if (rc)
			return rc;
		DECODE_TEXT(decision->host, answer->decisions[i]->host);
		decision->at = action.at;
		decision->scale = action.scale;
	}
	board->decision_count = answer->n_decisions;
	return rc;
}

static int decode_gauges(const Vow__V1__Answer *answer, struct board *board, struct diag *d)
{
	int rc = decode_rows((void **)&board->gauges, answer->n_gauges, sizeof(*board->gauges), d);

	for (size_t i = 0; !rc && i < answer->n_gauges; i++) {
		const Vow__V1__GaugeRow *row = answer->gauges[i];
		struct gauge *gauge = &board->gauges[i];

		if (!row->gauge)
			return decode_refuse(d, "a row without its gauge");
		DECODE_TEXT(gauge->host, row->host);
		DECODE_TEXT(gauge->service, row->gauge->service);
		DECODE_TEXT(gauge->name, row->gauge->name);
		DECODE_TEXT(gauge->label, row->gauge->label);
		gauge->value = decode_real(row->gauge->value);
	}
	board->gauge_count = answer->n_gauges;
	return rc;
}

static int decode_hosts(const Vow__V1__Answer *answer, struct board *board, struct diag *d)
{
	int rc = decode_rows((void **)&board->hosts, answer->n_hosts, sizeof(*board->hosts), d);

	for (size_t i = 0; !rc && i < answer->n_hosts; i++) {
		const Vow__V1__HostRow *row = answer->hosts[i];
		struct board_host *host = &board->hosts[i];

		DECODE_TEXT(host->host, row->host);
		DECODE_TEXT(host->version, row->version);
		host->last_seen = row->last_seen_unix_ns;
		host->last_seq = row->last_seq;
		host->gap_records_total = row->gap_records_total;
		host->connected = row->connected;
		DECODE_TEXT(host->problem, row->problem);
	}
	board->host_count = answer->n_hosts;
	return rc;
}

static int decode_traced(const Vow__V1__Answer *answer, struct board *board, struct diag *d)
{
	int rc = decode_rows((void **)&board->traced, answer->n_traced, sizeof(*board->traced), d);

	for (size_t i = 0; !rc && i < answer->n_traced; i++) {
		const Vow__V1__TracedRow *row = answer->traced[i];
		struct traced_row *traced = &board->traced[i];

		DECODE_TEXT(traced->service, row->service);
		DECODE_TEXT(traced->library, row->library);
		DECODE_TEXT(traced->how, row->how);
		DECODE_TEXT(traced->problem, row->problem);
		traced->configured = row->configured;
		traced->looking = row->looking;
		traced->since = row->since_unix_ns;
		traced->until = row->until_unix_ns;
		traced->processes = row->processes;
	}
	board->traced_count = answer->n_traced;
	return rc;
}

static int decode_board(const Vow__V1__Answer *answer, struct view *view, struct diag *d)
{
	int rc;

	view->board = board_new();
	if (!view->board)
		return diag_errno(d, -ENOMEM, "answer", NULL, "cannot take the board");
	decode_process(answer->process, view->board);
	rc = decode_collectors(answer, view->board, d);
	rc = rc ? rc : decode_objectives(answer, view->board, d);
	rc = rc ? rc : decode_alerts(answer, view->board, d);
	rc = rc ? rc : decode_scalers(answer, view->board, d);
	rc = rc ? rc : decode_decisions(answer, view->board, d);
	rc = rc ? rc : decode_gauges(answer, view->board, d);
	rc = rc ? rc : decode_hosts(answer, view->board, d);
	return rc ? rc : decode_traced(answer, view->board, d);
}

static int decode_answer(const Vow__V1__Answer *answer, struct view *view, struct diag *d)
{
	int rc;

	if (answer->protocol != VIEW_PROTOCOL)
		return diag_set(d, -EPROTO, "answer", "use programs of the same release",
				"control protocol %u is not %u", answer->protocol, VIEW_PROTOCOL);
	if (!answer->question)
		return decode_refuse(d, "no word about what it answers");
	rc = decode_question(answer->question, &view->query, d);
	view->at = answer->at_unix_ns;
	rc = rc ? rc : decode_routes(answer, view, d);
	rc = rc ? rc : decode_deliveries(answer, view, d);
	rc = rc ? rc : decode_exemplars(answer, view, d);
	if (!rc && answer->process)
		rc = decode_board(answer, view, d);
	return rc;
}

static void decode_problem(const Vow__V1__Problem *problem, struct diag *d)
{
	if (!d)
		return;
	d->err = problem->err < 0 ? problem->err : -EPROTO;
	DECODE_TEXT(d->where, problem->where);
	DECODE_TEXT(d->what, problem->what);
	DECODE_TEXT(d->fix, problem->fix);
}

int view_decode(const uint8_t *bytes, size_t size, struct view **view, struct diag *d)
{
	struct arena arena = {0};
	const Vow__V1__Answer *answer;
	ProtobufCMessage *message;
	struct view *made = NULL;
	int rc = message_unpack(&vow__v1__answer__descriptor, "answer", bytes, size, &arena,
				&message, d);

	if (rc)
		goto out;
	answer = (const Vow__V1__Answer *)message;
	if (answer->problem) {
		decode_problem(answer->problem, d);
		rc = 1;
		goto out;
	}
	made = calloc(1, sizeof(*made));
	rc = made ? decode_answer(answer, made, d)
		  : diag_errno(d, -ENOMEM, "answer", NULL, "cannot take it");
	if (rc)
		view_free(made);
	else
		*view = made;
out:
	arena_release(&arena);
	return rc;
}

int view_query_decode(const uint8_t *bytes, size_t size, struct view_query *query, struct diag *d)
{
	struct arena arena = {0};
	ProtobufCMessage *message;
	int rc = message_unpack(&vow__v1__question__descriptor, "question", bytes, size, &arena,
				&message, d);

	if (!rc)
		rc = decode_question((const Vow__V1__Question *)message, query, d);
	arena_release(&arena);
	return rc;
}
