/* SPDX-License-Identifier: Apache-2.0 */
/* How a client of this folder reaches a hub. Inside rpc/ only: it shows gRPC's types. */
#ifndef VOW_RPC_CHANNEL_H
#define VOW_RPC_CHANNEL_H

#include "rpc/client.h"
#include "rpc/runtime.h"

/* 0 with a channel that connects at its first call; an errno of reading the TLS files, with d. */
int rpc_channel_open(const struct rpc_client_options *options, grpc_channel **channel,
		     struct diag *d);

#endif
