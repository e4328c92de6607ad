/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gRPC server and client of this folder share: the library's life, conversion of bytes,
 * deadlines, credentials. Inside rpc/ only: it shows gRPC's types.
 */
#ifndef VOW_RPC_RUNTIME_H
#define VOW_RPC_RUNTIME_H

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <stdbool.h>

#include "lib/base/diag.h"
#include "lib/base/types.h"

#define RPC_METHOD_STREAM "/vow.v1.Collector/Stream"
#define RPC_METHOD_QUERY  "/vow.v1.Collector/Query"
/* A journal record is 32 MiB at most; one alone in a message must fit. */
#define RPC_MESSAGE_MAX_BYTES (33u << 20)

/* One integer setting of a channel or server. */
#define RPC_ARG(name, number)                                                              \
	{                                                                                  \
		.type = GRPC_ARG_INTEGER, .key = (char *)(name), .value.integer = (number) \
	}

/*
 * Counted grpc_init(). Its threads are made with every signal blocked, so that signals go to the
 * program's own threads; its log stays silent, since errors are handed up as a diag.
 */
void rpc_runtime_start(void);
void rpc_runtime_stop(void); /* blocks until gRPC's threads of the last user are gone */

gpr_timespec rpc_deadline(dur_ns from_now);

/* A copy of bytes as gRPC wants them; NULL never (gRPC aborts when memory lacks). */
grpc_byte_buffer *rpc_buffer_new(const uint8_t *bytes, size_t size);

/* All bytes of a received message in one slice; the caller unrefs it. -EPROTO when not readable. */
int rpc_buffer_read(grpc_byte_buffer *buffer, grpc_slice *slice);

struct rpc_tls { /* paths; all empty or NULL: plain */
	const char *ca, *certificate, *key;
};

/* 0; -EINVAL when some but not all are set; an errno of reading a file; with d filled. */
int rpc_client_credentials(const struct rpc_tls *tls, grpc_channel_credentials **credentials,
			   struct diag *d);

/*
 * Server credentials that demand a client certificate of the same CA and read the files again when
 * one of them changed. *source must outlive the server; rpc_certificates_free() ends it.
 */
struct rpc_certificates;
int rpc_server_credentials(const struct rpc_tls *tls, grpc_server_credentials **credentials,
			   struct rpc_certificates **source, struct diag *d);
void rpc_certificates_free(struct rpc_certificates *source);

/*
 * Who a call's peer proved to be: SPIFFE id, else common name, else first alternative name, of those
 * that fit into size whole; else "".
 */
void rpc_identity(grpc_call *call, char *buf, size_t size);

#endif
