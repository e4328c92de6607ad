/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/dirs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"

static int dirs_copy(char to[DIRS_PATH_MAX], const char *from, struct diag *d)
{
	size_t length = strlen(from);
	while (length > 1 && from[length - 1] == '/')
		length--;
	/* Room for the longest name that is put behind it, and for a socket's sun_path. */
	if (length + 32 > DIRS_PATH_MAX)
		return diag_set(d, -ENAMETOOLONG, "--dir", "choose a shorter path",
				"the folder's path has %zu characters", length);
	memcpy(to, from, length);
	to[length] = '\0';
	return 0;
}

int dirs_init(struct dirs *dirs, const char *dir, struct diag *d)
{
	int rc;

	if (dir && !*dir)
		return diag_set(d, -EINVAL, "--dir", "name a folder, or leave the option out",
				"an empty path");
	rc = dirs_copy(dirs->run, dir ? dir : DIRS_RUN_DEFAULT, d);
	if (rc)
		return rc;
	return dirs_copy(dirs->state, dir ? dir : DIRS_STATE_DEFAULT, d);
}

int dirs_make_folder(const char *folder, struct diag *d)
{
	int rc = fd_make_dirs(folder, 0755, d);

	if (!rc && access(folder, W_OK | X_OK))
		rc = diag_errno(d, -errno, folder, NULL, "cannot write into this folder");
	if ((rc == -EACCES || rc == -EPERM || rc == -EROFS) && d)
		snprintf(d->fix, sizeof(d->fix), "%s",
			 "run as root, or choose a folder of yours with --dir");
	return rc;
}

int dirs_make(const struct dirs *dirs, struct diag *d)
{
	int rc = dirs_make_folder(dirs->run, d);

	return rc ? rc : dirs_make_folder(dirs->state, d);
}

int dirs_path(char path[DIRS_PATH_MAX], const char *folder, const char *name)
{
	int length = snprintf(path, DIRS_PATH_MAX, "%s/%s", folder, name);

	if (length < 0 || length >= DIRS_PATH_MAX) {
		path[0] = '\0';
		return -ENAMETOOLONG;
	}
	return 0;
}

int dirs_lock(const char *folder, const char *name, struct diag *d)
{
	char path[DIRS_PATH_MAX], file[64];

	snprintf(file, sizeof(file), "%s.lock", name);
	int rc = dirs_path(path, folder, file);
	return rc ? diag_errno(d, rc, folder, "choose a shorter path", "cannot lock")
		  : fd_lock(path, d);
}
