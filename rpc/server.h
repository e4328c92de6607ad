/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gRPC server of the hub: bidirectional streams of opaque messages and one unary question.
 * Everything, callbacks included, runs on the thread that calls rpc_server_run(); gRPC's own
 * threads stay inside. Only rpc/ knows gRPC.
 */
#ifndef VOW_RPC_SERVER_H
#define VOW_RPC_SERVER_H

#include "lib/base/diag.h"
#include "lib/base/types.h"

struct rpc_server;
struct rpc_stream; /* one agent's stream, from opened() until closed() returns */

enum rpc_status { /* gRPC's numbers */
		  RPC_OK = 0,
		  RPC_INVALID_ARGUMENT = 3,
		  RPC_RESOURCE_EXHAUSTED = 8,
		  RPC_FAILED_PRECONDITION = 9,
		  RPC_UNAVAILABLE = 14,
		  RPC_UNAUTHENTICATED = 16,
};

struct rpc_server_handlers {
	/* peer: "ipv4:127.0.0.1:4711"; identity: of the client's certificate, "" when plain. */
	void (*opened)(void *arg, struct rpc_stream *stream, const char *peer,
		       const char *identity);
	/* One whole message. The bytes are good during the call. */
	void (*message)(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t size);
	void (*closed)(void *arg, struct rpc_stream *stream);
	/* A unary Query; the handler mallocs the answer. Non-zero: internal error. */
	int (*query)(void *arg, const uint8_t *bytes, size_t size, uint8_t **answer,
		     size_t *answer_size);
	/* Called at least every tick_every, under load as well. */
	void (*tick)(void *arg);
	/* All messages that were waiting have been handed out: a good moment to commit. */
	void (*drained)(void *arg);
	void *arg;
};

struct rpc_server_options {
	const char *listen; /* "127.0.0.1:7412", "[::]:7412", "unix:/path" */
	const char *tls_ca, *tls_certificate,
		*tls_key; /* all or none: files, read again on change */
	size_t message_max_bytes; /* 0: 4 MiB */
	unsigned streams_max; /* 0: 10000 */
	dur_ns tick_every; /* 0: 100 ms */
};

/* Listens. -EADDRINUSE, -EINVAL, -ENOMEM with d filled. Handlers are copied. */
int rpc_server_open(const struct rpc_server_options *options,
		    const struct rpc_server_handlers *handlers, struct rpc_server **server,
		    struct diag *d);
int rpc_server_run(struct rpc_server *server); /* returns 0 after rpc_server_stop() */
void rpc_server_stop(struct rpc_server *server); /* any thread; from a signal handler as well */
void rpc_server_close(struct rpc_server *server);

/* User pointer of a stream. */
void rpc_stream_set(struct rpc_stream *stream, void *user);
void *rpc_stream_get(const struct rpc_stream *stream);

/*
 * Sends a message. While one is still on its way, the newest replaces the one that waits
 * (acknowledgements coalesce). -ENOMEM, -EPIPE when the stream is ending.
 */
int rpc_stream_send(struct rpc_stream *stream, const uint8_t *bytes, size_t size);
/* Ends the stream with a status and a text for people; closed() follows. */
void rpc_stream_finish(struct rpc_stream *stream, enum rpc_status status, const char *text);

#endif
