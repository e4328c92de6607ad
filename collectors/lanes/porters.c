/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collectors/lanes/porters_state.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"

/* An answer is a few system calls; the rest is for a machine that is busy, or was stopped. */
#define PORTERS_PATIENCE (3 * NS_PER_S)
/* One that was given up for another reason has ended by then, and nobody is told of it. */
#define PORTERS_GRACE	  NS_PER_S
#define PORTERS_IDLE	  (5 * NS_PER_S) /* until one without work is ended */
#define PORTERS_LOOK_SOON (50 * NS_PER_MS) /* whether one that was given up has ended */
#define PORTERS_GIVEN_MAX 8u /* at a time: less than what a socket takes, 10 messages */
#define PORTERS_EVENTS	  32

/* ---- guests ---------------------------------------------------------------------------------- */

void porters_state_set(struct porters *porters, struct porters_guest *guest,
		       enum porters_state state)
{
	porters->silent += (state == PORTERS_SILENT) - (guest->state == PORTERS_SILENT);
	porters->given += (state == PORTERS_GIVEN) - (guest->state == PORTERS_GIVEN);
	porters->count += (state != PORTERS_FREE) - (guest->state != PORTERS_FREE);
	guest->state = state;
	fd_closep(&guest->spare);
}

int porters_leave(struct porters *porters, struct porters_guest *guest)
{
	int fd = guest->fd;

	epoll_ctl(porters->epoll, EPOLL_CTL_DEL, fd, NULL);
	fd_closep(&guest->memfd);
	porters_state_set(porters, guest, PORTERS_FREE);
	return fd;
}

static void porters_ready(struct porters *porters, struct porters_guest *guest)
{
	porters_state_set(porters, guest, PORTERS_READY);
	guest->number = ++porters->numbers;
}

struct porters_guest *porters_first(struct porters *porters, enum porters_state state,
				    uint32_t after)
{
	struct porters_guest *first = NULL;

	for (unsigned i = 0; i < ARRAY_LEN(porters->guests); i++) {
		struct porters_guest *guest = &porters->guests[i];

		if (guest->state == state && guest->number > after &&
		    (!first || guest->number < first->number))
			first = guest;
	}
	return first;
}

/* Without a porter, which is for descriptors alone. */
static void porters_look(struct porters *porters, struct porters_guest *guest)
{
	if (porter_next(guest->fd) != PORTER_LADEN && porter_empty(guest->fd, false))
		close(porters_leave(porters, guest));
	else
		porters_ready(porters, guest);
}

bool porters_have_room(const struct porters *porters)
{
	return porters->former_count < PORTERS_BARRED_MAX &&
	       (porters->count < PORTERS_GUESTS ||
		(porters->count == PORTERS_GUESTS && porters->silent));
}

/* The one that was silent longest makes room, unless it has just said something. */
static void porters_make_room(struct porters *porters)
{
	while (porters->count >= PORTERS_GUESTS && porters->silent)
		porters_look(porters, porters_first(porters, PORTERS_SILENT, 0));
}

void porters_take(struct porters *porters, int connection)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT};
	struct porters_guest *guest = porters->guests;
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);

	porter_prepare(connection);
	porters_make_room(porters);
	while (guest->state != PORTERS_FREE)
		guest++;
	getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	*guest = (struct porters_guest){.fd = connection,
					.memfd = -1,
					.spare = -1,
					.number = ++porters->numbers,
					.user = peer.uid,
					.pid = peer.pid};
	porters_state_set(porters, guest, PORTERS_SILENT);
	event.data.u32 = (uint32_t)(guest - porters->guests);
	/* Nearly all have sent it by now; one that cannot be waited for is taken to have. */
	if (porter_next(connection) != PORTER_EMPTY ||
	    epoll_ctl(porters->epoll, EPOLL_CTL_ADD, connection, &event) != 0)
		porters_look(porters, guest);
}

/* ---- what a porter is given ------------------------------------------------------------------ */

/* The porter that hangs because of this one, or of another one of its user; NULL: none. */
static const struct porters_former *porters_bar_of(const struct porters *porters,
						   const struct porters_guest *guest)
{
	for (unsigned i = 0; i < porters->former_count; i++) {
		const struct porters_former *former = &porters->former[i];

		if (former->fd >= 0 &&
		    (guest->held_up == former->pid || (guest->user && guest->user == former->user)))
			return former;
	}
	return NULL;
}

/* 0, or a negative errno: it is still to be given. */
static int porters_give_one(struct porters *porters, struct porters_guest *guest, mono_ns now)
{
	const struct porter_message order = {.kind = PORTER_LOOK, .number = guest->number};
	int spare = fcntl(guest->fd, F_DUPFD_CLOEXEC, 0);
	int rc = spare < 0 ? -errno : porter_send(porters->fd, &order, &guest->fd, 1);

	if (rc < 0) {
		fd_closep(&spare);
		return rc;
	}
	if (!porters->given)
		porters->heard_at = now;
	porters_state_set(porters, guest, PORTERS_GIVEN);
	guest->spare = spare;
	return 0;
}

static void porters_give(struct porters *porters, mono_ns now)
{
	struct porters_guest *guest = NULL;
	int rc = 0;

	while (porters->given < PORTERS_GIVEN_MAX && rc == 0 &&
	       (guest = porters_first(porters, PORTERS_READY, guest ? guest->number : 0))) {
		if (porters_bar_of(porters, guest))
			continue;
		if (!porters_have_porter(porters, now))
			return;
		rc = porters_give_one(porters, guest, now);
		/* Its connection is full of others, too deep to be passed on: those behind it are not. */
		if (rc == -ETOOMANYREFS)
			rc = 0;
	}
	if (rc == -EPIPE)
		porters_dismiss(porters, NULL, now);
}

/* ---- who is refused -------------------------------------------------------------------------- */

/* Whatever becomes of that porter, they end with it and not here. False: it has no room. */
static bool porters_drop(int porter, const int *fds, unsigned count)
{
	const struct porter_message order = {.kind = PORTER_DROP};

	return porter_send(porter, &order, fds, count) == 0;
}

/*
 * Those whom this porter bars wait for its end, which is near when it was given up wrongly; but not in
 * more than half of the places. Few messages find room with the porter, so they go there together.
 */
static void porters_refuse(struct porters *porters, const struct porters_former *former)
{
	struct porters_guest *laden[PORTER_DROP_MAX], *guest = NULL;
	int fds[PORTER_DROP_MAX];
	unsigned count = 0;

	while (count < PORTER_DROP_MAX &&
	       (guest = porters_first(porters, PORTERS_READY, guest ? guest->number : 0)))
		if (porters_bar_of(porters, guest) == former) {
			fds[count] = guest->fd;
			laden[count++] = guest;
		}
	if (count < PORTERS_GUESTS / 2 || !porters_drop(former->fd, fds, count))
		return;
	while (count)
		close(porters_leave(porters, laden[--count]));
}

static void porters_refuse_all(struct porters *porters)
{
	for (unsigned i = 0; i < porters->former_count; i++)
		if (porters->former[i].fd >= 0)
			porters_refuse(porters, &porters->former[i]);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void porters_judge(struct porters *porters, mono_ns now)
{
	if (porters->fd < 0)
		return;
	if (porters->given && now - porters->heard_at > PORTERS_PATIENCE)
		porters_dismiss(porters, porters_first(porters, PORTERS_GIVEN, 0), now);
	else if (!porters->given && now - porters->heard_at > PORTERS_IDLE)
		porters_dismiss(porters, NULL, now);
}

/* The guests that have just said something. */
static void porters_wait(struct porters *porters)
{
	struct epoll_event events[PORTERS_EVENTS];
	int count = epoll_wait(porters->epoll, events, PORTERS_EVENTS, 0);

	for (int i = 0; i < count; i++) {
		uint32_t at = events[i].data.u32;

		if (at <= PORTERS_GUESTS && porters->guests[at].state == PORTERS_SILENT)
			porters_look(porters, &porters->guests[at]);
	}
}

void porters_step(struct porters *porters, mono_ns now)
{
	/* First what it said: whoever was stopped for a while does not know how long that lies back. */
	porters_hear(porters, now);
	porters_reap(porters);
	porters_wait(porters);
	porters_judge(porters, now);
	porters_refuse_all(porters);
	porters_give(porters, now);
}

static dur_ns porters_left(mono_ns end, mono_ns now)
{
	return end > now ? end - now : 0;
}

dur_ns porters_pause(const struct porters *porters, mono_ns now)
{
	dur_ns next = UINT64_MAX;

	if (porters->fd >= 0)
		next = porters_left(porters->heard_at +
					    (porters->given ? PORTERS_PATIENCE : PORTERS_IDLE),
				    now);
	/* Some wait for a porter, or for descriptors, or for one that hangs. */
	if (porters->count > porters->silent + porters->given && next > PORTERS_AGAIN)
		next = PORTERS_AGAIN;
	for (unsigned i = 0; i < porters->former_count; i++) {
		bool soon = now - porters->former[i].since < 2 * PORTERS_GRACE;
		dur_ns look = soon ? PORTERS_LOOK_SOON : PORTERS_AGAIN;

		next = look < next ? look : next;
	}
	return next;
}

/* ---- answers --------------------------------------------------------------------------------- */

int porters_fd(const struct porters *porters)
{
	return porters->epoll;
}

bool porters_busy(const struct porters *porters)
{
	if (porters->given)
		return true;
	for (unsigned i = 0; i < ARRAY_LEN(porters->guests); i++)
		if (porters->guests[i].state == PORTERS_READY &&
		    !porters_bar_of(porters, &porters->guests[i]))
			return true;
	return false;
}

struct porters_bar porters_barred(const struct porters *porters, mono_ns now)
{
	struct porters_bar bar = {0};
	mono_ns newest = 0;

	for (unsigned i = 0; i < porters->former_count; i++) {
		const struct porters_former *former = &porters->former[i];

		if (former->fd < 0 || now - former->since < PORTERS_GRACE)
			continue;
		bar.count++;
		if (former->since >= newest) {
			newest = former->since;
			bar.user = former->user;
			bar.pid = former->guest;
		}
	}
	return bar;
}

const char *porters_problem(const struct porters *porters)
{
	return porters->problem;
}

/* ---- life ------------------------------------------------------------------------------------ */

int porters_open(const struct porters_options *options, struct porters **porters)
{
	struct porters *new = calloc(1, sizeof(*new));

	if (!new)
		return -ENOMEM;
	new->options = *options;
	new->fd = -1;
	new->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned i = 0; i < ARRAY_LEN(new->guests); i++)
		new->guests[i].fd = new->guests[i].memfd = new->guests[i].spare = -1;
	if (new->epoll < 0) {
		int rc = -errno;

		free(new);
		return rc;
	}
	*porters = new;
	return 0;
}

/* What none can be found for ends with this process, and may hold that up. */
static void porters_drop_somewhere(struct porters *porters, const int *fds, unsigned count)
{
	porters->next_at = 0;
	if (!count ||
	    (porters_have_porter(porters, clock_mono()) && porters_drop(porters->fd, fds, count)))
		return;
	for (unsigned i = 0; i < porters->former_count; i++)
		if (porters->former[i].fd >= 0 && porters_drop(porters->former[i].fd, fds, count))
			return;
}

static bool porters_waited_for(int listener)
{
	struct pollfd waiting = {.fd = listener, .events = POLLIN};

	return poll(&waiting, 1, 0) == 1;
}

void porters_drop_listener(struct porters *porters, int listener)
{
	if (porters_waited_for(listener))
		porters_drop_somewhere(porters, &listener, 1);
	close(listener);
}

void porters_close(struct porters *porters, int listener)
{
	int fds[PORTERS_GUESTS + 2];
	unsigned count = 0;

	if (!porters)
		return;
	if (listener >= 0 && porters_waited_for(listener))
		fds[count++] = listener;
	for (unsigned i = 0; i < ARRAY_LEN(porters->guests); i++) {
		struct porters_guest *guest = &porters->guests[i];

		/* What was given is with the porter as well, or empty by now. */
		bool given = guest->state == PORTERS_GIVEN;
		if (guest->state == PORTERS_FREE)
			continue;
		int fd = porters_leave(porters, guest);
		if (given || porter_empty(fd, false))
			close(fd);
		else
			fds[count++] = fd;
	}
	for (unsigned at = 0; at < count; at += PORTER_DROP_MAX)
		porters_drop_somewhere(porters, fds + at,
				       count - at < PORTER_DROP_MAX ? count - at : PORTER_DROP_MAX);
	for (unsigned i = 0; i < count; i++)
		if (fds[i] != listener)
			close(fds[i]);
	fd_closep(&porters->fd);
	for (unsigned i = 0; i < porters->former_count; i++)
		fd_closep(&porters->former[i].fd);
	fd_closep(&porters->epoll);
	free(porters);
}
