/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gRPC client of vow-export (one bidirectional stream) and of fleet questions (one unary
 * call). Events arrive on the event loop's thread; gRPC's threads stay inside.
 */
#ifndef VOW_RPC_CLIENT_H
#define VOW_RPC_CLIENT_H

#include "lib/base/diag.h"
#include "lib/base/loop.h"

struct rpc_client;

struct rpc_client_options {
	const char *target; /* "127.0.0.1:7412" */
	const char *tls_ca, *tls_certificate, *tls_key;
	size_t message_max_bytes; /* 0: 4 MiB */
};

struct rpc_client_handlers {
	void (*opened)(void *arg); /* the stream stands: send Hello */
	void (*message)(void *arg, const uint8_t *bytes, size_t size);
	void (*writable)(void *arg); /* the last message was taken: the next may be sent */
	/*
	 * The stream ended or never stood; status (gRPC's number) and the server's text.
	 * Reconnecting is the caller's: rpc_client_connect() again.
	 */
	void (*closed)(void *arg, int status, const char *text);
	void *arg;
};

int rpc_client_new(struct loop *loop, const struct rpc_client_options *options,
		   const struct rpc_client_handlers *handlers, struct rpc_client **client,
		   struct diag *d);
void rpc_client_connect(struct rpc_client *client);
/* -EAGAIN while one message is on its way (wait for writable()), -ENOTCONN, -ENOMEM. */
int rpc_client_send(struct rpc_client *client, const uint8_t *bytes, size_t size);
void rpc_client_free(struct rpc_client *client);

/*
 * One unary Query to the target, blocking at most `timeout`. *answer is malloc'ed. 0; -ETIMEDOUT,
 * -ECONNREFUSED, -EPROTO (the port speaks something else), with d filled.
 */
int rpc_query(const struct rpc_client_options *options, const uint8_t *bytes, size_t size,
	      dur_ns timeout, uint8_t **answer, size_t *answer_size, struct diag *d);

#endif
