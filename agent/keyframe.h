/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A keyframe: the whole state of the agent as sections of bytes, from which a start goes on. It holds
 * totals since the agent first started, what the windows hold, the judge, exemplars, and each
 * collector's checkpoint, all as they are behind one tick.
 *
 * It is made in steps, each of them some milliseconds at most, between which the agent goes on
 * measuring: what changes with every tick and is small is written down at the beginning, and of the
 * series there is a snapshot. Where it goes is agent/saving.h's. Main thread.
 */
#ifndef VOW_AGENT_KEYFRAME_H
#define VOW_AGENT_KEYFRAME_H

#include "agent/agent.h"

/* What a step writes at most; see keyframe_fill(). About 2 ms each. */
#define KEYFRAME_STEP_TOTALS	32
#define KEYFRAME_STEP_SLOTS	64
#define KEYFRAME_STEP_EXEMPLARS 512

struct keyframe;

struct keyframe_options {
	/*
	 * Bytes of windows. Where they are more, the finest grains are left out, and the windows are
	 * short of them after a restart until time fills them again.
	 */
	size_t slots_max;
};

/*
 * Begins one behind the tick that just ended, when collectors have been asked to prepare() and
 * nothing has come since; appends to local what is to be the first piece. 0 or -ENOMEM.
 */
int keyframe_begin(struct agent *agent, const struct keyframe_options *options, struct local *local,
		   struct keyframe **keyframe);
/*
 * Appends the next piece to local: so many totals, slots of the windows (or a series' share of a
 * tier more), or exemplars. 1: there is more. 0: that was the last. -ENOMEM: it cannot be completed.
 */
int keyframe_fill(struct keyframe *keyframe, struct local *local);
/* Of this tier of windows and all coarser ones it has every slot so far; SERIES_TIERS: of none. */
unsigned keyframe_finest(const struct keyframe *keyframe);
void keyframe_free(struct keyframe *keyframe); /* NULL is allowed */

/* ---- taking one up --------------------------------------------------------------------------------- */

/* True when this local part carries a keyframe. */
bool keyframe_found(const uint8_t *local, size_t size);

struct keyframe_reading {
	struct agent *agent; /* freshly made */
	struct series *
		*by_id; /* series of the keyframe's numbers, malloc'ed, NULL where there is none */
	size_t size;
	unsigned skipped; /* sections that do not fit: another version, a collector that is off */
	wall_ns now;
	unsigned tier; /* of the slots being read, and where the one begins */
	uint32_t start;
};
/*
 * Restores what a piece holds; in the order in which they were made. The caller frees by_id. 0, or
 * -ENOMEM: what was taken up lacks something, which is no state to go on from.
 */
int keyframe_read(struct keyframe_reading *reading, const uint8_t *local, size_t size);

/* The counts of a delta in the order of the series' own thresholds. */
struct series_counts keyframe_counts(const struct series *s, const struct series_delta *delta);

#endif
