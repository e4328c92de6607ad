/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rings of a window, for lib/data/window*.c alone: which slot lies where, and how one gets
 * there. lib/data/window.h says what the tiers are.
 */
#ifndef VOW_LIB_DATA_WINDOW_RING_H
#define VOW_LIB_DATA_WINDOW_RING_H

#include "lib/data/window_slot.h"

struct window_tier {
	uint32_t grain; /* seconds in a slot */
	uint32_t reach; /* seconds in the window */
	uint32_t first; /* of the entries in window_rings */
	uint32_t entries; /* a slot's entry: its number in the tier modulo this */
};

extern const struct window_tier window_tiers[WINDOW_TIERS];

static inline struct window_slot **window_ring_entry(struct window_rings *rings, unsigned t,
						     uint32_t start)
{
	const struct window_tier *tier = &window_tiers[t];

	return &rings->slots[tier->first + start / tier->grain % tier->entries];
}

/* The second at which no window reaches a slot any more, nor did in the second before. */
static inline uint32_t window_slot_gone(const struct window_slot *slot, unsigned t)
{
	return slot->start + window_tier_kept(t);
}

/*
 * The tier whose slots the total takes next. A restored total may end within a group of the next
 * tier, of which it then must not take what it has.
 */
static inline unsigned window_total_tier(const struct window_slot *total)
{
	return total && total->length % window_tiers[1].grain ? 0 : 1;
}

/* Writer: makes the rings where there are none, as if all before second were folded. 0, -ENOMEM. */
int window_rings_need(struct window_work *work, struct window *window, uint32_t second);
/* Writer: puts a slot in its entry, instead of an older one or of its own smaller self. */
void window_ring_put(struct window_work *work, struct window *window, unsigned t,
		     struct window_slot *slot);

#endif
