/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that the hub listens on, "127.0.0.1:7413", "[::1]:0" or with a name: opened, and asked
 * who can reach them. Any thread; may block on a name look-up.
 */
#ifndef VOW_HUB_LISTEN_H
#define VOW_HUB_LISTEN_H

#include <stdbool.h>

#include "lib/base/diag.h"

/*
 * *fd is the caller's: a TCP socket that listens at the first address that the text stands for.
 * -EINVAL, -EADDRINUSE and other errnos with d filled.
 */
int listen_open(const char *listen_on, int *fd, struct diag *d);

/* True when every address that the text stands for can be reached from this host only. */
bool listen_is_loopback(const char *listen);

/*
 * Whether a request with this Host header ("localhost:7413") asks for this host: by an address of
 * loopback, as localhost, by the name in listen_on, or by one of names (separated by commas, spaces
 * or both; NULL: none), on any port. Whatever else it says, its name only leads here: a page of a
 * stranger whose name was made to point to loopback asks so, and would read the answer. Case does
 * not count. Never blocks.
 */
bool listen_is_asked(const char *host, const char *listen_on, const char *names);

#endif
