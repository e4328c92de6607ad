/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gRPC client of vow-export (one bidirectional stream) and of fleet questions (one unary
 * call). Events arrive on the event loop's thread; gRPC's threads stay inside.
 */
#ifndef VOW_RPC_CLIENT_H
#define VOW_RPC_CLIENT_H

#include "lib/base/diag.h"
#include "lib/base/loop.h"
#include "rpc/status.h"

struct rpc_client;

struct rpc_client_options {
	const char *target; /* "127.0.0.1:7412" */
	const char *tls_ca, *tls_certificate, *tls_key;
	size_t message_max_bytes; /* 0: 33 MiB, one journal record of the largest size */
};

struct rpc_client_handlers {
	void (*opened)(void *arg); /* the stream stands: send Hello */
	void (*message)(void *arg, const uint8_t *bytes, size_t size);
	void (*writable)(void *arg); /* the last message was taken: the next may be sent */
	/*
	 * The stream ended or never stood; why, and the text of the server or of gRPC.
	 * Reconnecting is the caller's: rpc_client_connect() again, from here or later.
	 */
	void (*closed)(void *arg, enum rpc_status status, const char *text);
	void *arg;
};

/*
 * Options and handlers are copied; message, writable and closed must be set. -EINVAL for a target
 * that is no address or TLS files that do not belong together, an errno of reading them, -ENOMEM,
 * -EAGAIN when no thread can be made; with d filled. Nothing connects yet.
 */
int rpc_client_new(struct loop *loop, const struct rpc_client_options *options,
		   const struct rpc_client_handlers *handlers, struct rpc_client **client,
		   struct diag *d);
/*
 * Tries once; opened() or closed() tells what came of it, at the latest after 5 s. TLS files are
 * read anew. Nothing happens while a stream stands or is tried.
 */
void rpc_client_connect(struct rpc_client *client);
/* Gives the stream up; closed() follows with RPC_CANCELLED. */
void rpc_client_disconnect(struct rpc_client *client);
/*
 * Copies the message. -EAGAIN while one is on its way (wait for writable()), -ENOTCONN before
 * opened() and once the stream is ending.
 */
int rpc_client_send(struct rpc_client *client, const uint8_t *bytes, size_t size);
/* No callback comes any more. Not from within one. Waits for gRPC's threads (milliseconds). */
void rpc_client_free(struct rpc_client *client);

/*
 * One unary Query to the target, packed vow.v1.Control both ways, blocking at most `timeout` (one
 * second more when a foreign program listens there). *answer is malloc'ed. 0; -ETIMEDOUT,
 * -ECONNREFUSED, -EPROTO (the port speaks something else), -EIO (the hub could not answer), -ENOMEM
 * and the errors of rpc_client_new(), with d filled. Any thread.
 */
int rpc_query(const struct rpc_client_options *options, const uint8_t *bytes, size_t size,
	      dur_ns timeout, uint8_t **answer, size_t *answer_size, struct diag *d);

#endif
