/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collectors/lanes/discovery_state.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"

/* Who finds it full does not wait, and is found by the next scan only: a deployment starts many. */
#define DISCOVERY_BACKLOG 1024

/* ---- intake ------------------------------------------------------------------------------------ */

void discovery_introduce(struct discovery *discovery, int memfd, int connection)
{
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);

	if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
		close(connection);
		return;
	}
	/*
	 * Who closed its end may be gone, and its number another's by now: then only the segment itself
	 * says whose it is.
	 */
	pid_t inner = peer.pid && !fd_hung_up(connection) ? discovery_inner_pid(peer.pid) : 0;
	discovery->found(discovery->arg, memfd, connection, peer.pid, inner);
}

/* As porters_options.came. */
static void discovery_came(void *arg, int memfd, int connection)
{
	discovery_introduce(arg, memfd, connection);
	close(memfd);
}

/* As porters_options.strange. */
static void discovery_strange_came(void *arg, pid_t pid)
{
	struct discovery *discovery = arg;

	discovery->strange(discovery->arg, pid);
}

static void discovery_guests_ready(void *arg, int fd, unsigned ready)
{
	struct discovery *discovery = arg;

	(void)fd, (void)ready;
	porters_step(discovery->guests, clock_mono());
}

static void discovery_take(struct discovery *discovery, int fd)
{
	/* Bounded: the loop comes back while more are waiting. */
	for (unsigned i = 0; i < 16; i++) {
		bool room = porters_have_room(discovery->guests);
		int connection = room ? accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) : -1;

		if (connection < 0) {
			/* Out of descriptors, say: who waits would keep the socket ready. */
			discovery->deaf = !room || (errno != EAGAIN && errno != EINTR &&
						    errno != ECONNABORTED);
			if (discovery->deaf)
				loop_fd_change(discovery->listener_watch, 0);
			return;
		}
		porters_take(discovery->guests, connection);
	}
}

static void discovery_accept(void *arg, int fd, unsigned ready)
{
	struct discovery *discovery = arg;

	(void)ready;
	discovery_take(discovery, fd);
	porters_step(discovery->guests, clock_mono());
}

/* Whether this is a socket of ours that listens, and its file is still what stands there. */
static bool discovery_listens(const struct discovery *discovery, int listener, uint64_t inode)
{
	int listens = 0, kind = 0;
	socklen_t size = sizeof(int);
	struct stat st;

	return getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens &&
	       getsockopt(listener, SOL_SOCKET, SO_TYPE, &kind, &size) == 0 &&
	       kind == SOCK_SEQPACKET && lstat(discovery->address.sun_path, &st) == 0 &&
	       S_ISSOCK(st.st_mode) && st.st_ino == inode;
}

/* The lock tells a living agent from the socket file that a dead one left behind. */
static int discovery_lock(struct discovery *discovery, const char *dir, struct diag *d)
{
	char lock[sizeof(discovery->address.sun_path) + 8];

	if (rendezvous_socket(dir, &discovery->address) < 0)
		return diag_set(d, -ENAMETOOLONG, dir, "choose a shorter --dir",
				"the intake socket's path would pass 107 bytes");
	snprintf(lock, sizeof(lock), "%s.lock", discovery->address.sun_path);
	discovery->lock = fd_lock(lock, d);
	return discovery->lock < 0 ? discovery->lock : 0;
}

/* The socket becomes the discovery's once it listens. */
static int discovery_bind(struct discovery *discovery, struct diag *d)
{
	const char *path = discovery->address.sun_path;
	_cleanup_(fd_closep) int fd =
		socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (fd < 0)
		return diag_errno(d, -errno, path, NULL, "cannot make the intake socket");
	unlink(path);
	if (bind(fd, (struct sockaddr *)&discovery->address, sizeof(discovery->address)) != 0 ||
	    chmod(path, 0666) != 0 || listen(fd, DISCOVERY_BACKLOG) != 0 || lstat(path, &st) != 0)
		return diag_errno(d, -errno, path, "check that the folder is there and writable",
				  "cannot listen");
	discovery->inode = st.st_ino;
	discovery->listener = fd;
	fd = -1;
	return 0;
}

static int discovery_watch(struct discovery *discovery, struct diag *d)
{
	discovery->listener_watch =
		loop_fd_watch(discovery->loop, discovery->listener,
			      discovery->quiet ? 0 : LOOP_READ, discovery_accept, discovery);
	return discovery->listener_watch
		       ? 0
		       : diag_errno(d, -ENOMEM, discovery->address.sun_path, NULL, "cannot listen");
}

int discovery_listen(struct discovery *discovery, int listener, uint64_t inode, struct diag *d)
{
	int rc = 0;

	if (listener >= 0 && discovery_listens(discovery, listener, inode)) {
		discovery->listener = listener;
		discovery->inode = inode;
	} else {
		fd_closep(&listener);
		rc = discovery_bind(discovery, d);
	}
	return rc < 0 ? rc : discovery_watch(discovery, d);
}

int discovery_listen_anew(struct discovery *discovery, struct diag *d)
{
	const int former = discovery->listener;
	const uint64_t former_inode = discovery->inode;
	struct loop_fd *former_watch = discovery->listener_watch;

	if (discovery_listens(discovery, former, former_inode))
		return 0;
	int rc = discovery_bind(discovery, d);
	if (rc < 0)
		return rc;
	rc = discovery_watch(discovery, d);
	if (rc < 0) {
		unlink(discovery->address.sun_path);
		close(discovery->listener);
		discovery->listener = former;
		discovery->inode = former_inode;
		discovery->listener_watch = former_watch;
		return rc;
	}
	/* Who came before the file went: nobody can any more. */
	discovery_take(discovery, former);
	loop_fd_unwatch(former_watch);
	porters_drop_listener(discovery->guests, former);
	return 1;
}

int discovery_listener(const struct discovery *discovery, uint64_t *inode)
{
	*inode = discovery->inode;
	return discovery->listener;
}

void discovery_hear(struct discovery *discovery, bool hear)
{
	if (hear == !discovery->quiet)
		return;
	discovery->quiet = !hear;
	discovery->deaf = false;
	loop_fd_change(discovery->listener_watch, hear ? LOOP_READ : 0);
}

bool discovery_waiting(const struct discovery *discovery)
{
	struct pollfd waiting = {.fd = discovery->listener, .events = POLLIN};

	return poll(&waiting, 1, 0) == 1;
}

struct porters_bar discovery_barred(const struct discovery *discovery)
{
	return porters_barred(discovery->guests, clock_mono());
}

bool discovery_busy(const struct discovery *discovery)
{
	return discovery_waiting(discovery) || porters_busy(discovery->guests);
}

/* ---- both ways --------------------------------------------------------------------------------- */

void discovery_step(struct discovery *discovery, mono_ns now)
{
	/* Not the agent's time: of processes that run while it stands still. */
	porters_step(discovery->guests, clock_mono());
	if (discovery->deaf && !discovery->quiet)
		loop_fd_change(discovery->listener_watch, LOOP_READ);
	discovery->deaf = false;
	discovery_scan_step(discovery, now);
}

const char *discovery_problem(const struct discovery *discovery)
{
	const char *problem = porters_problem(discovery->guests);

	return problem[0] ? problem : discovery->problem;
}

/* ---- life -------------------------------------------------------------------------------------- */

static int discovery_find_memory(dev_t *memory)
{
	_cleanup_(fd_closep) int fd = memfd_create("vow", MFD_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return -errno;
	*memory = st.st_dev;
	return 0;
}

static int discovery_open_guests(struct discovery *discovery, struct diag *d)
{
	const struct porters_options options = {
		.came = discovery_came, .strange = discovery_strange_came, .arg = discovery};
	int rc = discovery_find_memory(&discovery->memory);

	if (rc == 0)
		rc = porters_open(&options, &discovery->guests);
	if (rc == 0) {
		discovery->guests_watch =
			loop_fd_watch(discovery->loop, porters_fd(discovery->guests), LOOP_READ,
				      discovery_guests_ready, discovery);
		rc = discovery->guests_watch ? 0 : -ENOMEM;
	}
	return rc < 0 ? diag_errno(d, rc, NULL, NULL, "cannot begin to look for applications") : 0;
}

int discovery_open(const struct discovery_options *options, struct discovery **discovery,
		   struct diag *d)
{
	struct discovery *new = calloc(1, sizeof(*new));

	if (!new)
		return diag_errno(d, -ENOMEM, NULL, NULL, "cannot begin to look for applications");
	new->loop = options->loop;
	new->found = options->found;
	new->strange = options->strange;
	new->arg = options->arg;
	new->listener = new->lock = -1;
	int rc = rendezvous_name(options->dir, new->name);
	if (rc < 0)
		diag_errno(d, rc, options->dir, "choose a shorter --dir",
			   "cannot name the segments");
	if (rc == 0)
		rc = discovery_lock(new, options->dir, d);
	if (rc == 0)
		rc = discovery_open_guests(new, d);
	if (rc < 0) {
		discovery_close(new, false);
		return rc;
	}
	*discovery = new;
	return 0;
}

void discovery_close(struct discovery *discovery, bool leave)
{
	if (!discovery)
		return;
	loop_fd_unwatch(discovery->guests_watch);
	loop_fd_unwatch(discovery->listener_watch);
	if (discovery->listener >= 0 && !leave)
		unlink(discovery->address.sun_path);
	porters_close(discovery->guests, leave ? -1 : discovery->listener);
	fd_closep(&discovery->listener);
	fd_closep(&discovery->lock);
	if (discovery->fds)
		closedir(discovery->fds);
	if (discovery->proc)
		closedir(discovery->proc);
	free(discovery);
}
