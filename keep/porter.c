/* SPDX-License-Identifier: Apache-2.0 */
#include "keep/porter.h"

#include <errno.h>
#include <poll.h>

#include "lib/base/fd.h"
#include "lib/base/testpoint.h"
#include "lib/data/porter_wire.h"

#define PORTER_MEMORY_MS 100 /* until the kernel may have some again */

/* An answer waits while the other one is busy. 0, or a negative errno: nobody is there. */
static int porter_say(int fd, const struct porter_message *message, int memfd)
{
	struct pollfd room = {.fd = fd, .events = POLLOUT};
	int rc;

	while ((rc = porter_send(fd, message, &memfd, memfd >= 0 ? 1 : 0)) == -EAGAIN ||
	       rc == -ENOMEM)
		poll(&room, rc == -EAGAIN ? 1 : 0, rc == -EAGAIN ? -1 : PORTER_MEMORY_MS);
	return rc;
}

/* What was sent is thrown away only behind the answer; from there on this may take for ever. */
static int porter_look_into(int fd, uint32_t number, int connection)
{
	struct porter_message answer = {.kind = PORTER_SEEN, .number = number};
	int fds[PORTER_LOOK_MAX];

	answer.verdict = porter_look(connection, fds);
	TESTPOINT(porter_looked);
	int rc = porter_say(fd, &answer, answer.verdict == PORTER_MEMORY ? fds[0] : -1);
	if (rc < 0)
		return rc;
	TESTPOINT(porter_answered);
	porter_empty(connection, true);
	for (unsigned i = 0; i < PORTER_LOOK_MAX; i++)
		fd_closep(&fds[i]);
	TESTPOINT(porter_emptied);
	answer.kind = PORTER_DONE;
	return porter_say(fd, &answer, -1);
}

void porter_run(int fd)
{
	struct pollfd order = {.fd = fd, .events = POLLIN};
	struct porter_message message;
	int rc = 1;

	while (rc >= 0) {
		int connection = -1;

		poll(&order, 1, -1);
		rc = porter_receive(fd, &message, &connection);
		if (rc == 0)
			return;
		if (rc == 1 && message.kind == PORTER_LOOK && connection >= 0)
			rc = porter_look_into(fd, message.number, connection);
		else if (rc == -EAGAIN)
			rc = 0;
		/* What is to be dropped goes here. */
		fd_closep(&connection);
	}
}
