/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one tick adds to one series: the counts of a histogram in blocks of one octave (512 bytes),
 * taken from a pool when an octave is first hit. A dense struct hist_delta would cost every busy
 * series whole pages; latencies of one route live in a handful of octaves.
 *
 * One thread. Recording is a few ns; it neither blocks nor allocates beyond the pool.
 */
#ifndef VOW_LIB_DATA_SPARSE_H
#define VOW_LIB_DATA_SPARSE_H

#include "lib/data/hist.h"

#define SPARSE_BLOCKS (HIST_OCTAVES + 1) /* the last one holds HIST_MAX_NS alone */

/* Blocks are numbered from 1; 0 is none. All free blocks but never used ones are linked. */
struct sparse_pool {
	uint32_t *blocks; /* an anonymous mapping: pages never used are absent */
	uint32_t capacity, used; /* blocks in the mapping; blocks ever taken */
	uint32_t free; /* first of the list of blocks given back */
};

struct sparse {
	uint64_t count, sum_ns, max_ns;
	uint32_t blocks[SPARSE_BLOCKS];
};

/* Reserves room for capacity blocks (< 2^32) of 512 bytes, which stay absent until used. -ENOMEM. */
int sparse_pool_init(struct sparse_pool *pool, size_t capacity);
void sparse_pool_deinit(struct sparse_pool *pool); /* an all-zero pool is allowed */
size_t sparse_pool_bytes(const struct sparse_pool *pool); /* resident at most */

/* Takes a zeroed block; 0 when the pool is empty. */
uint32_t sparse_block_take(struct sparse_pool *pool);

/* Where the count of a slot lives, its block taken when needed. NULL when the pool is empty. */
static inline uint32_t *sparse_place(struct sparse_pool *pool, struct sparse *sparse, uint32_t slot)
{
	uint32_t *block = &sparse->blocks[slot / HIST_OCTAVE_SLOTS];

	if (unlikely(!*block) && !(*block = sparse_block_take(pool)))
		return NULL;
	return &pool->blocks[(size_t)*block * HIST_OCTAVE_SLOTS + slot % HIST_OCTAVE_SLOTS];
}

/* Counts one value at the place that sparse_place() gave for its slot. */
static inline void sparse_record(struct sparse *sparse, uint32_t *place, uint64_t ns)
{
	++*place;
	sparse->count++;
	sparse->sum_ns = hist_sum(sparse->sum_ns, ns);
	sparse->max_ns = ns > sparse->max_ns ? ns : sparse->max_ns;
}

/*
 * Whether packed bytes can be added, their blocks taken: 0, what hist_packed_open() says, -ENOMEM
 * when the pool is empty, -EOVERFLOW when a slot would pass UINT32_MAX. Counts don't change.
 */
int sparse_merge_check(struct sparse_pool *pool, struct sparse *sparse, const uint8_t *bytes,
		       size_t size);
/* Checks and adds; errors as above, then nothing was added. */
int sparse_merge_packed(struct sparse_pool *pool, struct sparse *sparse, const uint8_t *bytes,
			size_t size);

/* Writes what sparse holds into delta, which is cleared first. */
void sparse_copy(const struct sparse_pool *pool, const struct sparse *sparse,
		 struct hist_delta *delta);

/* Empties sparse. Blocks that held something are kept for the next tick, the others given back. */
void sparse_reset(struct sparse_pool *pool, struct sparse *sparse);

#endif
