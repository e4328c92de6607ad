/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of discovery.h, as its own files see it: discovery.c has the intake socket, discovery_scan.c
 * looks for segments in /proc. The thread of the loop.
 */
#ifndef VOW_COLLECTORS_DISCOVERY_STATE_H
#define VOW_COLLECTORS_DISCOVERY_STATE_H

#include <dirent.h>
#include <sys/un.h>

#include "collectors/lanes/discovery.h"
#include "lib/data/rendezvous.h"

struct discovery {
	struct loop *loop;
	discovery_fn found;
	discovery_strange_fn strange;
	void *arg;
	char name[RENDEZVOUS_NAME_SIZE];
	struct sockaddr_un address;
	int listener;
	int lock;
	struct loop_fd *listener_watch;
	uint64_t inode; /* of the socket's file */
	bool deaf; /* no connection could be taken: tried again at the next step */
	bool quiet; /* somebody else takes them */
	struct porters *guests; /* connections that did not send their segment yet */
	struct loop_fd *guests_watch;
	dev_t memory; /* where the kernel keeps what memfd_create() makes */

	DIR *proc, *fds; /* of the scan that is under way */
	pid_t pid; /* whose fds */
	unsigned scans;
	bool soon; /* the next scan is not to wait */
	mono_ns scanned_at;
	unsigned unreadable; /* processes that this scan could not look into */
	char problem[160];
};

/* ---- discovery_scan.c --------------------------------------------------------------------------- */

/* The pid of a process in its own namespace: the last number of NSpid. 0 when it cannot be read. */
pid_t discovery_inner_pid(pid_t pid);
/* Looks at some more entries of /proc, if a scan is under way or due. */
void discovery_scan_step(struct discovery *discovery, mono_ns now);

#endif
