/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/accept.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* gRPC's threads and the HTTP server's come here. */
static pthread_mutex_t accept_lock = PTHREAD_MUTEX_INITIALIZER;
static int accept_spare = -1; /* the descriptor in reserve; -1: none could be had */
static uint64_t accept_shed;

static int accept_plain(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	return (int)syscall(SYS_accept4, fd, address, length, flags);
}

static void accept_spare_open(void)
{
	if (accept_spare < 0)
		accept_spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Hangs up on the next who waits; false when nobody does, or the reserve is gone. */
static bool accept_shed_one(int fd)
{
	int taken = -1;

	pthread_mutex_lock(&accept_lock);
	accept_spare_open(); /* another thread may have taken its place the last time */
	if (accept_spare >= 0) {
		close(accept_spare);
		taken = accept_plain(fd, NULL, NULL, SOCK_CLOEXEC);
		if (taken >= 0) {
			close(taken);
			accept_shed++;
		}
		accept_spare = -1;
		accept_spare_open();
	}
	pthread_mutex_unlock(&accept_lock);
	return taken >= 0;
}

static bool accept_lacks_room(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOMEM || err == ENOBUFS;
}

/* What is the listening socket's own fault; anything else is of the connection or of the moment. */
static bool accept_is_misuse(int err)
{
	return err == EBADF || err == EINVAL || err == ENOTSOCK || err == EOPNOTSUPP ||
	       err == EFAULT;
}

__attribute__((visibility("default"))) int accept4(int fd, struct sockaddr *address,
						   socklen_t *length, int flags)
{
	int got = accept_plain(fd, address, length, flags);

	while (got < 0 && accept_lacks_room(errno) && accept_shed_one(fd))
		got = accept_plain(fd, address, length, flags);
	if (got < 0 && errno != EINTR && !accept_is_misuse(errno))
		errno = EAGAIN;
	return got;
}

void accept_reserve(void)
{
	pthread_mutex_lock(&accept_lock);
	accept_spare_open();
	pthread_mutex_unlock(&accept_lock);
}

uint64_t accept_shed_total(void)
{
	uint64_t total;

	pthread_mutex_lock(&accept_lock);
	total = accept_shed;
	pthread_mutex_unlock(&accept_lock);
	return total;
}
