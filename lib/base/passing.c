/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/passing.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int passing_send(int fd, const void *bytes, size_t size, const int *fds, unsigned count)
{
	struct iovec part = {.iov_base = (void *)bytes, .iov_len = size};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(PASSING_SEND_MAX * sizeof(int))];
	} control = {.room = {0}};

	if (count) {
		header.msg_control = control.room;
		header.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *rights = CMSG_FIRSTHDR(&header);

		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(rights), fds, count * sizeof(int));
	}
	if (sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		return 0;
	if (errno == ENOBUFS)
		return -ENOMEM;
	/* It went with messages unread: the same end. */
	return errno == ECONNRESET ? -EPIPE : -errno;
}

static unsigned passing_take(const struct cmsghdr *rights, int *fds, unsigned max, unsigned count)
{
	for (size_t at = 0; at + sizeof(int) <= rights->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
		int one;

		memcpy(&one, CMSG_DATA(rights) + at, sizeof(one));
		if (count < max)
			fds[count++] = one;
		else
			close(one);
	}
	return count;
}

ssize_t passing_receive(int fd, int flags, void *bytes, size_t size, int *fds, unsigned max,
			bool *cut)
{
	struct iovec part = {.iov_base = bytes, .iov_len = size};
	union {
		struct cmsghdr header;
		/* Where SO_PASSCRED is set the sender stands before the descriptors. */
		char room[CMSG_SPACE(sizeof(struct ucred)) +
			  CMSG_SPACE(PASSING_TAKE_MAX * sizeof(int))];
	} control = {.room = {0}};
	struct msghdr header = {.msg_iov = &part,
				.msg_iovlen = 1,
				.msg_control = control.room,
				.msg_controllen = sizeof(control.room)};
	ssize_t got = recvmsg(fd, &header, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	unsigned count = 0;

	for (unsigned i = 0; i < max; i++)
		fds[i] = -1;
	if (got < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			count = passing_take(c, fds, max, count);
	*cut = header.msg_flags & (MSG_CTRUNC | MSG_TRUNC);
	return got;
}
