/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Views: what people and scripts see of an agent or a hub, as rows. The same rows are made in vowd
 * and in vow-hub (view_query), travel as protobuf (view_encode, view_decode), and become JSON
 * (view_json) or tables. So command line, HTTP API and dashboard show the same numbers.
 */
#ifndef VOW_VIEW_VIEW_H
#define VOW_VIEW_VIEW_H

#include "lib/base/diag.h"
#include "view/board.h"

enum view_what {
	VIEW_STATUS,
	VIEW_ROUTES,
	VIEW_DELIVERIES,
	VIEW_SLO,
	VIEW_ALERTS,
	VIEW_SCALE,
	VIEW_DOCTOR,
	VIEW_HOSTS,
	VIEW_EXEMPLARS,
	VIEW_TRACED, /* of an agent: whose requests within TLS are read in the clear */
	VIEW_COUNT
};
const char *view_what_name(enum view_what what); /* "routes" */
int view_what_parse(const char *name, enum view_what *what); /* -EINVAL */

struct view_query {
	enum view_what what;
	/* Of routes, deliveries and exemplars; SERIES_TOTAL for --total, all that is kept. */
	enum series_window window;
	char service[SERIES_NAME_MAX + 1]; /* "" all */
	char route[SERIES_ROUTE_MAX + 1]; /* or event type, see view_is_route(); "" all */
	uint32_t limit; /* rows at most, busiest first; 0: all */
	bool all_hosts; /* routes and deliveries of all hosts merged: rows of host "" */
	struct trace_order trace; /* of VIEW_TRACED, which shows what comes of it */
};

struct view_route { /* routes: one series */
	struct series_key key;
	uint64_t count, errors;
	struct hist_quantile p50, p90, p95, p99;
	uint64_t max_ns;
	uint64_t queue_p99_ns; /* meaningful when has_queue */
	bool has_queue;
	double window_s; /* seconds of it that were really observed: less soon after the start */
	double relative_error; /* of the percentiles, at most */
};

/*
 * Series of SERIES_DELIVERY and SERIES_ATTEMPT carry the event type as route and the endpoint as
 * peer; a delivery's method is its outcome: "delivered", "failed" or "dead_lettered". Without a
 * method, CLASS_ERROR is dead-lettered, 4xx and 5xx failed, all other classes delivered.
 */
struct view_delivery { /* deliveries: one host, service, event type and endpoint */
	char host[SERIES_NAME_MAX + 1], service[SERIES_NAME_MAX + 1];
	char event_type[SERIES_ROUTE_MAX + 1], endpoint[SERIES_NAME_MAX + 1];
	uint64_t delivered, failed, dead_lettered; /* final outcomes */
	uint64_t attempts, attempts_failed;
	struct hist_quantile p50, p90, p95, p99; /* enqueue to outcome, of delivered ones */
	uint64_t max_ns; /* of delivered ones */
	uint64_t wait_p99_ns; /* enqueue to first attempt, of all; meaningful when has_wait */
	bool has_wait;
	double window_s;
};

struct view_exemplar { /* exemplars: one observation, the slowest first */
	struct series_key key;
	wall_ns at;
	dur_ns latency_ns;
	uint16_t status;
	char tag[EXEMPLAR_TAG_MAX + 1];
};

struct view { /* an answer: the rows that query.what names are filled */
	struct view_query query;
	wall_ns at;
	struct view_route *routes;
	size_t route_count;
	struct view_delivery *deliveries;
	size_t delivery_count;
	struct view_exemplar *exemplars;
	size_t exemplar_count;
	struct board *board; /* of all other views; a reference of its own; may be NULL */
};

/* The promise is not kept over the period: fewer good events than the target asks for. */
bool view_breached(const struct board_objective *objective);

/* The series is of the wanted route: "payments", or with its method, as tables show it, "POST /pay". */
bool view_is_route(const char *wanted, const struct series_key *key);

void view_free(struct view *view); /* NULL is allowed */
/* How many of count rows the query's limit lets through; 0 lets all. */
size_t view_limit(const struct view *view, size_t count);

/*
 * Answers from the table's last published tick and the board. host fills keys whose host is empty
 * (an agent's own series); pass "" in the hub. board may be NULL; the view takes a reference of
 * its own. Series without an event in the window are no rows. Any registered reader thread.
 * -ENOMEM.
 */
int view_query(const struct series_table *table, struct board *board, const char *host, wall_ns now,
	       const struct view_query *query, struct view **view);

/* ---- protobuf: control.proto, the same for control socket, gRPC and HTTP ----------------------- */

/* *bytes is malloc'ed. -ENOMEM. */
int view_query_encode(const struct view_query *query, uint8_t **bytes, size_t *size);
int view_query_decode(const uint8_t *bytes, size_t size, struct view_query *query, struct diag *d);
int view_encode(const struct view *view, uint8_t **bytes, size_t *size);
/* An answer that carries nothing but an error for the asker. */
int view_encode_error(const struct diag *error, uint8_t **bytes, size_t *size);
/* 1: the other side answered with an error, now in d. -EPROTO: not an answer. */
int view_decode(const uint8_t *bytes, size_t size, struct view **view, struct diag *d);

/*
 * Query bytes in, answer bytes out (malloc'ed), errors included: the protocol's server side. An
 * order is refused: who takes one does so before. Threads as view_query(). -ENOMEM.
 */
int view_answer(const struct series_table *table, struct board *board, const char *host,
		wall_ns now, const uint8_t *query, size_t query_size, uint8_t **answer,
		size_t *answer_size);

/* ---- JSON: docs/json.md ------------------------------------------------------------------------ */

/* Text of one view, malloc'ed; NULL when memory lacks. */
char *view_json(const struct view *view, bool indented);

enum view_grade { VIEW_GOOD, VIEW_OFF, VIEW_REMARK, VIEW_BAD };
const char *view_grade_name(enum view_grade grade); /* "ok", "off", "remark", "bad" */

struct view_check { /* what a look at a host or a configuration found */
	char name[160]; /* "kernel", "vow.yaml:12" */
	enum view_grade grade;
	char what[400], fix[240]; /* fix "" when there is nothing to do */
};

/* An object of the checks, and of what the agent says of itself (view may be NULL). As view_json. */
char *view_checks_json(const struct view_check *checks, size_t count, const struct view *view,
		       bool indented);

#endif
