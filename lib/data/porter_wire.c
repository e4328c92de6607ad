/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/data/porter_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <vow/shm.h>

#include "lib/base/fd.h"
#include "lib/base/passing.h"

int porter_send(int fd, const struct porter_message *message, const int *fds, unsigned count)
{
	struct porter_message filled = *message;

	filled.version = PORTER_VERSION;
	return passing_send(fd, &filled, sizeof(filled), fds, count);
}

int porter_receive(int fd, struct porter_message *message, int *passed)
{
	struct porter_message got = {0};
	bool cut = false;
	ssize_t size = passing_receive(fd, 0, &got, sizeof(got), passed, 1, &cut);

	if (size != sizeof(got) || got.version != PORTER_VERSION) {
		fd_closep(passed); /* also of one without bytes, which counts as the end */
		return size <= 0 ? (int)size : -EPROTO;
	}
	*message = got;
	return 1;
}

/*
 * Every message says then who sent it: so one of no bytes is told from the end, and it needs no room for
 * descriptors to learn whether there are some.
 */
void porter_prepare(int connection)
{
	const int on = 1;

	setsockopt(connection, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
}

static enum porter_next porter_receive_plain(int connection, int flags)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(struct ucred))];
	} control = {.room = {0}};
	struct msghdr header = {.msg_control = control.room,
				.msg_controllen = sizeof(control.room)};

	if (recvmsg(connection, &header, flags | MSG_DONTWAIT) < 0 || !CMSG_FIRSTHDR(&header))
		return PORTER_EMPTY;
	return header.msg_flags & MSG_CTRUNC ? PORTER_LADEN : PORTER_PLAIN;
}

enum porter_next porter_next(int connection)
{
	return porter_receive_plain(connection, MSG_PEEK);
}

bool porter_empty(int connection, bool laden)
{
	enum porter_next next;

	shutdown(connection, SHUT_RD);
	while ((next = porter_next(connection)) != PORTER_EMPTY) {
		if (next == PORTER_LADEN && !laden)
			return false;
		porter_receive_plain(connection, 0);
	}
	return true;
}

/* The kernel itself says what can be sealed, and asks no file system for that: only memory can. */
static bool porter_is_memory(int fd)
{
	return fcntl(fd, F_GET_SEALS) >= 0;
}

enum porter_verdict porter_look(int connection, int fds[PORTER_LOOK_MAX])
{
	struct vow_shm_hello hello;
	bool cut = false;
	ssize_t size = passing_receive(connection, MSG_PEEK, &hello, sizeof(hello), fds,
				       PORTER_LOOK_MAX, &cut);

	/* The version is judged where the segment is: the message only has to be ours. */
	if (size != sizeof(hello) || hello.magic != VOW_SHM_MAGIC || fds[0] < 0)
		return PORTER_NOTHING;
	return porter_is_memory(fds[0]) ? PORTER_MEMORY : PORTER_STRANGE;
}
