/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the fleet in memory and the store: the checkpoint writes totals, names and the judge as of
 * the last merged raw tick; loading it and living through the raw ticks behind it gives the same
 * fleet again. Writer thread; blocks as long as the disk does.
 */
#ifndef VOW_HUB_CHECKPOINT_H
#define VOW_HUB_CHECKPOINT_H

#include "hub/merge.h"

/*
 * Writes what changed since the last one, in a transaction of its own. Call it when no group is
 * open, right after fleet_step(). On failure (the store's errno; -ENOMEM, also when the fleet lacks
 * part of a record) the older checkpoint stands.
 */
int checkpoint_save(struct fleet *fleet, struct merge *merge, struct store *store, struct diag *d);

/*
 * Fills a fresh fleet and merge. Windows are what they were: slots from the store, and, with relive,
 * the raw ticks of some two minutes before the checkpoint once more (hub/windows.h); in a store
 * without slots of this checkpoint, the raw ticks of the last hour (of the last 64 MiB). A raw tick
 * behind the checkpoint that cannot be read any more is set aside, and merge_counters() says how many
 * were. 1, only with relive: raw ticks contradict the totals; make fleet and merge anew and load
 * without, which leaves those two minutes out of the windows. Negative: the store's errno, -ENOMEM.
 */
int checkpoint_load(struct fleet *fleet, struct merge *merge, struct store *store, bool relive,
		    struct diag *d);

#endif
