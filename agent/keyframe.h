/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keyframe: the whole state of the agent as sections of a record's local part, written where
 * a journal segment begins. So one segment is enough to start again, and every older one may go.
 * It holds totals since the agent first started, what the windows hold, the judge, and each
 * collector's checkpoint, all as they are behind the tick of the record that carries it.
 */
#ifndef VOW_AGENT_KEYFRAME_H
#define VOW_AGENT_KEYFRAME_H

#include "agent/agent.h"

/*
 * Bytes of windows in a keyframe. 200 busy routes of a month fit; where there are far more, the
 * finest grains are left out, and the windows are short of them after a restart until time fills
 * them again. 12 of a record's 32 MiB, so that totals, judge and the tick itself have room.
 */
#define KEYFRAME_SLOTS_MAX (12u << 20)

/*
 * Appends the sections to agent->local, which then holds at most record_max bytes; collectors have
 * just been asked to prepare(). -ENOMEM; -EMSGSIZE: even without windows it is more than that, and
 * what was appended is to be cut off again.
 */
int keyframe_write(struct agent *agent, size_t record_max);

/* True when this local part carries a keyframe. */
bool keyframe_found(const uint8_t *local, size_t size);

/*
 * Restores totals, judge and collectors of a freshly made agent. Sections that do not fit (another
 * version, a collector that is off) are skipped, and the number of them is returned.
 */
unsigned keyframe_read(struct agent *agent, const uint8_t *local, size_t size);

/* The counts of a delta in the order of the series' own thresholds. */
struct series_counts keyframe_counts(const struct series *s, const struct series_delta *delta);

#endif
