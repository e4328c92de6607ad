/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the benchmarks of the HTTP capture share: both ends of a connection over loopback, a request
 * and a response as nginx and a plain client make their calls, and the bare capture. What fails
 * ends the benchmark.
 */
#ifndef VOW_BENCH_HTTP_PAIR_H
#define VOW_BENCH_HTTP_PAIR_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "collectors/http/http_bpf.h"

static const char pair_request[] = "GET /api/suppliers/4711/orders?limit=20 HTTP/1.1\r\n"
				   "Host: shop.example\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";
static const char pair_head[] =
	"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n"
	"Date: Sun, 22 Nov 2026 06:00:00 GMT\r\nContent-Type: text/plain\r\n"
	"Content-Length: 6\r\nConnection: keep-alive\r\nAccept-Ranges: bytes\r\n\r\n";
static const char pair_body[] = "hello\n";

static inline void must(bool done, const char *what)
{
	if (done)
		return;
	perror(what);
	exit(1);
}

static inline void moved(ssize_t bytes)
{
	must(bytes > 0, "benchmark: a call that moves bytes");
}

/* A connection, both ends. */
struct both {
	int client, server;
};

static inline struct both connect_both(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	struct both c = {.client = socket(AF_INET, SOCK_STREAM, 0)};
	int on = 1;

	must(!bind(listener, (struct sockaddr *)&at, size) && !listen(listener, 1) &&
		     !getsockname(listener, (struct sockaddr *)&at, &size) &&
		     !connect(c.client, (struct sockaddr *)&at, size),
	     "benchmark: connection");
	c.server = accept(listener, NULL, NULL);
	must(c.server >= 0, "benchmark: connection");
	close(listener);
	setsockopt(c.client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(c.server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return c;
}

/* The four calls of a request, in their order. */
static inline void request_send(const struct both *c)
{
	moved(write(c->client, pair_request, sizeof(pair_request) - 1));
}

static inline void request_take(const struct both *c)
{
	char in[1024];

	moved(recv(c->server, in, sizeof(in), 0));
}

static inline void response_send(const struct both *c)
{
	struct iovec parts[2] = {{(void *)pair_head, sizeof(pair_head) - 1},
				 {(void *)pair_body, sizeof(pair_body) - 1}};

	moved(writev(c->server, parts, 2));
}

static inline void response_take(const struct both *c)
{
	char in[2048];

	moved(read(c->client, in, sizeof(in)));
}

/* Begins to capture by the programs of a tier; the process that calls is passed over. */
static inline struct http_bpf *capture_open(char tier)
{
	struct http_bpf_options options = {.tier = tier};
	struct http_bpf *bpf;
	struct diag d = {0};
	char text[700];

	if (http_bpf_open(&bpf, &options, &d)) {
		fprintf(stderr, "benchmark: %s\n", diag_format(&d, text, sizeof(text)));
		exit(1);
	}
	return bpf;
}

static inline void record_drop(void *arg, const struct http_record *record)
{
	(void)arg, (void)record;
}

/* Takes what was captured since. */
static inline void capture_drain(struct http_bpf *bpf)
{
	while (http_bpf_drain(bpf, 4096, record_drop, NULL))
		;
}

#endif
