/* SPDX-License-Identifier: Apache-2.0 */
/* What the keeper and an agent say to each other. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "keep/keeper.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/testpoint.h"
#include "lib/data/keep_wire.h"

/* ---- to the agent ---------------------------------------------------------------------------- */

static void keeper_agent_leave(struct keeper *keeper)
{
	fd_closep(&keeper->agent);
	keeper->alone_since = keeper->weighed_at = clock_mono();
}

static int keeper_say(struct keeper *keeper, enum keep_kind kind, uint32_t count)
{
	const struct keep_message message = {.kind = kind, .count = count};

	return keep_send(keeper->agent, &message, NULL);
}

static int keeper_say_hello(struct keeper *keeper)
{
	const struct keep_message message = {
		.kind = KEEP_HELLO, .pid = (uint32_t)getpid(), .inode = keeper->intake_inode};
	const struct keep_fds fds = {keeper->intake, -1};

	return keep_send(keeper->agent, &message, &fds);
}

/* Only time helps: the socket may have room all the while. */
static bool keeper_only_later(int rc)
{
	return rc == -ETOOMANYREFS || rc == -ENOMEM;
}

static int keeper_say_held(struct keeper *keeper, unsigned at)
{
	const struct held *held = &keeper->held.all[at];
	const struct keep_message message = {.kind = KEEP_SEGMENT,
					     .inode = held->inode,
					     .started = held->started,
					     .pid = (uint32_t)held->pid};
	const struct keep_fds fds = {held->memfd, held->connection}, alone = {held->memfd, -1};
	int rc = keep_send(keeper->agent, &message, &fds);

	/* An application can fill its connection with descriptors until it cannot be passed on. */
	if (rc == -ETOOMANYREFS && held->inode)
		rc = keep_send(keeper->agent, &message, &alone);
	if (rc == -EPIPE || rc == -EAGAIN || rc == -ENOMEM || (rc == -ETOOMANYREFS && held->inode))
		return rc;
	/* Any other error is one of this descriptor, which cannot be passed on: it is not tried again. */
	TESTPOINT(keeper_segment_told);
	held_tell(&keeper->held, at);
	return 0;
}

static int keeper_say_strange(struct keeper *keeper)
{
	const struct keep_message message = {.kind = KEEP_STRANGE,
					     .pid = (uint32_t)keeper->strange_pid,
					     .count = keeper->strange};
	int rc = keep_send(keeper->agent, &message, NULL);

	if (rc == 0)
		keeper->strange = 0;
	return rc;
}

static int keeper_say_barred(struct keeper *keeper, const struct porters_bar *bar)
{
	const struct keep_message message = {.kind = KEEP_BARRED,
					     .pid = (uint32_t)bar->pid,
					     .count = bar->count,
					     .user = bar->user};
	int rc = keep_send(keeper->agent, &message, NULL);

	if (rc == 0)
		keeper->barred_told = *bar;
	return rc;
}

/* One message of those that are due. 1: there was one; 0: none is due. */
static int keeper_say_next(struct keeper *keeper)
{
	struct porters_bar bar = porters_barred(keeper->guests, clock_mono());
	int at, rc;

	if (keeper->hello_due) {
		rc = keeper_say_hello(keeper);
		keeper->hello_due = rc < 0;
	} else if (keeper->held.refused != keeper->refused_told) {
		rc = keeper_say(keeper, KEEP_REFUSED, keeper->held.refused);
		if (rc == 0)
			keeper->refused_told = keeper->held.refused;
	} else if (keeper->strange) {
		rc = keeper_say_strange(keeper);
	} else if (memcmp(&bar, &keeper->barred_told, sizeof(bar)) != 0) {
		rc = keeper_say_barred(keeper, &bar);
	} else if ((at = held_untold(&keeper->held)) >= 0) {
		rc = keeper_say_held(keeper, (unsigned)at);
	} else if (keeper->ready_due) {
		rc = keeper_say(keeper, KEEP_READY, 0);
		keeper->ready_due = rc < 0;
	} else {
		return 0;
	}
	return rc < 0 ? rc : 1;
}

bool keeper_say_all(struct keeper *keeper)
{
	int rc = 0;

	while (keeper->agent >= 0 && (rc = keeper_say_next(keeper)) == 1)
		;
	keeper->deaf |= keeper_only_later(rc);
	if (rc < 0 && rc != -EAGAIN && !keeper_only_later(rc))
		keeper_agent_leave(keeper);
	return rc == -EAGAIN;
}

/* ---- from the agent -------------------------------------------------------------------------- */

/* Whoever held the lock of the folder before is gone, or it would not have been said. */
static void keeper_agent_enter(struct keeper *keeper, int fd, const struct keep_message *hello)
{
	fd_closep(&keeper->agent);
	keeper->agent = fd;
	keeper->patience = hello->wait_ns;
	keeper->hello_due = keeper->ready_due = true;
	keeper->refused_told = 0;
	keeper->strange = 0;
	keeper->barred_told = (struct porters_bar){0};
	held_forget_told(&keeper->held);
}

void keeper_caller_ready(struct keeper *keeper, int *caller)
{
	const struct keep_message answer = {.kind = KEEP_HELLO, .pid = (uint32_t)getpid()};
	struct keep_message message;
	struct keep_fds fds;
	int rc = keep_receive(*caller, &message, &fds);

	if (rc == -EAGAIN)
		return;
	fd_closep(&fds.memfd);
	fd_closep(&fds.connection);
	if (rc == 1 && message.kind == KEEP_HELLO) {
		keeper_agent_enter(keeper, *caller, &message);
		*caller = -1;
		return;
	}
	if (rc == -EPROTONOSUPPORT)
		keep_send(*caller, &answer, NULL);
	fd_closep(caller);
}

static void keeper_take_listener(struct keeper *keeper, uint64_t inode, struct keep_fds *fds)
{
	if (fds->memfd < 0)
		return;
	if (keeper->intake >= 0)
		porters_drop_listener(keeper->guests, keeper->intake);
	keeper->intake = fds->memfd;
	keeper->intake_inode = inode;
	fds->memfd = -1;
	/* The answer: an agent that doubts whether anybody hears tells of the socket again. */
	keeper->ready_due = true;
}

static void keeper_take_segment(struct keeper *keeper, const struct keep_message *message,
				struct keep_fds *fds)
{
	const struct held held = {.memfd = fds->memfd,
				  .connection = fds->connection,
				  .started = message->started,
				  .pid = (pid_t)message->pid,
				  .told = true};

	if (fds->memfd < 0)
		return;
	held_add(&keeper->held, &held, false);
	*fds = (struct keep_fds){-1, -1};
	TESTPOINT(keeper_segment_taken);
}

static void keeper_obey(struct keeper *keeper, const struct keep_message *message,
			struct keep_fds *fds)
{
	switch ((enum keep_kind)message->kind) {
	case KEEP_LISTENER:
		keeper_take_listener(keeper, message->inode, fds);
		break;
	case KEEP_SEGMENT:
		keeper_take_segment(keeper, message, fds);
		break;
	case KEEP_LET_GO:
		held_let_go(&keeper->held, message->inode);
		TESTPOINT(keeper_let_go);
		break;
	case KEEP_END:
		keeper_end(keeper);
		break;
	case KEEP_HELLO:
	case KEEP_READY:
	case KEEP_REFUSED:
	case KEEP_STRANGE:
	case KEEP_BARRED:
		break;
	}
	fd_closep(&fds->memfd);
	fd_closep(&fds->connection);
}

void keeper_agent_ready(struct keeper *keeper)
{
	struct keep_message message;
	struct keep_fds fds;

	for (unsigned i = 0; i < KEEPER_AT_ONCE && !keeper->ended; i++) {
		int rc = keep_receive(keeper->agent, &message, &fds);

		if (rc == -EAGAIN)
			return;
		if (rc == 1) {
			keeper_obey(keeper, &message, &fds);
		} else if (rc == -EMFILE) {
			keeper->held.refused++;
		} else {
			keeper_agent_leave(keeper);
			return;
		}
	}
}
