/* SPDX-License-Identifier: Apache-2.0 */
#include "keep/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vow/shm.h>

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/testpoint.h"
#include "lib/data/keep_wire.h"

#define KEEPER_PATIENCE	   NS_PER_H /* until an agent says otherwise */
#define KEEPER_WEIGH_EVERY (60 * NS_PER_S) /* while no agent does it */
#define KEEPER_DEAF_FOR	   NS_PER_S
#define KEEPER_END_WITHIN  (2 * NS_PER_S) /* a porter takes some milliseconds; 2 s where it hangs */
#define KEEPER_BACKLOG	   64 /* of agents; more than the places of those who said nothing yet */

/* ---- connections ----------------------------------------------------------------------------- */

static void keeper_callers_add(struct keeper_callers *callers, int fd)
{
	unsigned at = 0;

	while (at < KEEPER_CALLERS && callers->fds[at] >= 0)
		at++;
	if (at == KEEPER_CALLERS) {
		at = callers->oldest++ % KEEPER_CALLERS;
		fd_closep(&callers->fds[at]);
	}
	callers->fds[at] = fd;
}

/*
 * The next connection of a listener; -1: none. Only with room for what comes over it: a connection that
 * waits is not lost, a descriptor that finds no room is.
 */
static int keeper_accept(struct keeper *keeper, int listener)
{
	_cleanup_(fd_closep) int room = fcntl(listener, F_DUPFD_CLOEXEC, 0);
	int fd = room < 0 ? -1 : accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	/* Out of descriptors, say: who waits would keep the listener ready. */
	if (fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		keeper->deaf = true;
	return fd;
}

/* ---- the end --------------------------------------------------------------------------------- */

static bool keeper_file_is(const char *path, uint64_t inode)
{
	struct stat st;

	return lstat(path, &st) == 0 && st.st_ino == inode;
}

/*
 * A file that the next agent reads and removes. It says what was lost with it: the segments of those
 * who still run are found again without a keeper.
 */
static void keeper_tell_loss(const struct keeper *keeper)
{
	struct held_sum sum = held_sum(&keeper->held);
	uint32_t refused = keeper->held.refused - keeper->refused_told;

	if (!sum.ended && !refused)
		return;
	_cleanup_(fd_closep) int fd = open(
		keeper->told_path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0)
		dprintf(fd, "%u of %u ended, %llu bytes, %u refused\n", sum.ended, sum.segments,
			(unsigned long long)sum.bytes, refused);
}

static void keeper_remove_files(const struct keeper *keeper)
{
	if (keeper_file_is(keeper->door_path, keeper->door_inode))
		unlink(keeper->door_path);
	if (keeper->agent < 0 && keeper_file_is(keeper->intake_path, keeper->intake_inode))
		unlink(keeper->intake_path);
}

/* With an agent nothing is lost: it has all that is held here, or hears of it before the end. */
static void keeper_leave(struct keeper *keeper)
{
	if (keeper->agent < 0)
		keeper_tell_loss(keeper);
	keeper_remove_files(keeper);
	keeper->ended = true;
}

void keeper_end(struct keeper *keeper)
{
	if (!keeper->end_at)
		keeper->end_at = clock_mono() + KEEPER_END_WITHIN;
}

/*
 * Nobody can come through a door without a file. When the whole folder was removed nobody is to be
 * told, and a file made now would keep it from being removed; another keeper's file in its place
 * means that an agent gave this one up.
 */
static void keeper_door_changed(struct keeper *keeper)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	struct stat st;

	while (read(keeper->watch, events, sizeof(events)) > 0)
		;
	if (keeper_file_is(keeper->door_path, keeper->door_inode))
		return;
	if (lstat(keeper->door_path, &st) == 0 && keeper->agent < 0)
		keeper_tell_loss(keeper);
	keeper->ended = true;
}

/* ---- from applications ----------------------------------------------------------------------- */

/* As porters_options.came. */
static void keeper_segment_came(void *arg, int memfd, int connection)
{
	const struct held held = {.memfd = memfd, .connection = connection};
	struct keeper *keeper = arg;

	TESTPOINT(keeper_hello_received);
	held_add(&keeper->held, &held, keeper->agent >= 0);
}

/* As porters_options.strange: the agent says it of whom, and alone the number stands for it. */
static void keeper_strange_came(void *arg, pid_t pid)
{
	struct keeper *keeper = arg;

	keeper->held.refused++;
	keeper->strange += keeper->agent >= 0;
	keeper->strange_pid = pid;
}

static void keeper_intake_ready(struct keeper *keeper)
{
	int fd;

	for (unsigned i = 0; i < KEEPER_AT_ONCE && porters_have_room(keeper->guests); i++) {
		if ((fd = keeper_accept(keeper, keeper->intake)) < 0)
			return;
		porters_take(keeper->guests, fd);
	}
}

static void keeper_door_ready(struct keeper *keeper)
{
	int fd = keeper_accept(keeper, keeper->door);

	if (fd < 0)
		return;
	if (keep_peer_is_own(fd, NULL))
		keeper_callers_add(&keeper->callers, fd);
	else
		close(fd);
}

/* They may be the last ones: then it ends. */
static void keeper_hear_guests(struct keeper *keeper)
{
	mono_ns now = clock_mono();

	porters_step(keeper->guests, now);
	if (keeper->end_at && (now >= keeper->end_at || !porters_busy(keeper->guests)))
		keeper_leave(keeper);
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* Milliseconds for poll(2); -1: none. */
static int keeper_pause(const struct keeper *keeper)
{
	mono_ns now = clock_mono();
	dur_ns next = porters_pause(keeper->guests, now);

	if (keeper->deaf && next > KEEPER_DEAF_FOR)
		next = KEEPER_DEAF_FOR;
	if (keeper->end_at && next > KEEPER_DEAF_FOR)
		next = KEEPER_DEAF_FOR;
	if (keeper->agent < 0 && !keeper->end_at) {
		mono_ns end = keeper->alone_since + keeper->patience;
		dur_ns left = end > now ? end - now : 0;

		if (left > KEEPER_WEIGH_EVERY)
			left = KEEPER_WEIGH_EVERY;
		next = left < next ? left : next;
	}
	return next == UINT64_MAX ? -1 : (int)(next / NS_PER_MS + 1);
}

static void keeper_alone(struct keeper *keeper)
{
	mono_ns now = clock_mono();

	if (now - keeper->weighed_at >= KEEPER_WEIGH_EVERY) {
		held_weigh(&keeper->held);
		keeper->weighed_at = now;
		/* A file system that was taken away, with the folder in it, changes no file. */
		keeper_door_changed(keeper);
		if (keeper->ended)
			return;
	}
	if (now - keeper->alone_since >= keeper->patience)
		keeper_end(keeper);
}

/*
 * Those of an agent that cannot be told of them wait in the socket. So do all while no porter can be
 * started: the agent sees them wait, takes them itself, and says why if it cannot either.
 */
static bool keeper_hears_applications(const struct keeper *keeper)
{
	return keeper->intake >= 0 && !keeper->deaf && !keeper->end_at &&
	       !porters_problem(keeper->guests)[0] && keeper->held.passing < HELD_PASSING &&
	       porters_have_room(keeper->guests);
}

enum { POLL_DOOR, POLL_WATCH, POLL_SIGNALS, POLL_AGENT, POLL_INTAKE, POLL_GUESTS, POLL_CALLERS };

/* What is polled: first those above, then callers; the kernel takes no more than are open. */
struct keeper_polled {
	struct pollfd all[POLL_CALLERS + KEEPER_CALLERS];
	int *whose[POLL_CALLERS + KEEPER_CALLERS]; /* of callers: their place */
	unsigned count;
};

/*
 * What an agent said comes first: it is to count before its end, or that of the keeper, is seen. Who
 * waits is looked at before others may take a place.
 */
static void keeper_turn(struct keeper *keeper, const struct keeper_polled *polled)
{
	const struct pollfd *all = polled->all;

	if (all[POLL_AGENT].revents & ~POLLOUT)
		keeper_agent_ready(keeper);
	for (unsigned i = POLL_CALLERS; i < polled->count; i++)
		if (all[i].revents)
			keeper_caller_ready(keeper, polled->whose[i]);
	if (all[POLL_INTAKE].revents)
		keeper_intake_ready(keeper);
	if (all[POLL_DOOR].revents)
		keeper_door_ready(keeper);
	if (all[POLL_SIGNALS].revents && !keeper->ended)
		keeper_end(keeper);
	if (all[POLL_WATCH].revents && !keeper->ended)
		keeper_door_changed(keeper);
}

static int keeper_poll(struct keeper *keeper, struct keeper_polled *polled, bool more)
{
	struct pollfd *all = polled->all;
	int intake = keeper_hears_applications(keeper) ? keeper->intake : -1;

	all[POLL_DOOR] = (struct pollfd){keeper->deaf ? -1 : keeper->door, POLLIN, 0};
	all[POLL_WATCH] = (struct pollfd){keeper->watch, POLLIN, 0};
	all[POLL_SIGNALS] = (struct pollfd){keeper->signals, POLLIN, 0};
	all[POLL_AGENT] =
		(struct pollfd){keeper->agent, (short)(more ? POLLIN | POLLOUT : POLLIN), 0};
	all[POLL_INTAKE] = (struct pollfd){intake, POLLIN, 0};
	all[POLL_GUESTS] = (struct pollfd){porters_fd(keeper->guests), POLLIN, 0};
	polled->count = POLL_CALLERS;
	for (unsigned i = 0; i < KEEPER_CALLERS; i++) {
		int *caller = &keeper->callers.fds[i];

		if (*caller < 0)
			continue;
		polled->whose[polled->count] = caller;
		all[polled->count++] = (struct pollfd){*caller, POLLIN, 0};
	}
	return poll(all, polled->count, keeper_pause(keeper));
}

void keeper_run(struct keeper *keeper)
{
	struct keeper_polled polled;

	while (!keeper->ended) {
		bool more = keeper_say_all(keeper);
		int ready = keeper_poll(keeper, &polled, more);

		keeper->deaf = false;
		if (ready > 0)
			keeper_turn(keeper, &polled);
		else if (ready < 0 && errno != EINTR) /* the kernel lacks memory, say */
			poll(NULL, 0, KEEPER_DEAF_FOR / NS_PER_MS);
		if (!keeper->ended)
			keeper_hear_guests(keeper);
		if (keeper->agent < 0 && !keeper->ended)
			keeper_alone(keeper);
	}
	/* An agent may not have heard of what came with the word to end, or did not fit before. */
	keeper_say_all(keeper);
	porters_close(keeper->guests, keeper->agent < 0 ? keeper->intake : -1);
}

/* ---- the beginning --------------------------------------------------------------------------- */

static int keeper_path(char path[KEEPER_PATH_MAX], const char *dir, const char *name)
{
	int length = snprintf(path, KEEPER_PATH_MAX, "%s/%s", dir, name);

	return length < 0 || length >= KEEPER_PATH_MAX ? -ENAMETOOLONG : 0;
}

static int keeper_catch_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return -errno;
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

int keeper_init(struct keeper *keeper, const char *dir, int door)
{
	const struct porters_options guests = {
		.came = keeper_segment_came, .strange = keeper_strange_came, .arg = keeper};
	struct stat st;

	keeper->door = door;
	keeper->agent = keeper->intake = keeper->watch = -1;
	keeper->patience = KEEPER_PATIENCE;
	keeper->alone_since = keeper->weighed_at = clock_mono();
	for (unsigned i = 0; i < KEEPER_CALLERS; i++)
		keeper->callers.fds[i] = -1;
	int rc = porters_open(&guests, &keeper->guests);
	if (rc == 0)
		rc = keeper_path(keeper->door_path, dir, KEEP_SOCKET);
	if (rc == 0)
		rc = keeper_path(keeper->told_path, dir, KEEP_TOLD);
	if (rc == 0)
		rc = keeper_path(keeper->intake_path, dir, VOW_SHM_INTAKE);
	if (rc < 0)
		return rc;
	keeper->signals = keeper_catch_signals();
	if (keeper->signals < 0)
		return keeper->signals;
	/* Whoever connects from now on sees this process, not the agent that made the socket. */
	if (fcntl(door, F_SETFL, O_NONBLOCK) != 0 || listen(door, KEEPER_BACKLOG) != 0)
		return -errno;
	keeper->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	/* A removed file loses its link, which is a change of its attributes, while we have it open. */
	if (keeper->watch < 0 ||
	    inotify_add_watch(keeper->watch, keeper->door_path,
			      IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_DONT_FOLLOW) < 0 ||
	    lstat(keeper->door_path, &st) != 0)
		return -errno;
	keeper->door_inode = st.st_ino;
	return 0;
}
