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
#include <sys/types.h>

#include "lib/base/diag.h"
#include "lib/base/loop.h"

struct discovery;

/*
 * A segment is there. memfd is the discovery's and closed after the call; connection is the
 * callback's from now on, or -1 when it was found by scanning. pid is the owner's in our own pid
 * namespace, 0 when it is not visible there; inner_pid the same in the owner's, 0 when unknown.
 */
typedef void (*discovery_fn)(void *arg, int memfd, int connection, pid_t pid, pid_t inner_pid);

/*
 * Listens at dir's intake socket (mode 0666: whoever may enter dir may be measured) and is ready
 * to scan. -EBUSY when another agent listens there; d says what to do.
 */
int discovery_open(struct loop *loop, const char *dir, discovery_fn found, void *arg,
		   struct discovery **discovery, struct diag *d);
void discovery_close(struct discovery *discovery); /* NULL is allowed */

/* Goes on with the scan of /proc, for about 0.2 ms; a new one begins 60 s after the last. */
void discovery_step(struct discovery *discovery, mono_ns now);
/* How often /proc was looked through to its end. */
unsigned discovery_scans(const struct discovery *discovery);
/* Why the scan sees less than everything; "" when nothing is known. */
const char *discovery_problem(const struct discovery *discovery);

/* Whether process pid still maps the memfd with this inode; true as well when it cannot be told. */
bool discovery_mapped(const struct discovery *discovery, pid_t pid, ino_t inode);

#endif
