/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which listening sockets refused connections: the kernel counts them for each socket, and tells
 * over netlink (sock_diag) to anybody. Asked only when the host's own count has grown, since it
 * lists every listening socket of the network namespace, about 1 us each.
 *
 * One thread; blocks no longer than the kernel takes to list them.
 */
#ifndef VOW_COLLECTORS_HOST_LISTEN_H
#define VOW_COLLECTORS_HOST_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/data/gauge.h"

#define HOST_LISTEN_MAX \
	32 /* listening sockets told apart; then the one that was well for longest goes */

struct host_listener {
	uint64_t cookie; /* the kernel's name of the socket, never given twice */
	char label[SERIES_NAME_MAX + 1]; /* "0.0.0.0:8080" */
	uint32_t seen; /* the kernel's count of it, which wraps */
	uint64_t drops; /* since the agent started */
	mono_ns grown_at; /* 0: not since the agent started */
};

struct host_listen {
	int fd; /* netlink; -1: not there */
	bool known; /* asked before: who is new now has had all its drops since */
	bool forgot; /* there was no room for all */
	unsigned count;
	struct host_listener listeners[HOST_LISTEN_MAX];
};

/* Never fails: without netlink, nothing is told apart. */
void host_listen_open(struct host_listen *listen);
void host_listen_close(struct host_listen *listen);
/* Asks. What was dropped before the first call is not counted. 0 or a negative errno. */
int host_listen_read(struct host_listen *listen, mono_ns now);
/* tcp_listen_drops_total of each address that dropped; several sockets of one add up. */
void host_listen_publish(const struct host_listen *listen, struct gauge_table *gauges, mono_ns now);

#endif
