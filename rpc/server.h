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
#include "rpc/status.h"

struct rpc_server;
struct rpc_stream; /* one agent's stream, from opened() until closed() returns */

#define RPC_IDENTITY_MAX 255 /* bytes */

struct rpc_server_handlers {
	/*
	 * peer: "ipv4:127.0.0.1:4711"; identity: of the client's certificate, "" when plain or when
	 * the certificate has no name of at most RPC_IDENTITY_MAX bytes.
	 */
	void (*opened)(void *arg, struct rpc_stream *stream, const char *peer,
		       const char *identity);
	/* One whole message. The bytes are good during the call. */
	void (*message)(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t size);
	void (*closed)(void *arg, struct rpc_stream *stream);
	/*
	 * A unary Query: packed vow.v1.Control both ways. The handler
	 * mallocs the answer. Non-zero: RPC_INTERNAL is answered.
	 */
	int (*query)(void *arg, const uint8_t *bytes, size_t size, uint8_t **answer,
		     size_t *answer_size);
	/* Called every tick_every, under load as well (between two messages). */
	void (*tick)(void *arg);
	/*
	 * All messages that were waiting have been handed out: a good moment to commit. Not while
	 * more keep coming; tick() is the bound then.
	 */
	void (*drained)(void *arg);
	void *arg;
};

struct rpc_server_options {
	/* "127.0.0.1:7412", "[::]:7412", "unix:/path"; port 0: any free one, rpc_server_port() */
	const char *listen;
	const char *tls_ca, *tls_certificate,
		*tls_key; /* all or none: files, read again on change */
	size_t message_max_bytes; /* 0: 33 MiB, one journal record of the largest size */
	unsigned streams_max; /* 0: 10000 */
	dur_ns tick_every; /* 0: 100 ms */
};

/*
 * Listens; nothing is answered before rpc_server_run(). -EADDRINUSE, -EADDRNOTAVAIL, -EACCES,
 * -EINVAL, -ENOMEM or an errno of a TLS file, with d filled. Handlers are copied.
 */
int rpc_server_open(const struct rpc_server_options *options,
		    const struct rpc_server_handlers *handlers, struct rpc_server **server,
		    struct diag *d);
/* Of a TCP address. */
unsigned rpc_server_port(const struct rpc_server *server);
/*
 * Serves until rpc_server_stop(); then ends every stream with RPC_UNAVAILABLE, calls closed() for
 * each, and returns 0. Once in a server's life.
 */
int rpc_server_run(struct rpc_server *server);
/* Any thread, async-signal-safe; run() sees it within 100 ms. */
void rpc_server_stop(struct rpc_server *server);
void rpc_server_close(struct rpc_server *server); /* after run() returned, or instead of it */

/*
 * Streams now open; calls refused so far: unknown methods, streams beyond streams_max; connections
 * of the whole process, HTTP's as well, that were hung up on for want of a descriptor.
 */
struct rpc_server_counters {
	unsigned streams;
	uint64_t unknown_total, refused_total, shed_total;
};
struct rpc_server_counters rpc_server_counters(const struct rpc_server *server);

/* User pointer of a stream. */
void rpc_stream_set(struct rpc_stream *stream, void *user);
void *rpc_stream_get(const struct rpc_stream *stream);

/*
 * Sends a message, copied. While one is still on its way, the newest replaces the one that waits
 * (acknowledgements coalesce). -EPIPE when the stream is ending. From callbacks only.
 */
int rpc_stream_send(struct rpc_stream *stream, const uint8_t *bytes, size_t size);
/* Ends the stream with a status and a text for people; closed() follows. From callbacks only. */
void rpc_stream_finish(struct rpc_stream *stream, enum rpc_status status, const char *text);

#endif
