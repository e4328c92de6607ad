/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the agent comes to the segments of applications: they hand them over at the intake socket,
 * and those that were there before the agent are found by their memfd's name under /proc/PID/fd, a
 * few entries at each step so that a busy host costs no pause.
 *
 * One thread, that of the loop. Never blocks but for reads of /proc.
 */
#ifndef VOW_COLLECTORS_DISCOVERY_H
#define VOW_COLLECTORS_DISCOVERY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "collectors/lanes/porters.h"
#include "lib/base/diag.h"
#include "lib/base/loop.h"

struct discovery;

/*
 * A segment is there. memfd is the discovery's and closed after the call; connection is the
 * callback's from now on, or -1 when it was found by scanning. pid is the owner's in our own pid
 * namespace, 0 when it is not visible there, or gone; inner_pid the same in the owner's, 0 when unknown.
 */
typedef void (*discovery_fn)(void *arg, int memfd, int connection, pid_t pid, pid_t inner_pid);

/* Process pid handed over what is no memory. */
typedef void (*discovery_strange_fn)(void *arg, pid_t pid);

struct discovery_options {
	struct loop *loop;
	const char *dir; /* runtime folder */
	discovery_fn found;
	discovery_strange_fn strange;
	void *arg;
};

/*
 * Takes the lock of dir's intake socket and is ready to scan. -EBUSY when another agent has it; d says
 * what to do.
 */
int discovery_open(const struct discovery_options *options, struct discovery **discovery,
		   struct diag *d);
/* Removes the socket's file unless it is left to somebody who listens on. NULL is allowed. */
void discovery_close(struct discovery *discovery, bool leave);

/*
 * Listens at dir's intake socket (mode 0666: whoever may enter dir may be measured). listener, taken
 * over also on failure, is one that was bound there already, or -1; it is used if it is still what
 * stands there, as the file with this inode.
 */
int discovery_listen(struct discovery *discovery, int listener, uint64_t inode, struct diag *d);
/*
 * The same again if its file was removed or replaced; who had connected before is taken. 1: it listens
 * at another socket. 0: nothing is wrong. Else a negative errno, and all is as it was.
 */
int discovery_listen_anew(struct discovery *discovery, struct diag *d);
/* The socket, which stays the discovery's, and the inode of its file. */
int discovery_listener(const struct discovery *discovery, uint64_t *inode);
/* Whether connections are taken here, or left to somebody else who listens on the same socket. */
void discovery_hear(struct discovery *discovery, bool hear);
/* Whether connections wait to be taken. One system call. */
bool discovery_waiting(const struct discovery *discovery);
/* Users whose connections are not taken now. */
struct porters_bar discovery_barred(const struct discovery *discovery);
/* Connections wait to be taken, or a porter still looks at one. */
bool discovery_busy(const struct discovery *discovery);
/* A segment that came over a connection to the socket: memfd stays the caller's. */
void discovery_introduce(struct discovery *discovery, int memfd, int connection);

/* Goes on with the scan of /proc, for about 0.2 ms; a new one begins 60 s after the last. */
void discovery_step(struct discovery *discovery, mono_ns now);
/* The next step begins a scan, unless one is under way. */
void discovery_scan_soon(struct discovery *discovery);
/* How often /proc was looked through to its end. */
unsigned discovery_scans(const struct discovery *discovery);
/* Why connections are not taken, or the scan sees less than everything; "" when nothing is known. */
const char *discovery_problem(const struct discovery *discovery);

#endif
