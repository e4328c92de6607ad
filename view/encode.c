/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Views to bytes. Protobuf lets a repeated field be written in pieces, so each row is packed for
 * itself behind the previous one: no tree of messages stands in memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <vow/v1/control.pb-c.h>

#include "proto/action.h"
#include "proto/message.h"
#include "view/protocol.h"

/* Generated types have no const; packing only reads. */
#define TEXT(text) ((char *)(text))

static int encode_answer(struct message_buffer *to, const Vow__V1__Answer *answer)
{
	return message_append(to, &answer->base);
}

/* order: room for what the question refers to. */
static Vow__V1__Question encode_question(const struct view_query *query, Vow__V1__TraceOrder *order)
{
	Vow__V1__Question question = VOW__V1__QUESTION__INIT;

	question.protocol = VIEW_PROTOCOL;
	question.what = query->what;
	question.window = query->window;
	question.service = TEXT(query->service);
	question.limit = query->limit;
	question.all_hosts = query->all_hosts;
	question.route = TEXT(query->route);
	if (query->trace.service[0]) {
		vow__v1__trace_order__init(order);
		order->service = TEXT(query->trace.service);
		order->lasts_ns = query->trace.lasts;
		question.trace = order;
	}
	return question;
}

static int encode_head(struct message_buffer *to, const struct view *view)
{
	Vow__V1__Answer answer = VOW__V1__ANSWER__INIT;
	Vow__V1__TraceOrder order;
	Vow__V1__Question question = encode_question(&view->query, &order);

	answer.protocol = VIEW_PROTOCOL;
	answer.question = &question;
	answer.at_unix_ns = view->at;
	return encode_answer(to, &answer);
}

static Vow__V1__Quantile encode_quantile(const struct hist_quantile *q)
{
	Vow__V1__Quantile quantile = VOW__V1__QUANTILE__INIT;

	quantile.value_ns = q->value_ns;
	quantile.lower_ns = q->lower_ns;
	quantile.upper_ns = q->upper_ns;
	return quantile;
}

static int encode_route(struct message_buffer *to, const struct view_route *route)
{
	Vow__V1__Quantile p50 = encode_quantile(&route->p50), p90 = encode_quantile(&route->p90);
	Vow__V1__Quantile p95 = encode_quantile(&route->p95), p99 = encode_quantile(&route->p99);
	Vow__V1__Answer answer = VOW__V1__ANSWER__INIT;
	Vow__V1__RouteRow row = VOW__V1__ROUTE_ROW__INIT, *rows = &row;
	Vow__V1__Series series;

	series_key_to_message(&route->key, &series);
	row.host = TEXT(route->key.host);
	row.series = &series;
	row.count = route->count;
	row.errors = route->errors;
	row.p50 = &p50;
	row.p90 = &p90;
	row.p95 = &p95;
	row.p99 = &p99;
	row.max_ns = route->max_ns;
	row.has_queue = route->has_queue;
	row.queue_p99_ns = route->queue_p99_ns;
	row.window_s = route->window_s;
	row.relative_error = route->relative_error;
	answer.n_routes = 1;
	answer.routes = &rows;
	return encode_answer(to, &answer);
}

static int encode_delivery(struct message_buffer *to, const struct view_delivery *delivery)
{
	Vow__V1__Quantile p50 = encode_quantile(&delivery->p50);
	Vow__V1__Quantile p90 = encode_quantile(&delivery->p90);
	Vow__V1__Quantile p95 = encode_quantile(&delivery->p95);
	Vow__V1__Quantile p99 = encode_quantile(&delivery->p99);
	Vow__V1__Answer answer = VOW__V1__ANSWER__INIT;
	Vow__V1__DeliveryRow row = VOW__V1__DELIVERY_ROW__INIT, *rows = &row;

	row.host = TEXT(delivery->host);
	row.service = TEXT(delivery->service);
	row.event_type = TEXT(delivery->event_type);
	row.endpoint = TEXT(delivery->endpoint);
	row.delivered = delivery->delivered;
	row.failed = delivery->failed;
	row.dead_lettered = delivery->dead_lettered;
	row.attempts = delivery->attempts;
	row.attempts_failed = delivery->attempts_failed;
	row.p50 = &p50;
	row.p90 = &p90;
	row.p95 = &p95;
	row.p99 = &p99;
	row.max_ns = delivery->max_ns;
	row.has_wait = delivery->has_wait;
	row.wait_p99_ns = delivery->wait_p99_ns;
	row.window_s = delivery->window_s;
	answer.n_deliveries = 1;
	answer.deliveries = &rows;
	return encode_answer(to, &answer);
}

static int encode_exemplar(struct message_buffer *to, const struct view_exemplar *exemplar)
{
	Vow__V1__Answer answer = VOW__V1__ANSWER__INIT;
	Vow__V1__ExemplarRow row = VOW__V1__EXEMPLAR_ROW__INIT, *rows = &row;
	Vow__V1__Series series;

	series_key_to_message(&exemplar->key, &series);
	row.host = TEXT(exemplar->key.host);
	row.series = &series;
	row.at_unix_ns = exemplar->at;
	row.latency_ns = exemplar->latency_ns;
	row.status = exemplar->status;
	row.tag = TEXT(exemplar->tag);
	answer.n_exemplars = 1;
	answer.exemplars = &rows;
	return encode_answer(to, &answer);
}

static int encode_process(struct message_buffer *to, const struct board *board)
{
	Vow__V1__Answer answer = VOW__V1__ANSWER__INIT;
	Vow__V1__Process process = VOW__V1__PROCESS__INIT;

	process.program = TEXT(board->program);
	process.version = TEXT(board->version);
	process.host = TEXT(board->host);
	process.scope = TEXT(board->scope);
	process.config_path = TEXT(board->config_path);
	process.pid = board->pid;
	process.started_unix_ns = board->started;
	process.counted_since_unix_ns = board->counted_since;
	process.at_unix_ns = board->at;
	process.rss_bytes = board->rss_bytes;
	process.cpu_ratio = board->cpu_ratio;
	process.series = board->series;
	process.series_other_total = board->series_other_total;
	process.series_bytes = board->series_bytes;
	process.ticks_total = board->ticks_total;
	process.journal_seq = board->journal_seq;
	process.journal_acked_seq = board->journal_acked_seq;
	process.journal_bytes = board->journal_bytes;
	process.journal_dropped_records_total = board->journal_dropped_records_total;
	process.journal_failures_total = board->journal_failures_total;
	process.journal_torn_total = board->journal_torn_total;
	process.journal_quarantined_total = board->journal_quarantined_total;
	process.journal_lost_records_total = board->journal_lost_records_total;
	process.journal_merged_records_total = board->journal_merged_records_total;
	process.trouble = TEXT(board->trouble);
	answer.process = &process;
	return encode_answer(to, &answer);
}

static int encode_collector(struct message_buffer *to, const struct board_collector *collector)
{
	Vow__V1__Answer answer = VOW__V1__ANSWER__INIT;
	Vow__V1__CollectorRow row = VOW__V1__COLLECTOR_ROW__INIT, *rows = &row;
	Vow__V1__Drops drops[ARRAY_LEN(collector->drops)], *drop_rows[ARRAY_LEN(drops)];

	for (unsigned i = 0; i < collector->drop_count && i < ARRAY_LEN(drops); i++) {
		vow__v1__drops__init(&drops[i]);
		drops[i].reason = TEXT(collector->drops[i].reason);
		drops[i].total = collector->drops[i].total;
		drop_rows[i] = &drops[i];
		row.n_drops = i + 1;
	}
	row.drops = drop_rows;
	row.host = TEXT(collector->host);
	row.name = TEXT(collector->name);
	row.tier = TEXT(collector->tier);
	row.events_total = collector->events_total;
	row.detail = TEXT(collector->detail);
	row.problem = TEXT(collector->problem);
	answer.n_collectors = 1;
	answer.collectors = &rows;
	return encode_answer(to, &answer);
}

static Vow__V1__Selector encode_selector(const struct selector *selector)
{
	Vow__V1__Selector message = VOW__V1__SELECTOR__INIT;

	message.service = TEXT(selector->service);
	message.method = TEXT(selector->method);
	message.route = TEXT(selector->route);
	message.peer = TEXT(selector->peer);
	message.kind = selector->kind;
	message.role = selector->role;
	return message;
}

static int encode_objective(struct message_buffer *to, const struct board_objective *objective)
{
	const struct objective *promise = &objective->objective;
	Vow__V1__Answer answer = VOW__V1__ANSWER__INIT;
	Vow__V1__ObjectiveRow row = VOW__V1__OBJECTIVE_ROW__INIT, *rows = &row;
	Vow__V1__Selector selector = encode_selector(&promise->selector);

	row.name = TEXT(promise->name);
	row.selector = &selector;
	row.threshold_ns = promise->threshold_ns;
	row.target_ratio = promise->target_ratio;
	row.period_ns = promise->period;
	row.burn_rate = promise->burn_rate;
	row.long_window_ns = promise->long_window;
	row.short_window_ns = promise->short_window;
	row.clear_after_ns = promise->clear_after;
	row.min_bad = promise->min_bad;
	row.severity = promise->severity;
	row.good = objective->good;
	row.bad = objective->bad;
	row.compliance_ratio = objective->compliance_ratio;
	row.budget_left_ratio = objective->budget_left_ratio;
	row.burn_long = objective->burn_long;
	row.burn_short = objective->burn_short;
	row.coverage_ratio = objective->coverage_ratio;
	row.exact = objective->exact;
	row.alert = objective->alert;
	row.alert_changed_unix_ns = objective->alert_changed;
	answer.n_objectives = 1;
	answer.objectives = &rows;
	return encode_answer(to, &answer);
}

static int encode_alert(struct message_buffer *to, const struct board_alert *alert)
{
	struct action action = {.kind = ACTION_ALERT, .at = alert->at, .alert = alert->alert};
	Vow__V1__Answer answer = VOW__V1__ANSWER__INIT;
	Vow__V1__ActionRow row = VOW__V1__ACTION_ROW__INIT, *rows = &row;
	struct action_message message;

	action_to_message(&action, &message);
	row.host = TEXT(alert->host);
	row.action = &message.action;
	answer.n_alerts = 1;
	answer.alerts = &rows;
	return encode_answer(to, &answer);
}

static int encode_decision(struct message_buffer *to, const struct board_decision *decision)
{
	struct action action = {.kind = ACTION_SCALE, .at = decision->at, .scale = decision->scale};
	Vow__V1__Answer answer = VOW__V1__ANSWER__INIT;
	Vow__V1__ActionRow row = VOW__V1__ACTION_ROW__INIT, *rows = &row;
	struct action_message message;

	action_to_message(&action, &message);
	row.host = TEXT(decision->host);
	row.action = &message.action;
	answer.n_decisions = 1;
	answer.decisions = &rows;
	return encode_answer(to, &answer);
}

static int encode_scaler(struct message_buffer *to, const struct board_scaler *stands)
{
	const struct scaler *scaler = &stands->scaler;
	Vow__V1__Answer answer = VOW__V1__ANSWER__INIT;
	Vow__V1__ScalerRow row = VOW__V1__SCALER_ROW__INIT, *rows = &row;
	Vow__V1__Selector selector = encode_selector(&scaler->selector);

	row.name = TEXT(scaler->name);
	row.selector = &selector;
	row.signal = scaler->signal;
	row.gauge = TEXT(scaler->gauge);
	row.gauge_is_mean = scaler->gauge_is_mean;
	row.target = scaler->target;
	row.minimum = scaler->minimum;
	row.maximum = scaler->maximum;
	row.deadband_ratio = scaler->deadband_ratio;
	row.up_cooldown_ns = scaler->up_cooldown;
	row.down_cooldown_ns = scaler->down_cooldown;
	row.has_value = stands->has_value;
	row.value = stands->value;
	row.replicas = stands->replicas;
	answer.n_scalers = 1;
	answer.scalers = &rows;
	return encode_answer(to, &answer);
}

static int encode_gauge(struct message_buffer *to, const struct gauge *gauge)
{
	Vow__V1__Answer answer = VOW__V1__ANSWER__INIT;
	Vow__V1__GaugeRow row = VOW__V1__GAUGE_ROW__INIT, *rows = &row;
	Vow__V1__Gauge message = VOW__V1__GAUGE__INIT;

	message.service = TEXT(gauge->service);
	message.name = TEXT(gauge->name);
	message.label = TEXT(gauge->label);
	message.value = gauge->value;
	row.host = TEXT(gauge->host);
	row.gauge = &message;
	answer.n_gauges = 1;
	answer.gauges = &rows;
	return encode_answer(to, &answer);
}

static int encode_host(struct message_buffer *to, const struct board_host *host)
{
	Vow__V1__Answer answer = VOW__V1__ANSWER__INIT;
	Vow__V1__HostRow row = VOW__V1__HOST_ROW__INIT, *rows = &row;

	row.host = TEXT(host->host);
	row.version = TEXT(host->version);
	row.last_seen_unix_ns = host->last_seen;
	row.last_seq = host->last_seq;
	row.gap_records_total = host->gap_records_total;
	row.connected = host->connected;
	row.problem = TEXT(host->problem);
	answer.n_hosts = 1;
	answer.hosts = &rows;
	return encode_answer(to, &answer);
}

static int encode_traced(struct message_buffer *to, const struct traced_row *traced)
{
	Vow__V1__Answer answer = VOW__V1__ANSWER__INIT;
	Vow__V1__TracedRow row = VOW__V1__TRACED_ROW__INIT, *rows = &row;

	row.service = TEXT(traced->service);
	row.configured = traced->configured;
	row.looking = traced->looking;
	row.since_unix_ns = traced->since;
	row.until_unix_ns = traced->until;
	row.processes = traced->processes;
	row.library = TEXT(traced->library);
	row.how = TEXT(traced->how);
	row.problem = TEXT(traced->problem);
	answer.n_traced = 1;
	answer.traced = &rows;
	return encode_answer(to, &answer);
}

static int encode_board(struct message_buffer *to, const struct view *view)
{
	const struct board *board = view->board;
	unsigned parts = view_parts(view->query.what);
	int rc = encode_process(to, board);

	if (parts & VIEW_PART_COLLECTORS)
		for (size_t i = 0; !rc && i < board->collector_count; i++)
			rc = encode_collector(to, &board->collectors[i]);
	if (parts & VIEW_PART_OBJECTIVES)
		for (size_t i = 0; !rc && i < board->objective_count; i++)
			rc = encode_objective(to, &board->objectives[i]);
	if (parts & VIEW_PART_ALERTS)
		for (size_t i = 0; !rc && i < view_limit(view, board->alert_count); i++)
			rc = encode_alert(to, &board->alerts[i]);
	if (parts & VIEW_PART_SCALERS)
		for (size_t i = 0; !rc && i < board->scaler_count; i++)
			rc = encode_scaler(to, &board->scalers[i]);
	if (parts & VIEW_PART_DECISIONS)
		for (size_t i = 0; !rc && i < view_limit(view, board->decision_count); i++)
			rc = encode_decision(to, &board->decisions[i]);
	if (parts & VIEW_PART_GAUGES)
		for (size_t i = 0; !rc && i < board->gauge_count; i++)
			rc = encode_gauge(to, &board->gauges[i]);
	if (parts & VIEW_PART_HOSTS)
		for (size_t i = 0; !rc && i < board->host_count; i++)
			rc = encode_host(to, &board->hosts[i]);
	if (parts & VIEW_PART_TRACED)
		for (size_t i = 0; !rc && i < board->traced_count; i++)
			rc = encode_traced(to, &board->traced[i]);
	return rc;
}

/* Hands the buffer's bytes to the caller, or frees them on failure. */
static int encode_end(struct message_buffer *buffer, int rc, uint8_t **bytes, size_t *size)
{
	if (rc) {
		message_buffer_free(buffer);
		return rc;
	}
	*bytes = buffer->bytes;
	*size = buffer->size;
	return 0;
}

int view_encode(const struct view *view, uint8_t **bytes, size_t *size)
{
	struct message_buffer buffer = {0};
	int rc = encode_head(&buffer, view);

	for (size_t i = 0; !rc && i < view->route_count; i++)
		rc = encode_route(&buffer, &view->routes[i]);
	for (size_t i = 0; !rc && i < view->delivery_count; i++)
		rc = encode_delivery(&buffer, &view->deliveries[i]);
	for (size_t i = 0; !rc && i < view->exemplar_count; i++)
		rc = encode_exemplar(&buffer, &view->exemplars[i]);
	if (!rc && view->board)
		rc = encode_board(&buffer, view);
	return encode_end(&buffer, rc, bytes, size);
}

int view_encode_error(const struct diag *error, uint8_t **bytes, size_t *size)
{
	struct message_buffer buffer = {0};
	Vow__V1__Answer answer = VOW__V1__ANSWER__INIT;
	Vow__V1__Problem problem = VOW__V1__PROBLEM__INIT;

	problem.err = error->err;
	problem.where = TEXT(error->where);
	problem.what = TEXT(error->what);
	problem.fix = TEXT(error->fix);
	answer.protocol = VIEW_PROTOCOL;
	answer.problem = &problem;
	return encode_end(&buffer, encode_answer(&buffer, &answer), bytes, size);
}

int view_query_encode(const struct view_query *query, uint8_t **bytes, size_t *size)
{
	struct message_buffer buffer = {0};
	Vow__V1__TraceOrder order;
	Vow__V1__Question question = encode_question(query, &order);

	return encode_end(&buffer, message_append(&buffer, &question.base), bytes, size);
}
