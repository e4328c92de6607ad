/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much of HTTP is captured when capturing takes more than its budget: a pure function of what
 * it takes, stepped once a second. It goes up one step at a time, and down only when what the step
 * below took of each request says that it would do now.
 */
#ifndef VOW_LIB_MODEL_THRIFT_H
#define VOW_LIB_MODEL_THRIFT_H

#include <stdbool.h>

#include "lib/base/types.h"

enum thrift_step {
	THRIFT_ALL, /* every request has its record */
	THRIFT_NO_PATHS, /* without its path, and what its headers say */
	THRIFT_BUSY, /* as THRIFT_COUNTS of services that are busy; all of the others */
	THRIFT_COUNTS, /* only failed and slow ones have, with it; others are counted in the kernel */
	THRIFT_OFF, /* nothing is captured, for a while */
	THRIFT_STEPS
};
/* "all", "no_paths", "busy", "counts", "off" */
const char *thrift_step_name(enum thrift_step step);

#define THRIFT_UP_AFTER	   (3 * NS_PER_S) /* above the budget all that time */
#define THRIFT_DOWN_AFTER  (30 * NS_PER_S) /* the step below would take less than, */
#define THRIFT_DOWN_RATIO  0.8 /* so much of the budget, all that time */
#define THRIFT_PAUSE_FIRST (60 * NS_PER_S) /* of THRIFT_OFF; twice as long each further time, */
#define THRIFT_PAUSE_MOST  (3600 * NS_PER_S) /* up to that, until it has come down again */

struct thrift { /* all zero to begin with */
	enum thrift_step step;
	mono_ns since; /* of the step */
	mono_ns above_since, below_since; /* 0: not so now */
	double each
		[THRIFT_STEPS]; /* what a request a second took when that step was left upwards */
	dur_ns pause;
};

struct thrift_input {
	mono_ns now; /* > 0 */
	double cost_ratio; /* of all processors, over the last second */
	double budget_ratio; /* of the same; 0: no limit */
	double rate; /* requests a second */
};

struct thrift_change {
	enum thrift_step from, to;
	char reason
		[200]; /* "took 12.3 % of the processors for 3 s, above its budget of 10 %, ..." */
};

/* Whether the step is another one from now on; then change says why. */
bool thrift_step(struct thrift *state, const struct thrift_input *input,
		 struct thrift_change *change);

/* A step that could not be made: it is off again, for its pause from now on. */
void thrift_failed(struct thrift *state, mono_ns now);

/* When THRIFT_OFF ends; 0 in other steps. */
mono_ns thrift_back_at(const struct thrift *state);

#endif
