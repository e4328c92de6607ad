/* SPDX-License-Identifier: Apache-2.0 */
#include "export/tail.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lib/data/journal.h"

#define LOOK_EVERY  (250 * NS_PER_MS) /* for a journal that is not there */
#define POLL_EVERY  (100 * NS_PER_MS) /* without inotify */
#define EPOCH_EVERY (10 * NS_PER_S) /* whether it is still the same journal */

struct tail {
	const char *dir;
	struct tail_handlers handlers;
	struct loop_timer *timer;
	struct loop_fd *watch;
	int fd; /* of inotify, -1 without */
	int folder; /* its watch of the folder, -1 while there is none */
	uint64_t epoch; /* 0: not seen yet */
};

/* A new epoch is only found in a segment's header; the newest segment is the one to ask. */
static void tail_check_epoch(struct tail *tail)
{
	struct journal_reader *reader;
	uint64_t epoch, before = tail->epoch;

	if (journal_reader_open(tail->dir, NULL, UINT64_MAX, &reader, NULL))
		return;
	epoch = journal_reader_epoch(reader);
	journal_reader_close(reader);
	tail->epoch = epoch;
	if (before && before != epoch)
		tail->handlers.replaced(tail->handlers.arg);
}

static void tail_watch_folder(struct tail *tail)
{
	dur_ns again = LOOK_EVERY;

	if (tail->fd >= 0)
		tail->folder =
			inotify_add_watch(tail->fd, tail->dir, IN_MODIFY | IN_CREATE | IN_ONLYDIR);
	if (tail->folder >= 0)
		again = EPOCH_EVERY;
	else if (tail->fd < 0 || errno == ENOSPC)
		again = POLL_EVERY;
	loop_timer_again(tail->timer, again, 0);
}

/* Reads events away; true when the folder's watch or the set of files changed. */
static bool events_take(struct tail *tail)
{
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	const struct inotify_event *event;
	bool changed = false;
	ssize_t size;

	while ((size = read(tail->fd, buf, sizeof(buf))) > 0)
		for (char *at = buf; at < buf + size; at += sizeof(*event) + event->len) {
			event = (const struct inotify_event *)at;
			if (event->mask & IN_IGNORED)
				tail->folder = -1;
			if (event->mask & (IN_IGNORED | IN_CREATE))
				changed = true;
		}
	return changed;
}

static void tail_event(void *arg, int fd, unsigned ready)
{
	struct tail *tail = arg;

	(void)fd;
	(void)ready;
	if (events_take(tail)) {
		if (tail->folder < 0)
			tail_watch_folder(tail);
		tail_check_epoch(tail);
	}
	tail->handlers.grown(tail->handlers.arg);
}

static void tail_due(void *arg)
{
	struct tail *tail = arg;

	if (tail->folder < 0)
		tail_watch_folder(tail);
	else
		loop_timer_again(tail->timer, EPOCH_EVERY, 0);
	tail_check_epoch(tail);
	tail->handlers.grown(tail->handlers.arg);
}

struct tail *tail_new(struct loop *loop, const char *dir, const struct tail_handlers *handlers)
{
	struct tail *tail = calloc(1, sizeof(*tail));

	if (!tail)
		return NULL;
	tail->dir = dir;
	tail->handlers = *handlers;
	tail->folder = -1;
	tail->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	tail->timer = loop_timer_start(loop, 0, 0, tail_due, tail);
	if (tail->fd >= 0)
		tail->watch = loop_fd_watch(loop, tail->fd, LOOP_READ, tail_event, tail);
	if (!tail->timer || (tail->fd >= 0 && !tail->watch)) {
		tail_free(tail);
		return NULL;
	}
	return tail;
}

void tail_free(struct tail *tail)
{
	if (!tail)
		return;
	loop_timer_stop(tail->timer);
	loop_fd_unwatch(tail->watch);
	if (tail->fd >= 0)
		close(tail->fd);
	free(tail);
}
