/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collector of what applications observe through libvow, as its own files see it: lanes.c takes
 * and gives back, lanes_apps.c knows who is there, lanes_journal.c what the journal holds. Main
 * thread.
 */
#ifndef VOW_COLLECTORS_LANES_H
#define VOW_COLLECTORS_LANES_H

#include "collectors/collector.h"
#include "collectors/lanes/discovery.h"
#include "collectors/lanes/keeping.h"
#include "collectors/lanes/lane_gauges.h"
#include "collectors/lanes/lane_quota.h"
#include "collectors/lanes/lane_segment.h"
#include "lib/base/aside.h"

#define LANES_APPS_MAX LANE_QUOTA_APPS /* applications at a time; further ones are refused */

#define LANES_HEAD (8 + 8 + 4) /* bytes of a section before its description */
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
	bool asked; /* whether the owner goes on, aside: until the answer its pid is not to be trusted */
	bool ended; /* the owner is gone */
	unsigned kept; /* by the keeper of this number: keeping_number() */
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
	struct keeping *keeping; /* NULL: without a keeper */
	unsigned keeper; /* the last one that was told of segments */
	struct aside *aside; /* where processes are asked that may never answer */
	struct lane_gauges *gauges;
	struct lane_segment_work *work;
	struct lanes_app *apps[LANES_APPS_MAX];
	unsigned app_count;
	unsigned turn; /* who comes first in the next drain */
	unsigned overflow_turn; /* and in the next look at overflow blocks */
	bool crowded; /* overflow waits for the next record: this one has no room for more */
	unsigned
		exemplar_left; /* applications that this round over exemplars has still to look at */
	struct lanes_redo *redo;
	unsigned redo_count;
	struct lanes_left left[LANES_APPS_MAX]; /* the newest; id 0: none */
	unsigned left_next; /* the oldest of them */
	unsigned scans; /* scans of /proc that were taken note of */
	mono_ns round_at, gauges_at, drained_at, exemplars_at, keeping_at;
	mono_ns listened_at; /* the last look at the intake socket's file */
	int listen_err; /* why it could not be made anew; 0: nothing is wrong */
	unsigned waiting; /* looks in a row that found connections which the keeper left waiting */
	dur_ns drain_every;
	struct lane_tally tally;
	struct porters_bar barred; /* here, or by the keeper: who is, as it was logged */
	struct porters_bar keeper_barred;
	uint64_t refused_total;
	char refused[200]; /* why the last one was */
	int refused_err; /* the same as a negative errno */
};

/* ---- lanes_apps.c: applications come and go --------------------------------------------------- */

/* discovery_fn: a segment was found or handed over; memfd stays the caller's, the connection does not. */
void lanes_on_found(void *arg, int memfd, int connection, pid_t pid, pid_t inner_pid);
/* discovery_strange_fn: what process pid handed over is no memory. */
void lanes_on_strange(void *arg, pid_t pid);
/* By the inode of its segment; NULL: none. */
struct lanes_app *lanes_find(const struct lanes *lanes, uint64_t inode);
/* Looks at the memory that segments take, and lets go of those that take too much. */
void lanes_weigh(struct lanes *lanes);
/* After each scan of /proc: who has neither a connection nor the mapping is gone. */
void lanes_scanned(struct lanes *lanes);
/* Observations that it lost and that are not in the tally. */
uint64_t lanes_app_lost(const struct lanes_app *app);
/* The owner is gone: a last, thorough round takes everything that is still in the segment. */
void lanes_app_gone(struct lanes_app *app);
/* Ends and frees it; what it lost goes to the tally. */
void lanes_app_end(struct lanes_app *app);

/* ---- lanes_mapped.c: who goes on without a connection -------------------------------------------- */

/* Asks aside whether its owner, whose pid is known, still maps the segment; else it will be gone. */
void lanes_mapped_ask(struct lanes_app *app);
/* Takes the answers that came. */
void lanes_mapped_step(struct lanes *lanes);
/* Writes who does not answer; false when nobody keeps us waiting. */
bool lanes_mapped_problem(const struct lanes *lanes, char *text, size_t size);

/* ---- lanes_kept.c: what outlives the agent ------------------------------------------------------ */

/* Finds or starts a keeper where the configuration wants one, and listens for applications. */
int lanes_kept_open(struct lanes *lanes, struct diag *d);
/* Tells the keeper of what it does not hold yet; sees that somebody hears applications. */
void lanes_kept_step(struct lanes *lanes, mono_ns now);
/* This one was drained, or is no segment of ours. */
void lanes_kept_let_go(struct lanes *lanes, uint64_t inode);
/* Says so in words: " ..., 3 kept". */
void lanes_kept_describe(const struct lanes *lanes, char *text, size_t size);
/* The agent ends: what is kept stays so. */
void lanes_kept_close(struct lanes *lanes);

/* ---- lanes_strangers.c: who hands over what is no segment ---------------------------------------- */

/* keeping_strangers_fn. */
void lanes_on_strangers(void *arg, const struct keep_message *message);
/* Logs who is barred, and who no longer. */
void lanes_strangers_step(struct lanes *lanes);
/* Writes who is barred; false when nobody is. */
bool lanes_strangers_problem(const struct lanes *lanes, char *text, size_t size);

/* ---- lanes_journal.c: what the journal holds of segments ---------------------------------------- */

/* A section that waits for its segment: its place in lanes->redo, or -1. */
int lanes_redo_find(const struct lanes *lanes, uint64_t id, uint64_t inode);
/* Frees it; the last one takes its place. */
void lanes_redo_drop(struct lanes *lanes, unsigned i);
/* As in struct collector_ops. */
int lanes_restore(void *state, const uint8_t *local, size_t size);
size_t lanes_prepare(void *state, uint8_t *local, size_t cap);
size_t lanes_checkpoint(void *state, uint8_t *local, size_t cap);

#endif
