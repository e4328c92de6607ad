/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reaching a keeper's door, and starting one. Any thread; does not block, but for the moment that the
 * kernel needs to start a program.
 */
#ifndef VOW_COLLECTORS_KEEPER_START_H
#define VOW_COLLECTORS_KEEPER_START_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/base/diag.h"

/*
 * Connects to the keeper of a folder. Returns the descriptor; -ENOENT or -ECONNREFUSED when there is
 * none; -EPERM when it is another user's; -EAGAIN when too many are before its door.
 */
int keeper_connect(const char *dir, struct diag *d);

/*
 * Makes the door of a folder anew, starts a keeper behind it, and connects: *fd and *pid are the
 * caller's. What is said over *fd waits there until the keeper hears. A keeper whose door it was sees
 * that its own is gone. On failure nothing is left behind.
 */
int keeper_start(const char *dir, int *fd, pid_t *pid, struct diag *d);

/*
 * Starts the program of keepers, told what to be, with fd as its socket. 0 with *pid, which is the
 * caller's to wait for, or a negative errno.
 */
int keeper_spawn(const char *what, int fd, pid_t *pid, struct diag *d);

/* Takes note of the end of a keeper or porter that this process started; false: it runs. */
bool keeper_ended(pid_t pid);

#endif
