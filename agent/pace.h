/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often collectors are asked. Waking up, asking and going to sleep takes 60 to 90 us of a
 * processor whose caches others used meanwhile, and turns an application off it: so as seldom as
 * rings and lanes allow. More often after a poll that found so many that they fill. Pure.
 */
#ifndef VOW_AGENT_PACE_H
#define VOW_AGENT_PACE_H

#include "lib/base/types.h"

#define PACE_MANY_NS  (5 * NS_PER_MS)
#define PACE_BUSY_NS  (10 * NS_PER_MS)
#define PACE_IDLE_NS  (20 * NS_PER_MS) /* nothing came for a while, */
#define PACE_QUIET_NS (40 * NS_PER_MS) /* for seconds */
#define PACE_MANY     1000 /* events in one poll */

#define PACE_POLLS_UNTIL_IDLE  20
#define PACE_POLLS_UNTIL_QUIET (PACE_POLLS_UNTIL_IDLE + 100)

/* Zero to begin with. */
struct pace {
	unsigned still; /* polls in a row that found nothing */
};

/*
 * How long until the next poll, after one that found `taken` events. What any collector can wait at
 * the longest, patience, is heeded down to PACE_IDLE_NS.
 */
dur_ns pace_step(struct pace *pace, uint64_t taken, dur_ns patience);

#endif
