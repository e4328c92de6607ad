/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a program keeps what it writes and listens on. One folder given by --dir holds all of it,
 * so that several sets run side by side; without it, sockets and locks are in /run/vow and what
 * survives a restart is in /var/lib/vow. Any thread; nothing is cached.
 */
#ifndef VOW_LIB_BASE_DIRS_H
#define VOW_LIB_BASE_DIRS_H

#include "lib/base/diag.h"

#define DIRS_RUN_DEFAULT   "/run/vow"
#define DIRS_STATE_DEFAULT "/var/lib/vow"
#define DIRS_PATH_MAX	   512

struct dirs {
	char run[DIRS_PATH_MAX]; /* control.sock, intake.sock, locks, pid files */
	char state[DIRS_PATH_MAX]; /* journal/, agent.id, dead letters, refused/ */
};

/*
 * Fills both from --dir; NULL takes the defaults. "" is what a script's empty variable gives, and
 * not meant for the host's own folders: -EINVAL. -ENAMETOOLONG. d is then filled.
 */
int dirs_init(struct dirs *dirs, const char *dir, struct diag *d);

/*
 * Makes a folder and its parents where they lack, with mode 0755. The errno of the first that could
 * not be made, or written to, with d saying which and what to do.
 */
int dirs_make_folder(const char *folder, struct diag *d);

/* The same for both. */
int dirs_make(const struct dirs *dirs, struct diag *d);

/* Writes "folder/name" into path; -ENAMETOOLONG leaves path empty. */
int dirs_path(char path[DIRS_PATH_MAX], const char *folder, const char *name);

/*
 * Takes folder/name.lock for this process until the descriptor returned is closed or the process
 * ends; the file holds the process id. -EBUSY with the other's process id in d.
 */
int dirs_lock(const char *folder, const char *name, struct diag *d);

#endif
