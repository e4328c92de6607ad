/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/call.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

void call_free(struct rpc_stream *call)
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

static struct rpc_stream *call_new(struct rpc_server *server, struct call_home *home,
				   enum method method)
{
	struct rpc_stream *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->server = server;
	call->home = home;
	call->method = method;
	call->status_text = grpc_empty_slice();
	grpc_metadata_array_init(&call->metadata);
	if (method == METHOD_UNKNOWN)
		grpc_call_details_init(&call->details);
	for (unsigned i = 0; i < EVENT_KINDS; i++)
		call->events[i] = (struct event){(enum event_kind)i, call};
	return call;
}

int call_request(struct rpc_server *server, struct call_home *home, enum method method)
{
	struct rpc_stream *call = call_new(server, home, method);
	grpc_call_error error;

	if (!call)
		return -ENOMEM;
	call->pending = 1;
	if (method == METHOD_UNKNOWN)
		error = grpc_server_request_call(home->grpc, &call->call, &call->details,
						 &call->metadata, home->queue, home->queue,
						 &call->events[EVENT_NEW]);
	else
		error = grpc_server_request_registered_call(
			home->grpc,
			method == METHOD_STREAM ? home->stream_method : home->query_method,
			&call->call, &call->deadline, &call->metadata,
			method == METHOD_QUERY ? &call->in : NULL, home->queue, home->queue,
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

void call_watch_close(struct rpc_stream *call)
{
	grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};

	op.data.recv_close_on_server.cancelled = &call->cancelled;
	call_batch(call, &op, 1, EVENT_CLOSED);
}

void call_greet(struct rpc_stream *call)
{
	grpc_op op = {.op = GRPC_OP_SEND_INITIAL_METADATA};

	call_batch(call, &op, 1, EVENT_GREETED);
}

void call_receive(struct rpc_stream *call)
{
	grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};

	op.data.recv_message.recv_message = &call->in;
	call_batch(call, &op, 1, EVENT_RECEIVED);
}

void call_send(struct rpc_stream *call, grpc_byte_buffer *message)
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

void call_answer(struct rpc_stream *call, grpc_byte_buffer *answer, enum rpc_status status,
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
	if (stream->ending || stream->home->stopping)
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

	if (stream->ending || stream->home->stopping)
		return;
	op = status_op(stream, status, text);
	call_batch(stream, &op, 1, EVENT_FINISHED);
}
