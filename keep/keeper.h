/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper's loop: it takes what applications hand over, holds it, and tells it to the agent that
 * is there. It waits in poll(2) alone, without a time limit while there is an agent.
 *
 * An application's segment is always held here before an agent hears of it, so that at no instant an
 * agent that is killed takes one along. An agent is told all that is held when it comes, and lets go
 * of what its journal holds to the end.
 */
#ifndef VOW_KEEP_KEEPER_H
#define VOW_KEEP_KEEPER_H

#include "collectors/lanes/porters.h"
#include "keep/held.h"
#include "lib/base/types.h"

#define KEEPER_PATH_MAX 108 /* as long as an address of this family can be */
#define KEEPER_CALLERS	4 /* connections to the keeper that did not say who they are yet */
#define KEEPER_AT_ONCE	64 /* messages and connections taken before others have their turn */

/* Agents of which nothing came yet; the oldest makes room. */
struct keeper_callers {
	int fds[KEEPER_CALLERS]; /* -1: free */
	unsigned oldest;
};

struct keeper {
	char door_path[KEEPER_PATH_MAX], told_path[KEEPER_PATH_MAX], intake_path[KEEPER_PATH_MAX];
	int door, watch, signals; /* where agents come; the file of it; SIGTERM */
	uint64_t door_inode, intake_inode;
	int agent, intake; /* -1: none */
	struct keeper_callers callers;
	struct porters *guests; /* applications that did not hand over their segment yet */
	struct held_table held;
	bool hello_due, ready_due; /* to be told to the agent: first, and behind all that is held */
	uint32_t refused_told;
	uint32_t strange; /* applications that handed over no memory, to be told to the agent */
	pid_t strange_pid; /* the last of them */
	struct porters_bar barred_told;
	dur_ns patience; /* without an agent */
	mono_ns alone_since, weighed_at;
	bool deaf; /* no connection could be taken, or passed on: tried again after a moment */
	bool ended;
	mono_ns end_at; /* 0, or when it ends at the latest: it was told to */
};

/* Takes the listening socket of dir's door. 0 or a negative errno. */
int keeper_init(struct keeper *keeper, const char *dir, int door);
/* Until it is told to end, or nothing is left to wait for; says then what it lets go of. */
void keeper_run(struct keeper *keeper);
/*
 * It is to end, once it holds what came: then it says what it lets go of, and removes its files. Before the
 * end the agent hears of all of it.
 */
void keeper_end(struct keeper *keeper);

/* ---- keeper_agent.c --------------------------------------------------------------------------- */

/* Says all that is due. True when something is left that the agent has no room for now. */
bool keeper_say_all(struct keeper *keeper);
/* The agent said something, or is gone. */
void keeper_agent_ready(struct keeper *keeper);
/*
 * Who called says who it is: the agent from now on. One that speaks another version is told ours, and
 * can start a keeper of its own.
 */
void keeper_caller_ready(struct keeper *keeper, int *caller);

#endif
