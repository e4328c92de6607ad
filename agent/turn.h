/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One turn of the agent, each second or earlier: what was collected becomes one journal record, is
 * filed under the windows, judged, and published. In two phases: collectors let go of what they
 * took only after the record is in the journal. Main thread.
 */
#ifndef VOW_AGENT_TURN_H
#define VOW_AGENT_TURN_H

#include "agent/agent.h"

/* Ends the tick that began at the previous turn. mono and wall are now. */
void turn_run(struct agent *agent, mono_ns mono, wall_ns wall);

/*
 * The same before its time, when a collector is in a hurry and the last turn is at least
 * TURN_EARLY_NS ago; otherwise nothing. Its record has no gauges and totals, and no board is
 * published: it costs what the observations themselves cost. An early turn comes at most ten times
 * a second, because each one is a record for every series that changed.
 */
#define TURN_EARLY_NS (100 * NS_PER_MS)
void turn_run_early(struct agent *agent, mono_ns mono, wall_ns wall);

/* Asks every collector for what it has. Returns observations taken. */
uint64_t turn_poll(struct agent *agent, mono_ns mono);

/* How long the least patient collector can go without being asked (collector_ops.patience). */
dur_ns turn_patience(const struct agent *agent);

#endif
