/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of sockets through io_uring, each of which waits for its end, in all the ways in which an
 * application may make them. Each thread has rings of its own, one for receives and one for sends.
 */
#ifndef VOW_TESTS_TOOLS_TRUTH_URING_H
#define VOW_TESTS_TOOLS_TRUTH_URING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum uring_way {
	URING_SEND, /* RECV and SEND */
	URING_WRITE, /* READ and WRITE */
	URING_WRITEV, /* READV and WRITEV, of two stretches */
	URING_SENDMSG, /* RECVMSG and SENDMSG, likewise */
	URING_FIXED, /* READ_FIXED and WRITE_FIXED, of a registered file and buffer */
	URING_ZEROCOPY, /* RECV and SEND_ZC */
	URING_LINKED, /* RECV and two SENDs in one submission, one behind the other */
	URING_SILENT, /* RECV and a SEND that tells nothing when it succeeds */
	URING_ASYNC, /* RECV and SEND by a thread that the kernel makes for them */
	URING_POLLED, /* RECV and SEND by a thread that watches the ring */
	URING_PROVIDED, /* RECV into one of several buffers, SEND */
	URING_MULTISHOT, /* the same with one RECV for all that ever comes */
	URING_BEHIND, /* a RECV that is under way while the thread reads something else, SEND */
	URING_MIXED, /* RECV and SEND, and read and write, by turns */
	URING_WAYS
};

/* As on command lines. */
extern const char *const uring_names[URING_WAYS];

/* Whether receives are to wait for what comes, which nobody may look for before. */
bool uring_waits(enum uring_way way);

/* Like recv() and send(). A receive of URING_MULTISHOT takes the same fd until it returns 0. */
ssize_t uring_receive(enum uring_way way, int fd, char *text, size_t size);
ssize_t uring_send(enum uring_way way, int fd, const char *text, size_t size);

#endif
