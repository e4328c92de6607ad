/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking up where the journal ends: the newest keyframe, then every later record once more, into
 * totals, windows, judge and collectors. Before the first turn; main thread; reads the whole
 * journal once (about a second for a GiB).
 */
#ifndef VOW_AGENT_RECOVERY_H
#define VOW_AGENT_RECOVERY_H

#include "agent/agent.h"

/*
 * 0 also when there is nothing to recover. Records that cannot be understood are skipped and
 * logged. -ENOMEM, or the journal's error with d filled.
 */
int recovery_run(struct agent *agent, struct diag *d);

#endif
