/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's side of its keeper as its own files see it: keeping.c finds, starts and hears a keeper,
 * keeping_tell.c tells it what to hold, keeping_words.c says to people how it stands. Main thread.
 */
#ifndef VOW_COLLECTORS_KEEPING_STATE_H
#define VOW_COLLECTORS_KEEPING_STATE_H

#include <limits.h>

#include "collectors/lanes/keeper_note.h"
#include "collectors/lanes/keeping.h"
#include "collectors/lanes/lane_quota.h"

struct keeping {
	struct keeping_options options;
	char dir[PATH_MAX]; /* resolved: a keeper has another working directory */
	int fd; /* -1: no keeper */
	struct loop_fd *watch;
	pid_t pid, child; /* of the keeper; the same while it is to be waited for */
	pid_t former; /* one that lost its connection and has not ended yet; 0: none */
	unsigned number, keepers; /* of this one, 0: none; that there were */
	bool greeted; /* it said hello */
	bool found; /* it was there before this agent and has not told all yet */
	bool doubted; /* connections waited for it */
	bool missed; /* of what it held something could not be taken */

	int taken_listener; /* from a keeper, until somebody takes it */
	uint64_t taken_inode;
	int listener; /* that is shared with keepers; the caller's */
	uint64_t listener_inode;
	bool listener_due;

	mono_ns next_at, began_at;
	dur_ns pause;
	uint64_t let_go[LANE_QUOTA_APPS]; /* to be said */
	unsigned let_go_count;

	uint32_t refused; /* that this keeper could not hold */
	struct keeper_note lost; /* what keepers let go of, since this agent began */
	char wrong[224]; /* why there is none */
	char problem[240];
};

/* ---- keeping_tell.c: what the keeper is told ---------------------------------------------------- */

/* Says what could not be said before, as far as there is room. There is a keeper. */
void keeping_tell_due(struct keeping *keeping);

/* ---- keeping_words.c: how it stands ------------------------------------------------------------- */

/* Why there is no keeper, or not the one that was found: logged once while it stays the same. */
void keeping_say_wrong(struct keeping *keeping, const struct diag *d);

#endif
