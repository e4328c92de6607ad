/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server of the hub: requests in, answers out, and streams of server-sent events. Only
 * this file knows libmicrohttpd. It runs a thread of its own, a registered reader of the series
 * table; every handler is called there, one at a time. What a request may cost is bounded: its
 * size, the number of connections, the time a connection may idle.
 */
#ifndef VOW_HUB_HTTP_H
#define VOW_HUB_HTTP_H

#include <stdbool.h>

#include "lib/base/diag.h"
#include "lib/base/types.h"

#define HTTP_BODY_MAX	     (64u << 10) /* bytes of a request's body */
#define HTTP_CONNECTIONS_MAX 1024

/* A text that several connections send; the HTTP thread's only. */
struct http_text {
	unsigned references;
	size_t size;
	char bytes[];
};
struct http_text *http_text_new(size_t size); /* one reference; NULL when memory lacks */
struct http_text *http_text_of(const char *text);
void http_text_unref(struct http_text *text); /* NULL is allowed */

struct http_request {
	const char *method; /* "GET", "HEAD", "POST"; nothing else gets here */
	const char *path;
	const uint8_t *body;
	size_t body_size;
	void *connection; /* for http_param() */
};
/* A parameter of the query string, decoded; NULL when absent. Good during the call. */
const char *http_param(const struct http_request *request, const char *name);

/* Calls fn with each parameter's name; a non-zero return ends it and is handed back. */
int http_each_param(const struct http_request *request, int (*fn)(void *arg, const char *name),
		    void *arg);

struct http_answer {
	unsigned status;
	const char *type; /* Content-Type; static storage */
	struct http_text *text; /* the reference passes to the server */
	/* Instead of text: bytes that live as long as the program, a file of the page. */
	const void *file;
	size_t file_size;
	/*
	 * Instead of both: a stream of events; key is handed to event() and names what its reader
	 * wants. 0: none.
	 */
	unsigned events;
};

struct http_handlers {
	/* Whether a path is shown to those with the token only. */
	bool (*asks_token)(void *arg, const char *path);
	void (*answer)(void *arg, const struct http_request *request, struct http_answer *answer);
	/* The number of the newest event; asked about ten times a second. */
	uint64_t (*newest)(void *arg);
	/* The newest event for this key, a new reference; NULL when memory lacks. */
	struct http_text *(*event)(void *arg, unsigned key);
	void *arg;
};

struct http_options {
	const char *listen; /* "127.0.0.1:7413", "[::1]:0" */
	/*
	 * Asked of everyone. NULL: nobody is asked, and only requests that name this host are
	 * answered (listen_is_asked()).
	 */
	const char *token;
	const char
		*names; /* by which this host is asked as well, separated by commas; NULL: none */
};

struct http_server;

/* Listens and serves. -EINVAL, -EADDRINUSE and other errnos with d filled. Handlers are copied. */
int http_server_open(const struct http_options *options, const struct http_handlers *handlers,
		     struct http_server **server, struct diag *d);
unsigned http_server_port(const struct http_server *server);
void http_server_close(struct http_server *server); /* ends the thread; NULL is allowed */

#endif
