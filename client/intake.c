/* SPDX-License-Identifier: Apache-2.0 */
#include "client/intake.h"

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vow/shm.h>

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
	struct vow_shm_hello hello = {.magic = VOW_SHM_MAGIC, .version = VOW_SHM_VERSION};
	struct iovec part = {.iov_base = &hello, .iov_len = sizeof(hello)};
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.room = {0}};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room),
	};
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(rights), &memfd, sizeof(int));
	return sendmsg(fd, &message, MSG_NOSIGNAL) == sizeof(hello);
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
