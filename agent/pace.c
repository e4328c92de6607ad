/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/pace.h"

dur_ns pace_step(struct pace *pace, uint64_t taken, dur_ns patience)
{
	if (taken)
		pace->still = 0;
	else if (pace->still < PACE_POLLS_UNTIL_QUIET)
		pace->still++;
	if (taken >= PACE_MANY)
		return PACE_MANY_NS;
	if (taken >= PACE_SOME ||
	    (pace->still < PACE_POLLS_UNTIL_IDLE && patience < 2 * PACE_IDLE_NS))
		return PACE_BUSY_NS;
	if (pace->still < PACE_POLLS_UNTIL_QUIET || patience < PACE_IDLE_NS)
		return PACE_IDLE_NS;
	return patience < PACE_QUIET_NS ? patience : PACE_QUIET_NS;
}
