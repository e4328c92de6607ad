/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view_server SOCKET [live]: answers questions on a control socket from figures of its own, the
 * same ones at each start, so that tests can say to the digit what vow must print. With "live" it
 * adds the same load again each second, for eyes on `vow top`.
 */
#include <endian.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "view/view.h"

#define QUESTION_MAX 65536

struct load { /* what one second brings */
	struct series_key key;
	unsigned count;
	dur_ns from, step; /* latencies: from, from + step, ... */
	dur_ns queue;
};

#define NO_QUEUE SERIES_NO_QUEUE

static const struct load loads[] = {
	{{.service = "shop",
	  .method = "GET",
	  .route = "/api/suppliers/{id}",
	  .status_class = CLASS_2XX},
	 1000,
	 NS_PER_MS,
	 NS_PER_MS / 10,
	 40 * NS_PER_US},
	{{.service = "shop",
	  .method = "GET",
	  .route = "/api/suppliers/{id}",
	  .status_class = CLASS_4XX},
	 20,
	 NS_PER_MS,
	 0,
	 NO_QUEUE},
	{{.service = "shop", .method = "POST", .route = "/api/payments", .status_class = CLASS_2XX},
	 200,
	 20 * NS_PER_MS,
	 NS_PER_MS,
	 300 * NS_PER_US},
	{{.service = "shop", .method = "POST", .route = "/api/payments", .status_class = CLASS_5XX},
	 3,
	 900 * NS_PER_MS,
	 0,
	 NO_QUEUE},
	{{.service = "caf\xc3\xa9",
	  .method = "GET",
	  .route = "/\xe6\x97\xa5\xe6\x9c\xac",
	  .status_class = CLASS_2XX},
	 10,
	 5 * NS_PER_MS,
	 0,
	 NO_QUEUE},
	{{.service = "shop",
	  .method = "GET",
	  .route = "/v1/geo",
	  .peer = "10.2.3.4:443",
	  .role = SERIES_CLIENT,
	  .status_class = CLASS_2XX},
	 50,
	 80 * NS_PER_MS,
	 NS_PER_MS,
	 NO_QUEUE},
	{{.service = "worker",
	  .method = "delivered",
	  .route = "invoice.paid",
	  .peer = "hooks.example",
	  .kind = SERIES_DELIVERY,
	  .role = SERIES_CLIENT},
	 40,
	 60 * NS_PER_MS,
	 10 * NS_PER_MS,
	 4 * NS_PER_MS},
	{{.service = "worker",
	  .method = "dead_lettered",
	  .route = "invoice.paid",
	  .peer = "hooks.example",
	  .kind = SERIES_DELIVERY,
	  .role = SERIES_CLIENT,
	  .status_class = CLASS_ERROR},
	 1,
	 9 * NS_PER_S,
	 0,
	 4 * NS_PER_MS},
	{{.service = "worker",
	  .route = "invoice.paid",
	  .peer = "hooks.example",
	  .kind = SERIES_ATTEMPT,
	  .role = SERIES_CLIENT,
	  .status_class = CLASS_2XX},
	 40,
	 50 * NS_PER_MS,
	 0,
	 NO_QUEUE},
	{{.service = "worker",
	  .route = "invoice.paid",
	  .peer = "hooks.example",
	  .kind = SERIES_ATTEMPT,
	  .role = SERIES_CLIENT,
	  .status_class = CLASS_5XX},
	 5,
	 50 * NS_PER_MS,
	 0,
	 NO_QUEUE},
};

struct server {
	struct series_table *table;
	struct board *board;
	mono_ns now; /* of the table */
};

static void server_tick(struct server *server)
{
	for (size_t i = 0; i < ARRAY_LEN(loads); i++) {
		const struct load *load = &loads[i];
		struct series *s = series_get(server->table, &load->key);

		for (unsigned k = 0; s && k < load->count; k++)
			series_record(s, load->from + k * load->step, load->queue);
	}
	server->now += NS_PER_S;
	series_tick(server->table, server->now, NULL, NULL);
}

static void *rows(size_t count, size_t size)
{
	void *made = calloc(count, size);

	if (!made)
		exit(1);
	return made;
}

static void server_objectives(struct board *board, wall_ns fired)
{
	static const struct board_objective kept = {
		.objective = {.name = "api-latency",
			      .selector = {.kind = POLICY_ANY, .role = SERIES_SERVER},
			      .threshold_ns = 200 * NS_PER_MS,
			      .target_ratio = 0.95,
			      .period = 24 * NS_PER_H,
			      .burn_rate = 6,
			      .severity = SEVERITY_PAGE},
		.good = 99996,
		.bad = 4,
		.compliance_ratio = 0.99996,
		.budget_left_ratio = 0.9992,
		.burn_long = 0.08,
		.coverage_ratio = 0.3,
		.exact = true,
	};
	static const struct board_objective broken = {
		.objective = {.name = "payments",
			      .selector = {.kind = POLICY_ANY, .role = POLICY_ANY},
			      .threshold_ns = POLICY_NO_THRESHOLD,
			      .target_ratio = 0.999,
			      .period = 24 * NS_PER_H,
			      .burn_rate = 14.4,
			      .long_window = NS_PER_H,
			      .short_window = 5 * NS_PER_MIN,
			      .severity = SEVERITY_PAGE},
		.good = 200,
		.bad = 3,
		.compliance_ratio = 200.0 / 203,
		.budget_left_ratio = -13.8,
		.burn_long = 14.8,
		.burn_short = 2,
		.coverage_ratio = 0.3,
		.exact = true,
		.alert = ALERT_FIRING,
	};
	static const struct objective misspelt = {
		.name = "geo",
		.selector = {.service = "shpo", .kind = SERIES_HTTP, .role = POLICY_ANY},
		.threshold_ns = NS_PER_S,
		.target_ratio = 0.9,
		.period = 24 * NS_PER_H,
		.burn_rate = 4,
	};

	board->objectives = rows(3, sizeof(*board->objectives));
	board->objectives[0] = kept;
	board->objectives[1] = broken;
	board->objectives[1].alert_changed = fired;
	board->objectives[2].objective = misspelt;
	board->objective_count = 3;
}

static void server_actions(struct board *board, wall_ns now)
{
	board->alerts = rows(1, sizeof(*board->alerts));
	board->alert_count = 1;
	board->alerts[0].at = now - 12 * NS_PER_S;
	board->alerts[0].alert = (struct alert_action){
		.objective = "payments",
		.fingerprint = "0123456789abcdef0123456789abcdef",
		.from = ALERT_PENDING,
		.to = ALERT_FIRING,
		.severity = SEVERITY_PAGE,
		.reason = "the error budget burns 14.8 times too fast",
		.evidence = {{.key = loads[3].key, .bad = 3, .count = 3}},
		.evidence_count = 1,
	};
	board->scalers = rows(1, sizeof(*board->scalers));
	board->scaler_count = 1;
	board->scalers[0] = (struct board_scaler){
		.scaler = {.name = "web",
			   .signal = SCALE_GAUGE,
			   .gauge = "cpu_ratio",
			   .target = 0.7,
			   .minimum = 2,
			   .maximum = 20},
		.has_value = true,
		.value = 0.91,
		.replicas = 3,
	};
	board->decisions = rows(1, sizeof(*board->decisions));
	board->decision_count = 1;
	board->decisions[0].at = now - 90 * NS_PER_S;
	board->decisions[0].scale = (struct scale_action){
		.scaler = "web",
		.from = 2,
		.to = 3,
		.wanted = 3,
		.value = 0.91,
		.target = 0.7,
		.reason = "cpu_ratio is 1.3 times its target",
	};
}

static struct board *server_board(wall_ns now)
{
	struct board *board = board_new();

	if (!board)
		exit(1);
	strcpy(board->program, "vowd");
	strcpy(board->version, "9.9");
	strcpy(board->host, "web-1");
	board->pid = 4711;
	board->started = now - 3 * NS_PER_MIN;
	board->at = now;
	board->rss_bytes = 8 << 20;
	board->cpu_ratio = 0.004;
	board->series = ARRAY_LEN(loads);
	board->series_bytes = 1 << 20;
	board->journal_seq = 180;
	board->journal_acked_seq = 179;
	board->collectors = rows(2, sizeof(*board->collectors));
	board->collector_count = 2;
	strcpy(board->collectors[0].name, "http");
	strcpy(board->collectors[0].tier, "A");
	strcpy(board->collectors[0].detail, "HTTP/1 on all sockets, with queue wait");
	board->collectors[0].events_total = 1283;
	strcpy(board->collectors[0].drops[0].reason, "ring_full");
	board->collectors[0].drops[0].total = 17;
	board->collectors[0].drop_count = 1;
	strcpy(board->collectors[1].name, "lanes");
	strcpy(board->collectors[1].tier, "off");
	strcpy(board->collectors[1].problem, "switched off in the configuration\033[2J");
	board->gauges = rows(3, sizeof(*board->gauges));
	board->gauge_count = 3;
	board->gauges[0] = (struct gauge){.name = "cpu_ratio", .value = 0.91};
	board->gauges[1] = (struct gauge){
		.service = "worker", .name = "queue_depth", .label = "mail", .value = 17};
	board->gauges[2] = (struct gauge){.name = "sockets_in_use"};
	board->hosts = rows(1, sizeof(*board->hosts));
	board->host_count = 1;
	strcpy(board->hosts[0].host, "web-1");
	strcpy(board->hosts[0].version, "9.9");
	board->hosts[0].last_seen = now;
	board->hosts[0].last_seq = 180;
	board->hosts[0].connected = true;
	server_objectives(board, now - 12 * NS_PER_S);
	server_actions(board, now);
	return board;
}

/* One question from the client, and its answer; false when the client has gone. */
static bool server_answer(const struct server *server, int fd)
{
	static uint8_t question[QUESTION_MAX];
	uint8_t *answer;
	size_t size;
	uint32_t length;
	bool sent;

	if (fd_read_full(fd, &length, sizeof(length)) != (ssize_t)sizeof(length))
		return false;
	length = le32toh(length);
	if (length > sizeof(question) || fd_read_full(fd, question, length) != (ssize_t)length)
		return false;
	if (view_answer(server->table, server->board, "web-1", server->board->at, question, length,
			&answer, &size))
		return false;
	length = htole32((uint32_t)size);
	sent = send(fd, &length, sizeof(length), MSG_NOSIGNAL) == (ssize_t)sizeof(length) &&
	       send(fd, answer, size, MSG_NOSIGNAL) == (ssize_t)size;
	free(answer);
	return sent;
}

#define CLIENTS_MAX 16

static void server_run(struct server *server, int listener, bool live)
{
	struct pollfd polled[1 + CLIENTS_MAX] = {{.fd = listener, .events = POLLIN}};
	mono_ns next = clock_mono() + NS_PER_S;
	nfds_t count = 1;

	for (;;) {
		poll(polled, count, live ? 100 : -1);
		for (nfds_t i = count; i-- > 1;) {
			if (!polled[i].revents || server_answer(server, polled[i].fd))
				continue;
			close(polled[i].fd);
			polled[i] = polled[--count];
		}
		if (polled[0].revents && count <= CLIENTS_MAX)
			polled[count++] = (struct pollfd){.fd = accept(listener, NULL, NULL),
							  .events = POLLIN};
		if (live && clock_mono() >= next) {
			next += NS_PER_S;
			server_tick(server);
			board_unref(server->board);
			server->board = server_board(clock_wall());
		}
	}
}

int main(int argc, char **argv)
{
	struct server server = {.table = series_table_new(&(struct series_table_options){0}),
				.board = server_board(clock_wall())};
	struct fd_listener listener;
	struct diag d;

	if (argc < 2 || !server.table)
		return 2;
	if (fd_listener_open(&listener, argv[1], 0660, &d)) {
		fprintf(stderr, "%s\n", d.what);
		return 1;
	}
	series_reader_register();
	server_tick(&server);
	server_run(&server, listener.fd, argc > 2 && strcmp(argv[2], "live") == 0);
	return 0;
}
