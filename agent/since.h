/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Since when the totals count: the first start of the agent on this journal, kept beside it in the
 * state folder so that rates over all time stay right across restarts. Blocks on the disk.
 */
#ifndef VOW_AGENT_SINCE_H
#define VOW_AGENT_SINCE_H

#include "lib/base/types.h"

/*
 * What folder/since says of this journal's epoch. When it says nothing (no such file, or that of a
 * journal before), now is the beginning, and is written there. A file that cannot be written costs
 * the memory of it, nothing else: now is returned.
 */
wall_ns since_load(const char *folder, uint64_t epoch, wall_ns now);

#endif
