/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- the format -------------------------------------------------------------------------------- */

static void metrics_family(struct text *text, const char *name, const char *type, const char *help)
{
	text_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Label values may hold anything but backslash, quote and line end, which are escaped. */
static void metrics_label(struct text *text, const char *name, const char *value)
{
	char one[2] = "";

	text_printf(text, "%s=\"", name);
	for (const char *c = value; *c; c++) {
		one[0] = *c;
		if (*c == '\n')
			text_put(text, "\\n");
		else if (*c == '"' || *c == '\\')
			text_printf(text, "\\%c", *c);
		else
			text_put(text, one);
	}
	text_put(text, "\"");
}

static void metrics_seconds(struct text *text, uint64_t ns)
{
	text_printf(text, "%.9g\n", (double)ns / (double)NS_PER_S);
}

static void metrics_number(struct text *text, const char *name, const char *type, const char *help,
			   double value)
{
	metrics_family(text, name, type, help);
	text_printf(text, "%s %.17g\n", name, value);
}

/* ---- series ------------------------------------------------------------------------------------ */

static void metrics_key(struct text *text, const char *name, const struct series_key *key)
{
	text_printf(text, "%s{", name);
	metrics_label(text, "host", key->host);
	metrics_label(text, ",service", key->service);
	metrics_label(text, ",kind", series_kind_name(key->kind));
	metrics_label(text, ",role", series_role_name(key->role));
	metrics_label(text, ",method", key->method);
	metrics_label(text, ",route", key->route);
	metrics_label(text, ",peer", key->peer);
	metrics_label(text, ",status_class", series_class_name(key->status_class));
}

static void metrics_counts(struct text *text, const struct view *total)
{
	metrics_family(text, "vow_events_total", "counter",
		       "Requests, deliveries and other measured events.");
	for (size_t i = 0; i < total->route_count; i++) {
		metrics_key(text, "vow_events_total", &total->routes[i].key);
		text_printf(text, "} %" PRIu64 "\n", total->routes[i].count);
	}
	metrics_family(text, "vow_errors_total", "counter",
		       "Those of vow_events_total that were errors.");
	for (size_t i = 0; i < total->route_count; i++) {
		metrics_key(text, "vow_errors_total", &total->routes[i].key);
		text_printf(text, "} %" PRIu64 "\n", total->routes[i].errors);
	}
}

static void metrics_quantile(struct text *text, const struct view_route *row, const char *quantile,
			     uint64_t ns)
{
	metrics_key(text, "vow_latency_seconds", &row->key);
	text_printf(text, ",quantile=\"%s\"} ", quantile);
	metrics_seconds(text, ns);
}

static void metrics_latencies(struct text *text, const struct view *recent)
{
	metrics_family(text, "vow_latency_seconds", "summary",
		       "Latency quantiles over the last minute, relative error at most 0.271 %.");
	for (size_t i = 0; i < recent->route_count; i++) {
		const struct view_route *row = &recent->routes[i];

		metrics_quantile(text, row, "0.5", row->p50.value_ns);
		metrics_quantile(text, row, "0.9", row->p90.value_ns);
		metrics_quantile(text, row, "0.95", row->p95.value_ns);
		metrics_quantile(text, row, "0.99", row->p99.value_ns);
	}
	metrics_family(
		text, "vow_queue_wait_seconds", "summary",
		"p99 over the last minute of the wait before the application read a request.");
	for (size_t i = 0; i < recent->route_count; i++) {
		if (!recent->routes[i].has_queue)
			continue;
		metrics_key(text, "vow_queue_wait_seconds", &recent->routes[i].key);
		text_put(text, ",quantile=\"0.99\"} ");
		metrics_seconds(text, recent->routes[i].queue_p99_ns);
	}
}

/* ---- what stands on the board ------------------------------------------------------------------ */

static void metrics_objective(struct text *text, const char *name,
			      const struct board_objective *stands, double value)
{
	text_printf(text, "%s{", name);
	metrics_label(text, "objective", stands->objective.name);
	text_printf(text, "} %.17g\n", value);
}

static void metrics_objectives(struct text *text, const struct board *board)
{
	metrics_family(text, "vow_objective_compliance_ratio", "gauge",
		       "Good events of all over the objective's period.");
	for (size_t i = 0; i < board->objective_count; i++)
		metrics_objective(text, "vow_objective_compliance_ratio", &board->objectives[i],
				  board->objectives[i].compliance_ratio);
	metrics_family(text, "vow_objective_budget_left_ratio", "gauge",
		       "Error budget left, 1 untouched, negative overspent.");
	for (size_t i = 0; i < board->objective_count; i++)
		metrics_objective(text, "vow_objective_budget_left_ratio", &board->objectives[i],
				  board->objectives[i].budget_left_ratio);
	metrics_family(text, "vow_objective_burn_rate", "gauge",
		       "How many times too fast the budget burns over the long window.");
	for (size_t i = 0; i < board->objective_count; i++)
		metrics_objective(text, "vow_objective_burn_rate", &board->objectives[i],
				  board->objectives[i].burn_long);
	metrics_family(text, "vow_objective_firing", "gauge",
		       "1 while the objective's alert fires.");
	for (size_t i = 0; i < board->objective_count; i++)
		metrics_objective(text, "vow_objective_firing", &board->objectives[i],
				  board->objectives[i].alert == ALERT_FIRING);
}

static void metrics_scalers(struct text *text, const struct board *board)
{
	metrics_family(text, "vow_scaler_replicas", "gauge", "Replicas decided last.");
	for (size_t i = 0; i < board->scaler_count; i++) {
		text_put(text, "vow_scaler_replicas{");
		metrics_label(text, "scaler", board->scalers[i].scaler.name);
		text_printf(text, "} %u\n", board->scalers[i].replicas);
	}
}

static void metrics_hosts(struct text *text, const struct board *board)
{
	metrics_family(text, "vow_host_connected", "gauge", "1 while the host's agent streams.");
	for (size_t i = 0; i < board->host_count; i++) {
		text_put(text, "vow_host_connected{");
		metrics_label(text, "host", board->hosts[i].host);
		text_printf(text, "} %d\n", board->hosts[i].connected);
	}
	metrics_family(text, "vow_host_lost_records_total", "counter",
		       "Records that the agent lost before they came here.");
	for (size_t i = 0; i < board->host_count; i++) {
		text_put(text, "vow_host_lost_records_total{");
		metrics_label(text, "host", board->hosts[i].host);
		text_printf(text, "} %" PRIu64 "\n", board->hosts[i].gap_records_total);
	}
}

static void metrics_collectors(struct text *text, const struct board *board)
{
	metrics_family(text, "vow_collector_drops_total", "counter",
		       "Events that a collector saw but could not report, by reason.");
	for (size_t i = 0; i < board->collector_count; i++) {
		const struct board_collector *collector = &board->collectors[i];

		for (unsigned k = 0; k < collector->drop_count; k++) {
			text_put(text, "vow_collector_drops_total{");
			metrics_label(text, "host", collector->host);
			metrics_label(text, ",collector", collector->name);
			metrics_label(text, ",reason", collector->drops[k].reason);
			text_printf(text, "} %" PRIu64 "\n", collector->drops[k].total);
		}
	}
}

/* One family for all: their names are others' to choose, of applications too. */
static void metrics_gauges(struct text *text, const struct board *board)
{
	metrics_family(text, "vow_gauge", "gauge",
		       "What goes up and down, as hosts and applications told it last.");
	for (size_t i = 0; i < board->gauge_count; i++) {
		const struct gauge *gauge = &board->gauges[i];

		if (!isfinite(gauge->value))
			continue;
		text_put(text, "vow_gauge{");
		metrics_label(text, "host", gauge->host);
		metrics_label(text, ",service", gauge->service);
		metrics_label(text, ",gauge", gauge->name);
		metrics_label(text, ",of", gauge->label);
		text_printf(text, "} %.17g\n", gauge->value);
	}
}

static void metrics_hub(struct text *text, const struct board *board, const struct api_facts *facts)
{
	const struct merge_counters *merge = &facts->merge;

	metrics_number(text, "vow_hub_records_total", "counter", "Records merged and durable.",
		       (double)merge->records_total);
	metrics_number(text, "vow_hub_histograms_total", "counter", "Histograms in these records.",
		       (double)merge->histograms_total);
	metrics_number(text, "vow_hub_duplicates_total", "counter",
		       "Records that were sent again and not counted again.",
		       (double)merge->duplicates_total);
	metrics_number(text, "vow_hub_late_total", "counter",
		       "Records that came too late for the windows.", (double)merge->late_total);
	metrics_number(text, "vow_hub_refused_total", "counter", "Messages that were broken.",
		       (double)merge->refused_total);
	metrics_number(text, "vow_hub_unmerged_total", "counter",
		       "Durable records that memory lacked for; a restart counts them.",
		       (double)facts->unmerged_total);
	metrics_number(text, "vow_hub_commits_total", "counter", "Transactions.",
		       (double)merge->commits_total);
	metrics_number(text, "vow_hub_commit_failures_total", "counter",
		       "Transactions that failed; agents sent again.",
		       (double)merge->commit_failures_total);
	metrics_number(text, "vow_hub_store_bytes", "gauge", "Bytes in use in the store.",
		       (double)facts->store_bytes);
	metrics_number(text, "vow_hub_streams", "gauge", "Agents' streams that are open.",
		       facts->streams);
	metrics_number(text, "vow_hub_connections_shed_total", "counter",
		       "Connections hung up on because descriptors had run out.",
		       (double)facts->connections_shed_total);
	metrics_number(text, "vow_hub_series", "gauge", "Series in memory.", (double)board->series);
	metrics_number(text, "vow_hub_gauges_refused_total", "counter",
		       "Values of gauges beyond as many as the hub keeps.",
		       (double)facts->gauges_refused_total);
	metrics_number(text, "vow_hub_resident_bytes", "gauge", "Resident memory of the hub.",
		       (double)board->rss_bytes);
	metrics_number(text, "vow_hub_cpu_ratio", "gauge", "CPU of the hub, 1 is one core.",
		       board->cpu_ratio);
	metrics_number(text, "vow_hub_trouble", "gauge", "1 while something goes wrong.",
		       board->trouble[0] != '\0');
}

void metrics_put(struct text *text, const struct view *total, const struct view *recent,
		 const struct board *board, const struct api_facts *facts)
{
	metrics_counts(text, total);
	metrics_latencies(text, recent);
	metrics_objectives(text, board);
	metrics_scalers(text, board);
	metrics_hosts(text, board);
	metrics_collectors(text, board);
	metrics_gauges(text, board);
	metrics_hub(text, board, facts);
}
