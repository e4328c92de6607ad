/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

void fd_closep(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

static void fd_freep(char **text)
{
	free(*text);
}

ssize_t fd_read_full(int fd, void *buf, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, (char *)buf + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int fd_write_full(int fd, const void *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = write(fd, (const char *)data + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

int fd_read_file(const char *path, size_t max, char **data, size_t *size, struct diag *d)
{
	/* To open a pipe waits until somebody writes to it, which may be never. */
	_cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_(fd_freep) char *text = NULL;
	size_t length = 0, room = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return diag_errno(d, -errno, path, NULL, "cannot open");
	if (S_ISFIFO(st.st_mode))
		return diag_set(d, -EINVAL, path, "name a file", "is a pipe");
	/* Grows by doubling: st_size says 0 for /proc and may be outdated for the rest. */
	for (;;) {
		ssize_t n;

		if (length == room) {
			size_t more = room ? room * 2 : 4096;
			char *bigger = realloc(text, more + 1);

			if (!bigger)
				return diag_errno(d, -ENOMEM, path, NULL, "cannot read");
			text = bigger;
			room = more;
		}
		n = fd_read_full(fd, text + length, room - length);
		if (n < 0)
			return diag_errno(d, (int)n, path, NULL, "cannot read");
		length += (size_t)n;
		if (length > max)
			return diag_set(d, -EFBIG, path, NULL, "has more than %zu bytes", max);
		if (length < room)
			break;
	}
	text[length] = '\0';
	*data = text;
	*size = length;
	text = NULL;
	return 0;
}

/* A rename is durable only when the folder that holds the name is. */
static int fd_sync_folder_of(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	_cleanup_(fd_closep) int fd = -1;

	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path + 1) : 1,
		 slash ? path : ".");
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

static int fd_write_new_file(const char *path, const void *data, size_t size, mode_t mode)
{
	_cleanup_(fd_closep) int fd =
		open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	int rc;

	if (fd < 0)
		return -errno;
	rc = fd_write_full(fd, data, size);
	if (rc < 0)
		return rc;
	/* The umask may have taken bits, and a left-over of a crash had another mode. */
	if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

int fd_replace_file(const char *path, const void *data, size_t size, mode_t mode, struct diag *d)
{
	char fresh[PATH_MAX];
	int rc;

	if (snprintf(fresh, sizeof(fresh), "%s.new", path) >= (int)sizeof(fresh))
		return diag_errno(d, -ENAMETOOLONG, path, NULL, "cannot write");
	rc = fd_write_new_file(fresh, data, size, mode);
	if (rc == 0 && rename(fresh, path) < 0)
		rc = -errno;
	if (rc < 0) {
		unlink(fresh);
		return diag_errno(d, rc, path, NULL, "cannot write");
	}
	rc = fd_sync_folder_of(path);
	return rc < 0 ? diag_errno(d, rc, path, NULL, "cannot sync its folder") : 0;
}

int fd_make_dirs(const char *path, mode_t mode, struct diag *d)
{
	char part[PATH_MAX];
	struct stat st;

	if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
		return diag_errno(d, -ENAMETOOLONG, path, NULL, "cannot make the folder");
	for (char *slash = strchr(part + (part[0] == '/'), '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, mode) < 0 && errno != EEXIST)
			return diag_errno(d, -errno, part, NULL, "cannot make the folder");
		*slash = '/';
	}
	if (mkdir(part, mode) < 0 && errno != EEXIST)
		return diag_errno(d, -errno, part, NULL, "cannot make the folder");
	if (stat(part, &st) < 0 || !S_ISDIR(st.st_mode))
		return diag_errno(d, -ENOTDIR, part, NULL, "cannot make the folder");
	return 0;
}

void fd_raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int fd_set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

static int fd_lock_is_held(int fd, const char *path, struct diag *d)
{
	char pid[16];
	ssize_t n = fd_read_full(fd, pid, sizeof(pid) - 1);

	pid[n > 0 ? n : 0] = '\0';
	pid[strspn(pid, "0123456789")] = '\0';
	return diag_set(d, -EBUSY, path, "end it first, or use another folder",
			"held by a running process%s%s", pid[0] ? ", pid " : "", pid);
}

int fd_lock(const char *path, struct diag *d)
{
	/* Private, because whoever can open a file can hold its lock. */
	_cleanup_(fd_closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	char pid[16];
	int rc, n;

	if (fd < 0)
		return diag_errno(d, -errno, path, NULL, "cannot open");
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return fd_lock_is_held(fd, path, d);
		return diag_errno(d, -errno, path, NULL, "cannot lock");
	}
	n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) < 0)
		return diag_errno(d, -errno, path, NULL, "cannot write");
	rc = fd_write_full(fd, pid, (size_t)n);
	if (rc < 0)
		return diag_errno(d, rc, path, NULL, "cannot write");
	rc = fd;
	fd = -1;
	return rc;
}

static int fd_unix_address(struct sockaddr_un *address, const char *path, struct diag *d)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address->sun_path))
		return diag_set(d, -ENAMETOOLONG, path, "use a folder with a shorter name",
				"a socket's path has less than %zu bytes",
				sizeof(address->sun_path));
	strcpy(address->sun_path, path);
	return 0;
}

int fd_listener_open(struct fd_listener *listener, const char *path, mode_t mode, struct diag *d)
{
	_cleanup_(fd_closep) int lock = -1;
	_cleanup_(fd_closep) int fd = -1;
	struct sockaddr_un address;
	char lock_path[sizeof(address.sun_path) + 8];
	int rc = fd_unix_address(&address, path, d);

	if (rc < 0)
		return rc;
	snprintf(lock_path, sizeof(lock_path), "%s.lock", path);
	lock = fd_lock(lock_path, d);
	if (lock < 0)
		return lock;
	/* We hold the lock: a socket file that is still there has no owner. */
	if (unlink(path) < 0 && errno != ENOENT)
		return diag_errno(d, -errno, path, NULL, "cannot replace");
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return diag_errno(d, -errno, path, NULL, "cannot make a socket");
	/* Before bind(), so that at no instant more may connect; after it, for what umask took. */
	if (fchmod(fd, mode) < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return diag_errno(d, -errno, path, NULL, "cannot listen");
	if (chmod(path, mode) < 0 || listen(fd, SOMAXCONN) < 0) {
		rc = -errno;
		unlink(path);
		return diag_errno(d, rc, path, NULL, "cannot listen");
	}
	strcpy(listener->path, path);
	listener->fd = fd;
	listener->lock = lock;
	fd = lock = -1;
	return 0;
}

void fd_listener_close(struct fd_listener *listener)
{
	if (listener->fd >= 0)
		unlink(listener->path);
	fd_closep(&listener->fd);
	fd_closep(&listener->lock);
}

int fd_connect(const char *path, dur_ns timeout, struct diag *d)
{
	_cleanup_(fd_closep) int fd = -1;
	struct timeval limit = {.tv_sec = (time_t)(timeout / NS_PER_S),
				.tv_usec = (suseconds_t)(timeout % NS_PER_S / NS_PER_US)};
	struct sockaddr_un address;
	int rc = fd_unix_address(&address, path, d);

	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return diag_errno(d, -errno, path, NULL, "cannot make a socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return diag_errno(d, -errno, path, NULL, "cannot limit its waits");
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return diag_errno(d, -errno, path, NULL, "cannot connect");
	rc = fd;
	fd = -1;
	return rc;
}

bool fd_hung_up(int fd)
{
	struct pollfd end = {.fd = fd};

	return poll(&end, 1, 0) == 1 && (end.revents & POLLHUP);
}
