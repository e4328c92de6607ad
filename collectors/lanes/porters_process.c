/* SPDX-License-Identifier: Apache-2.0 */
/* Porters come and go, and what they say. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collectors/lanes/keeper_start.h"
#include "collectors/lanes/porters_state.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

/* ---- porters come and go --------------------------------------------------------------------- */

void porters_dismiss(struct porters *porters, struct porters_guest *guilty, mono_ns now)
{
	struct porters_former *former = &porters->former[porters->former_count++];
	struct porters_guest *guest;

	*former = (struct porters_former){.pid = porters->pid, .fd = -1, .since = now};
	epoll_ctl(porters->epoll, EPOLL_CTL_DEL, porters->fd, NULL);
	if (guilty) {
		kill(porters->pid, SIGKILL);
		former->fd = porters->fd;
		former->user = guilty->user;
		former->guest = guilty->pid;
		guilty->held_up = porters->pid;
	} else {
		close(porters->fd);
	}
	if (!porters->useful)
		porters->next_at = now + PORTERS_AGAIN;
	porters->fd = -1;
	/* Their order stays. */
	while ((guest = porters_first(porters, PORTERS_GIVEN, 0)))
		porters_state_set(porters, guest, PORTERS_READY);
}

static void porters_say_wrong(struct porters *porters, const struct diag *d)
{
	char text[sizeof(porters->problem)];

	diag_format(d, text, sizeof(text));
	if (strcmp(text, porters->problem) != 0)
		log_warn("no porter, so nothing is taken at the intake socket: %s", text);
	memcpy(porters->problem, text, sizeof(text));
}

static int porters_start(struct porters *porters, struct diag *d)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = PORTERS_GUESTS + 1};
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
		return diag_errno(d, -errno, "socketpair", NULL, "cannot make a socket");
	int rc = epoll_ctl(porters->epoll, EPOLL_CTL_ADD, pair[0], &event) == 0 ? 0 : -errno;
	if (rc < 0)
		diag_errno(d, rc, "epoll", NULL, "cannot wait for a porter");
	else
		rc = keeper_spawn(PORTER_NAME, pair[1], &porters->pid, d);
	close(pair[1]);
	if (rc < 0)
		close(pair[0]);
	else
		porters->fd = pair[0];
	return rc;
}

bool porters_have_porter(struct porters *porters, mono_ns now)
{
	struct diag d = {0};

	if (porters->fd >= 0)
		return true;
	if (porters->former_count == PORTERS_BARRED_MAX || now < porters->next_at)
		return false;
	if (porters_start(porters, &d) < 0) {
		porters_say_wrong(porters, &d);
		porters->next_at = now + PORTERS_AGAIN;
		return false;
	}
	porters->useful = false;
	porters->heard_at = now;
	return true;
}

void porters_reap(struct porters *porters)
{
	for (unsigned i = 0; i < porters->former_count;) {
		struct porters_former *former = &porters->former[i];

		if (!keeper_ended(former->pid)) {
			i++;
			continue;
		}
		for (unsigned g = 0; g < ARRAY_LEN(porters->guests); g++)
			if (porters->guests[g].held_up == former->pid)
				porters->guests[g].held_up = 0;
		fd_closep(&former->fd);
		*former = porters->former[--porters->former_count];
	}
}

/* ---- what a porter says ---------------------------------------------------------------------- */

static struct porters_guest *porters_find(struct porters *porters, uint32_t number)
{
	for (unsigned i = 0; i < ARRAY_LEN(porters->guests); i++)
		if (porters->guests[i].state == PORTERS_GIVEN &&
		    porters->guests[i].number == number)
			return &porters->guests[i];
	return NULL;
}

/* Nothing is left in its connection. */
static void porters_finish(struct porters *porters, struct porters_guest *guest)
{
	const struct porters_options *options = &porters->options;
	enum porter_verdict verdict = guest->verdict;
	int memfd = guest->memfd;
	pid_t pid = guest->pid;

	guest->memfd = -1;
	int fd = porters_leave(porters, guest);
	if (memfd >= 0) {
		options->came(options->arg, memfd, fd);
		return;
	}
	close(fd);
	if (verdict == PORTER_STRANGE)
		options->strange(options->arg, pid);
}

/* What a porter before it saw stands: this one may have found the connection empty. */
static void porters_see(struct porters_guest *guest, enum porter_verdict verdict, int *memfd)
{
	if (guest->seen)
		return;
	guest->seen = true;
	guest->verdict = verdict;
	guest->memfd = *memfd;
	*memfd = -1;
	fd_closep(&guest->spare);
}

/* The one of which the porter will say what it is; NULL: none. */
static struct porters_guest *porters_awaited(struct porters *porters)
{
	struct porters_guest *guest = porters_first(porters, PORTERS_GIVEN, 0);

	while (guest && guest->seen)
		guest = porters_first(porters, PORTERS_GIVEN, guest->number);
	return guest;
}

/* One message, for which `awaited` makes room. False: there is none. */
static bool porters_hear_one(struct porters *porters, struct porters_guest *awaited, mono_ns now)
{
	struct porter_message message;
	_cleanup_(fd_closep) int memfd = -1;

	if (awaited)
		fd_closep(&awaited->spare);
	int rc = porter_receive(porters->fd, &message, &memfd);
	if (rc == -EAGAIN)
		return false;
	if (rc != 1) {
		porters_dismiss(porters, NULL, now);
		return false;
	}
	struct porters_guest *guest = porters_find(porters, message.number);
	porters->heard_at = now;
	porters->useful = true;
	porters->problem[0] = '\0';
	if (guest && message.kind == PORTER_SEEN)
		porters_see(guest, message.verdict, &memfd);
	else if (guest && message.kind == PORTER_DONE)
		porters_finish(porters, guest);
	return true;
}

void porters_hear(struct porters *porters, mono_ns now)
{
	bool more = true;

	while (porters->fd >= 0 && more) {
		struct porters_guest *awaited = porters_awaited(porters);

		more = porters_hear_one(porters, awaited, now);
		if (awaited && awaited->state == PORTERS_GIVEN && !awaited->seen)
			awaited->spare = fcntl(awaited->fd, F_DUPFD_CLOEXEC, 0);
	}
}
