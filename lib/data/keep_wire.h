/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an agent and its keeper (keep/vow_keep.c) tell each other over a SOCK_SEQPACKET socket of one
 * user: a message each, of one size, with at most two descriptors. Any thread; nothing here waits.
 *
 *   agent to keeper                            keeper to agent
 *   HELLO     first; how long to wait          HELLO     the answer, with the intake socket
 *   LISTENER  the intake socket                SEGMENT   each one that it holds, and each new one
 *   SEGMENT   hold this one as well            READY     all that it held at the HELLO was told; a
 *                                                        LISTENER is answered so as well
 *   LET_GO    of this inode                    REFUSED   applications in all that it could not hold
 *   END       of the keeper itself             STRANGE   a process handed over what is no memory
 *                                              BARRED    a user's file system does not answer
 */
#ifndef VOW_LIB_DATA_KEEP_WIRE_H
#define VOW_LIB_DATA_KEEP_WIRE_H

#include <stdint.h>

#define KEEP_SOCKET  "keep.sock" /* below the runtime folder; mode 0600 */
#define KEEP_TOLD    "keep.told" /* below it as well: what a keeper let go of while no agent ran */
#define KEEP_MAGIC   UINT64_C(0x312d5045454b5756) /* "VWKEEP-1" on a little-endian machine */
#define KEEP_VERSION 2u

enum keep_kind {
	KEEP_HELLO = 1,
	KEEP_LISTENER,
	KEEP_SEGMENT,
	KEEP_READY,
	KEEP_LET_GO,
	KEEP_REFUSED,
	KEEP_END,
	KEEP_STRANGE,
	KEEP_BARRED,
};

/* The first two words are the same in every version. */
struct keep_message {
	uint64_t magic;
	uint32_t version, kind;
	uint64_t inode; /* SEGMENT, LET_GO: of the memfd; the intake socket: of its file */
	uint64_t started; /* SEGMENT without a connection: the owner's start, keep_started() */
	/* SEGMENT without a connection: the owner's; HELLO of a keeper: its own; STRANGE, BARRED: whose
	 * doing it was, the last one */
	uint32_t pid;
	uint32_t count; /* REFUSED; STRANGE: so many more; BARRED: all there are now (porters.h) */
	uint64_t wait_ns; /* HELLO of an agent: how long to wait for the next one */
	uint32_t user; /* BARRED */
	uint32_t unused;
};

/* Descriptors of a message; -1: none. */
struct keep_fds {
	int memfd; /* or the intake socket */
	int connection; /* of the intake socket, over which the segment came */
};

/*
 * 0; -EAGAIN: there is no room now; -EPIPE: nobody is there; -ETOOMANYREFS: too many descriptors of
 * this user are on their way, or in the connection that is to go there; -ENOMEM: the kernel lacks
 * memory; else the errno of the kernel. With the last two named the socket may have room all the
 * while: whoever tries again waits for a moment, not for room.
 */
int keep_send(int fd, const struct keep_message *message, const struct keep_fds *fds);

/*
 * Takes the next message; fds are the caller's from then on. 1: there is one. 0: the other's end is
 * closed. -EAGAIN: none yet. -EPROTO: it is not ours. -EPROTONOSUPPORT: another version, which is in
 * message. -EMFILE: descriptors that came along were lost; the message is there without them. Else
 * the errno of the kernel.
 */
int keep_receive(int fd, struct keep_message *message, struct keep_fds *fds);

/* Whether the other end of a local socket is a process of this user; *pid (or NULL) is whose. */
int keep_peer_is_own(int fd, int *pid);

/*
 * When a process was started, in ticks since boot: with its pid it is that process and no later one.
 * 0 when there is none, or it cannot be told.
 */
uint64_t keep_started(int pid);

#endif
