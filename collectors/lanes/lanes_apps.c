/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Applications and their segments come and go: who is admitted, who is gone, and who takes too much
 * memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "collectors/lanes/lane_quota.h"
#include "collectors/lanes/lanes.h"
#include "lib/base/fd.h"

/* Each is a system call that failed: a million a second for twelve days. */
#define LANES_LOST_MAX (1ULL << 40)

static void lanes_refuse(struct lanes *lanes, pid_t pid, const struct diag *d)
{
	char text[sizeof(lanes->refused)];

	lanes->refused_total++;
	lanes->refused_err = d->err;
	diag_format(d, text, sizeof(text));
	snprintf(lanes->refused, sizeof(lanes->refused), "process %d: %.170s", pid, text);
}

/*
 * What it lost that is not in the tally. A claim: one that runs back is none, nor one that nobody can
 * have lost, which would let the sum of all run over.
 */
uint64_t lanes_app_lost(const struct lanes_app *app)
{
	uint64_t lost = segment_counters(&app->segment.segment).lost;

	return lost > app->lost_told && lost <= LANES_LOST_MAX ? lost - app->lost_told : 0;
}

static void lanes_left_put(struct lanes *lanes, uint64_t id, uint64_t lost)
{
	lanes->left[lanes->left_next] = (struct lanes_left){id, lost};
	lanes->left_next = (lanes->left_next + 1) % LANES_APPS_MAX;
}

static uint64_t lanes_left_take(struct lanes *lanes, uint64_t id)
{
	for (unsigned i = 0; i < LANES_APPS_MAX; i++)
		if (lanes->left[i].id == id) {
			lanes->left[i].id = 0;
			return lanes->left[i].lost;
		}
	return 0;
}

void lanes_app_end(struct lanes_app *app)
{
	uint64_t lost = lanes_app_lost(app);

	loop_fd_unwatch(app->connection_watch);
	loop_fd_unwatch(app->pidfd_watch);
	fd_closep(&app->connection);
	fd_closep(&app->pidfd);
	app->lanes->tally.no_memory += lost;
	if (app->let_go)
		lanes_left_put(app->lanes, app->segment.segment.id, app->lost_told + lost);
	lane_segment_end(&app->segment);
	free(app);
}

void lanes_app_gone(struct lanes_app *app)
{
	if (app->ended)
		return;
	app->ended = true;
	app->segment.thorough = true;
	lane_segment_round_begin(&app->segment);
	loop_fd_unwatch(app->pidfd_watch);
	app->pidfd_watch = NULL;
}

static void lanes_on_exit(void *arg, int fd, unsigned ready)
{
	(void)fd, (void)ready;
	lanes_app_gone(arg);
}

/*
 * The owner's end is closed. It may have closed all its descriptors and go on: then the mapping is
 * still there, and the pidfd tells the end.
 */
static void lanes_on_hangup(void *arg, int fd, unsigned ready)
{
	struct lanes_app *app = arg;

	(void)fd, (void)ready;
	loop_fd_unwatch(app->connection_watch);
	app->connection_watch = NULL;
	fd_closep(&app->connection);
	if (app->pid == 0)
		lanes_app_gone(app);
	else
		lanes_mapped_ask(app);
}

static void lanes_connect(struct lanes_app *app, int connection)
{
	app->connection = connection;
	/*
	 * Our own end receives nothing any more, which counts as something to read and as half an end.
	 * Out of turn a local socket tells of its whole end alone.
	 */
	app->connection_watch = loop_fd_watch(app->lanes->context.loop, connection, LOOP_PRIORITY,
					      lanes_on_hangup, app);
	if (!app->connection_watch)
		fd_closep(&app->connection);
}

/*
 * It was found by itself before, or connects anew when its first connection ended, which may be known
 * here only later.
 */
static void lanes_connect_again(struct lanes_app *app, int connection)
{
	bool wanted = app->connection < 0 || fd_hung_up(app->connection);

	if (connection < 0 || app->ended || !wanted) {
		fd_closep(&connection);
		return;
	}
	loop_fd_unwatch(app->connection_watch);
	fd_closep(&app->connection);
	lanes_connect(app, connection);
}

static void lanes_watch(struct lanes_app *app)
{
	if (app->pid == 0)
		return;
	app->pidfd = (int)syscall(SYS_pidfd_open, app->pid, 0);
	if (app->pidfd >= 0)
		app->pidfd_watch = loop_fd_watch(app->lanes->context.loop, app->pidfd, LOOP_READ,
						 lanes_on_exit, app);
	else if (errno == ESRCH)
		lanes_app_gone(app);
}

struct lanes_app *lanes_find(const struct lanes *lanes, uint64_t inode)
{
	for (unsigned i = 0; i < lanes->app_count; i++)
		if (lanes->apps[i]->segment.segment.inode == inode)
			return lanes->apps[i];
	return NULL;
}

static int lanes_too_large(uint64_t bytes, struct diag *d)
{
	return diag_set(d, -EDQUOT, NULL, "observe fewer names from it",
			"its segment takes %llu MiB, more than the %llu that one may",
			(unsigned long long)bytes >> 20,
			(unsigned long long)LANE_QUOTA_SEGMENT >> 20);
}

static int lanes_user_too_large(uid_t user, struct diag *d)
{
	return diag_set(d, -EDQUOT, NULL, "observe fewer names from its applications",
			"the segments of user %u take more than %llu MiB together", user,
			(unsigned long long)LANE_QUOTA_USER >> 20);
}

/* Is this segment the owner's own, and is there room for it? */
static int lanes_admit(struct lanes *lanes, const struct segment *segment, pid_t inner_pid,
		       uid_t user, struct diag *d)
{
	uint64_t bytes = segment_bytes(segment), bytes_of_user = bytes;
	unsigned of_user = 0;

	if (inner_pid && (uint32_t)inner_pid != segment->pid)
		return diag_set(d, -EPERM, NULL, "each process opens its own",
				"hands over a segment of process %u", segment->pid);
	for (unsigned i = 0; i < lanes->app_count; i++) {
		if (lanes->apps[i]->segment.segment.id == segment->id)
			return diag_set(d, -EEXIST, NULL, "each process opens its own",
					"its segment has the id of another one");
		if (lanes->apps[i]->user != user)
			continue;
		of_user++;
		bytes_of_user += lanes->apps[i]->bytes;
	}
	if (bytes > LANE_QUOTA_SEGMENT)
		return lanes_too_large(bytes, d);
	if (bytes_of_user > LANE_QUOTA_USER)
		return lanes_user_too_large(user, d);
	if (of_user >= LANE_QUOTA_USER_APPS)
		return diag_set(d, -EDQUOT, NULL, "end some of them",
				"user %u has %u applications already, as many as one may have",
				user, of_user);
	if (lanes->app_count == LANES_APPS_MAX)
		return diag_set(d, -ENOSPC, NULL, "end some of them",
				"more than %u applications at a time", LANES_APPS_MAX);
	return 0;
}

static int lanes_app_begin(struct lanes *lanes, struct segment *segment, pid_t pid, uid_t user,
			   int connection)
{
	struct lanes_app *app = calloc(1, sizeof(*app));
	int redo = lanes_redo_find(lanes, segment->id, segment->inode);

	if (!app)
		return -ENOMEM;
	int rc = lane_segment_begin(&app->segment, segment, lanes->context.series,
				    redo >= 0 ? lanes->redo[redo].bytes : NULL,
				    redo >= 0 ? lanes->redo[redo].size : 0);
	if (rc < 0) {
		free(app);
		return rc;
	}
	if (redo >= 0)
		lanes_redo_drop(lanes, (unsigned)redo);
	app->lanes = lanes;
	app->pid = pid;
	app->user = user;
	app->bytes = segment_bytes(&app->segment.segment);
	app->lost_told = lanes_left_take(lanes, app->segment.segment.id);
	app->connection = app->pidfd = -1;
	lanes->apps[lanes->app_count++] = app;
	lanes_watch(app);
	/* Whose end is closed may be gone, and his number another's by now: he is asked first. */
	if (pid && connection >= 0 && fd_hung_up(connection))
		lanes_mapped_ask(app);
	if (connection >= 0)
		lanes_connect(app, connection);
	if (app->connection < 0 && app->pid == 0) /* nothing would tell of its end */
		lanes_app_gone(app);
	return 0;
}

/* It was found before; NULL also when nobody may ask, for behind it may be what never answers. */
static struct lanes_app *lanes_known(const struct lanes *lanes, int memfd, struct stat *st)
{
	if (fcntl(memfd, F_GET_SEALS) < 0 || fstat(memfd, st) != 0)
		return NULL;
	return lanes_find(lanes, st->st_ino);
}

void lanes_on_found(void *arg, int memfd, int connection, pid_t pid, pid_t inner_pid)
{
	struct lanes *lanes = arg;
	struct segment segment = {0};
	struct stat st = {0};
	struct diag d = {0};
	struct lanes_app *known = lanes_known(lanes, memfd, &st);

	if (known) {
		lanes_connect_again(known, connection);
		return;
	}
	int rc = segment_open(memfd, &segment, &d);
	/* A child that was forked holds its parent's descriptor: the parent has it as well. */
	bool inherited =
		rc == 0 && connection < 0 && inner_pid && (uint32_t)inner_pid != segment.pid;
	if (rc == 0 && !inherited)
		rc = lanes_admit(lanes, &segment, inner_pid, st.st_uid, &d);
	if (rc == 0 && !inherited) {
		rc = lanes_app_begin(lanes, &segment, pid, st.st_uid, connection);
		if (rc == 0)
			return;
		diag_errno(&d, rc, NULL, NULL, "cannot read its segment");
	}
	segment_close(&segment);
	fd_closep(&connection);
	if (rc < 0)
		lanes_refuse(lanes, pid, &d);
}

void lanes_on_strange(void *arg, pid_t pid)
{
	struct diag d = {0};

	segment_is_no_memfd(&d);
	lanes_refuse(arg, pid, &d);
}

/* Ends at the next commit, with what was taken until now. */
static void lanes_let_go(struct lanes *lanes, struct lanes_app *app)
{
	struct diag d = {0};

	if (app->bytes > LANE_QUOTA_SEGMENT)
		lanes_too_large(app->bytes, &d);
	else
		lanes_user_too_large(app->user, &d);
	lanes_refuse(lanes, app->pid, &d);
	app->ended = app->let_go = true;
	loop_fd_unwatch(app->pidfd_watch);
	app->pidfd_watch = NULL;
}

/* Holes that were touched are memory, also where it was the agent who looked into them. */
void lanes_weigh(struct lanes *lanes)
{
	struct lane_use uses[LANES_APPS_MAX];
	int excess;

	for (unsigned i = 0; i < lanes->app_count; i++) {
		struct lanes_app *app = lanes->apps[i];

		app->bytes = app->let_go ? 0 : segment_bytes(&app->segment.segment);
		uses[i] = (struct lane_use){app->user, app->bytes};
	}
	while ((excess = lane_quota_excess(uses, lanes->app_count)) >= 0) {
		lanes_let_go(lanes, lanes->apps[excess]);
		uses[excess].bytes = 0;
	}
}

void lanes_scanned(struct lanes *lanes)
{
	lanes->scans = discovery_scans(lanes->discovery);
	/* While a keeper still tells of segments, theirs is needed. */
	while (lanes->redo_count && keeping_settled(lanes->keeping))
		lanes_redo_drop(lanes, lanes->redo_count - 1);
	keeping_read_losses(lanes->keeping);
	for (unsigned i = 0; i < lanes->app_count; i++) {
		struct lanes_app *app = lanes->apps[i];

		if (app->connection < 0 && app->pid && !app->ended)
			lanes_mapped_ask(app);
	}
}
