/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One turn of the agent, normally each second: what was collected becomes one journal record, is
 * filed under the windows, judged, and published. In two phases: collectors let go of what they
 * took only after the record is in the journal. Main thread.
 */
#ifndef VOW_AGENT_TURN_H
#define VOW_AGENT_TURN_H

#include "agent/agent.h"

/* Ends the tick that began at the previous turn. mono and wall are now. */
void turn_run(struct agent *agent, mono_ns mono, wall_ns wall);

/* Asks every collector for what it has. Returns observations taken. */
uint64_t turn_poll(struct agent *agent, mono_ns mono);

#endif
