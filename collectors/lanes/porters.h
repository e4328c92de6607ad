/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whoever takes connections of strangers has porters (keep/porter.h) receive what comes over them: one at
 * a time, started when a connection brings something and ended some seconds after the last one. A porter
 * that is not done with a connection in time is given up. It is killed, and while the kernel keeps it all
 * the same, its connection waits in vain for a file system: then its user's connections are refused, and
 * other users have the next porter. Root's are not refused, but for that one.
 *
 * One thread. Never blocks, but for the moment that the kernel needs to start a program.
 *
 * Nothing is lost with a porter: a connection that it was not done with is given to the next one. Nor is
 * anything that may hold up closed here: a connection is closed empty, or goes to a porter to be dropped,
 * and is held until one can take it. So there may be PORTERS_GUESTS at a time and no more.
 */
#ifndef VOW_COLLECTORS_PORTERS_H
#define VOW_COLLECTORS_PORTERS_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/base/types.h"

#define PORTERS_GUESTS	   64u /* connections that did not hand over their segment yet */
#define PORTERS_BARRED_MAX 8u /* porters that hang; beyond, no connection is taken */

struct porters;

struct porters_options {
	/* A connection handed over memory; both are the callee's. Nothing more comes over it. */
	void (*came)(void *arg, int memfd, int connection);
	/* Process pid handed over what is no memory. */
	void (*strange)(void *arg, pid_t pid);
	void *arg;
};

/* Porters that hang. */
struct porters_bar {
	unsigned count; /* 0: none, then the others say nothing */
	uid_t user; /* of the last one */
	pid_t pid; /* who sent what holds it up; may have ended since */
};

/* 0 or a negative errno. */
int porters_open(const struct porters_options *options, struct porters **porters);
/*
 * Leaves what it still has, and `listener` when it is not negative, to a porter: the end of this process
 * waits for nobody's file system. The listener stays the caller's. NULL is allowed.
 */
void porters_close(struct porters *porters, int listener);

/* To be waited for: when it can be read, porters_step() has something to do. It stays the porters'. */
int porters_fd(const struct porters *porters);
/* The same of time: when at the latest; UINT64_MAX: never. */
dur_ns porters_pause(const struct porters *porters, mono_ns now);
void porters_step(struct porters *porters, mono_ns now);

/* Whether a connection may be accepted: each that is goes to porters_take(), which has it from then on. */
bool porters_have_room(const struct porters *porters);
void porters_take(struct porters *porters, int connection);

/* Closes a socket at which nobody can come any more; who still waits there goes to a porter. */
void porters_drop_listener(struct porters *porters, int listener);

/* Something came that is still to be handed over, if the porter lives. */
bool porters_busy(const struct porters *porters);

struct porters_bar porters_barred(const struct porters *porters, mono_ns now);
/* Why no porter can be started; "" while nothing is wrong. */
const char *porters_problem(const struct porters *porters);

#endif
