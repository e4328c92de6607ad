/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a keeper holds: segments of applications, each with the connection over which it came, within
 * the quotas that an agent has. One thread. Nothing in a segment is looked at.
 */
#ifndef VOW_KEEP_HELD_H
#define VOW_KEEP_HELD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "collectors/lanes/lane_quota.h"

#define HELD_PASSING 64u /* segments on their way to an agent that judges them, and no longer */
#define HELD_ROOM    (LANE_QUOTA_APPS + HELD_PASSING)

struct held {
	int memfd, connection; /* the latter -1: the agent found it by itself */
	uint64_t inode; /* 0: is not sealed, hence never looked at */
	uint64_t started; /* of the owner, see keep_started(); with a connection 0 */
	pid_t pid; /* the same */
	uid_t user; /* who made it */
	uint64_t bytes; /* of memory, as of the last look */
	bool told; /* to the agent that is there now */
	bool passing; /* held only until it is told */
};

struct held_table {
	struct held all[HELD_ROOM];
	unsigned count, passing; /* the second: of the first */
	uint32_t refused; /* that could not be held, since the keeper started */
};

/* How much of the table belongs to what has ended. */
struct held_sum {
	unsigned segments, ended; /* ended: of the first, those whose owner is gone */
	uint64_t bytes;
};

/*
 * Takes both descriptors, also on failure, when they are closed. What is not sealed, or more than the
 * quotas allow, is counted as refused; with `pass` it is taken all the same, to be told once. 0; 1:
 * it was held already, and the connection is kept if it had none; -EDQUOT.
 */
int held_add(struct held_table *table, const struct held *new, bool pass);

/* Closes the one at this place; the last takes its place. */
void held_drop(struct held_table *table, unsigned at);
/* The same by inode; nothing happens when there is none. */
void held_let_go(struct held_table *table, uint64_t inode);
/* Looks at the memory that all take, and drops those that take too much; counts them as refused. */
void held_weigh(struct held_table *table);
/* None was told to the agent that comes. */
void held_forget_told(struct held_table *table);
/* The first that is to be told; -1: none. */
int held_untold(const struct held_table *table);
/* It was told; one that only passes is dropped. */
void held_tell(struct held_table *table, unsigned at);
struct held_sum held_sum(const struct held_table *table);

#endif
