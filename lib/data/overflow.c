/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/data/overflow_block.h"
#include "lib/data/varint.h"

/*
 * So many observations of one bucket are taken at once: a series holds 32 bits a tick, the rest
 * follows at the next visit.
 */
#define OVERFLOW_SLOT_MAX (UINT64_C(1) << 28)

void overflow_init(struct overflow *o, struct segment *segment)
{
	memset(o, 0, sizeof(*o));
	o->segment = segment;
}

void overflow_deinit(struct overflow *o)
{
	for (unsigned i = 0; i < o->count; i++) {
		for (unsigned g = 0; g < VOW_SHM_GROUPS; g++)
			free(o->blocks[i]->groups[g]);
		free(o->blocks[i]);
	}
	free(o->blocks);
	o->blocks = NULL;
	o->count = o->capacity = 0;
}

/* ---- finding blocks -------------------------------------------------------------------------- */

/* What the agent left in a block, or an agent before it. */
struct overflow_begin {
	const struct vow_shm_block *shared;
	struct overflow_block *block;
};

static int overflow_begin_copy(void *arg)
{
	struct overflow_begin *begin = arg;
	const struct vow_shm_block *shared = begin->shared;
	struct overflow_block *block = begin->block;

	block->taken_sum_ns = shared->taken_sum_ns;
	block->taken_unjudged = shared->taken_unjudged;
	memcpy(block->taken_bad, shared->taken_bad, sizeof(block->taken_bad));
	block->policy = shared->policy;
	memcpy(block->bank, shared->bank, sizeof(block->bank));
	return 0;
}

int overflow_add(struct overflow *o, unsigned index, uint64_t key)
{
	if (o->count == o->capacity) {
		unsigned capacity = o->capacity ? o->capacity * 2 : 16;
		void *grown = realloc(o->blocks, capacity * sizeof(*o->blocks));

		if (!grown)
			return -ENOMEM;
		o->blocks = grown;
		o->capacity = capacity;
	}
	struct overflow_block *block = calloc(1, sizeof(*block));
	if (!block)
		return -ENOMEM;
	block->index = index;
	block->key = key;
	struct overflow_begin begin = {overflow_shared(o, index), block};
	block->broken =
		segment_guard(overflow_begin_copy, &begin) < 0 || block->policy > VOW_SHM_POLICIES;
	o->broken += block->broken;
	o->blocks[o->count++] = block;
	o->by_index[index] = (uint16_t)o->count;
	return 0;
}

struct overflow_directory {
	const struct vow_shm *shm;
	uint64_t keys[VOW_SHM_DIRECTORY];
};

static int overflow_directory_copy(void *arg)
{
	struct overflow_directory *copy = arg;

	/* Partner: the compare-and-swap in the client's spill_block(). */
	for (unsigned i = 0; i < VOW_SHM_DIRECTORY; i++)
		copy->keys[i] = __atomic_load_n(&copy->shm->directory[i], __ATOMIC_ACQUIRE);
	return 0;
}

static int overflow_scan_directory(struct overflow *o)
{
	struct overflow_directory copy = {.shm = o->segment->shm};
	int rc = segment_guard(overflow_directory_copy, &copy);

	for (unsigned i = 0; i < VOW_SHM_DIRECTORY && rc == 0; i++)
		if (copy.keys[i] && !o->by_index[i])
			rc = overflow_add(o, i, copy.keys[i]);
	return rc;
}

static int overflow_scan_spare(struct overflow *o, const uint64_t *spare)
{
	int rc = 0;

	for (unsigned i = 0; i < VOW_SHM_SPARE && rc == 0; i++) {
		unsigned index = VOW_SHM_DIRECTORY + i;

		if ((spare[i / 64] >> i % 64 & 1) && !o->by_index[index])
			rc = overflow_add(
				o, index,
				VOW_SHM_KEY(i / VOW_SHM_CLASSES, i % VOW_SHM_CLASSES, 0, 0, 0));
	}
	return rc;
}

int overflow_scan(struct overflow *o)
{
	struct vow_shm_counters counters = segment_counters(o->segment);
	int rc = 0;

	if (counters.directory != o->directory)
		rc = overflow_scan_directory(o);
	if (rc == 0)
		o->directory = counters.directory;
	if (rc == 0 && memcmp(counters.spare, o->spare, sizeof(o->spare)) != 0) {
		rc = overflow_scan_spare(o, counters.spare);
		if (rc == 0)
			memcpy(o->spare, counters.spare, sizeof(o->spare));
	}
	return rc == -EFAULT ? 0 : rc;
}

uint64_t overflow_key(const struct overflow *o, unsigned i)
{
	return o->blocks[i]->key;
}

int overflow_wait_of(const struct overflow *o, unsigned i)
{
	const struct overflow_block *block = o->blocks[i];
	uint64_t key = block->key + ((uint64_t)VOW_SHM_WAIT << VOW_SHM_KEY_KIND_SHIFT);

	if (VOW_SHM_KEY_KIND(block->key) >= VOW_SHM_WAIT)
		return -1;
	if (block->index >= VOW_SHM_DIRECTORY)
		return (int)o->by_index[block->index + VOW_SHM_WAIT * VOW_SHM_CLASSES] - 1;
	for (unsigned probe = 0; probe < VOW_SHM_PROBES; probe++) {
		unsigned index = (VOW_SHM_HASH(key) + probe) % VOW_SHM_DIRECTORY;
		unsigned place = o->by_index[index];

		if (place && o->blocks[place - 1]->key == key)
			return (int)place - 1;
	}
	return -1;
}

/* ---- taking ---------------------------------------------------------------------------------- */

/* A copy of what the application wrote into one block. */
struct overflow_copy {
	const struct vow_shm_block *shared;
	uint64_t (*slots)[VOW_SHM_GROUP]; /* VOW_SHM_GROUPS of them; NULL: not wanted */
	uint64_t used, sum_ns, max_ns, unjudged, bad[OVERFLOW_BADS];
};

static int overflow_copy(void *arg)
{
	struct overflow_copy *copy = arg;
	const struct vow_shm_block *shared = copy->shared;
	const uint64_t *bad = shared->bad[0];

	copy->used = __atomic_load_n(&shared->used, __ATOMIC_ACQUIRE);
	/*
	 * Slots first, with acquire (partner: the release in the client's spill_add()): whatever
	 * belongs to an observation seen in its slot is then seen in the other words as well.
	 */
	for (unsigned g = 0; g < VOW_SHM_GROUPS && copy->slots; g++)
		for (unsigned s = 0; (copy->used >> g & 1) && s < VOW_SHM_GROUP; s++)
			copy->slots[g][s] =
				__atomic_load_n(&shared->groups[g].slots[s], __ATOMIC_ACQUIRE);
	copy->sum_ns = __atomic_load_n(&shared->sum_ns, __ATOMIC_RELAXED);
	copy->max_ns = __atomic_load_n(&shared->max_ns, __ATOMIC_RELAXED);
	copy->unjudged = __atomic_load_n(&shared->unjudged, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < OVERFLOW_BADS; i++)
		copy->bad[i] = __atomic_load_n(&bad[i], __ATOMIC_RELAXED);
	return 0;
}

/* Whether something may have been added since the last close look. */
static bool overflow_active(struct overflow *o, struct overflow_block *block)
{
	struct overflow_copy header = {.shared = overflow_shared(o, block->index)};

	/*
	 * A thread may be between the sum and its slot, for as long as the kernel leaves it there:
	 * hence three rounds after a change, and every so often all the same.
	 */
	if (block->idle < 3 || block->idle % OVERFLOW_IDLE_ROUNDS == 0)
		return true;
	return segment_guard(overflow_copy, &header) == 0 && header.sum_ns != block->seen_sum_ns;
}

struct overflow_taken {
	const struct vow_shm_group *shared;
	uint64_t taken[VOW_SHM_GROUP];
};

static int overflow_taken_copy(void *arg)
{
	struct overflow_taken *copy = arg;

	memcpy(copy->taken, copy->shared->taken, sizeof(copy->taken));
	return 0;
}

struct overflow_group *overflow_group(struct overflow *o, struct overflow_block *block, unsigned g)
{
	struct overflow_taken copy = {.shared = &overflow_shared(o, block->index)->groups[g]};

	if (block->groups[g])
		return block->groups[g];
	if (segment_guard(overflow_taken_copy, &copy) < 0)
		return NULL;
	block->groups[g] = calloc(1, sizeof(struct overflow_group));
	if (block->groups[g])
		memcpy(block->groups[g]->taken, copy.taken, sizeof(copy.taken));
	return block->groups[g];
}

/* Values are whole ns: narrow slots below 183 ns, which lie between two of them, hold none. */
static bool overflow_slot_holds(uint32_t slot)
{
	return slot < HIST_SLOTS && hist_slot(hist_slot_last(slot)) == slot;
}

/* What an application says to have used and never wrote to costs the agent no memory of its own. */
static bool overflow_group_empty(const struct overflow_block *block, unsigned g,
				 const uint64_t *slots)
{
	uint64_t any = 0;

	for (unsigned s = 0; s < VOW_SHM_GROUP && !block->groups[g]; s++)
		any |= slots[s];
	return !block->groups[g] && any == 0;
}

/* False when a word made no sense. Without memory for a group it is left for later. */
static bool overflow_take_group(struct overflow *o, struct overflow_block *block, unsigned g,
				const uint64_t *slots, uint64_t limit, struct hist_delta *hist)
{
	struct overflow_group *group = overflow_group(o, block, g);

	for (unsigned s = 0; group && s < VOW_SHM_GROUP && hist->count < limit; s++) {
		uint64_t more = slots[s] - group->taken[s];
		uint32_t slot = g * VOW_SHM_GROUP + s;

		if (more == 0)
			continue;
		if (slots[s] < group->taken[s] || !overflow_slot_holds(slot))
			return false;
		if (more > OVERFLOW_SLOT_MAX)
			more = OVERFLOW_SLOT_MAX;
		if (more > limit - hist->count)
			more = limit - hist->count;
		if (!(group->changed[s / 64] >> s % 64 & 1))
			o->pending_bytes += 1 + VARINT_MAX;
		group->changed[s / 64] |= UINT64_C(1) << s % 64;
		group->taken[s] += more;
		if (!hist->high)
			hist->low = slot;
		hist->high = slot + 1;
		hist->slots[slot] = (uint32_t)more;
		hist->count += more;
	}
	return true;
}

static uint64_t overflow_min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * The largest value: the block's when it can be among these, else the upper bound of the highest
 * bucket that was taken from.
 */
static uint64_t overflow_max(const struct hist_delta *hist, uint64_t max_ns)
{
	uint32_t highest = hist->high - 1;

	/* In slot 0 a 0 counts as 1, as in the sum. */
	return max_ns && hist_slot(max_ns) == highest ? max_ns : hist_slot_last(highest);
}

/*
 * The share of the sum that belongs to what was taken. Calls that did not come to their slot yet
 * are in the block's sum already, so the share is kept to what the buckets allow and the rest is
 * left for the next time; it comes out even once the block is quiet.
 */
static uint64_t overflow_sum(const struct hist_delta *hist, uint64_t left)
{
	unsigned __int128 least = 0, most = 0;

	for (uint32_t s = hist->low; s < hist->high; s++) {
		uint64_t last = s == hist->high - 1 ? hist->max_ns : hist_slot_last(s);

		least += (unsigned __int128)hist->slots[s] * (s ? hist_slot_last(s - 1) + 1 : 1);
		most += (unsigned __int128)hist->slots[s] * last;
	}
	if (least < hist->max_ns)
		least = hist->max_ns;
	if (least > UINT64_MAX || (int64_t)left < 0 || left < least)
		return least > UINT64_MAX ? UINT64_MAX : (uint64_t)least;
	return left < most ? left : (uint64_t)most;
}

/*
 * The words beside the slots: no more of them than observations were taken, since the rest belongs
 * to calls that did not come to their slot yet.
 */
static void overflow_take_words(struct overflow_block *block, const struct overflow_copy *copy,
				struct overflow_delta *delta)
{
	struct hist_delta *hist = &delta->hist;
	uint64_t *bad = delta->bad[0];

	hist->max_ns = overflow_max(hist, copy->max_ns);
	hist->sum_ns = overflow_sum(hist, copy->sum_ns - block->taken_sum_ns);
	block->taken_sum_ns += hist->sum_ns;
	delta->unjudged = overflow_min(copy->unjudged - block->taken_unjudged, hist->count);
	block->taken_unjudged += delta->unjudged;
	for (unsigned i = 0; i < OVERFLOW_BADS; i++) {
		bad[i] = overflow_min(copy->bad[i] - block->taken_bad[i], hist->count);
		block->taken_bad[i] += bad[i];
	}
}

bool overflow_take(struct overflow *o, unsigned i, uint64_t limit, bool thorough,
		   struct overflow_delta *delta)
{
	struct overflow_block *block = o->blocks[i];
	uint64_t slots[VOW_SHM_GROUPS][VOW_SHM_GROUP]; /* filled where copy.used says so */
	struct overflow_copy copy = {.shared = overflow_shared(o, block->index), .slots = slots};

	if (block->broken || limit == 0)
		return false;
	block->idle++;
	if (!thorough && !overflow_active(o, block))
		return false;
	if (segment_guard(overflow_copy, &copy) < 0)
		return false;
	hist_delta_clear(&delta->hist);
	if (copy.sum_ns != block->seen_sum_ns)
		block->idle = 0;
	block->seen_sum_ns = copy.sum_ns;
	bool sound = true;
	for (unsigned g = 0; g < VOW_SHM_GROUPS && sound; g++)
		if ((copy.used >> g & 1) && !overflow_group_empty(block, g, slots[g]))
			sound = overflow_take_group(o, block, g, slots[g], limit, &delta->hist);
	if (!sound) {
		block->broken = true;
		o->broken++;
	}
	if (delta->hist.count == 0)
		return false;
	overflow_take_words(block, &copy, delta);
	if (!block->changed)
		o->pending_bytes +=
			8 + 4 * VARINT_MAX + OVERFLOW_BADS * VARINT_MAX + VOW_SHM_GROUPS * 3;
	block->changed = true;
	return true;
}

/* ---- thresholds ------------------------------------------------------------------------------ */

struct overflow_policy {
	struct vow_shm_block *shared;
	const struct overflow_block *block;
};

static int overflow_policy_store(void *arg)
{
	struct overflow_policy *policy = arg;
	uint64_t number = policy->block->policy;

	for (unsigned i = 0; i < VOW_SHM_THRESHOLDS; i++)
		__atomic_store_n(&policy->shared->bank[number - 1][i],
				 policy->block->bank[number - 1][i], __ATOMIC_RELAXED);
	/* Partner: the acquire in the client's spill_judge(). */
	__atomic_store_n(&policy->shared->policy, number, __ATOMIC_RELEASE);
	return 0;
}

void overflow_judge(struct overflow *o, unsigned i, const dur_ns *thresholds, unsigned count)
{
	struct overflow_block *block = o->blocks[i];
	uint64_t wanted[VOW_SHM_THRESHOLDS];

	for (unsigned t = 0; t < VOW_SHM_THRESHOLDS; t++)
		wanted[t] = t < count ? thresholds[t] : UINT64_MAX;
	if (block->broken ||
	    (block->policy && memcmp(block->bank[block->policy - 1], wanted, sizeof(wanted)) == 0))
		return;
	/* The bank that was out of force longest: a thread that read its number is long gone. */
	block->policy = block->policy % VOW_SHM_POLICIES + 1;
	memcpy(block->bank[block->policy - 1], wanted, sizeof(wanted));
	struct overflow_policy policy = {overflow_shared(o, block->index), block};
	segment_guard(overflow_policy_store, &policy);
}

uint64_t overflow_slower(const struct overflow *o, unsigned i, const struct overflow_delta *delta,
			 dur_ns threshold)
{
	const struct overflow_block *block = o->blocks[i];
	const struct hist_delta *hist = &delta->hist;
	uint64_t slower = 0, above = 0;

	for (unsigned p = 0; p < VOW_SHM_POLICIES; p++)
		for (unsigned t = 0; t < VOW_SHM_THRESHOLDS; t++)
			if (block->bank[p][t] == threshold) {
				slower += delta->bad[p][t];
				break;
			}
	if (delta->unjudged) {
		for (uint32_t s = hist_slot(threshold) + 1; s < hist->high; s++)
			above += s >= hist->low ? hist->slots[s] : 0;
		slower += (uint64_t)((double)above * (double)delta->unjudged / (double)hist->count +
				     0.5);
	}
	return overflow_min(slower, hist->count);
}
