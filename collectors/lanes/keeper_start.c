/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/lanes/keeper_start.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/self.h"
#include "lib/data/keep_wire.h"

#define KEEPER_PROGRAM "vow-keep"
#define KEEPER_BACKLOG 64 /* until the keeper says how many */
#define KEEPER_DOOR    3 /* where vow-keep expects its door */

static int keeper_address(struct sockaddr_un *address, const char *dir, const char *more,
			  struct diag *d)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	int length = snprintf(address->sun_path, sizeof(address->sun_path), "%s/" KEEP_SOCKET "%s",
			      dir, more);

	return length < 0 || (size_t)length >= sizeof(address->sun_path)
		       ? diag_set(d, -ENAMETOOLONG, dir, "choose a shorter --dir",
				  "the keeper's socket would pass 107 bytes")
		       : 0;
}

static int keeper_socket(struct diag *d)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? diag_errno(d, -errno, KEEP_SOCKET, NULL, "cannot make a socket") : fd;
}

int keeper_connect(const char *dir, struct diag *d)
{
	struct sockaddr_un address;
	int rc = keeper_address(&address, dir, "", d);
	_cleanup_(fd_closep) int fd = rc < 0 ? rc : keeper_socket(d);

	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		return diag_errno(d, -errno, address.sun_path, NULL, "cannot connect");
	if (!keep_peer_is_own(fd, NULL))
		return diag_set(d, -EPERM, address.sun_path, "end it, or use another folder",
				"the keeper that runs is another user's: what it holds of "
				"applications that ended stays unread; another one takes its "
				"place");
	rc = fd;
	fd = -1;
	return rc;
}

/* The door takes its place whole: whoever watches the file that was there sees it go. */
static int keeper_make_door(const char *dir, struct diag *d)
{
	struct sockaddr_un address, final;
	int rc = keeper_address(&address, dir, ".new", d);

	if (rc < 0 || (rc = keeper_address(&final, dir, "", d)) < 0)
		return rc;
	_cleanup_(fd_closep) int fd = keeper_socket(d);
	if (fd < 0)
		return fd;
	unlink(address.sun_path);
	/* Before bind(): at no instant another user may connect. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(fd, KEEPER_BACKLOG) != 0 || rename(address.sun_path, final.sun_path) != 0) {
		rc = diag_errno(d, -errno, final.sun_path, NULL, "cannot listen");
		unlink(address.sun_path);
		return rc;
	}
	rc = fd;
	fd = -1;
	return rc;
}

/* Its signals are those of a program that starts: vowd ignores one and catches some. */
static int keeper_spawn_at(const char *path, const char *what, int fd, pid_t *pid)
{
	char *const argv[] = {(char *)KEEPER_PROGRAM, (char *)what, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	int rc = posix_spawn_file_actions_init(&actions);
	if (rc)
		return -rc;
	rc = posix_spawnattr_init(&attributes);
	if (rc) {
		posix_spawn_file_actions_destroy(&actions);
		return -rc;
	}
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
						      POSIX_SPAWN_SETSID);
	rc = posix_spawn_file_actions_adddup2(&actions, fd, KEEPER_DOOR);
	for (int i = 0; rc == 0 && i <= STDERR_FILENO; i++)
		rc = posix_spawn_file_actions_addopen(&actions, i, "/dev/null", O_RDWR, 0);
	if (rc == 0)
		rc = posix_spawn(pid, path, &actions, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -rc;
}

int keeper_spawn(const char *what, int fd, pid_t *pid, struct diag *d)
{
	char path[PATH_MAX];
	int rc = self_find_helper(KEEPER_PROGRAM, path, d);

	if (rc < 0)
		return rc;
	rc = keeper_spawn_at(path, what, fd, pid);
	return rc < 0 ? diag_errno(d, rc, path, NULL, "cannot start it") : 0;
}

int keeper_start(const char *dir, int *fd, pid_t *pid, struct diag *d)
{
	char path[PATH_MAX];
	int rc = self_find_helper(KEEPER_PROGRAM, path, d);
	_cleanup_(fd_closep) int door = rc < 0 ? -1 : keeper_make_door(dir, d);
	_cleanup_(fd_closep) int mine = door < 0 ? -1 : keeper_connect(dir, d);

	if (rc < 0 || door < 0)
		return rc < 0 ? rc : door;
	if (mine >= 0)
		rc = keeper_spawn_at(path, dir, door, pid);
	if (mine < 0 || rc < 0) {
		struct sockaddr_un address;

		if (keeper_address(&address, dir, "", NULL) == 0)
			unlink(address.sun_path);
		return mine < 0 ? mine : diag_errno(d, rc, path, NULL, "cannot start it");
	}
	*fd = mine;
	mine = -1;
	return 0;
}

bool keeper_ended(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) != 0;
}
