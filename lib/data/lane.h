/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's end of a lane; the owner's end is client/writer.h, where the protocol is tabled.
 *
 * The agent takes records at a position of its own and gives the slots back only when its journal
 * holds what became of them (lane_commit()). If it dies in between, the next agent begins at the
 * position that the journal knows, or at the lane's head, whichever is further.
 *
 *   head (shared) <= committed <= position <= tail (shared) <= head + slots
 *
 * One thread. Call under segment_guard(). No function blocks or allocates.
 */
#ifndef VOW_LIB_DATA_LANE_H
#define VOW_LIB_DATA_LANE_H

#include <stdbool.h>
#include <vow/shm.h>

struct lane {
	uint64_t position; /* records taken */
	uint64_t committed; /* records given back */
	uint64_t exemplars; /* exemplars looked at */
	uint32_t slots; /* in use, as of the last look */
	bool begun; /* false: lane_begin() was not called yet */
	bool quarantined; /* the owner's words made no sense: not read any more */
};

/*
 * Begins at the lane's head, or at restored, the position that the journal knows (0: none), when
 * that is further. Quarantines a lane whose words contradict each other.
 */
void lane_begin(struct lane *lane, const struct vow_shm_lane *shared, uint64_t restored);

/*
 * Copies at most max records that were not taken yet and takes them. Returns how many. A tail that
 * runs ahead of the capacity, or back, quarantines the lane: 0 from then on.
 */
unsigned lane_take(struct lane *lane, const struct vow_shm_lane *shared,
		   struct vow_shm_record *records, unsigned max);

/*
 * Whether the lane is more than half full with records taken and not given back, and still has
 * room. One that is full already fills faster than commits may come: it gains nothing by an early
 * one, since what it gets beyond its slots is counted in overflow blocks all the same.
 */
bool lane_is_filling(const struct lane *lane);

/* Whether exemplars came since the last look. Of the line that holds the tail: it costs nothing. */
bool lane_has_exemplars(const struct lane *lane, const struct vow_shm_lane *shared);

/*
 * Copies the exemplars that came since the last look and lets the owner write over them. Returns
 * how many; those that the owner is writing right now come with the next look. Their words are
 * claims. Tells the owner at once: one that is copied and not in the journal yet dies with the agent.
 */
unsigned lane_exemplars(struct lane *lane, struct vow_shm_lane *shared,
			struct vow_shm_exemplar exemplars[VOW_SHM_EXEMPLARS]);

/* Gives back the slots of all records taken. */
void lane_commit(struct lane *lane, struct vow_shm_lane *shared);

#endif
