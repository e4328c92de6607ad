/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that may wait for a stranger, done beside the loop that asks for them: a file of /proc of a
 * process that holds its memory's lock, a file system that never answers. Each is done by one of a few
 * threads, which there are only while jobs are; one that is stuck keeps its thread alone, and when as
 * many as there may be are stuck, later jobs wait for the first of them.
 *
 * All but a job's own functions is for one thread, which looks for what is done whenever it likes:
 * nothing rings.
 */
#ifndef VOW_LIB_BASE_ASIDE_H
#define VOW_LIB_BASE_ASIDE_H

#include <stdbool.h>

#include "lib/base/types.h"

#define ASIDE_THREADS  8 /* jobs that may be stuck at a time before others wait */
#define ASIDE_PATIENCE (100 * NS_PER_MS) /* a job that takes longer is left to its thread */

struct aside;

/* The first field of a job of the caller's own type, which is on the heap. */
struct aside_job {
	/* In a thread of its own, with all signals blocked and the rights of who asked. */
	void (*work)(struct aside_job *job);
	/* Frees the job, in any thread: nobody waits for what it found. */
	void (*discard)(struct aside_job *job);
	struct aside_job *next; /* aside's, as the rest */
	mono_ns begun;
};

/* NULL when memory lacks. */
struct aside *aside_new(void);
/* Never waits: a job that is stuck is discarded when it comes free, by its thread. NULL is allowed. */
void aside_free(struct aside *aside);

/* Takes the job over; its turn comes after those that were asked for before. */
void aside_ask(struct aside *aside, struct aside_job *job, mono_ns now);
/*
 * The next job that is done, the caller's again; NULL: none now. To be asked now and then while jobs are
 * out: only so others get past one that is stuck.
 */
struct aside_job *aside_done(struct aside *aside, mono_ns now);
/* Whether a job waits or is worked at. */
bool aside_busy(struct aside *aside);
/* The job that has been worked at for longest, more than `than`; NULL: none. Good until the next call. */
const struct aside_job *aside_stuck(struct aside *aside, dur_ns than, mono_ns now);

#endif
