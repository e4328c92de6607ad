/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/data/keep_wire.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/passing.h"

int keep_send(int fd, const struct keep_message *message, const struct keep_fds *fds)
{
	struct keep_message filled = *message;
	int passed[2];
	unsigned count = 0;

	filled.magic = KEEP_MAGIC;
	filled.version = KEEP_VERSION;
	if (fds && fds->memfd >= 0)
		passed[count++] = fds->memfd;
	if (fds && fds->memfd >= 0 && fds->connection >= 0)
		passed[count++] = fds->connection;
	return passing_send(fd, &filled, sizeof(filled), passed, count);
}

static int keep_check(const struct keep_message *message, ssize_t size, bool cut)
{
	if (size == 0)
		return 0;
	if ((size_t)size < offsetof(struct keep_message, inode) || message->magic != KEEP_MAGIC)
		return -EPROTO;
	if (message->version != KEEP_VERSION)
		return -EPROTONOSUPPORT;
	if (size != sizeof(*message))
		return -EPROTO;
	return cut ? -EMFILE : 1;
}

int keep_receive(int fd, struct keep_message *message, struct keep_fds *fds)
{
	struct keep_message got = {0};
	int taken[2];
	bool cut = false;
	ssize_t size = passing_receive(fd, 0, &got, sizeof(got), taken, 2, &cut);
	int rc = size < 0 ? (int)size : keep_check(&got, size, cut);

	if (rc != 1) {
		fd_closep(&taken[0]);
		fd_closep(&taken[1]);
	}
	*message = got;
	*fds = (struct keep_fds){taken[0], taken[1]};
	return rc;
}

int keep_peer_is_own(int fd, int *pid)
{
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.uid != geteuid())
		return 0;
	if (pid)
		*pid = peer.pid;
	return 1;
}

uint64_t keep_started(int pid)
{
	char path[32], text[1024];
	uint64_t started = 0;

	if (pid <= 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *stat = fopen(path, "re");
	if (!stat)
		return 0;
	size_t size = fread(text, 1, sizeof(text) - 1, stat);
	fclose(stat);
	text[size] = '\0';
	/* Behind the name, which may hold anything: the state is field 3, the start field 22. */
	char *field = strrchr(text, ')');
	for (unsigned i = 2; field && i < 22; i++)
		field = strchr(field + 1, ' ');
	if (field)
		started = strtoull(field + 1, NULL, 10);
	return started;
}
