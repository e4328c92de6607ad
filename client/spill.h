/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overflow: where an observation goes when its lane is full, so that it is never dropped. Any
 * number of threads add to a block at once; each addition is atomic and relaxed, the one to the
 * histogram slot comes last, is a release, and is what counts. If the process dies in between, the
 * call in flight did not observe. Progress: lock-free; a system call only for a new page.
 */
#ifndef VOW_CLIENT_SPILL_H
#define VOW_CLIENT_SPILL_H

#include <vow/shm.h>

/*
 * Adds a record's words; its tag is lost. shard (0..VOW_SHM_SHARDS-1) spreads threads over blocks
 * of the same key.
 */
void spill_record(struct vow_shm *shm, unsigned shard, uint64_t extra, uint64_t latency_ns,
		  uint64_t what);

#endif
