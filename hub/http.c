/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hub/listen.h"
#include "lib/data/series.h"

#define HTTP_IDLE_S 60 /* a connection without traffic is closed */
/* How long the thread sleeps at most, and so how late an event may be. */
#define HTTP_WAIT_MS		   100
#define HTTP_MEMORY_PER_CONNECTION (32u << 10) /* request line, headers, answer's head */

struct http_reader { /* one stream of events */
	struct http_server *server;
	struct MHD_Connection *connection;
	struct http_reader *next;
	unsigned key;
	uint64_t sent; /* number of the event that was sent last */
	struct http_text *text; /* being sent */
	size_t offset;
	bool suspended;
};

struct http_exchange { /* one request on its way in */
	uint8_t *body;
	size_t size;
	bool too_big;
};

struct http_server {
	struct http_handlers handlers;
	struct MHD_Daemon *daemon;
	pthread_t thread;
	char *token, *listen, *names; /* as in the options */
	struct http_reader *readers;
	uint64_t newest;
	int fd;
	bool running, stop; /* stop is atomic: set by any thread, read by the HTTP thread */
};

/* ---- texts ------------------------------------------------------------------------------------- */

struct http_text *http_text_new(size_t size)
{
	struct http_text *text = malloc(sizeof(*text) + size);

	if (text) {
		text->references = 1;
		text->size = size;
	}
	return text;
}

struct http_text *http_text_of(const char *bytes)
{
	struct http_text *text = http_text_new(strlen(bytes));

	if (text)
		memcpy(text->bytes, bytes, text->size);
	return text;
}

void http_text_unref(struct http_text *text)
{
	if (text && --text->references == 0)
		free(text);
}

/* ---- who may ask ------------------------------------------------------------------------------- */

/* Takes the same time wherever the two differ. */
static bool http_token_matches(const char *token, const char *given)
{
	size_t length = strlen(token), given_length = strlen(given);
	unsigned char differs = length != given_length;

	for (size_t i = 0; i < length; i++)
		differs |= (unsigned char)(token[i] ^ given[i < given_length ? i : 0]);
	return !differs;
}

static bool http_may_ask(const struct http_server *server, struct MHD_Connection *connection)
{
	static const char bearer[] = "Bearer ";
	const char *header, *param;

	if (!server->token)
		return true;
	header = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
	if (header && strncmp(header, bearer, sizeof(bearer) - 1) == 0)
		return http_token_matches(server->token, header + sizeof(bearer) - 1);
	param = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "token");
	return param && param[0] && http_token_matches(server->token, param);
}

/* Where no token is asked for, the name is what tells a page of ours from a stranger's. */
static bool http_is_asked(const struct http_server *server, struct MHD_Connection *connection)
{
	const char *host;

	if (server->token)
		return true;
	host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
	/* No browser leaves it out. */
	return !host || listen_is_asked(host, server->listen, server->names);
}

/* ---- events ------------------------------------------------------------------------------------ */

static ssize_t http_reader_send(void *arg, uint64_t position, char *buf, size_t room)
{
	struct http_reader *reader = arg;
	struct http_server *server = reader->server;
	size_t size;

	(void)position;
	if (!reader->text && reader->sent == server->newest) {
		reader->suspended = true;
		MHD_suspend_connection(reader->connection);
		return 0;
	}
	if (!reader->text) {
		/* A slow reader skips to the newest: it never makes the hub keep old ones. */
		reader->text = server->handlers.event(server->handlers.arg, reader->key);
		reader->sent = server->newest;
		reader->offset = 0;
		if (!reader->text)
			return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	size = reader->text->size - reader->offset;
	if (size > room)
		size = room;
	memcpy(buf, reader->text->bytes + reader->offset, size);
	reader->offset += size;
	if (reader->offset == reader->text->size) {
		http_text_unref(reader->text);
		reader->text = NULL;
	}
	return (ssize_t)size;
}

static void http_reader_free(void *arg)
{
	struct http_reader *reader = arg;
	struct http_reader **at = &reader->server->readers;

	while (*at != reader)
		at = &(*at)->next;
	*at = reader->next;
	http_text_unref(reader->text);
	free(reader);
}

static struct MHD_Response *http_reader_new(struct http_server *server,
					    struct MHD_Connection *connection, unsigned key)
{
	struct http_reader *reader = calloc(1, sizeof(*reader));
	struct MHD_Response *response;

	if (!reader)
		return NULL;
	*reader = (struct http_reader){
		.server = server, .connection = connection, .next = server->readers, .key = key};
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 64u << 10, http_reader_send,
						     reader, http_reader_free);
	if (!response) {
		free(reader);
		return NULL;
	}
	server->readers = reader;
	return response;
}

static void http_readers_wake(struct http_server *server)
{
	for (struct http_reader *reader = server->readers; reader; reader = reader->next) {
		if (!reader->suspended)
			continue;
		reader->suspended = false;
		MHD_resume_connection(reader->connection);
	}
}

/* ---- requests ---------------------------------------------------------------------------------- */

const char *http_param(const struct http_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

struct http_params {
	int (*fn)(void *arg, const char *name);
	void *arg;
	int rc;
};

static enum MHD_Result http_param_name(void *arg, enum MHD_ValueKind kind, const char *name,
				       const char *value)
{
	struct http_params *params = arg;

	(void)kind;
	(void)value;
	params->rc = params->fn(params->arg, name);
	return params->rc ? MHD_NO : MHD_YES;
}

int http_each_param(const struct http_request *request, int (*fn)(void *arg, const char *name),
		    void *arg)
{
	struct http_params params = {fn, arg, 0};

	MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, http_param_name,
				  &params);
	return params.rc;
}

static void http_text_done(void *arg)
{
	http_text_unref(arg);
}

static struct MHD_Response *http_response(struct http_server *server,
					  struct MHD_Connection *connection,
					  struct http_answer *answer)
{
	struct MHD_Response *response;

	if (answer->events)
		return http_reader_new(server, connection, answer->events);
	if (answer->file)
		return MHD_create_response_from_buffer(answer->file_size, (void *)answer->file,
						       MHD_RESPMEM_PERSISTENT);
	if (!answer->text)
		return NULL;
	response = MHD_create_response_from_buffer_with_free_callback_cls(
		answer->text->size, answer->text->bytes, http_text_done, answer->text);
	if (!response)
		http_text_unref(answer->text);
	return response;
}

static enum MHD_Result http_send(struct http_server *server, struct MHD_Connection *connection,
				 struct http_answer *answer)
{
	struct MHD_Response *response = http_response(server, connection, answer);
	enum MHD_Result result;

	if (!response)
		return MHD_NO; /* memory lacks: the connection is closed */
	MHD_add_response_header(response, "Content-Type", answer->type);
	MHD_add_response_header(response, "Cache-Control", "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
	/* Nothing but what this hub itself serves may run in the page. */
	MHD_add_response_header(response, "Content-Security-Policy",
				"default-src 'self';"
				" img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'");
	if (answer->status == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(response, "WWW-Authenticate", "Bearer realm=\"vow-hub\"");
	if (answer->status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, "Allow", "GET, HEAD, POST");
	result = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result http_refuse(struct http_server *server, struct MHD_Connection *connection,
				   unsigned status, const char *json)
{
	struct http_answer answer = {
		.status = status, .type = "application/json", .text = http_text_of(json)};

	return http_send(server, connection, &answer);
}

static void http_exchange_take(struct http_exchange *exchange, const char *bytes, size_t size)
{
	uint8_t *body;

	if (exchange->too_big || size > HTTP_BODY_MAX - exchange->size) {
		exchange->too_big = true;
		return;
	}
	body = realloc(exchange->body, exchange->size + size);
	if (!body) {
		exchange->too_big = true;
		return;
	}
	memcpy(body + exchange->size, bytes, size);
	exchange->body = body;
	exchange->size += size;
}

static enum MHD_Result http_answer_request(struct http_server *server,
					   struct MHD_Connection *connection, const char *method,
					   const char *path, const struct http_exchange *exchange)
{
	const struct http_request request = {
		.method = method,
		.path = path,
		.body = exchange->body,
		.body_size = exchange->size,
		.connection = connection,
	};
	struct http_answer answer = {0};

	if (exchange->too_big)
		return http_refuse(server, connection, MHD_HTTP_CONTENT_TOO_LARGE,
				   "{\"error\":\"the body is larger than 64 KiB\","
				   "\"fix\":\"ask one question at a time\"}\n");
	if (!http_is_asked(server, connection))
		return http_refuse(
			server, connection, MHD_HTTP_MISDIRECTED_REQUEST,
			"{\"error\":\"this hub is not known by that name\",\"fix\":\"ask for"
			" localhost or 127.0.0.1, or start vow-hub with --http-names\"}\n");
	if (server->handlers.asks_token(server->handlers.arg, path) &&
	    !http_may_ask(server, connection))
		return http_refuse(
			server, connection, MHD_HTTP_UNAUTHORIZED,
			"{\"error\":\"this address asks for a token\",\"fix\":\"give the one"
			" in the hub's folder, file token: ?token=... or the header"
			" Authorization: Bearer ...\"}\n");
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0 &&
	    strcmp(method, "POST") != 0)
		return http_refuse(server, connection, MHD_HTTP_METHOD_NOT_ALLOWED,
				   "{\"error\":\"no such method\",\"fix\":\"use GET\"}\n");
	server->handlers.answer(server->handlers.arg, &request, &answer);
	return http_send(server, connection, &answer);
}

/* Called once for the headers, once for each piece of the body, and once at its end. */
static enum MHD_Result http_access(void *arg, struct MHD_Connection *connection, const char *path,
				   const char *method, const char *version, const char *upload,
				   size_t *upload_size, void **state)
{
	struct http_server *server = arg;
	struct http_exchange *exchange = *state;

	(void)version;
	if (!exchange) {
		exchange = calloc(1, sizeof(*exchange));
		*state = exchange;
		return exchange ? MHD_YES : MHD_NO;
	}
	if (*upload_size) {
		http_exchange_take(exchange, upload, *upload_size);
		*upload_size = 0;
		return MHD_YES;
	}
	return http_answer_request(server, connection, method, path, exchange);
}

static void http_completed(void *arg, struct MHD_Connection *connection, void **state,
			   enum MHD_RequestTerminationCode why)
{
	struct http_exchange *exchange = *state;

	(void)arg;
	(void)connection;
	(void)why;
	if (!exchange)
		return;
	free(exchange->body);
	free(exchange);
	*state = NULL;
}

/* What libmicrohttpd has to say about bad clients is of no use to anyone. */
static void http_silence(void *arg, const char *format, va_list arguments)
{
	(void)arg;
	(void)format;
	(void)arguments;
}

/* ---- life -------------------------------------------------------------------------------------- */

static void *http_run(void *arg)
{
	struct http_server *server = arg;

	series_reader_register();
	while (!__atomic_load_n(&server->stop, __ATOMIC_ACQUIRE)) {
		uint64_t newest;

		MHD_run_wait(server->daemon, HTTP_WAIT_MS);
		newest = server->handlers.newest(server->handlers.arg);
		if (newest != server->newest) {
			server->newest = newest;
			http_readers_wake(server);
		}
	}
	/* A suspended connection cannot be closed: wake them all first. */
	server->newest = UINT64_MAX;
	http_readers_wake(server);
	MHD_stop_daemon(server->daemon);
	series_reader_unregister();
	return NULL;
}

int http_server_open(const struct http_options *options, const struct http_handlers *handlers,
		     struct http_server **out, struct diag *d)
{
	struct http_server *server = calloc(1, sizeof(*server));
	int rc = server ? 0 : -ENOMEM;

	if (rc)
		return diag_set(d, rc, options->listen, NULL, "no memory for the HTTP server");
	server->handlers = *handlers;
	server->fd = -1;
	server->listen = strdup(options->listen);
	server->token = options->token ? strdup(options->token) : NULL;
	server->names = options->names ? strdup(options->names) : NULL;
	if (!server->listen || (options->token && !server->token) ||
	    (options->names && !server->names))
		rc = diag_set(d, -ENOMEM, options->listen, NULL, "no memory for the HTTP server");
	if (!rc)
		rc = listen_open(options->listen, &server->fd, d);
	if (rc) {
		http_server_close(server);
		return rc;
	}
	server->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC, 0, NULL, NULL, http_access,
		server, MHD_OPTION_EXTERNAL_LOGGER, http_silence, NULL, MHD_OPTION_LISTEN_SOCKET,
		server->fd, MHD_OPTION_CONNECTION_LIMIT, HTTP_CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, HTTP_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)HTTP_MEMORY_PER_CONNECTION, MHD_OPTION_NOTIFY_COMPLETED, http_completed,
		NULL, MHD_OPTION_END);
	if (server->daemon)
		rc = -pthread_create(&server->thread, NULL, http_run, server);
	if (!server->daemon || rc) {
		http_server_close(server);
		return diag_set(d, rc ? rc : -EIO, options->listen, NULL,
				"the HTTP server does not start");
	}
	server->running = true;
	*out = server;
	return 0;
}

unsigned http_server_port(const struct http_server *server)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);

	return info ? info->port : 0;
}

void http_server_close(struct http_server *server)
{
	if (!server)
		return;
	__atomic_store_n(&server->stop, true, __ATOMIC_RELEASE);
	if (server->running)
		pthread_join(server->thread, NULL); /* it stops the daemon, which closes fd */
	else if (server->daemon)
		MHD_stop_daemon(server->daemon);
	else if (server->fd >= 0)
		close(server->fd);
	free(server->token);
	free(server->listen);
	free(server->names);
	free(server);
}
