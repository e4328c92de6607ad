/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What outlives the agent: a keeper holds each segment and the intake socket. It hears applications
 * and tells of them, so that a segment is never held by an agent alone; an agent hears them itself
 * while no keeper does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collectors/lanes/lanes.h"
#include "config/config.h"
#include "lib/base/log.h"
#include "lib/base/testpoint.h"
#include "lib/data/keep_wire.h"

#define LANES_KEEPING_EVERY NS_PER_S
/* Looks, so many in a row, at which connections waited: then the keeper does not take them. */
#define LANES_WAITING_MAX 3u

/* The application was refused only because this process lacks something now. */
static bool lanes_kept_for_later(const struct lanes *lanes, uint64_t refused_before)
{
	int err = lanes->refused_err;

	return lanes->refused_total != refused_before &&
	       (err == -ENOMEM || err == -EMFILE || err == -ENFILE);
}

/*
 * keeping_fn. One that is no segment, or is refused, needs not be held. Over a connection the kernel
 * says whose it is; of one that was found by scanning the pid counts while it is the same process.
 */
static void lanes_on_kept(void *arg, int memfd, int connection, pid_t pid, uint64_t started)
{
	struct lanes *lanes = arg;
	uint64_t refused_before = lanes->refused_total;
	struct stat st;

	if (connection >= 0)
		discovery_introduce(lanes->discovery, memfd, connection);
	else
		lanes_on_found(lanes, memfd, -1, keep_started(pid) == started ? pid : 0, 0);
	if (fcntl(memfd, F_GET_SEALS) >= 0 && fstat(memfd, &st) == 0) {
		struct lanes_app *app = lanes_find(lanes, st.st_ino);

		if (app)
			app->kept = keeping_number(lanes->keeping);
		else if (!lanes_kept_for_later(lanes, refused_before))
			lanes_kept_let_go(lanes, st.st_ino);
	}
	close(memfd);
}

int lanes_kept_open(struct lanes *lanes, struct diag *d)
{
	const struct vow_config *config = lanes->context.config;
	uint64_t inode = 0;
	int rc = 0;

	if (config) {
		const struct keeping_options options = {.loop = lanes->context.loop,
							.dir = lanes->context.dir,
							.patience = config->keep_patience,
							.found = lanes_on_kept,
							.strangers = lanes_on_strangers,
							.arg = lanes};

		rc = keeping_open(&options, &lanes->keeping, d);
	}
	if (rc < 0)
		return rc;
	int listener = keeping_take_listener(lanes->keeping, &inode);
	rc = discovery_listen(lanes->discovery, listener, inode, d);
	if (rc < 0)
		return rc;
	listener = discovery_listener(lanes->discovery, &inode);
	keeping_share_listener(lanes->keeping, listener, inode);
	return 0;
}

/* Each segment that the keeper does not hold yet, as far as there is room. */
static void lanes_kept_hold(struct lanes *lanes, unsigned keeper)
{
	for (unsigned i = 0; i < lanes->app_count; i++) {
		struct lanes_app *app = lanes->apps[i];
		bool gone = app->connection < 0 && app->ended;

		if (app->kept == keeper || app->let_go)
			continue;
		if (!keeping_hold(lanes->keeping, app->segment.segment.memfd, app->connection,
				  gone ? 0 : app->pid, gone ? 0 : keep_started(app->pid)))
			return;
		app->kept = keeper;
	}
}

/*
 * Connections of which the keeper takes none for some seconds: it was stopped, or is out of
 * descriptors. Then they are taken here, until it says something again.
 */
static void lanes_kept_doubt(struct lanes *lanes)
{
	lanes->waiting = discovery_waiting(lanes->discovery) ? lanes->waiting + 1 : 0;
	if (lanes->waiting >= LANES_WAITING_MAX)
		keeping_doubt(lanes->keeping);
}

/* The file of the intake socket may have been removed, by who tidies up: then nobody can come. */
static void lanes_kept_listen(struct lanes *lanes)
{
	struct diag d = {0};
	uint64_t inode;
	int rc = discovery_listen_anew(lanes->discovery, &d);

	if (rc < 0 && rc != lanes->listen_err) {
		char text[200];

		diag_format(&d, text, sizeof(text));
		log_warn("applications cannot hand over what they observe: %s", text);
	}
	lanes->listen_err = rc < 0 ? rc : 0;
	if (rc != 1)
		return;
	log_warn("the intake socket was removed or replaced: made anew");
	int listener = discovery_listener(lanes->discovery, &inode);
	keeping_share_listener(lanes->keeping, listener, inode);
	/* Who found no socket is found by its process. */
	discovery_scan_soon(lanes->discovery);
}

void lanes_kept_step(struct lanes *lanes, mono_ns now)
{
	if (!lanes->keeping)
		return;
	if (now - lanes->listened_at >= LANES_KEEPING_EVERY) {
		lanes->listened_at = now;
		lanes_kept_listen(lanes);
	}
	keeping_step(lanes->keeping, now);
	unsigned keeper = keeping_number(lanes->keeping);

	/* The one before may have ended with a connection that it had not told of yet. */
	if (keeper > lanes->keeper && lanes->keeper)
		discovery_scan_soon(lanes->discovery);
	if (keeper) {
		lanes->keeper = keeper;
		lanes_kept_hold(lanes, keeper);
	}
	if (keeping_hears(lanes->keeping) && now - lanes->keeping_at >= LANES_KEEPING_EVERY) {
		lanes->keeping_at = now;
		lanes_kept_doubt(lanes);
	}
	discovery_hear(lanes->discovery, !keeping_hears(lanes->keeping));
}

void lanes_kept_let_go(struct lanes *lanes, uint64_t inode)
{
	keeping_let_go(lanes->keeping, inode);
	TESTPOINT(segment_let_go);
}

void lanes_kept_describe(const struct lanes *lanes, char *text, size_t size)
{
	unsigned keeper = keeping_number(lanes->keeping), count = 0;
	pid_t pid = keeping_pid(lanes->keeping);
	uint64_t bytes = 0;

	text[0] = '\0';
	if (lanes->keeping && !lanes->context.config->keep_patience)
		snprintf(text, size,
			 "; capture.keep is 0s: what is unread of one that ends while no vowd "
			 "runs is lost");
	if (!pid || text[0])
		return;
	for (unsigned i = 0; i < lanes->app_count; i++)
		if (lanes->apps[i]->kept == keeper) {
			count++;
			bytes += lanes->apps[i]->bytes;
		}
	snprintf(text, size, "; the keeper, pid %d, holds %u of them, %.1f MiB", pid, count,
		 (double)bytes / (1 << 20));
}

void lanes_kept_close(struct lanes *lanes)
{
	discovery_close(lanes->discovery, keeping_stays(lanes->keeping));
	keeping_close(lanes->keeping);
}
