/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests of views begin with: series to be recorded into, and a board and rows on which
 * everything differs from zero and from its neighbour.
 */
#ifndef VOW_TESTS_UNIT_VIEW_SAMPLES_H
#define VOW_TESTS_UNIT_VIEW_SAMPLES_H

#include <stdlib.h>
#include <string.h>

#include "tests/unit/check.h"
#include "view/view.h"

#define WALL (UINT64_C(1795315200) * NS_PER_S) /* 2026-11-22 02:40:00 UTC */

static inline struct series_table *table_new(void)
{
	struct series_table *table = series_table_new(&(struct series_table_options){0});

	CHECK(table);
	return table;
}

static inline struct series *series_of(struct series_table *table, enum series_kind kind,
				       const char *service, const char *route, const char *peer,
				       enum series_class status_class)
{
	struct series_key key = {
		.kind = (uint8_t)kind,
		.role = kind == SERIES_HTTP || kind == SERIES_USER ? SERIES_SERVER : SERIES_CLIENT,
		.status_class = (uint8_t)status_class,
	};
	struct series *s;

	strcpy(key.service, service);
	strcpy(key.route, route);
	strcpy(key.peer, peer);
	strcpy(key.method, kind == SERIES_HTTP ? "GET" : "");
	s = series_get(table, &key);
	CHECK(s);
	return s;
}

static inline struct board *board_full(void)
{
	struct board *board = board_new();

	CHECK(board);
	strcpy(board->program, "vowd");
	strcpy(board->version, "1.2.3");
	strcpy(board->host, "web1");
	strcpy(board->scope, "host:web1");
	strcpy(board->config_path, "/etc/vow/vow.yaml");
	strcpy(board->trouble, "journal: No space left on device");
	board->pid = 4711;
	board->started = WALL - 100 * NS_PER_S;
	board->counted_since = WALL - 500 * NS_PER_S;
	board->at = WALL;
	board->rss_bytes = 9 << 20;
	board->cpu_ratio = 0.25;
	board->series = 3;
	board->series_other_total = 4;
	board->series_bytes = 5;
	board->ticks_total = 6;
	board->journal_seq = 7;
	board->journal_acked_seq = 8;
	board->journal_bytes = 9;
	board->journal_dropped_records_total = 10;
	board->journal_failures_total = 11;
	board->journal_torn_total = 12;
	board->journal_quarantined_total = 13;
	board->journal_lost_records_total = 14;
	board->journal_merged_records_total = 15;

	board->collectors = calloc(1, sizeof(*board->collectors));
	board->collector_count = 1;
	strcpy(board->collectors[0].host, "web1");
	strcpy(board->collectors[0].name, "http");
	strcpy(board->collectors[0].tier, "A");
	strcpy(board->collectors[0].detail, "sockets");
	strcpy(board->collectors[0].problem, "no TLS");
	board->collectors[0].events_total = UINT64_C(9007199254740993); /* no double holds it */
	board->collectors[0].drop_count = 2;
	strcpy(board->collectors[0].drops[0].reason, "ring_full");
	board->collectors[0].drops[0].total = 12;
	strcpy(board->collectors[0].drops[1].reason, "torn");
	board->collectors[0].drops[1].total = 0;

	board->objectives = calloc(1, sizeof(*board->objectives));
	board->objective_count = 1;
	board->objectives[0] = (struct board_objective){
		.objective = {.name = "api",
			      .selector = {.service = "shop", .kind = POLICY_ANY, .role = 0},
			      .threshold_ns = 200 * NS_PER_MS,
			      .target_ratio = 0.95,
			      .period = NS_PER_H,
			      .burn_rate = 6,
			      .long_window = NS_PER_MIN,
			      .short_window = 5 * NS_PER_S,
			      .clear_after = 10 * NS_PER_S,
			      .min_bad = 3,
			      .severity = SEVERITY_PAGE},
		.good = 90,
		.bad = 10,
		.compliance_ratio = 0.9,
		.budget_left_ratio = -1,
		.burn_long = 2,
		.burn_short = 3,
		.coverage_ratio = 0.5,
		.exact = true,
		.alert = ALERT_FIRING,
		.alert_changed = WALL - NS_PER_S,
	};

	board->alerts = calloc(1, sizeof(*board->alerts));
	board->alert_count = 1;
	strcpy(board->alerts[0].host, "web1");
	board->alerts[0].at = WALL - NS_PER_S;
	board->alerts[0].alert = (struct alert_action){
		.objective = "api",
		.fingerprint = "00112233445566778899aabbccddeeff",
		.from = ALERT_PENDING,
		.to = ALERT_FIRING,
		.severity = SEVERITY_PAGE,
		.since = WALL - 60 * NS_PER_S,
		.burn_long = 7,
		.burn_short = 8,
		.good = 40,
		.bad = 60,
		.confidence = 0.99,
		.budget_left_ratio = -1,
		.reason = "burns 7 times too fast",
		.evidence = {{.key = {.host = "web1",
				      .service = "shop",
				      .route = "/pay",
				      .status_class = CLASS_5XX},
			      .bad = 60,
			      .count = 100}},
		.evidence_count = 1,
	};

	board->scalers = calloc(1, sizeof(*board->scalers));
	board->scaler_count = 1;
	board->scalers[0] = (struct board_scaler){
		.scaler = {.name = "web",
			   .selector = {.kind = SERIES_HTTP, .role = POLICY_ANY},
			   .signal = SCALE_GAUGE,
			   .gauge = "cpu_ratio",
			   .gauge_is_mean = true,
			   .target = 0.7,
			   .minimum = 2,
			   .maximum = 20,
			   .deadband_ratio = 0.1,
			   .up_cooldown = 180 * NS_PER_S,
			   .down_cooldown = 600 * NS_PER_S},
		.has_value = true,
		.value = 0.9,
		.replicas = 4,
	};

	board->decisions = calloc(1, sizeof(*board->decisions));
	board->decision_count = 1;
	strcpy(board->decisions[0].host, "web1");
	board->decisions[0].at = WALL - 2 * NS_PER_S;
	board->decisions[0].scale = (struct scale_action){
		.scaler = "web",
		.from = 3,
		.to = 4,
		.value = 0.9,
		.target = 0.7,
		.wanted = 5,
		.limited_by = "maximum",
		.reason = "cpu is high",
	};

	board->gauges = calloc(1, sizeof(*board->gauges));
	board->gauge_count = 1;
	board->gauges[0] = (struct gauge){.host = "web1",
					  .service = "shop",
					  .name = "queue_depth",
					  .label = "mail",
					  .value = 17};

	board->hosts = calloc(1, sizeof(*board->hosts));
	board->host_count = 1;
	board->hosts[0] = (struct board_host){.host = "web1",
					      .version = "1.2.3",
					      .last_seen = WALL,
					      .last_seq = 7,
					      .gap_records_total = 2,
					      .connected = true,
					      .problem = "record 7 cannot be read"};
	board->traced = calloc(2, sizeof(*board->traced));
	board->traced_count = 2;
	board->traced[0] = (struct traced_row){.service = "shop",
					       .since = WALL - 10 * NS_PER_S,
					       .until = WALL + 590 * NS_PER_S,
					       .processes = 2,
					       .library = "libssl.so.3",
					       .how = "emulated"};
	board->traced[1] = (struct traced_row){
		.service = "pay-*", .configured = true, .looking = true, .problem = "nobody yet"};
	return board;
}

static inline struct view_route route_full(void)
{
	struct view_route route;

	memset(&route, 0, sizeof(route));
	strcpy(route.key.host, "web1");
	strcpy(route.key.service, "shop");
	strcpy(route.key.method, "GET");
	strcpy(route.key.route, "/caf\xc3\xa9/{id}");
	strcpy(route.key.peer, "10.0.0.1:443");
	route.key.kind = SERIES_HTTP;
	route.key.role = SERIES_CLIENT;
	route.key.status_class = CLASS_4XX;
	route.count = UINT64_C(9007199254740993);
	route.errors = 2;
	route.p50 = (struct hist_quantile){3, 2, 4};
	route.p90 = (struct hist_quantile){6, 5, 7};
	route.p95 = (struct hist_quantile){9, 8, 10};
	route.p99 = (struct hist_quantile){12, 11, 13};
	route.max_ns = UINT64_MAX;
	route.window_s = 10;
	route.relative_error = 0.00271;
	return route;
}

static inline struct view_exemplar exemplar_full(void)
{
	struct view_exemplar exemplar;

	memset(&exemplar, 0, sizeof(exemplar));
	exemplar.key = route_full().key;
	exemplar.at = WALL - 3 * NS_PER_S;
	exemplar.latency_ns = 1234567;
	exemplar.status = 404;
	strcpy(exemplar.tag, "4bf92f3577b34da6a3ce929d0e0e4736");
	return exemplar;
}

static inline struct view_delivery delivery_full(void)
{
	struct view_delivery delivery;

	memset(&delivery, 0, sizeof(delivery));
	strcpy(delivery.host, "web1");
	strcpy(delivery.service, "worker");
	strcpy(delivery.event_type, "invoice.paid");
	strcpy(delivery.endpoint, "a.example");
	delivery.delivered = 1;
	delivery.failed = 2;
	delivery.dead_lettered = 3;
	delivery.attempts = 4;
	delivery.attempts_failed = 5;
	delivery.p50.value_ns = 6;
	delivery.p90.value_ns = 61;
	delivery.p95.value_ns = 7;
	delivery.p99.value_ns = 8;
	delivery.max_ns = 9;
	delivery.has_wait = true;
	delivery.wait_p99_ns = 10;
	delivery.window_s = 2.5;
	return delivery;
}

#endif
