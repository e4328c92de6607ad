/* SPDX-License-Identifier: Apache-2.0 */
#include "client/intake.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vow/shm.h>

#include "lib/base/passing.h"
#include "lib/data/rendezvous.h"

/* The segment tells what the application does: not everyone who makes a socket may have it. */
static bool intake_trusted(const char *dir, int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	struct stat st;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
		return false;
	return peer.uid == 0 || peer.uid == geteuid() ||
	       (stat(dir, &st) == 0 && st.st_uid == peer.uid);
}

static bool intake_send(int fd, int memfd)
{
	const struct vow_shm_hello hello = {.magic = VOW_SHM_MAGIC, .version = VOW_SHM_VERSION};

	return passing_send(fd, &hello, sizeof(hello), &memfd, 1) == 0;
}

int intake_offer(const char *dir, int memfd)
{
	struct sockaddr_un address;

	if (rendezvous_socket(dir, &address) < 0)
		return -1;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	    intake_trusted(dir, fd) && intake_send(fd, memfd))
		return fd;
	close(fd);
	return -1;
}
