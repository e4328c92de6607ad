/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that people write ("127.0.0.1:7412", "[::]:7412", "hub.example:7412",
 * "unix:/run/hub.sock"): checked before gRPC sees them, and asked why they did not work, since
 * gRPC itself only says that they did not. May block on a name look-up.
 */
#ifndef VOW_RPC_ADDRESS_H
#define VOW_RPC_ADDRESS_H

#include <stdbool.h>

#include "lib/base/diag.h"
#include "lib/base/types.h"

/* 0; -EINVAL with d filled when text is neither HOST:PORT nor unix:PATH. */
int rpc_address_check(const char *text, struct diag *d);
/* The path of "unix:PATH", NULL for another address. */
const char *rpc_address_path(const char *text);

/* Whether only this host can be meant: 127.*, ::1, localhost, unix:. */
bool rpc_address_is_local(const char *text);

/* Why nobody can listen there: -EADDRINUSE and others, with d filled. -EIO when it works by now. */
int rpc_address_why_not_bound(const char *text, struct diag *d);
/* Whether something accepts connections there within timeout. */
bool rpc_address_accepts(const char *text, dur_ns timeout);

#endif
