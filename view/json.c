/* SPDX-License-Identifier: Apache-2.0 */
/* Views as the JSON of docs/json.md. */
#include "view/json_put.h"
#include "view/protocol.h"

static void json_key(struct json *json, json_t *row, const char *host, const struct series_key *key)
{
	json_text(json, row, "host", host);
	json_text(json, row, "service", key->service);
	json_text(json, row, "role", series_role_name(key->role));
	json_text(json, row, "kind", series_kind_name(key->kind));
	json_text(json, row, "method", key->method);
	json_text(json, row, "route", key->route);
	json_text(json, row, "peer", key->peer);
	json_text(json, row, "status_class", series_class_name(key->status_class));
}

static json_t *json_routes(struct json *json, const struct view *view)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < view->route_count; i++) {
		const struct view_route *route = &view->routes[i];
		json_t *row = json_row(json, rows);

		json_key(json, row, route->key.host, &route->key);
		json_count(json, row, "count", route->count);
		json_count(json, row, "errors", route->errors);
		json_count(json, row, "p50_ns", route->p50.value_ns);
		json_count(json, row, "p90_ns", route->p90.value_ns);
		json_count(json, row, "p95_ns", route->p95.value_ns);
		json_count(json, row, "p99_ns", route->p99.value_ns);
		json_count(json, row, "max_ns", route->max_ns);
		json_count_or_null(json, row, "queue_p99_ns", route->has_queue,
				   route->queue_p99_ns);
		json_number(json, row, "window_s", route->window_s);
		json_number(json, row, "relative_error", route->relative_error);
	}
	return rows;
}

static json_t *json_deliveries(struct json *json, const struct view *view)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < view->delivery_count; i++) {
		const struct view_delivery *delivery = &view->deliveries[i];
		bool timed = delivery->delivered != 0;
		json_t *row = json_row(json, rows);

		json_text(json, row, "host", delivery->host);
		json_text(json, row, "service", delivery->service);
		json_text(json, row, "event_type", delivery->event_type);
		json_text(json, row, "endpoint", delivery->endpoint);
		json_count(json, row, "delivered", delivery->delivered);
		json_count(json, row, "failed", delivery->failed);
		json_count(json, row, "dead_lettered", delivery->dead_lettered);
		json_count(json, row, "attempts", delivery->attempts);
		json_count(json, row, "attempts_failed", delivery->attempts_failed);
		json_count_or_null(json, row, "p50_ns", timed, delivery->p50.value_ns);
		json_count_or_null(json, row, "p90_ns", timed, delivery->p90.value_ns);
		json_count_or_null(json, row, "p95_ns", timed, delivery->p95.value_ns);
		json_count_or_null(json, row, "p99_ns", timed, delivery->p99.value_ns);
		json_count_or_null(json, row, "max_ns", timed, delivery->max_ns);
		json_count_or_null(json, row, "wait_p99_ns", delivery->has_wait,
				   delivery->wait_p99_ns);
		json_number(json, row, "window_s", delivery->window_s);
		json_number(json, row, "relative_error", HIST_RELATIVE_ERROR);
	}
	return rows;
}

static json_t *json_exemplars(struct json *json, const struct view *view)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < view->exemplar_count; i++) {
		const struct view_exemplar *exemplar = &view->exemplars[i];
		json_t *row = json_row(json, rows);

		json_key(json, row, exemplar->key.host, &exemplar->key);
		json_count(json, row, "at_unix_ns", exemplar->at);
		json_count(json, row, "latency_ns", exemplar->latency_ns);
		json_count(json, row, "status", exemplar->status);
		json_text(json, row, "tag", exemplar->tag);
	}
	return rows;
}

static void json_process(struct json *json, json_t *object, const struct board *board)
{
	json_text(json, object, "program", board->program);
	json_text(json, object, "version", board->version);
	json_text(json, object, "host", board->host);
	json_text(json, object, "scope", board->scope);
	json_text_or_null(json, object, "config_path", board->config_path);
	json_count(json, object, "pid", board->pid);
	json_count(json, object, "started_unix_ns", board->started);
	json_count_or_null(json, object, "counted_since_unix_ns", board->counted_since != 0,
			   board->counted_since);
	json_count(json, object, "at_unix_ns", board->at);
	json_count(json, object, "rss_bytes", board->rss_bytes);
	json_number(json, object, "cpu_ratio", board->cpu_ratio);
	json_text_or_null(json, object, "trouble", board->trouble);
}

static void json_store(struct json *json, json_t *object, const struct board *board)
{
	json_t *series = json_object(), *journal = json_object();

	json_put(json, object, "series", series);
	json_count(json, series, "count", board->series);
	json_count(json, series, "other_total", board->series_other_total);
	json_count(json, series, "bytes", board->series_bytes);
	json_count(json, series, "histograms_max", board->series * (SERIES_SLOTS + 1));
	json_count(json, object, "ticks_total", board->ticks_total);
	json_put(json, object, "journal", journal);
	json_count(json, journal, "seq", board->journal_seq);
	json_count(json, journal, "acked_seq", board->journal_acked_seq);
	json_count(json, journal, "bytes", board->journal_bytes);
	json_count(json, journal, "dropped_records_total", board->journal_dropped_records_total);
	json_count(json, journal, "failures_total", board->journal_failures_total);
	json_count(json, journal, "torn_total", board->journal_torn_total);
	json_count(json, journal, "quarantined_total", board->journal_quarantined_total);
	json_count(json, journal, "lost_records_total", board->journal_lost_records_total);
	json_count(json, journal, "merged_records_total", board->journal_merged_records_total);
}

static void json_collectors(struct json *json, json_t *object, const struct board *board)
{
	json_t *rows = json_list(json, object, "collectors");

	for (size_t i = 0; i < board->collector_count; i++) {
		const struct board_collector *collector = &board->collectors[i];
		json_t *row = json_row(json, rows), *drops = json_object();

		json_text(json, row, "host", board_host_of(board, collector->host));
		json_text(json, row, "name", collector->name);
		json_text(json, row, "tier", collector->tier);
		json_count(json, row, "events_total", collector->events_total);
		json_put(json, row, "drops_total", drops);
		for (unsigned drop = 0; drop < collector->drop_count; drop++)
			json_count(json, drops, collector->drops[drop].reason,
				   collector->drops[drop].total);
		json_text_or_null(json, row, "detail", collector->detail);
		json_text_or_null(json, row, "problem", collector->problem);
	}
}

static void json_selector(struct json *json, json_t *row, const struct selector *selector)
{
	json_t *object = json_object();

	json_put(json, row, "selector", object);
	json_text_or_null(json, object, "service", selector->service);
	json_text_or_null(json, object, "method", selector->method);
	json_text_or_null(json, object, "route", selector->route);
	json_text_or_null(json, object, "peer", selector->peer);
	json_text_or_null(json, object, "kind",
			  selector->kind == POLICY_ANY
				  ? ""
				  : series_kind_name((enum series_kind)selector->kind));
	json_text_or_null(json, object, "role",
			  selector->role == POLICY_ANY
				  ? ""
				  : series_role_name((enum series_role)selector->role));
}

static void json_objective(struct json *json, json_t *row, const struct board_objective *stands)
{
	const struct objective *promise = &stands->objective;

	json_text(json, row, "name", promise->name);
	json_selector(json, row, &promise->selector);
	json_count_or_null(json, row, "threshold_ns", promise->threshold_ns != POLICY_NO_THRESHOLD,
			   promise->threshold_ns);
	json_number(json, row, "target_ratio", promise->target_ratio);
	json_count(json, row, "period_ns", promise->period);
	json_count(json, row, "good", stands->good);
	json_count(json, row, "bad", stands->bad);
	json_number_or_null(json, row, "compliance_ratio", stands->good || stands->bad,
			    stands->compliance_ratio);
	json_flag(json, row, "breached", view_breached(stands));
	json_number(json, row, "budget_left_ratio", stands->budget_left_ratio);
	json_number(json, row, "burn_long", stands->burn_long);
	json_number(json, row, "burn_short", stands->burn_short);
	json_number(json, row, "burn_alert", promise->burn_rate);
	json_count(json, row, "long_window_ns", promise->long_window);
	json_count(json, row, "short_window_ns", promise->short_window);
	json_number(json, row, "coverage_ratio", stands->coverage_ratio);
	json_flag(json, row, "exact", stands->exact);
	json_text(json, row, "severity", severity_name(promise->severity));
	json_text(json, row, "alert", alert_state_name(stands->alert));
	json_count_or_null(json, row, "alert_changed_unix_ns", stands->alert_changed != 0,
			   stands->alert_changed);
}

static json_t *json_objectives(struct json *json, const struct board *board)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < board->objective_count; i++)
		json_objective(json, json_row(json, rows), &board->objectives[i]);
	return rows;
}

static void json_evidence(struct json *json, json_t *row, const struct board *board,
			  const struct alert_action *alert)
{
	json_t *rows = json_list(json, row, "evidence");

	for (unsigned i = 0; i < alert->evidence_count; i++) {
		json_t *evidence = json_row(json, rows);

		json_key(json, evidence, board_host_of(board, alert->evidence[i].key.host),
			 &alert->evidence[i].key);
		json_count(json, evidence, "bad", alert->evidence[i].bad);
		json_count(json, evidence, "count", alert->evidence[i].count);
	}
}

static json_t *json_alerts(struct json *json, const struct view *view)
{
	json_t *rows = json_array();
	const struct board *board = view->board;

	for (size_t i = 0; i < view_limit(view, board->alert_count); i++) {
		const struct alert_action *alert = &board->alerts[i].alert;
		json_t *row = json_row(json, rows);

		json_text(json, row, "host", board_host_of(board, board->alerts[i].host));
		json_count(json, row, "at_unix_ns", board->alerts[i].at);
		json_text(json, row, "objective", alert->objective);
		json_text(json, row, "fingerprint", alert->fingerprint);
		json_text(json, row, "from", alert_state_name(alert->from));
		json_text(json, row, "to", alert_state_name(alert->to));
		json_text(json, row, "severity", severity_name(alert->severity));
		json_count_or_null(json, row, "since_unix_ns", alert->since != 0, alert->since);
		json_number(json, row, "burn_long", alert->burn_long);
		json_number(json, row, "burn_short", alert->burn_short);
		json_count(json, row, "good", alert->good);
		json_count(json, row, "bad", alert->bad);
		json_number(json, row, "confidence", alert->confidence);
		json_number(json, row, "budget_left_ratio", alert->budget_left_ratio);
		json_text(json, row, "reason", alert->reason);
		json_evidence(json, row, board, alert);
	}
	return rows;
}

static void json_scalers(struct json *json, json_t *object, const struct board *board)
{
	static const char *const signals[] = {
		[SCALE_RATE] = "rate", [SCALE_LATENCY] = "latency", [SCALE_GAUGE] = "gauge"};
	json_t *rows = json_list(json, object, "scalers");

	for (size_t i = 0; i < board->scaler_count; i++) {
		const struct board_scaler *stands = &board->scalers[i];
		const struct scaler *scaler = &stands->scaler;
		json_t *row = json_row(json, rows);

		json_text(json, row, "name", scaler->name);
		json_selector(json, row, &scaler->selector);
		json_text(json, row, "signal", signals[scaler->signal]);
		json_text_or_null(json, row, "gauge", scaler->gauge);
		json_number_or_null(json, row, "value", stands->has_value, stands->value);
		json_number(json, row, "target", scaler->target);
		json_count(json, row, "replicas", stands->replicas);
		json_count(json, row, "minimum", scaler->minimum);
		json_count(json, row, "maximum", scaler->maximum);
		json_number(json, row, "deadband_ratio", scaler->deadband_ratio);
		json_count(json, row, "up_cooldown_ns", scaler->up_cooldown);
		json_count(json, row, "down_cooldown_ns", scaler->down_cooldown);
	}
}

static void json_decisions(struct json *json, json_t *object, const struct view *view)
{
	json_t *rows = json_list(json, object, "decisions");

	for (size_t i = 0; i < view_limit(view, view->board->decision_count); i++) {
		const struct board_decision *decision = &view->board->decisions[i];
		json_t *row = json_row(json, rows);

		json_text(json, row, "host", board_host_of(view->board, decision->host));
		json_count(json, row, "at_unix_ns", decision->at);
		json_text(json, row, "scaler", decision->scale.scaler);
		json_count(json, row, "from", decision->scale.from);
		json_count(json, row, "to", decision->scale.to);
		json_count(json, row, "wanted", decision->scale.wanted);
		json_number(json, row, "value", decision->scale.value);
		json_number(json, row, "target", decision->scale.target);
		json_text_or_null(json, row, "limited_by", decision->scale.limited_by);
		json_text(json, row, "reason", decision->scale.reason);
	}
}

static void json_gauges(struct json *json, json_t *object, const struct board *board)
{
	json_t *rows = json_list(json, object, "gauges");

	for (size_t i = 0; i < board->gauge_count; i++) {
		const struct gauge *gauge = &board->gauges[i];
		json_t *row = json_row(json, rows);

		json_text(json, row, "host", board_host_of(board, gauge->host));
		json_text(json, row, "service", gauge->service);
		json_text(json, row, "name", gauge->name);
		json_text(json, row, "label", gauge->label);
		json_number(json, row, "value", gauge->value);
	}
}

static json_t *json_hosts(struct json *json, const struct board *board)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < board->host_count; i++) {
		const struct board_host *host = &board->hosts[i];
		json_t *row = json_row(json, rows);

		json_text(json, row, "host", board_host_of(board, host->host));
		json_text(json, row, "version", host->version);
		json_flag(json, row, "connected", host->connected);
		json_count_or_null(json, row, "last_seen_unix_ns", host->last_seen != 0,
				   host->last_seen);
		json_count(json, row, "last_seq", host->last_seq);
		json_count(json, row, "gap_records_total", host->gap_records_total);
		json_text_or_null(json, row, "problem", host->problem);
	}
	return rows;
}

static json_t *json_traced(struct json *json, const struct board *board)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < board->traced_count; i++) {
		const struct traced_row *traced = &board->traced[i];
		json_t *row = json_row(json, rows);

		json_text(json, row, "service", traced->service);
		json_text(json, row, "by", traced->configured ? "configuration" : "command");
		json_count_or_null(json, row, "since_unix_ns", traced->since != 0, traced->since);
		json_count_or_null(json, row, "until_unix_ns", traced->until != 0, traced->until);
		json_count(json, row, "processes", traced->processes);
		json_text_or_null(json, row, "library", traced->library);
		json_text_or_null(json, row, "how", traced->how);
		json_flag(json, row, "looking", traced->looking);
		json_text_or_null(json, row, "problem", traced->problem);
	}
	return rows;
}

static json_t *json_status(struct json *json, const struct board *board)
{
	json_t *object = json_object();

	json_process(json, object, board);
	json_store(json, object, board);
	json_collectors(json, object, board);
	json_put(json, object, "objectives", json_objectives(json, board));
	json_scalers(json, object, board);
	json_gauges(json, object, board);
	json_put(json, object, "hosts", json_hosts(json, board));
	return object;
}

static json_t *json_scale(struct json *json, const struct view *view)
{
	json_t *object = json_object();

	json_scalers(json, object, view->board);
	json_decisions(json, object, view);
	return object;
}

static json_t *json_doctor(struct json *json, const struct board *board)
{
	json_t *object = json_object();

	json_process(json, object, board);
	json_collectors(json, object, board);
	json_put(json, object, "hosts", json_hosts(json, board));
	return object;
}

static json_t *json_of_board(struct json *json, const struct view *view)
{
	switch (view->query.what) {
	case VIEW_STATUS:
		return json_status(json, view->board);
	case VIEW_SLO:
		return json_objectives(json, view->board);
	case VIEW_ALERTS:
		return json_alerts(json, view);
	case VIEW_SCALE:
		return json_scale(json, view);
	case VIEW_DOCTOR:
		return json_doctor(json, view->board);
	case VIEW_HOSTS:
		return json_hosts(json, view->board);
	case VIEW_TRACED:
		return json_traced(json, view->board);
	case VIEW_ROUTES:
	case VIEW_DELIVERIES:
	case VIEW_EXEMPLARS:
	case VIEW_COUNT:
		break;
	}
	return NULL;
}

static json_t *json_of_view(struct json *json, const struct view *view)
{
	if (view->query.what == VIEW_ROUTES)
		return json_routes(json, view);
	if (view->query.what == VIEW_DELIVERIES)
		return json_deliveries(json, view);
	if (view->query.what == VIEW_EXEMPLARS)
		return json_exemplars(json, view);
	/* Before the first tick there is no board: nothing is known yet. */
	return view->board ? json_of_board(json, view) : json_null();
}

char *view_json(const struct view *view, bool indented)
{
	struct json json = {false};
	json_t *root = json_of_view(&json, view);

	return json_print(&json, root, indented);
}

char *view_checks_json(const struct view_check *checks, size_t count, const struct view *view,
		       bool indented)
{
	struct json json = {false};
	json_t *root = json_object();
	json_t *rows = json_list(&json, root, "checks");

	for (size_t i = 0; i < count; i++) {
		json_t *row = json_row(&json, rows);

		json_text(&json, row, "name", checks[i].name);
		json_text(&json, row, "grade", view_grade_name(checks[i].grade));
		json_text(&json, row, "what", checks[i].what);
		json_text_or_null(&json, row, "fix", checks[i].fix);
	}
	if (view && view->board)
		json_put(&json, root, "agent", json_doctor(&json, view->board));
	return json_print(&json, root, indented);
}
