/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the owner whose connection is closed goes on with its segment: its mappings tell. The kernel
 * has whoever reads those wait while the process changes one, which a file system of its user's can make
 * last for ever; so they are read aside, and the application stays one that goes on until the answer.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/lanes/lanes.h"
#include "lib/base/clock.h"

#define LANES_MAPPED_LONG NS_PER_S /* longer than any process's mappings take to be read */

struct mapped_job {
	struct aside_job job; /* first */
	pid_t pid;
	uint64_t id, inode; /* of the segment */
	bool mapped; /* the answer */
};

/* 7f12-7f34 rw-s 00000000 00:01 1234   /memfd:vow-1234abcd (deleted) */
static bool is_mapping_of(const char *line, uint64_t inode)
{
	unsigned long long found;

	return strstr(line, "/memfd:vow-") && sscanf(line, "%*s %*s %*s %*s %llu", &found) == 1 &&
	       found == inode;
}

/* Of a line that is too long only the beginning is looked at: ours is short. */
static bool is_mapped(FILE *maps, uint64_t inode)
{
	char line[PATH_MAX];

	while (fgets(line, sizeof(line), maps))
		if (is_mapping_of(line, inode))
			return true;
	return false;
}

static void mapped_work(struct aside_job *job)
{
	struct mapped_job *mapped = (struct mapped_job *)job;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/maps", mapped->pid);
	FILE *maps = fopen(path, "re");
	if (!maps) {
		mapped->mapped = errno != ENOENT; /* what cannot be told is no end */
		return;
	}
	mapped->mapped = is_mapped(maps, mapped->inode);
	fclose(maps);
}

static void mapped_discard(struct aside_job *job)
{
	free(job);
}

void lanes_mapped_ask(struct lanes_app *app)
{
	if (app->asked)
		return;
	struct mapped_job *mapped = calloc(1, sizeof(*mapped));
	if (!mapped)
		return; /* the next scan asks again */
	mapped->job = (struct aside_job){.work = mapped_work, .discard = mapped_discard};
	mapped->pid = app->pid;
	mapped->id = app->segment.segment.id;
	mapped->inode = app->segment.segment.inode;
	app->asked = true;
	aside_ask(app->lanes->aside, &mapped->job, clock_mono());
}

void lanes_mapped_step(struct lanes *lanes)
{
	for (struct aside_job *job; (job = aside_done(lanes->aside, clock_mono()));) {
		const struct mapped_job *mapped = (struct mapped_job *)job;
		struct lanes_app *app = lanes_find(lanes, mapped->inode);

		if (app && app->asked && app->segment.segment.id == mapped->id &&
		    app->pid == mapped->pid) {
			app->asked = false;
			/* It may have connected anew. */
			if (!mapped->mapped && app->connection < 0)
				lanes_app_gone(app);
		}
		free(job);
	}
}

bool lanes_mapped_problem(const struct lanes *lanes, char *text, size_t size)
{
	const struct mapped_job *stuck = (const struct mapped_job *)aside_stuck(
		lanes->aside, LANES_MAPPED_LONG, clock_mono());

	if (!stuck)
		return false;
	snprintf(text, size,
		 "the mappings of process %d cannot be read: it is in the midst of one of a file "
		 "that "
		 "some file system holds up, so it is not known whether it goes on observing; end "
		 "it, "
		 "or who serves that file system",
		 stuck->pid);
	return true;
}
