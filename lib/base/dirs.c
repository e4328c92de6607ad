/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/dirs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

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
	bool given = dir && *dir;
	int rc = dirs_copy(dirs->run, given ? dir : DIRS_RUN_DEFAULT, d);

	if (rc)
		return rc;
	return dirs_copy(dirs->state, given ? dir : DIRS_STATE_DEFAULT, d);
}

/* mkdir -p: every folder on the way, the last one included. */
static int dirs_make_one(const char *folder, struct diag *d)
{
	char path[DIRS_PATH_MAX];

	snprintf(path, sizeof(path), "%s", folder);
	for (char *at = path + 1;; at++) {
		if (*at != '/' && *at != '\0')
			continue;
		char kept = *at;
		*at = '\0';
		if (mkdir(path, 0755) && errno != EEXIST)
			return diag_errno(d, -errno, path,
					  "run as root, or choose a folder of yours with --dir",
					  "cannot make this folder");
		*at = kept;
		if (!kept)
			break;
	}
	if (access(folder, W_OK | X_OK))
		return diag_errno(d, -errno, folder,
				  "run as root, or choose a folder of yours with --dir",
				  "cannot write into this folder");
	return 0;
}

int dirs_make(const struct dirs *dirs, struct diag *d)
{
	int rc = dirs_make_one(dirs->run, d);

	return rc ? rc : dirs_make_one(dirs->state, d);
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

/* The process id that the holder of the lock left in its pid file; 0 when it cannot be read. */
static int dirs_holder(const char *pid_path)
{
	int pid = 0;
	FILE *file = fopen(pid_path, "re");

	if (!file)
		return 0;
	if (fscanf(file, "%d", &pid) != 1)
		pid = 0;
	fclose(file);
	return pid;
}

int dirs_lock(const char *folder, const char *name, struct diag *d)
{
	char lock_path[DIRS_PATH_MAX], pid_path[DIRS_PATH_MAX], file[64];
	int rc;

	snprintf(file, sizeof(file), "%s.lock", name);
	rc = dirs_path(lock_path, folder, file);
	if (rc)
		return diag_errno(d, rc, folder, "choose a shorter path", "cannot lock");
	snprintf(file, sizeof(file), "%s.pid", name);
	rc = dirs_path(pid_path, folder, file);
	if (rc)
		return diag_errno(d, rc, folder, "choose a shorter path", "cannot lock");

	int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return diag_errno(d, -errno, lock_path,
				  "run as root, or choose a folder of yours with --dir",
				  "cannot open the lock");
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
		close(fd);
		if (rc == -EBUSY)
			return diag_set(d, rc, lock_path, "end it first, or choose another --dir",
					"%s already runs here (process %d)", name,
					dirs_holder(pid_path));
		return diag_errno(d, rc, lock_path, NULL, "cannot lock");
	}
	FILE *pid_file = fopen(pid_path, "we");
	if (pid_file) { /* for people only: a full disk must not keep us from starting */
		fprintf(pid_file, "%d\n", getpid());
		fclose(pid_file);
	}
	return fd;
}
