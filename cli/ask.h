/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking an agent through its control socket, or a hub through the helper program vow-fleet, which
 * links what talks to networks. Both speak frames: a u32 length, little endian, then a question or
 * an answer of proto/vow/v1/control.proto. One thread; calls block until an answer or the deadline.
 */
#ifndef VOW_CLI_ASK_H
#define VOW_CLI_ASK_H

#include "view/view.h"

#define ASK_TIMEOUT	 (5 * NS_PER_S) /* for one answer */
#define ASK_ANSWER_MAX	 (16u << 20) /* bytes */
#define ASK_QUESTION_MAX (64u << 10)

struct ask { /* the caller's; ask_open() fills it */
	int fd; /* -1: not open */
	int helper; /* process id of vow-fleet; 0: none */
	char where[512]; /* socket's path or hub's address */
};

/*
 * Opens a way to dir's agent (dir may be NULL: the default folder), or to hub when that is not
 * NULL. Negative errno with d saying what to do.
 */
int ask_open(struct ask *ask, const char *dir, const char *hub, struct diag *d);
/* *view is the caller's. Negative errno, with d filled, also for an error that the other sent. */
int ask_view(struct ask *ask, const struct view_query *query, struct view **view, struct diag *d);
void ask_close(struct ask *ask); /* twice is allowed */

/* One question by a way of its own: opens, asks, closes; errors as of these. */
int ask_once(const char *dir, const char *hub, const struct view_query *query, struct view **view,
	     struct diag *d);

/* One frame: used by both sides. -ECONNRESET at the end of the stream, -ETIMEDOUT, -EMSGSIZE. */
int ask_send(int fd, const uint8_t *bytes, size_t size);
/* *bytes is malloc'ed, also for a size of 0. */
int ask_receive(int fd, size_t max, dur_ns timeout, uint8_t **bytes, size_t *size);

#endif
