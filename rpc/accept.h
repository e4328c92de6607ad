/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking connections when descriptors run out. gRPC 1.51 gives a listening socket up for ever when
 * accept4() fails in any other way than EAGAIN or EINTR, so one moment without a free descriptor
 * would leave the port dead until a restart. Therefore a program with a server of rpc/ has an
 * accept4() of its own in place of libc's (libmicrohttpd's calls come here as well): it keeps one
 * descriptor in reserve, with which it takes whoever waits and hangs up. Who is hung up on tries
 * again; who is only left waiting would not be noticed again before somebody else connects.
 */
#ifndef VOW_RPC_ACCEPT_H
#define VOW_RPC_ACCEPT_H

#include "lib/base/types.h"

/* Takes the descriptor into reserve, for good. Any thread; more calls change nothing. */
void accept_reserve(void);
/* Connections that were hung up on for want of a descriptor, since the process began. Any thread. */
uint64_t accept_shed_total(void);

#endif
