/* SPDX-License-Identifier: Apache-2.0 */
/* The state of porters.h, as its own files see it: porters.c has the guests, porters_process.c the porters. */
#ifndef VOW_COLLECTORS_PORTERS_STATE_H
#define VOW_COLLECTORS_PORTERS_STATE_H

#include "collectors/lanes/porters.h"
#include "lib/data/porter_wire.h"

#define PORTERS_AGAIN NS_PER_S /* after one that could not be started, or did nothing */

enum porters_state {
	PORTERS_FREE,
	PORTERS_SILENT, /* nothing came yet */
	PORTERS_READY, /* something did, for a porter */
	PORTERS_GIVEN, /* to the porter that is there */
};

struct porters_guest {
	enum porters_state state;
	int fd, memfd; /* the second: as the porter saw it, else -1 */
	int spare; /* while it is given: in whose place the answer's descriptor finds room */
	bool seen; /* the porter has answered */
	enum porter_verdict verdict;
	uint32_t number; /* in the order in which they became ready, or came */
	uid_t user;
	pid_t pid, held_up; /* the second: the porter that it holds up, 0: none */
};

/* A porter that is to end. */
struct porters_former {
	pid_t pid;
	int fd; /* of one that was given up: what is to be dropped goes there; else -1 */
	uid_t user; /* of the connection that it was not done with, */
	pid_t guest; /* and its process */
	mono_ns since;
};

struct porters {
	struct porters_options options;
	int epoll;
	struct porters_guest guests[PORTERS_GUESTS + 1]; /* one more than those who make room */
	unsigned count, silent, given;
	uint32_t numbers;
	int fd; /* of the porter; -1: none */
	pid_t pid;
	bool useful; /* it did something */
	mono_ns heard_at; /* of it last, or since when it has work */
	mono_ns next_at; /* none is started before */
	struct porters_former former[PORTERS_BARRED_MAX];
	unsigned former_count;
	char problem[200];
};

/* ---- porters.c ---------------------------------------------------------------------------------- */

void porters_state_set(struct porters *porters, struct porters_guest *guest,
		       enum porters_state state);
/* Its place is free; the connection is the caller's. The kernel would tell of it as long as it is open. */
int porters_leave(struct porters *porters, struct porters_guest *guest);
/* The one in this state that has waited longest, of those behind `after`; NULL: none. */
struct porters_guest *porters_first(struct porters *porters, enum porters_state state,
				    uint32_t after);

/* ---- porters_process.c --------------------------------------------------------------------------- */

/* The porter goes. It is killed when it was not done with a connection in time: `guilty`, else NULL. */
void porters_dismiss(struct porters *porters, struct porters_guest *guilty, mono_ns now);
/* Whether there is one, also if it takes a new one. */
bool porters_have_porter(struct porters *porters, mono_ns now);
/* Takes note of those that were to end and have. */
void porters_reap(struct porters *porters);
/* Takes note of all that the porter said. */
void porters_hear(struct porters *porters, mono_ns now);

#endif
