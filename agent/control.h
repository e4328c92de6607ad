/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: answers questions (proto/vow/v1/control.proto) on a local stream socket, mode
 * 0660, each message a u32 length, little endian, and that many bytes. It has a thread and a loop
 * of its own and only reads: series under RCU, boards from the post. So a slow question never
 * delays a tick, and a hostile client costs at most its own connection. Orders, which change
 * something, are for the main thread (agent/order.h), and taken from root and vowd's own user alone.
 */
#ifndef VOW_AGENT_CONTROL_H
#define VOW_AGENT_CONTROL_H

#include "agent/order.h"
#include "lib/base/diag.h"
#include "view/board.h"

#define CONTROL_CLIENTS_MAX  64
#define CONTROL_QUESTION_MAX (64u << 10) /* bytes */
#define CONTROL_IDLE_S	     30 /* seconds after which a silent client is let go */

struct control;

struct control_options { /* all but the path outlive the control */
	const char *path;
	const struct series_table *series;
	struct board_post *post;
	const char *host;
	struct order_desk *desk; /* whose orders nobody else gives */
};

/*
 * Listens on path and starts the thread. -EBUSY when another agent listens there, -ENOMEM,
 * -ENAMETOOLONG, with d filled.
 */
int control_start(const struct control_options *options, struct control **control, struct diag *d);
/* Ends clients and thread, removes the socket. NULL is allowed. */
void control_stop(struct control *control);

#endif
