/* SPDX-License-Identifier: Apache-2.0 */
/* What a keeper is told: the intake socket, what it is to hold, and what to let go of. */
#include <errno.h>

#include "collectors/lanes/keeping_state.h"
#include "lib/data/keep_wire.h"

/* False: there is no room now. Any other trouble shows as the end of the connection. */
static bool keeping_say(struct keeping *keeping, const struct keep_message *message,
			const struct keep_fds *fds)
{
	int rc = keep_send(keeping->fd, message, fds);

	return rc != -EAGAIN && rc != -ETOOMANYREFS && rc != -ENOMEM;
}

void keeping_tell_due(struct keeping *keeping)
{
	const struct keep_message listener = {.kind = KEEP_LISTENER,
					      .inode = keeping->listener_inode};
	const struct keep_fds fds = {keeping->listener, -1};

	if (keeping->listener_due)
		keeping->listener_due = !keeping_say(keeping, &listener, &fds);
	while (keeping->let_go_count) {
		const struct keep_message let_go = {
			.kind = KEEP_LET_GO, .inode = keeping->let_go[keeping->let_go_count - 1]};

		if (!keeping_say(keeping, &let_go, NULL))
			return;
		keeping->let_go_count--;
	}
}

bool keeping_hold(struct keeping *keeping, int memfd, int connection, pid_t pid, uint64_t started)
{
	const struct keep_message message = {
		.kind = KEEP_SEGMENT, .pid = (uint32_t)pid, .started = started};
	const struct keep_fds fds = {memfd, connection}, alone = {memfd, -1};

	/* What is still to be let go of may be this very segment, as it was held before. */
	if (keeping->let_go_count)
		return false;
	/* An application can fill its connection with descriptors until it cannot be passed on. */
	return keeping_say(keeping, &message, &fds) || keeping_say(keeping, &message, &alone);
}

/*
 * Said at once where it can be: what has to wait is said in the next step. Only a keeper that was
 * stopped makes so many wait that one does not fit, and that one the next agent finds drained.
 */
void keeping_let_go(struct keeping *keeping, uint64_t inode)
{
	if (!keeping || keeping->fd < 0)
		return;
	if (keeping->let_go_count < LANE_QUOTA_APPS)
		keeping->let_go[keeping->let_go_count++] = inode;
	keeping_tell_due(keeping);
}

void keeping_share_listener(struct keeping *keeping, int listener, uint64_t inode)
{
	if (!keeping)
		return;
	keeping->listener = listener;
	keeping->listener_inode = inode;
	keeping->listener_due = keeping->fd >= 0;
}
