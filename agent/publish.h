/* SPDX-License-Identifier: Apache-2.0 */
/* Puts what stands now on the board for readers. Main thread, once a turn. */
#ifndef VOW_AGENT_PUBLISH_H
#define VOW_AGENT_PUBLISH_H

#include "agent/agent.h"

/* When memory lacks the previous board stays. */
void publish_board(struct agent *agent, wall_ns wall);

#endif
