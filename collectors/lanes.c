/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collector of what applications observe through libvow.
 *
 * A segment is read from the moment it is found until its owner is gone and nothing is left in it.
 * Taken is not given back: heads of lanes and `taken` words of overflow blocks move only in
 * commit(), after the journal has the record, so that lanes fill in between and spill. If the agent
 * dies after the journal and before commit(), the next one finds in the last record what to give
 * back before it reads (struct lanes_redo).
 *
 * The bytes in the journal: a version, then for each segment its id, its inode, the size of what
 * follows, and lane_segment_describe().
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "collectors/collector.h"
#include "collectors/discovery.h"
#include "collectors/lane_gauges.h"
#include "collectors/lane_quota.h"
#include "collectors/lane_segment.h"
#include "collectors/process_list.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"

#define LANES_VERSION  1
#define LANES_HEAD     (8 + 8 + 4) /* bytes of a section before its description */
#define LANES_APPS_MAX 960u /* applications at a time; further ones are refused */
/*
 * Of these, by one user. It bounds what a user can make the agent map (371 MiB of address space
 * each, nearly all of it holes that belong to the user) and look through, and leaves places for
 * the others. A user is who made the memfd, which a process cannot choose.
 */
#define LANES_USER_MAX 512u
/*
 * Looking at a lane takes some 0.3 us. Nothing that is found before the commit is of use earlier,
 * so with many lanes the looks become rarer: some 3 % of a core at most.
 */
#define LANES_LOOK_EVERY   10000 /* ns for each lane */
#define LANES_ROUND_EVERY  (100 * NS_PER_MS)
#define LANES_ROUND_BLOCKS 64 /* overflow blocks looked at in one poll; about 5 us each */
#define LANES_EVENTS	   (128u << 10) /* records taken in one poll; about 6 ns each */
/* A round over exemplars begins at most so often; what one poll takes of it is some 0.3 ms. */
#define LANES_EXEMPLARS_EVERY (100 * NS_PER_MS)
#define LANES_EXEMPLARS	      (VOW_SHM_LANES * VOW_SHM_EXEMPLARS)

/* What all sections of a record may take; rounds over overflow blocks stop before it. */
#define LANES_LOCAL_MAX (COLLECTOR_LOCAL_MAX / 4)
#define LANES_ROUND_ROOM \
	(LANES_LOCAL_MAX - 1 - LANES_APPS_MAX * (LANES_HEAD + LANE_SEGMENT_LANES_MAX + 1))
_Static_assert(LANES_ROUND_ROOM > 4 * OVERFLOW_TAKE_MAX, "room for overflow in each tick");

/* An application and its segment. */
struct lanes_app {
	struct lanes *lanes;
	struct lane_segment segment;
	pid_t pid; /* 0: not visible from here */
	uid_t user; /* who made the segment */
	int connection, pidfd; /* -1: none */
	struct loop_fd *connection_watch, *pidfd_watch;
	uint64_t bytes; /* of memory, as of the last look */
	uint64_t lost_told; /* of what it says it lost: in the tally since it was let go before */
	bool ended; /* the owner is gone */
	bool let_go; /* takes too much memory: read no more, whatever is in it */
};

/* A section of the journal whose segment was not found yet. */
struct lanes_redo {
	uint64_t id, inode;
	uint8_t *bytes;
	size_t size;
};

/* A segment that was let go, and what it had lost by then: it may be taken again. */
struct lanes_left {
	uint64_t id, lost;
};

struct lanes {
	struct collector_context context;
	struct discovery *discovery;
	struct lane_gauges *gauges;
	struct lane_segment_work *work;
	struct lanes_app *apps[LANES_APPS_MAX];
	unsigned app_count;
	unsigned turn; /* who comes first in the next drain */
	unsigned overflow_turn; /* and in the next look at overflow blocks */
	unsigned
		exemplar_left; /* applications that this round over exemplars has still to look at */
	struct lanes_redo *redo;
	unsigned redo_count;
	struct lanes_left left[LANES_APPS_MAX]; /* the newest; id 0: none */
	unsigned left_next; /* the oldest of them */
	unsigned scans; /* scans of /proc that were taken note of */
	mono_ns round_at, gauges_at, drained_at, exemplars_at;
	dur_ns drain_every;
	struct lane_tally tally;
	uint64_t refused_total;
	char refused[200]; /* why the last one was */
};

/* ---- journal sections that wait for their segment ---------------------------------------------- */

static void lanes_redo_drop(struct lanes *lanes, unsigned i)
{
	free(lanes->redo[i].bytes);
	lanes->redo[i] = lanes->redo[--lanes->redo_count];
}

static int lanes_redo_find(const struct lanes *lanes, uint64_t id, uint64_t inode)
{
	for (unsigned i = 0; i < lanes->redo_count; i++)
		if (lanes->redo[i].id == id && lanes->redo[i].inode == inode)
			return (int)i;
	return -1;
}

/* Keeps a section; a later one of the same segment stands for the earlier. */
static int lanes_redo_keep(struct lanes *lanes, uint64_t id, uint64_t inode, const uint8_t *bytes,
			   size_t size)
{
	int known = lanes_redo_find(lanes, id, inode);
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, bytes, size);
	if (known >= 0) {
		free(lanes->redo[known].bytes);
	} else {
		void *grown = realloc(lanes->redo, (lanes->redo_count + 1) * sizeof(*lanes->redo));

		if (!grown) {
			free(copy);
			return -ENOMEM;
		}
		lanes->redo = grown;
		known = (int)lanes->redo_count++;
	}
	lanes->redo[known] = (struct lanes_redo){id, inode, copy, size};
	return 0;
}

static int lanes_restore(void *state, const uint8_t *local, size_t size)
{
	struct lanes *lanes = state;
	const uint8_t *end = local + size;
	int rc = 0;

	if (size < 1 || *local++ != LANES_VERSION)
		return -EPROTO;
	while (rc == 0 && local < end) {
		uint64_t id, inode;
		uint32_t length;

		if (end - local < LANES_HEAD)
			return -EPROTO;
		memcpy(&id, local, 8);
		memcpy(&inode, local + 8, 8);
		memcpy(&length, local + 16, 4);
		local += LANES_HEAD;
		if ((size_t)(end - local) < length)
			return -EPROTO;
		rc = lanes_redo_keep(lanes, id, inode, local, length);
		local += length;
	}
	return rc;
}

/* ---- applications come and go ------------------------------------------------------------------ */

static void lanes_refuse(struct lanes *lanes, pid_t pid, const struct diag *d)
{
	char text[sizeof(lanes->refused)];

	lanes->refused_total++;
	diag_format(d, text, sizeof(text));
	snprintf(lanes->refused, sizeof(lanes->refused), "process %d: %.170s", pid, text);
}

/* What it lost that is not in the tally. A claim: one that runs back is none. */
static uint64_t lanes_app_lost(const struct lanes_app *app)
{
	uint64_t lost = segment_counters(&app->segment.segment).lost;

	return lost > app->lost_told ? lost - app->lost_told : 0;
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

static void lanes_app_end(struct lanes_app *app)
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

/* Its last round is a thorough one: everything that is still in the segment is taken. */
static void lanes_app_gone(struct lanes_app *app)
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
 * The owner's end is closed, or it sends what nobody asked for. It may have closed all its
 * descriptors and go on: then the mapping is still there, and the pidfd tells the end.
 */
static void lanes_on_hangup(void *arg, int fd, unsigned ready)
{
	struct lanes_app *app = arg;

	(void)fd, (void)ready;
	loop_fd_unwatch(app->connection_watch);
	app->connection_watch = NULL;
	fd_closep(&app->connection);
	if (app->pid == 0 ||
	    !discovery_mapped(app->lanes->discovery, app->pid, app->segment.segment.inode))
		lanes_app_gone(app);
}

static void lanes_connect(struct lanes_app *app, int connection)
{
	app->connection = connection;
	app->connection_watch = loop_fd_watch(app->lanes->context.loop, connection,
					      LOOP_READ | LOOP_HANGUP, lanes_on_hangup, app);
	if (!app->connection_watch)
		fd_closep(&app->connection);
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

static struct lanes_app *lanes_find(struct lanes *lanes, uint64_t inode)
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
	if (of_user >= LANES_USER_MAX)
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
	if (connection >= 0)
		lanes_connect(app, connection);
	return 0;
}

static void lanes_on_found(void *arg, int memfd, int connection, pid_t pid, pid_t inner_pid)
{
	struct lanes *lanes = arg;
	struct segment segment = {0};
	struct stat st;
	struct diag d = {0};

	if (fstat(memfd, &st) != 0) {
		fd_closep(&connection);
		return;
	}
	struct lanes_app *known = lanes_find(lanes, st.st_ino);
	if (known) {
		if (connection >= 0 && known->connection < 0 && !known->ended)
			lanes_connect(known, connection);
		else
			fd_closep(&connection);
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
static void lanes_weigh(struct lanes *lanes)
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

/* After each scan of /proc: who has neither a connection nor the mapping is gone. */
static void lanes_scanned(struct lanes *lanes)
{
	lanes->scans = discovery_scans(lanes->discovery);
	while (lanes->redo_count)
		lanes_redo_drop(lanes, lanes->redo_count - 1);
	for (unsigned i = 0; i < lanes->app_count; i++) {
		struct lanes_app *app = lanes->apps[i];

		if (app->connection < 0 && app->pid &&
		    !discovery_mapped(lanes->discovery, app->pid, app->segment.segment.inode))
			lanes_app_gone(app);
	}
}

/* ---- polling ----------------------------------------------------------------------------------- */

static uint64_t lanes_drain(struct lanes *lanes, mono_ns now)
{
	uint64_t taken = 0;
	unsigned i, looked = 0;

	if (now - lanes->drained_at < lanes->drain_every)
		return 0;
	for (i = 0; i < lanes->app_count && taken < LANES_EVENTS; i++) {
		struct lanes_app *app = lanes->apps[(lanes->turn + i) % lanes->app_count];

		if (app->let_go) {
			app->segment.drained = true;
			continue;
		}
		uint64_t more = lane_segment_drain(&app->segment, &lanes->tally);
		looked += lane_segment_lanes(&app->segment);

		app->segment.drained =
			app->ended && more == 0 && lane_segment_round_done(&app->segment);
		taken += more;
	}
	if (lanes->app_count)
		lanes->turn = (lanes->turn + i) % lanes->app_count;
	lanes->drained_at = now;
	lanes->drain_every = (dur_ns)looked * LANES_LOOK_EVERY;
	return taken;
}

/* A lane has room for 1024 records at first: for a thread that begins with 25,000 a second. */
static dur_ns lanes_patience(const void *state)
{
	(void)state;
	return 40 * NS_PER_MS;
}

static bool lanes_hurry(const void *state)
{
	const struct lanes *lanes = state;

	for (unsigned i = 0; i < lanes->app_count; i++)
		if (lanes->apps[i]->segment.hurry)
			return true;
	return false;
}

static size_t lanes_pending(const struct lanes *lanes)
{
	size_t pending = 0;

	for (unsigned i = 0; i < lanes->app_count; i++)
		pending += lanes->apps[i]->segment.overflow.pending_bytes;
	return pending;
}

/* One after the other, so that no application keeps others from their share of a poll or a record. */
static void lanes_overflow(struct lanes *lanes, mono_ns now)
{
	unsigned blocks = LANES_ROUND_BLOCKS, first = lanes->overflow_turn;
	bool begin = now - lanes->round_at >= LANES_ROUND_EVERY;
	size_t pending = lanes_pending(lanes);

	if (begin) {
		lanes->round_at = now;
		lanes_weigh(lanes);
	}
	for (unsigned i = 0; i < lanes->app_count; i++) {
		unsigned at = (first + i) % lanes->app_count;
		struct lane_segment *segment = &lanes->apps[at]->segment;
		size_t own = segment->overflow.pending_bytes;

		if (lanes->apps[at]->let_go)
			continue;
		/* New blocks at once: the application judges by thresholds that it is told there. */
		if ((begin || lane_segment_new_blocks(segment)) &&
		    lane_segment_round_done(segment) && !segment->thorough)
			lane_segment_round_begin(segment);
		/* What the others do not need. */
		size_t room = LANES_ROUND_ROOM - (pending - own);
		unsigned looked =
			lane_segment_round(segment, blocks, room, lanes->work, &lanes->tally);
		if (looked) /* the next poll begins behind the last that had its share */
			lanes->overflow_turn = at + 1;
		blocks -= looked;
		pending += segment->overflow.pending_bytes - own;
	}
}

static unsigned lanes_app_exemplars(struct lanes_app *app, wall_ns now)
{
	if (app->let_go)
		return 0;
	return lane_segment_exemplars(&app->segment, app->lanes->context.exemplars, now);
}

static void lanes_exemplars(struct lanes *lanes, mono_ns now)
{
	dur_ns every = lanes->drain_every > LANES_EXEMPLARS_EVERY ? lanes->drain_every
								  : LANES_EXEMPLARS_EVERY;
	wall_ns wall = clock_wall();
	unsigned taken = 0;

	if (!lanes->exemplar_left && now - lanes->exemplars_at >= every) {
		lanes->exemplar_left = lanes->app_count;
		lanes->exemplars_at = now;
	}
	/* Applications that are gone gave theirs at their end. */
	if (lanes->exemplar_left > lanes->app_count)
		lanes->exemplar_left = lanes->app_count;
	while (lanes->exemplar_left && taken < LANES_EXEMPLARS)
		taken += lanes_app_exemplars(lanes->apps[--lanes->exemplar_left], wall);
}

static void lanes_values(struct lanes *lanes, mono_ns now)
{
	if (now - lanes->gauges_at < NS_PER_S && lanes->gauges_at)
		return;
	lanes->gauges_at = now;
	for (unsigned i = 0; i < lanes->app_count; i++) {
		const struct lanes_app *app = lanes->apps[i];

		if (app->ended)
			continue;
		lane_gauges_add(lanes->gauges, &app->segment.segment);
		process_list_add(lanes->context.processes, app->pid, app->segment.segment.service,
				 now);
	}
	lane_gauges_publish(lanes->gauges, lanes->context.gauges, now);
}

static uint64_t lanes_poll(void *state, mono_ns now)
{
	struct lanes *lanes = state;
	uint64_t before = lanes->tally.events;

	discovery_step(lanes->discovery, now);
	if (discovery_scans(lanes->discovery) != lanes->scans)
		lanes_scanned(lanes);
	lanes_overflow(lanes, now);
	lanes_drain(lanes, now);
	lanes_exemplars(lanes, now);
	lanes_values(lanes, now);
	return lanes->tally.events - before;
}

/* ---- the two steps ----------------------------------------------------------------------------- */

static uint8_t *lanes_section(uint8_t *p, uint64_t id, uint64_t inode, uint32_t size)
{
	memcpy(p, &id, 8);
	memcpy(p + 8, &inode, 8);
	memcpy(p + 16, &size, 4);
	return p + LANES_HEAD;
}

static uint8_t *lanes_describe_apps(const struct lanes *lanes, uint8_t *p, const uint8_t *end)
{
	for (unsigned i = 0; i < lanes->app_count && p; i++) {
		const struct lane_segment *segment = &lanes->apps[i]->segment;

		if (!lane_segment_changed(segment))
			continue;
		if (end - p < LANES_HEAD)
			return NULL;
		uint8_t *body = p + LANES_HEAD;
		uint8_t *after = lane_segment_describe(segment, body, end);
		if (after)
			lanes_section(p, segment->segment.id, segment->segment.inode,
				      (uint32_t)(after - body));
		p = after;
	}
	return p;
}

static size_t lanes_prepare(void *state, uint8_t *local, size_t cap)
{
	struct lanes *lanes = state;

	if (cap < LANES_LOCAL_MAX)
		return 0;
	local[0] = LANES_VERSION;
	const uint8_t *end = lanes_describe_apps(lanes, local + 1, local + cap);
	return end && end > local + 1 ? (size_t)(end - local) : 0;
}

/*
 * The segments hold their own state, so all that an earlier record could still be needed for is
 * what waits for a segment not found yet.
 */
static size_t lanes_checkpoint(void *state, uint8_t *local, size_t cap)
{
	struct lanes *lanes = state;
	size_t size = lanes_prepare(state, local, cap);

	if (size == 0)
		local[size++] = LANES_VERSION;
	for (unsigned i = 0; i < lanes->redo_count; i++) {
		const struct lanes_redo *redo = &lanes->redo[i];

		if (cap - size < LANES_HEAD + redo->size)
			break;
		memcpy(lanes_section(local + size, redo->id, redo->inode, (uint32_t)redo->size),
		       redo->bytes, redo->size);
		size += LANES_HEAD + redo->size;
	}
	return size > 1 ? size : 0;
}

static void lanes_commit(void *state)
{
	struct lanes *lanes = state;

	for (unsigned i = 0; i < lanes->app_count;) {
		struct lanes_app *app = lanes->apps[i];

		/* Also of one that was let go: what was read of it before is given back. */
		lane_segment_commit(&app->segment);
		if (app->segment.drained) {
			lanes->apps[i] = lanes->apps[--lanes->app_count];
			lanes_app_exemplars(app, clock_wall());
			lanes_app_end(app);
		} else {
			i++;
		}
	}
}

/* ---- life -------------------------------------------------------------------------------------- */

static void lanes_close(void *state)
{
	struct lanes *lanes = state;

	if (!lanes)
		return;
	discovery_close(lanes->discovery);
	for (unsigned i = 0; i < lanes->app_count; i++)
		lanes_app_end(lanes->apps[i]);
	while (lanes->redo_count)
		lanes_redo_drop(lanes, lanes->redo_count - 1);
	free(lanes->redo);
	lane_gauges_free(lanes->gauges);
	free(lanes->work);
	free(lanes);
}

static int lanes_open(const struct collector_context *context, void **state, struct diag *d)
{
	struct lanes *lanes = calloc(1, sizeof(*lanes));
	int rc = -ENOMEM;

	if (lanes) {
		lanes->context = *context;
		lanes->gauges = lane_gauges_new();
		lanes->work = calloc(1, sizeof(*lanes->work));
	}
	if (!lanes || !lanes->gauges || !lanes->work)
		diag_errno(d, rc, "lanes", NULL, "cannot begin to read applications");
	else
		rc = discovery_open(context->loop, context->dir, lanes_on_found, lanes,
				    &lanes->discovery, d);
	if (rc < 0) {
		lanes_close(lanes);
		return rc;
	}
	*state = lanes;
	return 0;
}

static void lanes_status_drops(const struct lanes *lanes, struct collector_status *status,
			       uint64_t lost)
{
	status->drops[0] = (struct collector_drop){"no_memory", lanes->tally.no_memory + lost};
	status->drops[1] = (struct collector_drop){"malformed", lanes->tally.malformed};
	status->drop_count = 2;
}

static void lanes_status(const void *state, struct collector_status *status)
{
	const struct lanes *lanes = state;
	unsigned used = 0, quarantined = 0, broken = 0;
	uint64_t lost = 0;

	memset(status, 0, sizeof(*status));
	status->tier = lanes ? "lanes" : "off";
	if (!lanes)
		return;
	for (unsigned i = 0; i < lanes->app_count; i++) {
		const struct lane_segment *segment = &lanes->apps[i]->segment;
		struct vow_shm_counters counters = segment_counters(&segment->segment);

		used += counters.lanes < VOW_SHM_LANES ? counters.lanes : VOW_SHM_LANES;
		lost += lanes_app_lost(lanes->apps[i]);
		quarantined += lane_segment_quarantined(segment);
		broken += segment->overflow.broken;
	}
	status->events_total = lanes->tally.events;
	lanes_status_drops(lanes, status, lost);
	snprintf(status->detail, sizeof(status->detail),
		 "%u application%s with %u lane%s; %.0f %% of the observations by way of overflow",
		 lanes->app_count, lanes->app_count == 1 ? "" : "s", used, used == 1 ? "" : "s",
		 lanes->tally.events
			 ? 100.0 * (double)lanes->tally.spilled / (double)lanes->tally.events
			 : 0.0);
	if (quarantined || broken)
		snprintf(status->problem, sizeof(status->problem),
			 "%u lanes and %u overflow blocks make no sense and are not read",
			 quarantined, broken);
	else if (lanes->refused_total)
		snprintf(status->problem, sizeof(status->problem), "%llu refused, the last: %s",
			 (unsigned long long)lanes->refused_total, lanes->refused);
	else if (lane_gauges_left_out(lanes->gauges))
		snprintf(status->problem, sizeof(status->problem),
			 "%u gauges are left out: all of a host are %u at most; give queues, jobs "
			 "and "
			 "gauges fewer names",
			 lane_gauges_left_out(lanes->gauges), GAUGE_NAMES_MAX);
	else
		snprintf(status->problem, sizeof(status->problem), "%s",
			 discovery_problem(lanes->discovery));
}

const struct collector_ops lanes_collector = {
	.name = "lanes",
	.open = lanes_open,
	.poll = lanes_poll,
	.patience = lanes_patience,
	.hurry = lanes_hurry,
	.prepare = lanes_prepare,
	.checkpoint = lanes_checkpoint,
	.commit = lanes_commit,
	.restore = lanes_restore,
	.status = lanes_status,
	.close = lanes_close,
};
