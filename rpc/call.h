/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call at the server, of any method, and the operations on it. Inside rpc/ only: it shows
 * gRPC's types. Thread of rpc_server_run().
 *
 * A call lives as long as gRPC holds one of its tags: `pending` counts them, and who takes the
 * last one back frees the call.
 */
#ifndef VOW_RPC_CALL_H
#define VOW_RPC_CALL_H

#include <stdbool.h>

#include "rpc/runtime.h"
#include "rpc/server.h"

struct call_home { /* where calls come from; the server's */
	grpc_server *grpc;
	grpc_completion_queue *queue;
	void *stream_method, *query_method; /* gRPC's registration of them */
	bool stopping; /* the queue takes no new operations */
};

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
	struct call_home *home;
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

/* Asks gRPC for the next call of the method; EVENT_NEW brings it. -ENOMEM, -EIO. */
int call_request(struct rpc_server *server, struct call_home *home, enum method method);
void call_free(struct rpc_stream *call);

/* Each starts one operation, whose event follows. At most one of a kind at a time. */
void call_watch_close(struct rpc_stream *call);
void call_greet(struct rpc_stream *call);
void call_receive(struct rpc_stream *call);
void call_send(struct rpc_stream *call, grpc_byte_buffer *message); /* becomes the call's */

/* Ends a call that was not greeted: answer may be NULL and becomes the call's. */
void call_answer(struct rpc_stream *call, grpc_byte_buffer *answer, enum rpc_status status,
		 const char *text);

#endif
