/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent knows of a segment's overflow blocks, for overflow.c, which takes from them, and
 * overflow_journal.c, which gives back what the journal holds. Main thread.
 */
#ifndef VOW_LIB_DATA_OVERFLOW_BLOCK_H
#define VOW_LIB_DATA_OVERFLOW_BLOCK_H

#include "lib/data/overflow.h"

#define OVERFLOW_BADS (VOW_SHM_POLICIES * VOW_SHM_THRESHOLDS)

/* One group of histogram slots, kept once something was in it. */
struct overflow_group {
	uint64_t changed[VOW_SHM_GROUP / 64]; /* taken since the last commit */
	uint64_t taken[VOW_SHM_GROUP];
};

struct overflow_block {
	unsigned index; /* in the segment */
	unsigned idle; /* visits in a row that found nothing */
	uint64_t key;
	bool broken;
	bool changed; /* taken from since the last commit */
	uint64_t seen_sum_ns; /* as of the last close look */
	uint64_t taken_sum_ns, taken_unjudged, taken_bad[OVERFLOW_BADS];
	uint64_t policy;
	uint64_t bank[VOW_SHM_POLICIES][VOW_SHM_THRESHOLDS];
	struct overflow_group *groups[VOW_SHM_GROUPS];
};

static inline struct vow_shm_block *overflow_shared(const struct overflow *o, unsigned index)
{
	return &o->segment->shm->blocks[index];
}

/* Begins block `index` of the segment: 0 or -ENOMEM. One that cannot be read is there, as broken. */
int overflow_add(struct overflow *o, unsigned index, uint64_t key);
/* A group of the block, made at its first use; NULL without memory, or a page of the segment's. */
struct overflow_group *overflow_group(struct overflow *o, struct overflow_block *block, unsigned g);

#endif
