/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/data/lane.h"

#include <string.h>

#include "lib/base/testpoint.h"

/*
 * How many slots the owner uses. To be asked after the tail was loaded: the owner grows its lane
 * only while it is empty, before it moves the tail. A claim like all else in the lane: whatever it
 * says, records are read within the lane.
 */
static uint32_t lane_slots(const struct vow_shm_lane *shared)
{
	uint32_t grown = __atomic_load_n(&shared->grown, __ATOMIC_RELAXED);

	return grown == VOW_SHM_LANE_ROOM ? VOW_SHM_LANE_ROOM : VOW_SHM_LANE_SLOTS;
}

void lane_begin(struct lane *lane, const struct vow_shm_lane *shared, uint64_t restored)
{
	uint64_t tail = __atomic_load_n(&shared->tail, __ATOMIC_ACQUIRE);
	uint64_t head = __atomic_load_n(&shared->head, __ATOMIC_RELAXED);

	*lane = (struct lane){
		.position = head,
		.committed = head,
		.exemplars = __atomic_load_n(&shared->exemplars_taken, __ATOMIC_RELAXED),
		.slots = lane_slots(shared),
		.begun = true,
	};
	/* restored lies in (head, tail]: the last agent died before it could give these back. */
	if (restored - head <= tail - head)
		lane->position = restored;
	lane->quarantined = tail - head > lane->slots;
}

unsigned lane_take(struct lane *lane, const struct vow_shm_lane *shared,
		   struct vow_shm_record *records, unsigned max)
{
	if (lane->quarantined)
		return 0;
	/* Partner: the release in the client's writer_push(). */
	uint64_t tail = __atomic_load_n(&shared->tail, __ATOMIC_ACQUIRE);
	uint64_t ready = tail - lane->position;
	if (ready == 0)
		return 0;
	lane->slots = lane_slots(shared);
	if (tail - lane->committed > lane->slots || ready > lane->slots) {
		lane->quarantined = true;
		return 0;
	}
	unsigned count = ready < max ? (unsigned)ready : max;
	unsigned first = (unsigned)(lane->position % lane->slots);
	unsigned straight = lane->slots - first;

	if (straight > count)
		straight = count;
	memcpy(records, &shared->slots[first], straight * sizeof(*records));
	memcpy(records + straight, &shared->slots[0], (count - straight) * sizeof(*records));
	lane->position += count;
	return count;
}

bool lane_is_filling(const struct lane *lane)
{
	uint64_t held = lane->position - lane->committed;

	return held > lane->slots / 2 && held < lane->slots && !lane->quarantined;
}

bool lane_has_exemplars(const struct lane *lane, const struct vow_shm_lane *shared)
{
	/* A hint: lane_exemplars() loads it again, with acquire. */
	return __atomic_load_n(&shared->exemplars, __ATOMIC_RELAXED) != lane->exemplars;
}

/* Copies one when it is whole and numbered in (from, to]. */
static bool lane_exemplar(const struct vow_shm_exemplar *shared, uint64_t from, uint64_t to,
			  struct vow_shm_exemplar *copy)
{
	/* Partner: the owner's release of the number, behind the words. */
	copy->number = __atomic_load_n(&shared->number, __ATOMIC_ACQUIRE);
	if (copy->number <= from || copy->number > to)
		return false;
	/* Acquire, partners: the owner's releases. The second number is loaded behind all words. */
	copy->ended_unix_ns = __atomic_load_n(&shared->ended_unix_ns, __ATOMIC_ACQUIRE);
	copy->latency_ns = __atomic_load_n(&shared->latency_ns, __ATOMIC_ACQUIRE);
	copy->what = __atomic_load_n(&shared->what, __ATOMIC_ACQUIRE);
	for (unsigned i = 0; i < VOW_SHM_TAG / 8; i++)
		copy->tag[i] = __atomic_load_n(&shared->tag[i], __ATOMIC_ACQUIRE);
	return __atomic_load_n(&shared->number, __ATOMIC_RELAXED) == copy->number;
}

unsigned lane_exemplars(struct lane *lane, struct vow_shm_lane *shared,
			struct vow_shm_exemplar exemplars[VOW_SHM_EXEMPLARS])
{
	/* Partner: the owner's release in exemplar_offer(). */
	uint64_t written = __atomic_load_n(&shared->exemplars, __ATOMIC_ACQUIRE);
	unsigned count = 0;

	if (written == lane->exemplars || lane->quarantined)
		return 0;
	for (unsigned i = 0; i < VOW_SHM_EXEMPLARS; i++)
		count += lane_exemplar(&shared->exemplar[i], lane->exemplars, written,
				       &exemplars[count]);
	lane->exemplars = written;
	/* Partner: the acquire in the client's exemplar_place(). */
	__atomic_store_n(&shared->exemplars_taken, written, __ATOMIC_RELEASE);
	return count;
}

void lane_commit(struct lane *lane, struct vow_shm_lane *shared)
{
	if (lane->committed == lane->position)
		return;
	lane->committed = lane->position;
	/* Partner: the acquire in the client's writer_room(). */
	__atomic_store_n(&shared->head, lane->position, __ATOMIC_RELEASE);
	TESTPOINT(lane_committed);
}
