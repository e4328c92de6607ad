/* SPDX-License-Identifier: Apache-2.0 */
/* Names and sizes of a keyframe's sections, for the two files that write and read them. */
#ifndef VOW_AGENT_KEYFRAME_NAMES_H
#define VOW_AGENT_KEYFRAME_NAMES_H

#include <string.h>

#include "agent/keyframe.h"

#define TOTALS "@totals"
#define JUDGE  "@judge"
#define CLOCK  "@clock"
#define TAGGED "@exemplars"
#define SLOTS  "@slots" /* and the tier, one digit */

#define CLOCK_BYTES 12 /* u64 time of the first tick, u32 newest second */

_Static_assert(SERIES_TIERS <= 10, "a tier is one digit");

/* "@" and the collector's name. */
static inline void keyframe_checkpoint_name(char name[LOCAL_NAME], const struct collector_ops *ops)
{
	name[0] = '@';
	name[1] = '\0';
	strncat(name, ops->name, LOCAL_NAME - 2);
}

#endif
