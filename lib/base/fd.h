/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors and files: whole reads and writes, files replaced so that a crash leaves the old or
 * the new one, locks, and local sockets. Any thread; everything here blocks as long as the disk or
 * the peer does, unless said otherwise. Descriptors made here close on exec.
 */
#ifndef VOW_LIB_BASE_FD_H
#define VOW_LIB_BASE_FD_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/base/diag.h"
#include "lib/base/types.h"

/* For _cleanup_(fd_closep): closes *fd unless it is negative, then makes it -1. Keeps errno. */
void fd_closep(int *fd);

/* Reads until size bytes or the end of file; returns how many, or a negative errno. */
ssize_t fd_read_full(int fd, void *buf, size_t size);

/* Writes all. 0, or a negative errno after which a part may have been written. */
int fd_write_full(int fd, const void *data, size_t size);

/*
 * Reads a file of at most max bytes (-EFBIG beyond) and ends it with a NUL, which *size does not
 * count. The caller frees *data. Works for /proc, whose files have no size. Never waits for another
 * program: a pipe is refused with -EINVAL.
 */
int fd_read_file(const char *path, size_t max, char **data, size_t *size, struct diag *d);

/*
 * Makes `path` hold these bytes: writes "<path>.new", syncs it, renames it, syncs the folder. After
 * a crash at any instant the old or the new content is there, whole. For one writer at a time.
 */
int fd_replace_file(const char *path, const void *data, size_t size, mode_t mode, struct diag *d);

/* Like mkdir -p; `mode` is for the folders it makes. 0 also when all were there. */
int fd_make_dirs(const char *path, mode_t mode, struct diag *d);

/*
 * Raises this process's soft limit of descriptors to its hard one: 1024, the usual soft limit, is
 * for programs that use select(2). For programs, once, at their start; children inherit it.
 */
void fd_raise_limit(void);

int fd_set_nonblock(int fd, bool on);

/*
 * Takes a lock file for this process (made when missing, holds the pid as text) and returns its
 * descriptor; closing it, or the process's end however it comes, gives the lock back; the file
 * stays. -EBUSY with the other's pid in d when it is held.
 */
int fd_lock(const char *path, struct diag *d);

/*
 * A listening stream socket in the file system. "<path>.lock" tells a living owner from a socket
 * file that a crash left behind: -EBUSY for the first, the second is replaced.
 */
struct fd_listener {
	int fd; /* non-blocking */
	int lock;
	char path[108]; /* as long as an address of this family can be */
};

/* mode: who may connect, 0660. -ENAMETOOLONG for a path of 108 bytes or more. */
int fd_listener_open(struct fd_listener *listener, const char *path, mode_t mode, struct diag *d);
/* Removes the socket file, then gives the lock back. Twice is allowed. */
void fd_listener_close(struct fd_listener *listener);

/*
 * Connects and returns the descriptor, a blocking one on which a read or write that waits longer
 * than `timeout` (0: for ever) fails with -EAGAIN.
 */
int fd_connect(const char *path, dur_ns timeout, struct diag *d);

/* Whether the other end of a local connection is closed, also with something left to read. No wait. */
bool fd_hung_up(int fd);

#endif
