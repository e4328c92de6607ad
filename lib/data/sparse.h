/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one tick adds to one series: a histogram in two parts, both from a pool of blocks of 1 KiB.
 * A dense struct hist_delta would cost every busy series whole pages.
 *
 *   near: one block of counters of a byte for the eight octaves around the first latency that came.
 *	   A route's second hardly ever leaves them, and a thousand busy routes fit the second cache.
 *   far:  counters of 32 bits, two octaves a block, taken when first hit: for what lies outside,
 *	   and for what a byte has no room for. A count is the sum of both.
 *
 * One thread. Recording is a few ns; it neither blocks nor allocates beyond the pool.
 */
#ifndef VOW_LIB_DATA_SPARSE_H
#define VOW_LIB_DATA_SPARSE_H

#include "lib/data/hist.h"

#define SPARSE_NEAR	 1024u /* slots of the near part */
#define SPARSE_FAR	 256u /* slots of a block of the far part */
#define SPARSE_FAR_COUNT ((HIST_SLOTS + SPARSE_FAR - 1) / SPARSE_FAR)
#define SPARSE_BLOCKS	 (1 + SPARSE_FAR_COUNT) /* that one histogram takes at most */

/* Blocks are numbered from 1; 0 is none. All free blocks but never used ones are linked. */
struct sparse_pool {
	uint32_t *blocks; /* an anonymous mapping: pages never used are absent */
	uint32_t capacity, used; /* blocks in the mapping; blocks ever taken */
	uint32_t free; /* first of the list of blocks given back */
};

/* The words that recording touches come first, so that they can share a cache line. */
struct sparse {
	uint8_t *near; /* of slots first ... first + SPARSE_NEAR - 1; NULL: none */
	uint32_t first;
	uint32_t width; /* SPARSE_NEAR while sparse_record_near() may be used, else 0 */
	uint64_t count, sum_ns, max_ns;
	uint64_t strays; /* of count, outside of the near part */
	uint32_t far[SPARSE_FAR_COUNT];
};

/* Reserves room for capacity blocks (< 2^32) of 1 KiB, which stay absent until used. -ENOMEM. */
int sparse_pool_init(struct sparse_pool *pool, size_t capacity);
void sparse_pool_deinit(struct sparse_pool *pool); /* an all-zero pool is allowed */
size_t sparse_pool_bytes(const struct sparse_pool *pool); /* resident at most */

/* Whether the near part is open and counts this slot. */
static inline bool sparse_is_near(const struct sparse *sparse, uint32_t slot)
{
	return likely(slot - sparse->first < sparse->width);
}

/* A new largest value is rare among many: a branch costs less than a store each time. */
static inline void sparse_totals_add(struct sparse *sparse, uint64_t ns)
{
	sparse->count++;
	sparse->sum_ns = hist_sum(sparse->sum_ns, ns);
	if (unlikely(ns > sparse->max_ns))
		sparse->max_ns = ns;
}

/* Counts one value in the near part: false, and nothing done, when that is not possible. */
static inline bool sparse_record_near(struct sparse *sparse, uint32_t slot, uint64_t ns)
{
	if (unlikely(!sparse_is_near(sparse, slot)))
		return false;
	uint8_t *near = &sparse->near[slot - sparse->first];
	if (unlikely(*near == UINT8_MAX))
		return false;
	++*near;
	sparse_totals_add(sparse, ns);
	return true;
}

/* Lets the cache fetch what sparse_record_near() will touch beside the histogram's own first line. */
static inline void sparse_prefetch(const struct sparse *sparse, uint32_t slot)
{
	if (sparse_is_near(sparse, slot))
		__builtin_prefetch(&sparse->near[slot - sparse->first], 1);
}

/* Opens the near part for values like that of slot, when the pool has a block. */
void sparse_open(struct sparse_pool *pool, struct sparse *sparse, uint32_t slot);

/*
 * Counts one value wherever there is room: sparse_reserve() takes what is needed for it, false when
 * the pool is empty; sparse_record() then cannot fail.
 */
bool sparse_reserve(struct sparse_pool *pool, struct sparse *sparse, uint32_t slot);
void sparse_record(struct sparse_pool *pool, struct sparse *sparse, uint32_t slot, uint64_t ns);

/* Closes a near part that was opened for what was refused then: open says that there is a count. */
void sparse_close_unused(struct sparse *sparse);

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

/*
 * Empties sparse and closes its near part. Blocks that were of use are kept for the next tick, the
 * others given back.
 */
void sparse_reset(struct sparse_pool *pool, struct sparse *sparse);

#endif
