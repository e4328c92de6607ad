/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's side of its keeper (keep/keeper.h): takes over what the keeper of an earlier agent
 * holds, starts one where none is, and hands everything over again when one dies. A keeper is trusted
 * as the user that it belongs to; a segment from it no more than one from a stranger.
 *
 * One thread, that of the loop. Waits for nobody but in keeping_open(), and there for
 * KEEPING_PATIENCE at most.
 */
#ifndef VOW_COLLECTORS_KEEPING_H
#define VOW_COLLECTORS_KEEPING_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/base/diag.h"
#include "lib/base/loop.h"

#define KEEPING_PATIENCE \
	(5 * NS_PER_S) /* for a living process to answer, on a machine that is busy */

struct keeping;

/*
 * The keeper holds a segment. Both descriptors are the callback's; connection -1: it was found by
 * scanning, and pid and started say of whom, 0 of one that is gone.
 */
typedef void (*keeping_fn)(void *arg, int memfd, int connection, pid_t pid, uint64_t started);

/* What it says of strangers: a KEEP_STRANGE or KEEP_BARRED, that one also with 0 as a keeper goes. */
struct keep_message;
typedef void (*keeping_strangers_fn)(void *arg, const struct keep_message *message);

struct keeping_options {
	struct loop *loop;
	const char *dir; /* runtime folder */
	dur_ns patience; /* of a keeper without an agent; 0: what one holds is taken, then it ends */
	keeping_fn found;
	keeping_strangers_fn strangers;
	void *arg;
};

/*
 * Looks for a keeper and greets it; for the holder of the folder's lock. 0 also when there is none,
 * or one that makes no sense, which is then told by keeping_problem(). -ENOMEM.
 */
int keeping_open(const struct keeping_options *options, struct keeping **keeping, struct diag *d);
/* Goes; the keeper stays. NULL is allowed everywhere here. */
void keeping_close(struct keeping *keeping);

/* The intake socket that it held, which becomes the caller's, and the inode of its file; -1: none. */
int keeping_take_listener(struct keeping *keeping, uint64_t *inode);
/* The intake socket in use: it is to be held as well. It stays the caller's, who keeps it open. */
void keeping_share_listener(struct keeping *keeping, int listener, uint64_t inode);

/* Starts a keeper if none is there, and says what could not be said before. */
void keeping_step(struct keeping *keeping, mono_ns now);

/*
 * Which keeper this is: 0 while there is none, else another number for each. Whoever told this one of
 * a segment needs not tell it again.
 */
unsigned keeping_number(const struct keeping *keeping);
/* It hears applications: whoever listens beside it need not. */
bool keeping_hears(const struct keeping *keeping);
/* It does not: connections wait for it. It is not believed again until it says something. */
void keeping_doubt(struct keeping *keeping);
/* It is there and stays when this agent goes: the intake socket is its, too. */
bool keeping_stays(const struct keeping *keeping);
/* What it held when it was found has all been told, or never will be. */
bool keeping_settled(const struct keeping *keeping);

/* Hands a segment over as well; both stay the caller's. False: there is no room now. */
bool keeping_hold(struct keeping *keeping, int memfd, int connection, pid_t pid, uint64_t started);
/* Of a segment that it was told of, or told of itself: nothing is left in it. */
void keeping_let_go(struct keeping *keeping, uint64_t inode);

/* Logs and adds up what keepers let go of while no agent ran, and removes their note of it. */
void keeping_read_losses(struct keeping *keeping);

pid_t keeping_pid(const struct keeping *keeping); /* 0: none, or one that has said nothing yet */
/* What is wrong, or was lost; "" when nothing. */
const char *keeping_problem(struct keeping *keeping);

#endif
