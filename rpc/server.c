/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One completion queue, driven by the thread of rpc_server_run(), and calls (rpc/call.h).
 *
 * At least one request for each method is outstanding at any time, so that gRPC has somewhere to
 * put the next call; each serves one call and is replaced at once. Requests for unknown methods
 * go to a catch-all, since nobody would answer them otherwise.
 */
#include "rpc/server.h"

#include <errno.h>
#include <grpc/support/alloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "rpc/accept.h"
#include "rpc/address.h"
#include "rpc/call.h"

#define STREAMS_MAX	  10000
#define TICK_EVERY	  (100 * NS_PER_MS) /* also how soon rpc_server_stop() is seen */
#define SHUTDOWN_PATIENCE (300 * NS_PER_MS) /* for peers to take their status, then cancelled */
#define QUERIES_ARMED	  4 /* questions that may arrive between two looks at the queue */
#define MEMORY_BYTES	  (512u << 20) /* of gRPC's buffers; beyond it connections are refused */

struct rpc_server {
	struct rpc_server_handlers handlers;
	struct call_home home;
	struct rpc_certificates *certificates;
	struct rpc_stream *streams;
	struct rpc_server_counters counters;
	unsigned streams_max;
	unsigned port;
	dur_ns tick_every;
	atomic_bool stop;
	bool dirty; /* messages were handed out since drained() */
	int lock_fd; /* of a unix socket, -1 otherwise */
};

/* ---- what arrives ----------------------------------------------------------------------------- */

static void stream_link(struct rpc_stream *stream)
{
	struct rpc_server *server = stream->server;

	stream->open = true;
	stream->next = server->streams;
	if (stream->next)
		stream->next->previous = stream;
	server->streams = stream;
	server->counters.streams++;
}

static void stream_unlink(struct rpc_stream *stream)
{
	struct rpc_server *server = stream->server;

	stream->open = false;
	if (stream->previous)
		stream->previous->next = stream->next;
	else
		server->streams = stream->next;
	if (stream->next)
		stream->next->previous = stream->previous;
	server->counters.streams--;
}

static void stream_begin(struct rpc_stream *stream)
{
	struct rpc_server *server = stream->server;
	char identity[RPC_IDENTITY_MAX + 1];
	char *peer;

	if (server->counters.streams >= server->streams_max) {
		server->counters.refused_total++;
		call_answer(stream, NULL, RPC_RESOURCE_EXHAUSTED,
			    "this hub has as many agents as it takes; try again later");
		return;
	}
	call_greet(stream);
	stream_link(stream);
	rpc_identity(stream->call, identity, sizeof(identity));
	peer = grpc_call_get_peer(stream->call);
	if (server->handlers.opened)
		server->handlers.opened(server->handlers.arg, stream, peer, identity);
	gpr_free(peer);
	if (!stream->ending)
		call_receive(stream);
}

static void query_answer(struct rpc_stream *call)
{
	struct rpc_server *server = call->server;
	grpc_byte_buffer *buffer = NULL;
	grpc_slice question;
	uint8_t *answer = NULL;
	size_t size = 0;
	int rc = -ENOSYS;

	if (!call->in || rpc_buffer_read(call->in, &question)) {
		call_answer(call, NULL, RPC_INVALID_ARGUMENT, "a question without a message");
		return;
	}
	if (server->handlers.query)
		rc = server->handlers.query(server->handlers.arg, GRPC_SLICE_START_PTR(question),
					    GRPC_SLICE_LENGTH(question), &answer, &size);
	grpc_slice_unref(question);
	if (!rc)
		buffer = rpc_buffer_new(answer, size);
	call_answer(call, buffer, rc ? RPC_INTERNAL : RPC_OK,
		    rc ? "the hub could not answer; its log says why" : "");
	free(answer);
}

static void unknown_answer(struct rpc_stream *call)
{
	grpc_slice method = call->details.method;
	int length = (int)GRPC_SLICE_LENGTH(method);
	char text[256];

	call->server->counters.unknown_total++;
	snprintf(text, sizeof(text),
		 "vow-hub has no method %.*s; it serves %s and %s: is the caller of another "
		 "version?",
		 length < 80 ? length : 80, (const char *)GRPC_SLICE_START_PTR(method),
		 RPC_METHOD_STREAM, RPC_METHOD_QUERY);
	call_answer(call, NULL, RPC_UNIMPLEMENTED, text);
}

static void on_new(struct rpc_stream *call, bool success)
{
	/* Without success the server is going down and the request was never filled. */
	if (!success || call->home->stopping)
		return;
	/*
	 * When memory lacks for the next request, calls of this method wait until the connection
	 * ends; nothing else can be done about it here, and gRPC itself aborts in that case.
	 */
	(void)call_request(call->server, call->home, call->method);
	call_watch_close(call);
	switch (call->method) {
	case METHOD_STREAM:
		stream_begin(call);
		break;
	case METHOD_QUERY:
		query_answer(call);
		break;
	case METHOD_UNKNOWN:
		unknown_answer(call);
		break;
	}
}

static void on_received(struct rpc_stream *stream, bool success)
{
	struct rpc_server *server = stream->server;
	grpc_slice message;
	bool readable;

	if (stream->ending || server->home.stopping)
		return;
	if (!success || !stream->in) {
		rpc_stream_finish(stream, RPC_OK, "");
		return;
	}
	readable = rpc_buffer_read(stream->in, &message) == 0;
	grpc_byte_buffer_destroy(stream->in);
	stream->in = NULL;
	if (!readable) {
		rpc_stream_finish(stream, RPC_INVALID_ARGUMENT, "a message that cannot be read");
		return;
	}
	server->dirty = true;
	if (server->handlers.message)
		server->handlers.message(server->handlers.arg, stream,
					 GRPC_SLICE_START_PTR(message), GRPC_SLICE_LENGTH(message));
	grpc_slice_unref(message);
	if (!stream->ending)
		call_receive(stream);
}

static void on_sent(struct rpc_stream *stream, bool success)
{
	grpc_byte_buffer *next = stream->waiting;

	grpc_byte_buffer_destroy(stream->out);
	stream->out = NULL;
	if (!success || !next || stream->ending || stream->home->stopping)
		return;
	stream->waiting = NULL;
	call_send(stream, next);
}

static void on_closed(struct rpc_stream *stream)
{
	struct rpc_server *server = stream->server;

	stream->ending = true;
	if (!stream->open)
		return;
	stream_unlink(stream);
	if (server->handlers.closed)
		server->handlers.closed(server->handlers.arg, stream);
}

static void event_dispatch(const struct event *event, bool success)
{
	struct rpc_stream *call = event->call;

	switch (event->kind) {
	case EVENT_NEW:
		on_new(call, success);
		break;
	case EVENT_RECEIVED:
		on_received(call, success);
		break;
	case EVENT_SENT:
		on_sent(call, success);
		break;
	case EVENT_CLOSED:
		on_closed(call);
		break;
	case EVENT_GREETED:
	case EVENT_FINISHED:
	case EVENT_KINDS:
		break;
	}
	if (--call->pending == 0)
		call_free(call);
}

/* ---- the server's life ------------------------------------------------------------------------ */

/* gRPC replaces a unix socket that another server still listens on: the lock tells them apart. */
static int path_lock(struct rpc_server *server, const char *path, struct diag *d)
{
	char lock[128];
	int fd;

	snprintf(lock, sizeof(lock), "%s.lock", path);
	fd = fd_lock(lock, d);
	if (fd == -EBUSY)
		return diag_set(d, -EADDRINUSE, path, "end it, or choose another path",
				"another server listens there");
	if (fd < 0)
		return fd;
	server->lock_fd = fd;
	return 0;
}

static grpc_server *grpc_server_make(const struct rpc_server_options *options)
{
	size_t message_max =
		options->message_max_bytes ? options->message_max_bytes : RPC_MESSAGE_MAX_BYTES;
	grpc_resource_quota *quota = grpc_resource_quota_create("vow-hub");
	grpc_arg args[] = {
		/* On by default: two hubs would share the port in silence. */
		RPC_ARG(GRPC_ARG_ALLOW_REUSEPORT, 0),
		RPC_ARG(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)message_max),
		/* An agent has one stream; a caller a few questions. */
		RPC_ARG(GRPC_ARG_MAX_CONCURRENT_STREAMS, 100),
		RPC_ARG(GRPC_ARG_MAX_METADATA_SIZE, 8 << 10),
		/* Who connects and says nothing is gone after 10 s (120 by default). */
		RPC_ARG(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10000),
		/* A host that vanished is noticed within 30 s; clients may ping as often. */
		RPC_ARG(GRPC_ARG_KEEPALIVE_TIME_MS, 20000),
		RPC_ARG(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000),
		RPC_ARG(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000),
		/* A registry of every socket that only a debugger of gRPC reads. */
		RPC_ARG(GRPC_ARG_ENABLE_CHANNELZ, 0),
		{.type = GRPC_ARG_POINTER,
		 .key = (char *)GRPC_ARG_RESOURCE_QUOTA,
		 .value.pointer = {quota, grpc_resource_quota_arg_vtable()}},
	};
	grpc_channel_args all = {ARRAY_LEN(args), args};
	grpc_server *server;

	grpc_resource_quota_resize(quota, MEMORY_BYTES);
	server = grpc_server_create(&all, NULL);
	grpc_resource_quota_unref(quota);
	return server;
}

static int server_listen(struct rpc_server *server, const struct rpc_server_options *options,
			 struct diag *d)
{
	const struct rpc_tls tls = {options->tls_ca, options->tls_certificate, options->tls_key};
	grpc_server_credentials *credentials;
	int port, rc = rpc_server_credentials(&tls, &credentials, &server->certificates, d);

	if (rc)
		return rc;
	port = grpc_server_add_http2_port(server->home.grpc, options->listen, credentials);
	grpc_server_credentials_release(credentials);
	if (!port)
		return rpc_address_why_not_bound(options->listen, d);
	server->port = (unsigned)port;
	return 0;
}

static int server_start(struct rpc_server *server, const struct rpc_server_options *options,
			struct diag *d)
{
	const char *path = rpc_address_path(options->listen);
	int rc = path ? path_lock(server, path, d) : 0;

	if (rc)
		return rc;
	server->home.grpc = grpc_server_make(options);
	server->home.queue = grpc_completion_queue_create_for_next(NULL);
	grpc_server_register_completion_queue(server->home.grpc, server->home.queue, NULL);
	server->home.stream_method = grpc_server_register_method(
		server->home.grpc, RPC_METHOD_STREAM, NULL, GRPC_SRM_PAYLOAD_NONE, 0);
	server->home.query_method =
		grpc_server_register_method(server->home.grpc, RPC_METHOD_QUERY, NULL,
					    GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
	rc = server_listen(server, options, d);
	if (rc)
		return rc;
	grpc_server_start(server->home.grpc);
	rc = call_request(server, &server->home, METHOD_STREAM);
	for (unsigned i = 0; !rc && i < QUERIES_ARMED; i++)
		rc = call_request(server, &server->home, METHOD_QUERY);
	if (!rc)
		rc = call_request(server, &server->home, METHOD_UNKNOWN);
	return rc ? diag_errno(d, rc, options->listen, NULL, "cannot serve") : 0;
}

int rpc_server_open(const struct rpc_server_options *options,
		    const struct rpc_server_handlers *handlers, struct rpc_server **server,
		    struct diag *d)
{
	struct rpc_server *made;
	int rc = rpc_address_check(options->listen, d);

	if (rc)
		return rc;
	made = calloc(1, sizeof(*made));
	if (!made)
		return diag_errno(d, -ENOMEM, options->listen, NULL, "cannot serve");
	made->handlers = *handlers;
	made->streams_max = options->streams_max ? options->streams_max : STREAMS_MAX;
	made->tick_every = options->tick_every ? options->tick_every : TICK_EVERY;
	made->lock_fd = -1;
	accept_reserve();
	rpc_runtime_start();
	rc = server_start(made, options, d);
	if (rc) {
		rpc_server_close(made);
		return rc;
	}
	*server = made;
	return 0;
}

unsigned rpc_server_port(const struct rpc_server *server)
{
	return server->port;
}

struct rpc_server_counters rpc_server_counters(const struct rpc_server *server)
{
	struct rpc_server_counters counters = server->counters;

	counters.shed_total = accept_shed_total();
	return counters;
}

/* Serves until the tag, or (tag NULL) until the queue is empty and shut down. */
static void server_drain(struct rpc_server *server, const void *tag)
{
	mono_ns patience = clock_mono() + SHUTDOWN_PATIENCE;
	bool cancelled = false;

	for (;;) {
		mono_ns now = clock_mono();
		grpc_event event;

		if (!cancelled && now >= patience) {
			grpc_server_cancel_all_calls(server->home.grpc);
			cancelled = true;
		}
		event = grpc_completion_queue_next(
			server->home.queue, rpc_deadline(cancelled ? NS_PER_S : patience - now),
			NULL);
		if (event.type == GRPC_QUEUE_SHUTDOWN)
			return;
		if (event.type == GRPC_QUEUE_TIMEOUT)
			continue;
		if (event.tag == tag)
			return;
		event_dispatch(event.tag, event.success);
	}
}

static void server_shutdown(struct rpc_server *server)
{
	if (server->home.stopping)
		return;
	for (struct rpc_stream *stream = server->streams; stream; stream = stream->next)
		rpc_stream_finish(stream, RPC_UNAVAILABLE, "the hub is going down");
	server->home.stopping = true;
	grpc_server_shutdown_and_notify(server->home.grpc, server->home.queue,
					&server->home.stopping);
	server_drain(server, &server->home.stopping);
	grpc_completion_queue_shutdown(server->home.queue);
	server_drain(server, NULL);
}

int rpc_server_run(struct rpc_server *server)
{
	mono_ns next_tick = clock_mono() + server->tick_every;

	while (!atomic_load_explicit(&server->stop, memory_order_relaxed)) {
		mono_ns now = clock_mono();
		dur_ns wait;
		grpc_event event;

		if (now >= next_tick) {
			if (server->handlers.tick)
				server->handlers.tick(server->handlers.arg);
			next_tick = now + server->tick_every;
		}
		/* After messages only a glance, to learn whether the queue is empty. */
		wait = server->dirty ? 0 : next_tick - now;
		if (wait > TICK_EVERY)
			wait = TICK_EVERY;
		event = grpc_completion_queue_next(server->home.queue, rpc_deadline(wait), NULL);
		if (event.type == GRPC_OP_COMPLETE) {
			event_dispatch(event.tag, event.success);
		} else if (server->dirty) {
			server->dirty = false;
			if (server->handlers.drained)
				server->handlers.drained(server->handlers.arg);
		}
	}
	server_shutdown(server);
	return 0;
}

void rpc_server_stop(struct rpc_server *server)
{
	/* Relaxed: the flag carries nothing but itself. */
	atomic_store_explicit(&server->stop, true, memory_order_relaxed);
}

void rpc_server_close(struct rpc_server *server)
{
	if (!server)
		return;
	if (server->home.grpc) {
		server_shutdown(server);
		grpc_server_destroy(server->home.grpc);
		grpc_completion_queue_destroy(server->home.queue);
	}
	rpc_certificates_free(server->certificates);
	fd_closep(&server->lock_fd);
	rpc_runtime_stop();
	free(server);
}
