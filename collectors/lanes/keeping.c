/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/lanes/keeping.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collectors/lanes/keeper_start.h"
#include "collectors/lanes/keeping_state.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/testpoint.h"
#include "lib/data/keep_wire.h"

#define KEEPING_AT_ONCE	  16 /* messages taken before the loop has other turns */
#define KEEPING_AGAIN_MIN NS_PER_S /* pauses between keepers that do not live */
#define KEEPING_AGAIN_MAX (60 * NS_PER_S)

/* One that is gone before its first word cannot run here, and the next one cannot either. */
static int keeping_mute(const struct keeping *keeping, struct diag *d)
{
	return diag_set(d, -EPIPE, keeping->dir, "run vow-keep by hand: it says what it lacks",
			"the keeper ended before it said anything");
}

/* ---- a keeper comes and goes ----------------------------------------------------------------- */

static void keeping_lose(struct keeping *keeping, mono_ns now)
{
	const struct keep_message none_barred = {.kind = KEEP_BARRED};

	keeping->options.strangers(keeping->options.arg, &none_barred);
	loop_fd_unwatch(keeping->watch);
	keeping->watch = NULL;
	fd_closep(&keeping->fd);
	keeping->number = 0;
	keeping->pid = 0;
	keeping->refused = 0;
	keeping->let_go_count = 0; /* the next one is not told of these */
	keeping->greeted = keeping->found = keeping->doubted = false;
	if (now - keeping->began_at > KEEPING_AGAIN_MAX)
		keeping->pause = 0;
	keeping->next_at = now + keeping->pause;
	keeping->pause = keeping->pause ? keeping->pause * 2 : KEEPING_AGAIN_MIN;
	if (keeping->pause > KEEPING_AGAIN_MAX)
		keeping->pause = KEEPING_AGAIN_MAX;
}

static void keeping_take_segment(struct keeping *keeping, const struct keep_message *message,
				 struct keep_fds *fds)
{
	if (fds->memfd < 0)
		return;
	keeping->options.found(keeping->options.arg, fds->memfd, fds->connection,
			       (pid_t)message->pid, message->started);
	*fds = (struct keep_fds){-1, -1};
}

/* All that an earlier agent left is here: a keeper that nobody wants may end. */
static void keeping_told_all(struct keeping *keeping)
{
	const struct keep_message end = {.kind = KEEP_END};

	keeping->found = false;
	if (!keeping->options.patience)
		keep_send(keeping->fd, &end, NULL);
}

static void keeping_hear(struct keeping *keeping, const struct keep_message *message,
			 struct keep_fds *fds)
{
	keeping->doubted = false;
	switch ((enum keep_kind)message->kind) {
	case KEEP_HELLO:
		keeping->greeted = true;
		keeping->pid = (pid_t)message->pid;
		keeping->wrong[0] = '\0';
		fd_closep(&keeping->taken_listener);
		keeping->taken_listener = fds->memfd;
		keeping->taken_inode = message->inode;
		fds->memfd = -1;
		TESTPOINT(keeper_answered);
		break;
	case KEEP_SEGMENT:
		keeping_take_segment(keeping, message, fds);
		TESTPOINT(keeper_told_segment);
		break;
	case KEEP_READY:
		keeping_told_all(keeping);
		break;
	case KEEP_REFUSED:
		keeping->refused = message->count;
		break;
	case KEEP_STRANGE:
	case KEEP_BARRED:
		keeping->options.strangers(keeping->options.arg, message);
		break;
	case KEEP_LISTENER:
	case KEEP_LET_GO:
	case KEEP_END:
		break;
	}
	fd_closep(&fds->memfd);
	fd_closep(&fds->connection);
}

/* The next message. 1: there was one; -EAGAIN: none yet; else nothing will come. */
static int keeping_receive(struct keeping *keeping)
{
	struct keep_message message;
	struct keep_fds fds;
	int rc = keep_receive(keeping->fd, &message, &fds);

	if (rc == 1 && !keeping->greeted && message.kind != KEEP_HELLO) {
		fd_closep(&fds.memfd);
		fd_closep(&fds.connection);
		rc = -EPROTO;
	} else if (rc == 1) {
		keeping_hear(keeping, &message, &fds);
	} else if (rc == -EMFILE) {
		/* It holds it still: the next agent may have more descriptors. */
		keeping->missed = true;
		rc = 1;
	}
	return rc;
}

static void keeping_ended(struct keeping *keeping)
{
	struct diag d = {0};

	if (!keeping->greeted) {
		keeping_mute(keeping, &d);
		keeping_say_wrong(keeping, &d);
	} else if (keeping->options.patience) {
		log_warn("keeper: the connection with pid %d ended; another one is started and "
			 "told of what is there",
			 keeping->pid);
	}
	keeping_lose(keeping, clock_mono());
}

static void keeping_ready(void *arg, int fd, unsigned ready)
{
	struct keeping *keeping = arg;
	int rc = 1;

	(void)fd, (void)ready;
	for (unsigned i = 0; i < KEEPING_AT_ONCE && rc == 1; i++)
		rc = keeping_receive(keeping);
	if (rc != 1 && rc != -EAGAIN)
		keeping_ended(keeping);
}

/* Connected: fd is keeping's. */
static int keeping_begin(struct keeping *keeping, int fd, struct diag *d)
{
	const struct keep_message hello = {.kind = KEEP_HELLO,
					   .wait_ns = keeping->options.patience};
	int rc = keep_send(fd, &hello, NULL);

	if (rc < 0) {
		close(fd);
		return rc == -EPIPE
			       ? keeping_mute(keeping, d)
			       : diag_errno(d, rc, keeping->dir, "", "cannot greet the keeper");
	}
	keeping->fd = fd;
	keeping->number = ++keeping->keepers;
	keeping->began_at = clock_mono();
	keeping->listener_due = keeping->listener >= 0;
	return 0;
}

static int keeping_watch(struct keeping *keeping)
{
	keeping->watch = loop_fd_watch(keeping->options.loop, keeping->fd, LOOP_READ | LOOP_HANGUP,
				       keeping_ready, keeping);
	return keeping->watch ? 0 : -ENOMEM;
}

/* ---- one that is there already --------------------------------------------------------------- */

/* Waits for its hello, with which it hands the intake socket over. */
static int keeping_await(struct keeping *keeping, struct diag *d)
{
	struct pollfd answer = {.fd = keeping->fd, .events = POLLIN};
	mono_ns end = clock_mono() + KEEPING_PATIENCE;

	while (!keeping->greeted) {
		mono_ns now = clock_mono();

		if (now >= end)
			return diag_set(d, -ETIMEDOUT, keeping->dir, "see whether it was stopped",
					"the keeper that runs does not answer; another one takes "
					"its place");
		poll(&answer, 1, (int)((end - now) / NS_PER_MS + 1));
		int rc = keeping_receive(keeping);
		if (rc == -EPROTONOSUPPORT)
			return diag_set(d, rc, keeping->dir, "",
					"the keeper that runs is of another version; another one "
					"takes its place");
		if (rc != 1 && rc != -EAGAIN)
			return diag_errno(d, rc ? rc : -EPIPE, keeping->dir, "",
					  "the keeper that runs makes no sense");
	}
	return 0;
}

/* What is there, and not ours or of no use, loses its place to the next that is started. */
static void keeping_find(struct keeping *keeping)
{
	struct diag d = {0};
	int fd = keeper_connect(keeping->dir, &d);
	int rc = fd < 0 ? fd : keeping_begin(keeping, fd, &d);

	if (rc < 0) {
		if (rc != -ENOENT && rc != -ECONNREFUSED)
			keeping_say_wrong(keeping, &d);
		return;
	}
	keeping->found = true;
	rc = keeping_await(keeping, &d);
	if (rc == 0)
		rc = keeping_watch(keeping);
	if (rc < 0) {
		keeping_lose(keeping, clock_mono());
		keeping->pause = 0;
		keeping_say_wrong(keeping, &d);
	}
}

/* ---- starting one ---------------------------------------------------------------------------- */

static void keeping_reap(struct keeping *keeping)
{
	if (keeping->child > 0 && keeper_ended(keeping->child))
		keeping->child = 0;
	if (keeping->former > 0 && keeper_ended(keeping->former))
		keeping->former = 0;
}

static void keeping_start(struct keeping *keeping, mono_ns now)
{
	struct diag d = {0};
	int fd = -1;

	/* One that lives without its connection ends when it sees that another has its door. */
	keeping->former = keeping->child;
	keeping->child = 0;
	int rc = keeper_start(keeping->dir, &fd, &keeping->child, &d);

	if (rc == 0)
		rc = keeping_begin(keeping, fd, &d);
	if (rc == 0) {
		rc = keeping_watch(keeping);
		keeping->pid = keeping->child;
	}
	if (rc < 0) {
		keeping_lose(keeping, now);
		keeping_say_wrong(keeping, &d);
	}
}

/* ---- what is due ----------------------------------------------------------------------------- */

void keeping_step(struct keeping *keeping, mono_ns now)
{
	if (!keeping)
		return;
	keeping_reap(keeping);
	if (keeping->fd < 0 && keeping->options.patience && now >= keeping->next_at &&
	    !keeping->former)
		keeping_start(keeping, now);
	if (keeping->fd >= 0)
		keeping_tell_due(keeping);
}

/* ---- the intake socket ----------------------------------------------------------------------- */

int keeping_take_listener(struct keeping *keeping, uint64_t *inode)
{
	if (!keeping)
		return -1;
	int listener = keeping->taken_listener;

	*inode = keeping->taken_inode;
	keeping->taken_listener = -1;
	return listener;
}

/* ---- answers --------------------------------------------------------------------------------- */

unsigned keeping_number(const struct keeping *keeping)
{
	return keeping ? keeping->number : 0;
}

bool keeping_hears(const struct keeping *keeping)
{
	return keeping && keeping->options.patience && keeping->greeted && !keeping->doubted &&
	       !keeping->listener_due;
}

void keeping_doubt(struct keeping *keeping)
{
	keeping->doubted = true;
	keeping->listener_due = true; /* it will answer */
}

bool keeping_stays(const struct keeping *keeping)
{
	return keeping && keeping->options.patience && keeping->fd >= 0;
}

bool keeping_settled(const struct keeping *keeping)
{
	return !keeping || (!keeping->found && !keeping->missed);
}

pid_t keeping_pid(const struct keeping *keeping)
{
	return keeping && keeping->greeted ? keeping->pid : 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

int keeping_open(const struct keeping_options *options, struct keeping **keeping, struct diag *d)
{
	struct keeping *new = calloc(1, sizeof(*new));

	if (!new)
		return diag_errno(d, -ENOMEM, NULL, NULL, "cannot look for a keeper");
	new->options = *options;
	new->fd = new->listener = new->taken_listener = -1;
	if (!realpath(options->dir, new->dir)) {
		int rc = diag_errno(d, -errno, options->dir, NULL, "cannot look for a keeper");

		free(new);
		return rc;
	}
	keeping_read_losses(new);
	keeping_find(new);
	*keeping = new;
	return 0;
}

void keeping_close(struct keeping *keeping)
{
	if (!keeping)
		return;
	loop_fd_unwatch(keeping->watch);
	fd_closep(&keeping->fd);
	fd_closep(&keeping->taken_listener);
	keeping_reap(keeping);
	free(keeping);
}
