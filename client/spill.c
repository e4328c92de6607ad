/* SPDX-License-Identifier: Apache-2.0 */
#include "client/spill.h"

#include <stdbool.h>

#include "client/process.h"
#include "lib/base/testpoint.h"
#include "lib/data/hist.h"

/* 78 hours: above the histogram's range, and 65536 of these still fit into a sum. */
#define SPILL_SUM_MAX (UINT64_C(1) << 48)

/* Same numbers as enum series_class; asserted where both are seen (lib/data/segment.c). */
static unsigned spill_class(unsigned status)
{
	unsigned hundreds = status / 100;

	if (status == 0)
		return 0;
	return hundreds >= 1 && hundreds <= 5 ? hundreds : VOW_SHM_CLASS_ERROR;
}

static bool spill_block_ready(struct vow_shm *shm, unsigned index)
{
	return process_populate(&shm->blocks[index], offsetof(struct vow_shm_block, groups)) == 0;
}

static struct vow_shm_block *spill_spare(struct vow_shm *shm, unsigned kind, unsigned status_class)
{
	unsigned spare = kind * VOW_SHM_CLASSES + status_class;
	uint64_t *word = &shm->counters.spare[spare / 64];
	uint64_t bit = UINT64_C(1) << spare % 64;

	if (!(__atomic_load_n(word, __ATOMIC_RELAXED) & bit)) {
		if (!spill_block_ready(shm, VOW_SHM_DIRECTORY + spare))
			return NULL;
		__atomic_fetch_or(word, bit, __ATOMIC_RELEASE);
	}
	return &shm->blocks[VOW_SHM_DIRECTORY + spare];
}

/*
 * The block of key; claims an entry when there is none. The spare block when the entries around
 * its place are taken or memory lacks for one more header; NULL when it lacks for that one too.
 */
static struct vow_shm_block *spill_block(struct vow_shm *shm, uint64_t key)
{
	uint32_t place = VOW_SHM_HASH(key);

	for (unsigned i = 0; i < VOW_SHM_PROBES; i++) {
		unsigned index = (place + i) % VOW_SHM_DIRECTORY;
		uint64_t *entry = &shm->directory[index];
		uint64_t found = __atomic_load_n(entry, __ATOMIC_ACQUIRE);

		if (found == key)
			return &shm->blocks[index];
		if (found != 0)
			continue;
		if (!spill_block_ready(shm, index))
			break;
		/* Release, partner: the agent's acquire in overflow_directory_copy(). */
		if (__atomic_compare_exchange_n(entry, &found, key, 0, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE)) {
			TESTPOINT(block_claimed);
			__atomic_fetch_add(&process_current()->blocks_claimed, 1, __ATOMIC_RELAXED);
			__atomic_fetch_add(&shm->counters.directory, 1, __ATOMIC_RELEASE);
			TESTPOINT(block_counted);
			return &shm->blocks[index];
		}
		if (found == key)
			return &shm->blocks[index];
	}
	return spill_spare(shm, VOW_SHM_KEY_KIND(key), VOW_SHM_KEY_CLASS(key));
}

/* The pages of this group exist from now on, and the agent will look at it. */
static bool spill_group_ready(struct vow_shm_block *block, unsigned group)
{
	uint64_t bit = UINT64_C(1) << group;

	if (likely(__atomic_load_n(&block->used, __ATOMIC_RELAXED) & bit))
		return true;
	if (process_populate(&block->groups[group], sizeof(block->groups[0])) < 0 ||
	    process_populate(block, sizeof(block->used)) < 0)
		return false;
	__atomic_fetch_or(&block->used, bit, __ATOMIC_RELEASE);
	TESTPOINT(group_used);
	return true;
}

static void spill_judge(struct vow_shm_block *block, uint64_t latency_ns)
{
	/* Partner: the agent's release in overflow_policy_store(), after the bank. */
	uint64_t policy = __atomic_load_n(&block->policy, __ATOMIC_ACQUIRE);

	if (policy - 1 >= VOW_SHM_POLICIES) {
		__atomic_fetch_add(&block->unjudged, 1, __ATOMIC_RELAXED);
		return;
	}
	for (unsigned i = 0; i < VOW_SHM_THRESHOLDS; i++)
		if (latency_ns > __atomic_load_n(&block->bank[policy - 1][i], __ATOMIC_RELAXED))
			__atomic_fetch_add(&block->bad[policy - 1][i], 1, __ATOMIC_RELAXED);
}

/* False when memory lacks for it. */
static bool spill_add(struct vow_shm *shm, uint64_t key, uint64_t latency_ns)
{
	struct vow_shm_block *block = spill_block(shm, key);
	uint32_t slot = hist_slot(latency_ns);

	if (!block || !spill_group_ready(block, slot / VOW_SHM_GROUP))
		return false;
	spill_judge(block, latency_ns);
	TESTPOINT(spill_judged);
	/* At least 1, as in the histogram: the agent sees by a changed sum where to look. */
	__atomic_fetch_add(&block->sum_ns,
			   latency_ns < SPILL_SUM_MAX ? latency_ns | (latency_ns == 0)
						      : SPILL_SUM_MAX,
			   __ATOMIC_RELAXED);
	TESTPOINT(spill_summed);
	uint64_t max_ns = __atomic_load_n(&block->max_ns, __ATOMIC_RELAXED);
	while (latency_ns > max_ns &&
	       !__atomic_compare_exchange_n(&block->max_ns, &max_ns, latency_ns, 1,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	/* Partner: the agent's acquire of the slot in overflow_copy(). */
	__atomic_fetch_add(&block->groups[slot / VOW_SHM_GROUP].slots[slot % VOW_SHM_GROUP], 1,
			   __ATOMIC_RELEASE);
	TESTPOINT(spill_counted);
	return true;
}

void spill_record(struct vow_shm *shm, unsigned shard, uint64_t extra, uint64_t latency_ns,
		  uint64_t what)
{
	unsigned status_class = spill_class(VOW_SHM_WHAT_STATUS(what));
	unsigned kind = VOW_SHM_WHAT_KIND(what);
	unsigned name = VOW_SHM_WHAT_NAME(what), peer = VOW_SHM_WHAT_PEER(what);

	/*
	 * Memory and the directory go to many names first, to many threads second. Not by the
	 * segment's own count: other threads write to its line, and at some addresses of a segment,
	 * one in thirty, it and the block's sums would chase each other out of the processor's first
	 * cache, where lines are found by a hash of their address: 20 ns instead of 16 (bench_spill).
	 */
	if (__atomic_load_n(&process_current()->blocks_claimed, __ATOMIC_RELAXED) >
	    VOW_SHM_DIRECTORY / 2)
		shard = 0;
	/* An outcome whose wait alone finds no memory is reported, hence not lost. */
	if (kind >= VOW_SHM_DELIVERED)
		(void)spill_add(shm,
				VOW_SHM_KEY(kind + VOW_SHM_WAIT, status_class, shard, name, peer),
				extra);
	if (!spill_add(shm, VOW_SHM_KEY(kind, status_class, shard, name, peer), latency_ns))
		__atomic_fetch_add(&shm->counters.lost, 1, __ATOMIC_RELAXED);
}
