/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program that takes connections of strangers and its porter (keep/porter.h) tell each other, and
 * how both look at such a connection. Behind a stranger's descriptor may be a file system that never
 * answers, and the kernel lets whoever closes it wait for that: so the porter alone has them, and a
 * connection with a descriptor in its queue is closed by nobody else. Any thread; nothing here waits
 * but porter_empty() on a connection that is PORTER_LADEN.
 *
 *   to the porter                              from the porter, for each LOOK both in this order
 *   LOOK      at what this connection brought  SEEN      what it is, with the memory if it is one;
 *                                                        the message is still in the connection
 *   DROP      these connections                DONE      nothing is in it and nothing can come: its
 *                                                        close disturbs nobody
 */
#ifndef VOW_LIB_DATA_PORTER_WIRE_H
#define VOW_LIB_DATA_PORTER_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/passing.h"

#define PORTER_NAME	"porter" /* what vow-keep is called with instead of a folder */
#define PORTER_VERSION	1u
#define PORTER_DROP_MAX PASSING_SEND_MAX /* connections in one message */

enum porter_kind { PORTER_LOOK = 1, PORTER_DROP, PORTER_SEEN, PORTER_DONE };

enum porter_verdict {
	PORTER_NOTHING, /* nothing came, or it was no hello with a descriptor */
	PORTER_MEMORY,
	PORTER_STRANGE, /* a good hello with something that is no memory */
};

struct porter_message {
	uint32_t version, kind;
	uint32_t number; /* of the connection, as LOOK called it */
	uint32_t verdict; /* SEEN */
};

/* As passing_send(). */
int porter_send(int fd, const struct porter_message *message, const int *fds, unsigned count);
/*
 * The next message, and its first descriptor or -1, which is the caller's. 1: there is one. 0: the
 * other's end is closed. -EAGAIN: none yet. -EPROTO: it is not ours, or of another version.
 */
int porter_receive(int fd, struct porter_message *message, int *passed);

/* A connection that was just taken: before the calls below. */
void porter_prepare(int connection);

/* What comes next out of a connection; it stays there. */
enum porter_next {
	PORTER_EMPTY, /* nothing, now or ever */
	PORTER_PLAIN, /* a message without descriptors */
	PORTER_LADEN, /* with some */
};
enum porter_next porter_next(int connection);

/*
 * Nothing can come any more, and what came is thrown away up to the first message with descriptors;
 * with `laden` also those. The sender sees no more than that it can send no more. False: one is left.
 */
bool porter_empty(int connection, bool laden);

#define PORTER_LOOK_MAX PASSING_TAKE_MAX

/*
 * The hello that comes next: looked at, not taken. fds, the caller's, are what came along, -1 where
 * nothing did; with PORTER_MEMORY the first one is that. For porters alone: they have to be closed.
 */
enum porter_verdict porter_look(int connection, int fds[PORTER_LOOK_MAX]);

#endif
