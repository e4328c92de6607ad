/* SPDX-License-Identifier: Apache-2.0 */
/* Of overflow blocks, what the journal holds: described, stored behind the record, and done again. */
#include <errno.h>
#include <string.h>

#include "lib/base/testpoint.h"
#include "lib/data/overflow_block.h"
#include "lib/data/varint.h"

/* ---- the two steps --------------------------------------------------------------------------- */

/* Behind each block that changed; the list ends with a 0. */
static uint8_t *overflow_describe_block(const struct overflow_block *block, uint8_t *p)
{
	p = varint_put(p, block->index + 1);
	memcpy(p, &block->key, sizeof(block->key));
	p = varint_put(p + sizeof(block->key), block->taken_sum_ns);
	p = varint_put(p, block->taken_unjudged);
	for (unsigned i = 0; i < OVERFLOW_BADS; i++)
		p = varint_put(p, block->taken_bad[i]);
	for (unsigned g = 0; g < VOW_SHM_GROUPS; g++) {
		const struct overflow_group *group = block->groups[g];

		if (!group || !(group->changed[0] | group->changed[1]))
			continue;
		*p++ = (uint8_t)(g + 1);
		*p++ = (uint8_t)(__builtin_popcountll(group->changed[0]) +
				 __builtin_popcountll(group->changed[1]));
		for (unsigned s = 0; s < VOW_SHM_GROUP; s++)
			if (group->changed[s / 64] >> s % 64 & 1) {
				*p++ = (uint8_t)s;
				p = varint_put(p, group->taken[s]);
			}
	}
	*p++ = 0;
	return p;
}

uint8_t *overflow_describe(const struct overflow *o, uint8_t *p, const uint8_t *end)
{
	if ((size_t)(end - p) < o->pending_bytes + 1)
		return NULL;
	for (unsigned i = 0; i < o->count; i++)
		if (o->blocks[i]->changed)
			p = overflow_describe_block(o->blocks[i], p);
	*p++ = 0;
	return p;
}

struct overflow_store {
	struct vow_shm_block *shared;
	struct overflow_block *block;
};

static int overflow_store(void *arg)
{
	struct overflow_store *store = arg;
	struct vow_shm_block *shared = store->shared;
	const struct overflow_block *block = store->block;

	for (unsigned g = 0; g < VOW_SHM_GROUPS; g++) {
		const struct overflow_group *group = block->groups[g];

		for (unsigned s = 0; group && s < VOW_SHM_GROUP; s++)
			if (group->changed[s / 64] >> s % 64 & 1)
				shared->groups[g].taken[s] = group->taken[s];
	}
	TESTPOINT(slots_committed);
	shared->taken_sum_ns = block->taken_sum_ns;
	shared->taken_unjudged = block->taken_unjudged;
	memcpy(shared->taken_bad, block->taken_bad, sizeof(block->taken_bad));
	return 0;
}

void overflow_commit(struct overflow *o)
{
	for (unsigned i = 0; i < o->count && o->pending_bytes; i++) {
		struct overflow_block *block = o->blocks[i];
		struct overflow_store store = {overflow_shared(o, block->index), block};

		if (!block->changed)
			continue;
		segment_guard(overflow_store, &store);
		TESTPOINT(block_committed);
		block->changed = false;
		for (unsigned g = 0; g < VOW_SHM_GROUPS; g++)
			if (block->groups[g])
				memset(block->groups[g]->changed, 0,
				       sizeof(block->groups[g]->changed));
	}
	o->pending_bytes = 0;
}

/* ---- redo ------------------------------------------------------------------------------------ */

/* One group's entries into block; never back behind what the segment holds already. */
static int overflow_redo_group(struct overflow *o, struct overflow_block *block, unsigned g,
			       const uint8_t **p, const uint8_t *end)
{
	struct overflow_group *group = overflow_group(o, block, g);
	unsigned entries = *p < end ? *(*p)++ : 0;

	if (!group)
		return -ENOMEM;
	if (entries == 0 || entries > VOW_SHM_GROUP)
		return -EPROTO;
	while (entries--) {
		unsigned s = *p < end ? *(*p)++ : VOW_SHM_GROUP;
		uint64_t taken;

		if (s >= VOW_SHM_GROUP || varint_get(p, end, &taken) < 0)
			return -EPROTO;
		if (taken > group->taken[s])
			group->taken[s] = taken;
		group->changed[s / 64] |= UINT64_C(1) << s % 64;
	}
	return 0;
}

static int overflow_redo_words(struct overflow_block *block, const uint8_t **p, const uint8_t *end)
{
	if (varint_get(p, end, &block->taken_sum_ns) < 0 ||
	    varint_get(p, end, &block->taken_unjudged) < 0)
		return -EPROTO;
	for (unsigned i = 0; i < OVERFLOW_BADS; i++)
		if (varint_get(p, end, &block->taken_bad[i]) < 0)
			return -EPROTO;
	return 0;
}

static int overflow_redo_block(struct overflow *o, unsigned index, const uint8_t **p,
			       const uint8_t *end)
{
	uint64_t key;
	int rc = 0;

	if ((size_t)(end - *p) < sizeof(key))
		return -EPROTO;
	memcpy(&key, *p, sizeof(key));
	*p += sizeof(key);
	if (!o->by_index[index])
		rc = overflow_add(o, index, key);
	if (rc < 0)
		return rc;
	struct overflow_block *block = o->blocks[o->by_index[index] - 1];
	/* Before a fault may end this: what was read by then is stored, too, and has its room. */
	block->changed = true;
	o->pending_bytes += OVERFLOW_TAKE_MAX;
	rc = overflow_redo_words(block, p, end);
	while (rc == 0) {
		unsigned g = *p < end ? *(*p)++ : VOW_SHM_GROUPS + 1;

		if (g == 0)
			break;
		rc = g > VOW_SHM_GROUPS ? -EPROTO : overflow_redo_group(o, block, g - 1, p, end);
	}
	return rc;
}

int overflow_redo(struct overflow *o, const uint8_t **p, const uint8_t *end)
{
	uint64_t index;
	int rc;

	for (;;) {
		rc = varint_get(p, end, &index);
		if (rc < 0 || index == 0)
			break;
		rc = index > VOW_SHM_BLOCKS ? -EPROTO
					    : overflow_redo_block(o, (unsigned)index - 1, p, end);
		if (rc < 0)
			break;
	}
	overflow_commit(o);
	return rc;
}
