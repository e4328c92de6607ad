/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/lanes/discovery.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vow/shm.h>

#include "lib/base/fd.h"
#include "lib/data/rendezvous.h"

#define DISCOVERY_SCAN_EVERY (60 * NS_PER_S)
#define DISCOVERY_STEP	     128 /* entries of /proc looked at in one step; about 1.5 us each */
/* Who finds it full does not wait, and is found by the next scan only: a deployment starts many. */
#define DISCOVERY_BACKLOG 1024
#define DISCOVERY_WAITING 64 /* connections that did not send their segment yet */

/* A connection from which the hello is still to come. */
struct discovery_guest {
	struct discovery *discovery;
	int fd; /* -1: free */
	struct loop_fd *watch;
};

struct discovery {
	struct loop *loop;
	discovery_fn found;
	void *arg;
	char name[RENDEZVOUS_NAME_SIZE];
	struct sockaddr_un address;
	int listener;
	int lock;
	struct loop_fd *listener_watch;
	bool deaf; /* no connection could be taken: tried again at the next step */
	struct discovery_guest guests[DISCOVERY_WAITING];
	unsigned oldest; /* guest that makes room when all places are taken */

	DIR *proc, *fds; /* of the scan that is under way */
	pid_t pid; /* whose fds */
	unsigned scans;
	mono_ns scanned_at;
	unsigned unreadable; /* processes that this scan could not look into */
	char problem[160];
};

/* The pid of a process in its own namespace: the last number of NSpid. 0 when it cannot be read. */
static pid_t discovery_inner_pid(pid_t pid)
{
	char path[64];
	char *status = NULL;
	size_t size;
	pid_t inner = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (fd_read_file(path, 64 << 10, &status, &size, NULL) < 0)
		return 0;
	char *line = strstr(status, "\nNSpid:");
	char *end = line ? strchr(line + 1, '\n') : NULL;
	if (end) {
		*end = '\0';
		char *last = strrchr(line + 1, '\t');
		inner = last ? (pid_t)strtol(last + 1, NULL, 10) : 0;
	}
	free(status);
	return inner;
}

/* ---- intake ------------------------------------------------------------------------------------ */

static void discovery_guest_end(struct discovery_guest *guest)
{
	loop_fd_unwatch(guest->watch);
	guest->watch = NULL;
	fd_closep(&guest->fd);
}

/* Takes the one descriptor of a hello; others that came along are closed. -1 when it was none. */
static int discovery_receive(int fd)
{
	struct vow_shm_hello hello;
	struct iovec part = {.iov_base = &hello, .iov_len = sizeof(hello)};
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.room,
				 .msg_controllen = sizeof(control.room)};
	ssize_t size = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int memfd = -1;

	if (size < 0)
		return -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; at + sizeof(int) <= c->cmsg_len - CMSG_LEN(0);
		     at += sizeof(int)) {
			int got;

			memcpy(&got, CMSG_DATA(c) + at, sizeof(got));
			if (memfd < 0)
				memfd = got;
			else
				close(got);
		}
	}
	/* The version is judged where the segment is: the message only has to be ours. */
	if (size != sizeof(hello) || hello.magic != VOW_SHM_MAGIC)
		fd_closep(&memfd);
	return memfd;
}

static void discovery_guest_ready(void *arg, int fd, unsigned ready)
{
	struct discovery_guest *guest = arg;
	struct discovery *discovery = guest->discovery;
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);
	_cleanup_(fd_closep) int memfd = discovery_receive(fd);

	(void)ready;
	if (memfd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
		discovery_guest_end(guest);
		return;
	}
	loop_fd_unwatch(guest->watch);
	guest->watch = NULL;
	guest->fd = -1;
	discovery->found(discovery->arg, memfd, fd, peer.pid,
			 peer.pid ? discovery_inner_pid(peer.pid) : 0);
}

static struct discovery_guest *discovery_guest_place(struct discovery *discovery)
{
	struct discovery_guest *guest;

	for (unsigned i = 0; i < DISCOVERY_WAITING; i++)
		if (discovery->guests[i].fd < 0)
			return &discovery->guests[i];
	guest = &discovery->guests[discovery->oldest++ % DISCOVERY_WAITING];
	discovery_guest_end(guest);
	return guest;
}

static void discovery_accept(void *arg, int fd, unsigned ready)
{
	struct discovery *discovery = arg;

	(void)ready;
	/* Bounded: the loop comes back while more are waiting. */
	for (unsigned i = 0; i < 16; i++) {
		int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (connection < 0) {
			/* Out of descriptors, say: who waits would keep the socket ready. */
			discovery->deaf =
				errno != EAGAIN && errno != EINTR && errno != ECONNABORTED;
			if (discovery->deaf)
				loop_fd_change(discovery->listener_watch, 0);
			return;
		}
		struct discovery_guest *guest = discovery_guest_place(discovery);
		guest->fd = connection;
		guest->watch = loop_fd_watch(discovery->loop, connection, LOOP_READ,
					     discovery_guest_ready, guest);
		if (!guest->watch)
			fd_closep(&guest->fd);
	}
}

static int discovery_listen(struct discovery *discovery, const char *dir, struct diag *d)
{
	const char *path = discovery->address.sun_path;
	char lock[sizeof(discovery->address.sun_path) + 8];

	if (rendezvous_socket(dir, &discovery->address) < 0)
		return diag_set(d, -ENAMETOOLONG, dir, "choose a shorter --dir",
				"the intake socket's path would pass 107 bytes");
	/* The lock tells a living agent from the socket file that a dead one left behind. */
	snprintf(lock, sizeof(lock), "%s.lock", path);
	discovery->lock = fd_lock(lock, d);
	if (discovery->lock < 0)
		return discovery->lock;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return diag_errno(d, -errno, path, NULL, "cannot make the intake socket");
	discovery->listener = fd;
	unlink(path);
	if (bind(fd, (struct sockaddr *)&discovery->address, sizeof(discovery->address)) != 0 ||
	    chmod(path, 0666) != 0 || listen(fd, DISCOVERY_BACKLOG) != 0)
		return diag_errno(d, -errno, path, "check that the folder is there and writable",
				  "cannot listen");
	discovery->listener_watch =
		loop_fd_watch(discovery->loop, fd, LOOP_READ, discovery_accept, discovery);
	return discovery->listener_watch ? 0 : diag_errno(d, -ENOMEM, path, NULL, "cannot listen");
}

/* ---- scanning ---------------------------------------------------------------------------------- */

/* One descriptor of a process: is it a segment of our folder? */
static void discovery_look(struct discovery *discovery, const char *entry)
{
	char path[64], target[64];
	size_t length = strlen(discovery->name);

	snprintf(path, sizeof(path), "/proc/%d/fd/%.16s", discovery->pid, entry);
	ssize_t size = readlink(path, target, sizeof(target) - 1);
	if (size < 0)
		return;
	target[size] = '\0';
	if (strncmp(target, "/memfd:", 7) != 0 ||
	    strncmp(target + 7, discovery->name, length) != 0 ||
	    (target[7 + length] != ' ' && target[7 + length] != '\0'))
		return;
	_cleanup_(fd_closep) int memfd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (memfd >= 0)
		discovery->found(discovery->arg, memfd, -1, discovery->pid,
				 discovery_inner_pid(discovery->pid));
}

/* The next process whose descriptors are to be looked at. */
static void discovery_process(struct discovery *discovery, const char *entry)
{
	char path[64];

	if (entry[0] < '1' || entry[0] > '9')
		return;
	discovery->pid = (pid_t)strtol(entry, NULL, 10);
	snprintf(path, sizeof(path), "/proc/%d/fd", discovery->pid);
	discovery->fds = opendir(path);
	if (!discovery->fds && errno == EACCES)
		discovery->unreadable++;
}

static void discovery_scan_end(struct discovery *discovery, mono_ns now)
{
	closedir(discovery->proc);
	discovery->proc = NULL;
	discovery->scans++;
	discovery->scanned_at = now;
	discovery->problem[0] = '\0';
	if (discovery->unreadable)
		snprintf(discovery->problem, sizeof(discovery->problem),
			 "%u processes cannot be searched for segments made before the agent "
			 "started (run vowd with CAP_SYS_PTRACE)",
			 discovery->unreadable);
}

void discovery_step(struct discovery *discovery, mono_ns now)
{
	if (discovery->deaf)
		loop_fd_change(discovery->listener_watch, LOOP_READ);
	discovery->deaf = false;
	if (!discovery->proc) {
		if (discovery->scans && now - discovery->scanned_at < DISCOVERY_SCAN_EVERY)
			return;
		discovery->proc = opendir("/proc");
		discovery->unreadable = 0;
		if (!discovery->proc)
			return;
	}
	for (unsigned i = 0; i < DISCOVERY_STEP; i++) {
		struct dirent *entry = readdir(discovery->fds ? discovery->fds : discovery->proc);

		if (entry && discovery->fds) {
			discovery_look(discovery, entry->d_name);
		} else if (entry) {
			discovery_process(discovery, entry->d_name);
		} else if (discovery->fds) {
			closedir(discovery->fds);
			discovery->fds = NULL;
		} else {
			discovery_scan_end(discovery, now);
			return;
		}
	}
}

unsigned discovery_scans(const struct discovery *discovery)
{
	return discovery->scans;
}

const char *discovery_problem(const struct discovery *discovery)
{
	return discovery->problem;
}

bool discovery_mapped(const struct discovery *discovery, pid_t pid, ino_t inode)
{
	char path[64];
	char *line = NULL;
	size_t room = 0;
	bool mapped = false;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	FILE *maps = fopen(path, "re");
	if (!maps)
		return errno != ENOENT;
	/* 7f12-7f34 rw-s 00000000 00:01 1234   /memfd:vow-1234abcd (deleted) */
	while (!mapped && getline(&line, &room, maps) > 0) {
		unsigned long long found;

		mapped = strstr(line, discovery->name) &&
			 sscanf(line, "%*s %*s %*s %*s %llu", &found) == 1 && found == inode;
	}
	free(line);
	fclose(maps);
	return mapped;
}

/* ---- life -------------------------------------------------------------------------------------- */

int discovery_open(struct loop *loop, const char *dir, discovery_fn found, void *arg,
		   struct discovery **discovery, struct diag *d)
{
	struct discovery *new = calloc(1, sizeof(*new));

	if (!new)
		return diag_errno(d, -ENOMEM, NULL, NULL, "cannot begin to look for applications");
	new->loop = loop;
	new->found = found;
	new->arg = arg;
	new->listener = new->lock = -1;
	for (unsigned i = 0; i < DISCOVERY_WAITING; i++)
		new->guests[i] = (struct discovery_guest){.discovery = new, .fd = -1};
	int rc = rendezvous_name(dir, new->name);
	if (rc < 0)
		diag_errno(d, rc, dir, "choose a shorter --dir", "cannot name the segments");
	if (rc == 0)
		rc = discovery_listen(new, dir, d);
	if (rc < 0) {
		discovery_close(new);
		return rc;
	}
	*discovery = new;
	return 0;
}

void discovery_close(struct discovery *discovery)
{
	if (!discovery)
		return;
	for (unsigned i = 0; i < DISCOVERY_WAITING; i++)
		if (discovery->guests[i].fd >= 0)
			discovery_guest_end(&discovery->guests[i]);
	loop_fd_unwatch(discovery->listener_watch);
	if (discovery->listener >= 0)
		unlink(discovery->address.sun_path);
	fd_closep(&discovery->listener);
	fd_closep(&discovery->lock);
	if (discovery->fds)
		closedir(discovery->fds);
	if (discovery->proc)
		closedir(discovery->proc);
	free(discovery);
}
