/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One completion queue, driven by the thread of rpc_server_run(). A call lives as long as gRPC
 * holds one of its tags: `pending` counts them, and the last event that comes back frees it.
 *
 * At least one request for each method is outstanding at any time, so that gRPC has somewhere to
 * put the next call; each serves one call and is replaced at once. Requests for unknown methods
 * go to a catch-all, since nobody would answer them otherwise.
 */
#include "rpc/server.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grpc/support/alloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "rpc/address.h"
#include "rpc/runtime.h"

#define STREAMS_MAX	  10000
#define TICK_EVERY	  (100 * NS_PER_MS) /* also how soon rpc_server_stop() is seen */
#define SHUTDOWN_PATIENCE (300 * NS_PER_MS) /* for peers to take their status, then cancelled */
#define QUERIES_ARMED	  4 /* questions that may arrive between two looks at the queue */
#define MEMORY_BYTES	  (512u << 20) /* of gRPC's buffers; beyond it connections are refused */

enum method { METHOD_STREAM, METHOD_QUERY, METHOD_UNKNOWN };

enum event_kind {
	EVENT_NEW, /* a call arrived */
	EVENT_GREETED, /* initial metadata went out */
	EVENT_RECEIVED, /* a message came, or the peer will send no more */
	EVENT_SENT, /* a message was handed to the transport */
	EVENT_CLOSED, /* the call is over, for whatever reason */
	EVENT_FINISHED, /* our status went out, or could not */
	EVENT_KINDS
};

struct event { /* a tag of the completion queue */
	enum event_kind kind;
	struct rpc_stream *call;
};

struct rpc_stream { /* any call, of any method; the name is the header's */
	struct rpc_server *server;
	enum method method;
	grpc_call *call;
	grpc_call_details details; /* of METHOD_UNKNOWN */
	grpc_metadata_array metadata;
	gpr_timespec deadline;
	grpc_byte_buffer *in; /* where gRPC puts the next message */
	grpc_byte_buffer *out; /* on its way */
	grpc_byte_buffer *waiting; /* goes after out */
	grpc_slice status_text;
	int cancelled;
	unsigned pending; /* events that will still come */
	bool open; /* opened() was called and closed() was not yet */
	bool ending; /* a status is on its way, or the call is over */
	void *user;
	struct event events[EVENT_KINDS];
	struct rpc_stream *next, *previous; /* among the server's open streams */
};

struct rpc_server {
	struct rpc_server_handlers handlers;
	grpc_server *grpc;
	grpc_completion_queue *queue;
	void *stream_method, *query_method; /* gRPC's registration of them */
	struct rpc_certificates *certificates;
	struct rpc_stream *streams;
	struct rpc_server_counters counters;
	unsigned streams_max;
	unsigned port;
	dur_ns tick_every;
	atomic_bool stop;
	bool stopping; /* the queue takes no new operations */
	bool dirty; /* messages were handed out since drained() */
	int lock_fd; /* of a unix socket, -1 otherwise */
};

/* ---- calls ------------------------------------------------------------------------------------ */

static void call_free(struct rpc_stream *call)
{
	if (call->in)
		grpc_byte_buffer_destroy(call->in);
	if (call->out)
		grpc_byte_buffer_destroy(call->out);
	if (call->waiting)
		grpc_byte_buffer_destroy(call->waiting);
	if (call->method == METHOD_UNKNOWN)
		grpc_call_details_destroy(&call->details);
	grpc_metadata_array_destroy(&call->metadata);
	grpc_slice_unref(call->status_text);
	if (call->call)
		grpc_call_unref(call->call);
	free(call);
}

static struct rpc_stream *call_new(struct rpc_server *server, enum method method)
{
	struct rpc_stream *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->server = server;
	call->method = method;
	call->status_text = grpc_empty_slice();
	grpc_metadata_array_init(&call->metadata);
	if (method == METHOD_UNKNOWN)
		grpc_call_details_init(&call->details);
	for (unsigned i = 0; i < EVENT_KINDS; i++)
		call->events[i] = (struct event){(enum event_kind)i, call};
	return call;
}

/* Asks gRPC for the next call of the method. */
static int server_request(struct rpc_server *server, enum method method)
{
	struct rpc_stream *call = call_new(server, method);
	grpc_call_error error;

	if (!call)
		return -ENOMEM;
	call->pending = 1;
	if (method == METHOD_UNKNOWN)
		error = grpc_server_request_call(server->grpc, &call->call, &call->details,
						 &call->metadata, server->queue, server->queue,
						 &call->events[EVENT_NEW]);
	else
		error = grpc_server_request_registered_call(
			server->grpc,
			method == METHOD_STREAM ? server->stream_method : server->query_method,
			&call->call, &call->deadline, &call->metadata,
			method == METHOD_QUERY ? &call->in : NULL, server->queue, server->queue,
			&call->events[EVENT_NEW]);
	if (error == GRPC_CALL_OK)
		return 0;
	call_free(call);
	return -EIO;
}

static void call_batch(struct rpc_stream *call, const grpc_op *ops, size_t count,
		       enum event_kind kind)
{
	grpc_call_error error;

	call->pending++;
	error = grpc_call_start_batch(call->call, ops, count, &call->events[kind], NULL);
	assert(error == GRPC_CALL_OK); /* anything else is a misuse of the interface */
	(void)error;
}

static void call_watch_close(struct rpc_stream *call)
{
	grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};

	op.data.recv_close_on_server.cancelled = &call->cancelled;
	call_batch(call, &op, 1, EVENT_CLOSED);
}

static void call_receive(struct rpc_stream *call)
{
	grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};

	op.data.recv_message.recv_message = &call->in;
	call_batch(call, &op, 1, EVENT_RECEIVED);
}

static void call_send(struct rpc_stream *call, grpc_byte_buffer *message)
{
	grpc_op op = {.op = GRPC_OP_SEND_MESSAGE};

	call->out = message;
	op.data.send_message.send_message = message;
	call_batch(call, &op, 1, EVENT_SENT);
}

static grpc_op status_op(struct rpc_stream *call, enum rpc_status status, const char *text)
{
	grpc_op op = {.op = GRPC_OP_SEND_STATUS_FROM_SERVER};

	call->ending = true;
	call->status_text = grpc_slice_from_copied_string(text);
	op.data.send_status_from_server.status = (grpc_status_code)status;
	op.data.send_status_from_server.status_details = &call->status_text;
	return op;
}

/* Ends a call that was not greeted: answer may be NULL and becomes the call's. */
static void call_answer(struct rpc_stream *call, grpc_byte_buffer *answer, enum rpc_status status,
			const char *text)
{
	grpc_op ops[3] = {{.op = GRPC_OP_SEND_INITIAL_METADATA}};
	size_t count = 1;

	if (answer) {
		call->out = answer;
		ops[count].op = GRPC_OP_SEND_MESSAGE;
		ops[count++].data.send_message.send_message = answer;
	}
	ops[count++] = status_op(call, status, text);
	call_batch(call, ops, count, EVENT_FINISHED);
}

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
	grpc_op greeting = {.op = GRPC_OP_SEND_INITIAL_METADATA};
	char identity[256];
	char *peer;

	if (server->counters.streams >= server->streams_max) {
		server->counters.refused_total++;
		call_answer(stream, NULL, RPC_RESOURCE_EXHAUSTED,
			    "this hub has as many agents as it takes; try again later");
		return;
	}
	call_batch(stream, &greeting, 1, EVENT_GREETED);
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
	if (!success || call->server->stopping)
		return;
	/*
	 * When memory lacks for the next request, calls of this method wait until the connection
	 * ends; nothing else can be done about it here, and gRPC itself aborts in that case.
	 */
	(void)server_request(call->server, call->method);
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

	if (stream->ending || server->stopping)
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
	if (!success || !next || stream->ending || stream->server->stopping)
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

/* ---- streams ---------------------------------------------------------------------------------- */

void rpc_stream_set(struct rpc_stream *stream, void *user)
{
	stream->user = user;
}

void *rpc_stream_get(const struct rpc_stream *stream)
{
	return stream->user;
}

int rpc_stream_send(struct rpc_stream *stream, const uint8_t *bytes, size_t size)
{
	if (stream->ending || stream->server->stopping)
		return -EPIPE;
	if (!stream->out) {
		call_send(stream, rpc_buffer_new(bytes, size));
		return 0;
	}
	if (stream->waiting)
		grpc_byte_buffer_destroy(stream->waiting);
	stream->waiting = rpc_buffer_new(bytes, size);
	return 0;
}

void rpc_stream_finish(struct rpc_stream *stream, enum rpc_status status, const char *text)
{
	grpc_op op;

	if (stream->ending || stream->server->stopping)
		return;
	op = status_op(stream, status, text);
	call_batch(stream, &op, 1, EVENT_FINISHED);
}

/* ---- the server's life ------------------------------------------------------------------------ */

/* gRPC replaces a unix socket that another server still listens on: the lock tells them apart. */
static int path_lock(struct rpc_server *server, const char *path, struct diag *d)
{
	char lock[128];

	snprintf(lock, sizeof(lock), "%s.lock", path);
	server->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (server->lock_fd < 0)
		return diag_errno(d, -errno, lock, "check the folder and its rights",
				  "cannot make the lock");
	if (flock(server->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return diag_set(d, -EADDRINUSE, path, "end it, or choose another path",
				"another server listens there");
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
	port = grpc_server_add_http2_port(server->grpc, options->listen, credentials);
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
	server->grpc = grpc_server_make(options);
	server->queue = grpc_completion_queue_create_for_next(NULL);
	grpc_server_register_completion_queue(server->grpc, server->queue, NULL);
	server->stream_method = grpc_server_register_method(server->grpc, RPC_METHOD_STREAM, NULL,
							    GRPC_SRM_PAYLOAD_NONE, 0);
	server->query_method = grpc_server_register_method(
		server->grpc, RPC_METHOD_QUERY, NULL, GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
	rc = server_listen(server, options, d);
	if (rc)
		return rc;
	grpc_server_start(server->grpc);
	rc = server_request(server, METHOD_STREAM);
	for (unsigned i = 0; !rc && i < QUERIES_ARMED; i++)
		rc = server_request(server, METHOD_QUERY);
	if (!rc)
		rc = server_request(server, METHOD_UNKNOWN);
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
	return server->counters;
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
			grpc_server_cancel_all_calls(server->grpc);
			cancelled = true;
		}
		event = grpc_completion_queue_next(
			server->queue, rpc_deadline(cancelled ? NS_PER_S : patience - now), NULL);
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
	if (server->stopping)
		return;
	for (struct rpc_stream *stream = server->streams; stream; stream = stream->next)
		rpc_stream_finish(stream, RPC_UNAVAILABLE, "the hub is going down");
	server->stopping = true;
	grpc_server_shutdown_and_notify(server->grpc, server->queue, &server->stopping);
	server_drain(server, &server->stopping);
	grpc_completion_queue_shutdown(server->queue);
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
		event = grpc_completion_queue_next(server->queue, rpc_deadline(wait), NULL);
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
	if (server->grpc) {
		server_shutdown(server);
		grpc_server_destroy(server->grpc);
		grpc_completion_queue_destroy(server->queue);
	}
	rpc_certificates_free(server->certificates);
	if (server->lock_fd >= 0)
		close(server->lock_fd);
	rpc_runtime_stop();
	free(server);
}
