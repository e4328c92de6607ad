/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often collectors are asked. Waking up, asking and going to sleep takes 60 to 90 us of a
 * processor whose caches others used meanwhile, and turns an application off it: so as seldom as
 * rings and lanes allow. More often after a poll that found so many that they fill, and while
 * something comes to rings so small that a collector's patience is short. Pure.
 */
#ifndef VOW_AGENT_PACE_H
#define VOW_AGENT_PACE_H

#include "lib/base/types.h"

#define PACE_MANY_NS  (5 * NS_PER_MS)
#define PACE_BUSY_NS  (10 * NS_PER_MS) /* some came, or anything where patience is short */
#define PACE_IDLE_NS  (20 * NS_PER_MS) /* little came, or nothing for a while */
#define PACE_QUIET_NS (40 * NS_PER_MS) /* nothing for seconds */
#define PACE_MANY     1000 /* events in one poll, about what a lane holds at first */
#define PACE_SOME     500

#define PACE_POLLS_UNTIL_IDLE  20
#define PACE_POLLS_UNTIL_QUIET (PACE_POLLS_UNTIL_IDLE + 100)

/* Zero to begin with. */
struct pace {
	unsigned still; /* polls in a row that found nothing */
};

/*
 * How long until the next poll, after one that found `taken` events. What any collector can wait at
 * the longest, patience, is heeded down to PACE_IDLE_NS once it is quiet; twice that is what it takes
 * to be asked so seldom while events come.
 */
dur_ns pace_step(struct pace *pace, uint64_t taken, dur_ns patience);

#endif
