/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/data/sparse.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define BLOCK_BYTES (HIST_OCTAVE_SLOTS * sizeof(uint32_t))

int sparse_pool_init(struct sparse_pool *pool, size_t capacity)
{
	size_t blocks = capacity + 1; /* number 0 means none */
	void *map;

	if (blocks > UINT32_MAX)
		return -ENOMEM;
	map = mmap(NULL, blocks * BLOCK_BYTES, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return -ENOMEM;
	/* A huge page would make one used block cost 2 MiB. Kernels without them say EINVAL. */
	(void)madvise(map, blocks * BLOCK_BYTES, MADV_NOHUGEPAGE);
	*pool = (struct sparse_pool){.blocks = map, .capacity = (uint32_t)blocks, .used = 1};
	return 0;
}

void sparse_pool_deinit(struct sparse_pool *pool)
{
	if (pool->blocks)
		munmap(pool->blocks, pool->capacity * BLOCK_BYTES);
	*pool = (struct sparse_pool){0};
}

size_t sparse_pool_bytes(const struct sparse_pool *pool)
{
	return pool->used * BLOCK_BYTES;
}

static uint32_t *block_at(const struct sparse_pool *pool, uint32_t number)
{
	return &pool->blocks[(size_t)number * HIST_OCTAVE_SLOTS];
}

uint32_t sparse_block_take(struct sparse_pool *pool)
{
	uint32_t number = pool->free;

	if (number) {
		/* A free block is all zero but for the link in its first word. */
		pool->free = *block_at(pool, number);
		*block_at(pool, number) = 0;
		return number;
	}
	return pool->used < pool->capacity ? pool->used++ : 0;
}

static void block_give(struct sparse_pool *pool, uint32_t number)
{
	*block_at(pool, number) = pool->free;
	pool->free = number;
}

static bool block_is_empty(const uint32_t *block)
{
	uint32_t any = 0;

	for (size_t i = 0; i < HIST_OCTAVE_SLOTS; i++)
		any |= block[i];
	return !any;
}

int sparse_merge_check(struct sparse_pool *pool, struct sparse *sparse, const uint8_t *bytes,
		       size_t size)
{
	struct hist_packed packed;
	uint64_t count;
	uint32_t slot;
	int rc = hist_packed_open(&packed, bytes, size);

	while (!rc && hist_packed_next(&packed, &slot, &count)) {
		const uint32_t *place = sparse_place(pool, sparse, slot);

		if (!place)
			rc = -ENOMEM;
		else if (count > UINT32_MAX - *place)
			rc = -EOVERFLOW;
	}
	return rc;
}

int sparse_merge_packed(struct sparse_pool *pool, struct sparse *sparse, const uint8_t *bytes,
			size_t size)
{
	struct hist_packed packed;
	uint64_t count;
	uint32_t slot;
	int rc = sparse_merge_check(pool, sparse, bytes, size);

	if (rc < 0 || (rc = hist_packed_open(&packed, bytes, size)) < 0)
		return rc;
	sparse->count += packed.count;
	sparse->sum_ns = hist_sum(sparse->sum_ns, packed.sum_ns);
	if (packed.max_ns > sparse->max_ns)
		sparse->max_ns = packed.max_ns;
	while (hist_packed_next(&packed, &slot, &count))
		*sparse_place(pool, sparse, slot) += (uint32_t)count;
	return 0;
}

void sparse_copy(const struct sparse_pool *pool, const struct sparse *sparse,
		 struct hist_delta *delta)
{
	hist_delta_clear(delta);
	delta->count = sparse->count;
	delta->sum_ns = sparse->sum_ns;
	delta->max_ns = sparse->max_ns;
	for (uint32_t octave = 0; octave < SPARSE_BLOCKS; octave++) {
		uint32_t first = octave * HIST_OCTAVE_SLOTS;
		uint32_t n = octave < HIST_OCTAVES ? HIST_OCTAVE_SLOTS : 1;

		if (!sparse->blocks[octave])
			continue;
		memcpy(&delta->slots[first], block_at(pool, sparse->blocks[octave]),
		       n * sizeof(uint32_t));
		if (!delta->high)
			delta->low = first;
		delta->high = first + n;
	}
}

void sparse_reset(struct sparse_pool *pool, struct sparse *sparse)
{
	for (uint32_t octave = 0; octave < SPARSE_BLOCKS; octave++) {
		uint32_t number = sparse->blocks[octave];

		if (!number)
			continue;
		if (block_is_empty(block_at(pool, number))) {
			block_give(pool, number);
			sparse->blocks[octave] = 0;
		} else {
			memset(block_at(pool, number), 0, BLOCK_BYTES);
		}
	}
	sparse->count = sparse->sum_ns = sparse->max_ns = 0;
}
