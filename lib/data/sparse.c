/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/data/sparse.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define BLOCK_BYTES 1024u
#define BLOCK_WORDS (BLOCK_BYTES / sizeof(uint32_t))
/* Of the near part's octaves so many lie below that of the value it was opened for. */
#define OCTAVES_BELOW 3
/* Where the near part may begin at most: it lies within the histogram. */
#define OCTAVE_LAST (HIST_OCTAVES - SPARSE_NEAR / HIST_OCTAVE_SLOTS)

_Static_assert(SPARSE_NEAR == BLOCK_BYTES && SPARSE_FAR == BLOCK_WORDS, "one size of blocks");
_Static_assert(SPARSE_NEAR % HIST_OCTAVE_SLOTS == 0, "whole octaves");

/* ---- the pool ----------------------------------------------------------------------------------- */

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
		munmap(pool->blocks, (size_t)pool->capacity * BLOCK_BYTES);
	*pool = (struct sparse_pool){0};
}

size_t sparse_pool_bytes(const struct sparse_pool *pool)
{
	return (size_t)pool->used * BLOCK_BYTES;
}

static uint32_t *block_at(const struct sparse_pool *pool, uint32_t number)
{
	return &pool->blocks[(size_t)number * BLOCK_WORDS];
}

/* Takes a zeroed block; 0 when the pool is empty. */
static uint32_t block_take(struct sparse_pool *pool)
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

/* Gives back a block that is all zero. */
static void block_give(struct sparse_pool *pool, uint32_t number)
{
	*block_at(pool, number) = pool->free;
	pool->free = number;
}

static bool block_is_empty(const uint32_t *block)
{
	uint32_t any = 0;

	for (size_t i = 0; i < BLOCK_WORDS; i++)
		any |= block[i];
	return !any;
}

/* ---- the far part ------------------------------------------------------------------------------- */

/* Where it counts a slot, its block taken when needed. NULL when the pool is empty. */
static uint32_t *far_place(struct sparse_pool *pool, struct sparse *sparse, uint32_t slot)
{
	uint32_t *block = &sparse->far[slot / SPARSE_FAR];

	if (!*block && !(*block = block_take(pool)))
		return NULL;
	return &block_at(pool, *block)[slot % SPARSE_FAR];
}

/* ---- the near part ------------------------------------------------------------------------------ */

/* Where it counts a slot; NULL when it does not. */
static uint8_t *near_place(const struct sparse *sparse, uint32_t slot)
{
	return sparse_is_near(sparse, slot) ? &sparse->near[slot - sparse->first] : NULL;
}

static uint32_t near_number(const struct sparse_pool *pool, const struct sparse *sparse)
{
	return (uint32_t)((size_t)(sparse->near - (uint8_t *)pool->blocks) / BLOCK_BYTES);
}

void sparse_open(struct sparse_pool *pool, struct sparse *sparse, uint32_t slot)
{
	if (!sparse->near) {
		uint32_t number = block_take(pool), octave = slot / HIST_OCTAVE_SLOTS;

		if (!number)
			return;
		sparse->near = (uint8_t *)block_at(pool, number);
		octave = octave > OCTAVES_BELOW ? octave - OCTAVES_BELOW : 0;
		sparse->first = octave < OCTAVE_LAST ? octave * HIST_OCTAVE_SLOTS
						     : OCTAVE_LAST * HIST_OCTAVE_SLOTS;
	}
	sparse->width = SPARSE_NEAR;
}

void sparse_close_unused(struct sparse *sparse)
{
	if (!sparse->count)
		sparse->width = 0;
}

bool sparse_reserve(struct sparse_pool *pool, struct sparse *sparse, uint32_t slot)
{
	const uint8_t *near = near_place(sparse, slot);

	return (near && *near < UINT8_MAX) || far_place(pool, sparse, slot);
}

void sparse_record(struct sparse_pool *pool, struct sparse *sparse, uint32_t slot, uint64_t ns)
{
	if (sparse_record_near(sparse, slot, ns))
		return;
	uint8_t *near = near_place(sparse, slot);
	uint32_t *far = far_place(pool, sparse, slot); /* was reserved */

	/* A byte that is full goes over into the far part as a whole. */
	*far += near ? *near + 1 : 1;
	if (near)
		*near = 0;
	else
		sparse->strays++;
	sparse_totals_add(sparse, ns);
}

/* ---- many at once ------------------------------------------------------------------------------- */

/* Where count more of a slot fit: the far place, or NULL with rc 0 for the near one. */
static int merge_place(struct sparse_pool *pool, struct sparse *sparse, uint32_t slot,
		       uint64_t count, uint32_t **far)
{
	const uint8_t *near = near_place(sparse, slot);
	uint32_t held = near ? *near : 0;

	*far = NULL;
	if (near && count <= UINT8_MAX - held)
		return 0;
	*far = far_place(pool, sparse, slot);
	if (!*far)
		return -ENOMEM;
	return count > UINT32_MAX - held - **far ? -EOVERFLOW : 0;
}

int sparse_merge_check(struct sparse_pool *pool, struct sparse *sparse, const uint8_t *bytes,
		       size_t size)
{
	struct hist_packed packed;
	uint64_t count;
	uint32_t slot, *far;
	int rc = hist_packed_open(&packed, bytes, size);

	if (!rc && packed.count && !sparse->width)
		sparse_open(pool, sparse, packed.low);
	while (!rc && hist_packed_next(&packed, &slot, &count))
		rc = merge_place(pool, sparse, slot, count, &far);
	if (rc < 0)
		sparse_close_unused(sparse);
	return rc;
}

int sparse_merge_packed(struct sparse_pool *pool, struct sparse *sparse, const uint8_t *bytes,
			size_t size)
{
	struct hist_packed packed;
	uint64_t count;
	uint32_t slot, *far;
	int rc = sparse_merge_check(pool, sparse, bytes, size);

	if (rc < 0 || (rc = hist_packed_open(&packed, bytes, size)) < 0)
		return rc;
	sparse->count += packed.count;
	sparse->sum_ns = hist_sum(sparse->sum_ns, packed.sum_ns);
	if (packed.max_ns > sparse->max_ns)
		sparse->max_ns = packed.max_ns;
	while (hist_packed_next(&packed, &slot, &count)) {
		(void)merge_place(pool, sparse, slot, count, &far); /* was checked */
		if (far)
			*far += (uint32_t)count;
		else
			*near_place(sparse, slot) += (uint8_t)count;
		if (!near_place(sparse, slot))
			sparse->strays += count;
	}
	return 0;
}

/* ---- the tick ----------------------------------------------------------------------------------- */

static void delta_widen(struct hist_delta *delta, uint32_t first, uint32_t end)
{
	if (!delta->high || first < delta->low)
		delta->low = first;
	if (end > delta->high)
		delta->high = end;
}

/* Most of the near part is empty most of the time: eight counters are looked at as one word. */
static void near_copy(const struct sparse *sparse, struct hist_delta *delta)
{
	for (uint32_t i = 0; i < SPARSE_NEAR; i += sizeof(uint64_t)) {
		uint32_t first = sparse->first + i;
		uint8_t eight[sizeof(uint64_t)];
		uint64_t any;

		memcpy(&any, &sparse->near[i], sizeof(any));
		if (!any)
			continue;
		memcpy(eight, &any, sizeof(eight));
		for (uint32_t k = 0; k < sizeof(eight); k++)
			delta->slots[first + k] += eight[k];
		delta_widen(delta, first, first + sizeof(eight));
	}
}

void sparse_copy(const struct sparse_pool *pool, const struct sparse *sparse,
		 struct hist_delta *delta)
{
	hist_delta_clear(delta);
	delta->count = sparse->count;
	delta->sum_ns = sparse->sum_ns;
	delta->max_ns = sparse->max_ns;
	for (uint32_t i = 0; i < SPARSE_FAR_COUNT; i++) {
		uint32_t first = i * SPARSE_FAR, end = first + SPARSE_FAR;

		if (!sparse->far[i])
			continue;
		end = end < HIST_SLOTS ? end : HIST_SLOTS;
		memcpy(&delta->slots[first], block_at(pool, sparse->far[i]),
		       (end - first) * sizeof(uint32_t));
		delta_widen(delta, first, end);
	}
	if (sparse->near)
		near_copy(sparse, delta);
}

/* Keeps the near part where it was of use; where most went astray it is opened anew. */
static void near_reset(struct sparse_pool *pool, struct sparse *sparse)
{
	sparse->width = 0;
	if (!sparse->near)
		return;
	memset(sparse->near, 0, BLOCK_BYTES);
	if (2 * sparse->strays < sparse->count)
		return;
	block_give(pool, near_number(pool, sparse));
	sparse->near = NULL;
}

void sparse_reset(struct sparse_pool *pool, struct sparse *sparse)
{
	near_reset(pool, sparse);
	for (uint32_t i = 0; i < SPARSE_FAR_COUNT; i++) {
		uint32_t number = sparse->far[i];

		if (!number)
			continue;
		if (block_is_empty(block_at(pool, number))) {
			block_give(pool, number);
			sparse->far[i] = 0;
		} else {
			memset(block_at(pool, number), 0, BLOCK_BYTES);
		}
	}
	sparse->count = sparse->sum_ns = sparse->max_ns = sparse->strays = 0;
}
