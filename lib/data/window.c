/* SPDX-License-Identifier: Apache-2.0 */
/* The writer: files seconds, folds what is complete, retires what no window reaches. */
#include <errno.h>
#include <stdlib.h>

#include "lib/data/rcu.h"
#include "lib/data/window_ring.h"
#include "lib/data/window_work.h"

const struct window_tier window_tiers[WINDOW_TIERS] = {
	{1, 10, 0, 11},		{5, 60, 11, 13},	  {30, 300, 24, 11},
	{300, 3600, 35, 13},	{3600, 21600, 48, 7},	  {10800, 86400, 55, 9},
	{43200, 259200, 64, 7}, {259200, 2592000, 71, 11}};

_Static_assert(WINDOW_ENTRIES == 71 + 11, "the last tier ends with the rings");

#define SECOND_MAX UINT32_MAX

uint32_t window_tier_grain(unsigned t)
{
	return window_tiers[t].grain;
}

uint32_t window_tier_kept(unsigned t)
{
	return window_tiers[t].grain + window_tiers[t].reach + 1;
}

static uint32_t window_total_end(const struct window *window)
{
	return window->total ? window->total->length : 0;
}

/* Takes a slot out for good. What is not yet folded then can only be so for lack of memory. */
static void window_slot_drop(struct window_work *work, const struct window *window, unsigned t,
			     struct window_slot *slot)
{
	bool unfolded = t + 1 < WINDOW_TIERS && slot->start >= window->rings->folded[t + 1];

	if (unfolded ||
	    (t == window_total_tier(window->total) && slot->start >= window_total_end(window)))
		work->lost_total += window_slot_counts(slot).count;
	window_slot_retire(work, slot);
}

void window_ring_put(struct window_work *work, struct window *window, unsigned t,
		     struct window_slot *slot)
{
	struct window_slot **entry = window_ring_entry(window->rings, t, slot->start);
	struct window_slot *old = *entry;

	rcu_publish(*entry, slot);
	if (window_slot_gone(slot, t) < window->rings->due[t])
		window->rings->due[t] = window_slot_gone(slot, t);
	if (old && old->start == slot->start)
		window_slot_retire(work, old);
	else if (old)
		window_slot_drop(work, window, t, old);
}

int window_rings_need(struct window_work *work, struct window *window, uint32_t second)
{
	struct window_rings *rings;

	if (window->rings)
		return 0;
	rings = calloc(1, sizeof(*rings));
	if (!rings)
		return -ENOMEM;
	for (unsigned t = 0; t < WINDOW_TIERS; t++) {
		rings->folded[t] = (second - 1) / window_tiers[t].grain * window_tiers[t].grain;
		rings->due[t] = SECOND_MAX;
	}
	work->bytes += sizeof(*rings);
	rcu_publish(window->rings, rings);
	return 0;
}

int window_file(struct window_work *work, struct window *window, uint32_t second,
		const struct window_content *content)
{
	uint32_t start = second - 1;
	struct window_slot *slot, *same;
	int rc = window_rings_need(work, window, second);

	if (rc < 0)
		return rc;
	same = *window_ring_entry(window->rings, 0, start);
	if (same && same->start == start) {
		window_work_clear(work);
		window_work_add(work, same, content->thresholds);
		rc = window_work_add_content(work, content);
		if (rc < 0)
			return rc;
		slot = window_work_slot(work, start, 1, content->thresholds);
	} else {
		slot = window_slot_made(work, start, 1, content);
	}
	if (!slot)
		return -ENOMEM;
	/* The second at which a restored total ends goes on: it is not folded into the total. */
	if (start < window_total_end(window))
		rc = window_total_add(work, window, 0, content);
	if (rc < 0) {
		work->bytes -= window_slot_bytes(slot);
		free(slot);
		return rc;
	}
	window_ring_put(work, window, 0, slot);
	return 0;
}

/* First slot of tier t with start >= from and an end <= until; SECOND_MAX when there is none. */
static uint32_t window_tier_earliest(const struct window_rings *rings, unsigned t, uint32_t from,
				     uint32_t until)
{
	uint32_t earliest = SECOND_MAX;

	for (uint32_t i = 0; i < window_tiers[t].entries; i++) {
		const struct window_slot *slot = rings->slots[window_tiers[t].first + i];

		if (slot && slot->start >= from && slot->start + slot->length <= until &&
		    slot->start < earliest)
			earliest = slot->start;
	}
	return earliest;
}

/* Adds the slots of tier t that lie within (from, until] to the sums. */
static void window_tier_add(struct window_work *work, const struct window_rings *rings, unsigned t,
			    uint32_t from, uint32_t until,
			    const struct window_thresholds *thresholds)
{
	for (uint32_t i = 0; i < window_tiers[t].entries; i++) {
		const struct window_slot *slot = rings->slots[window_tiers[t].first + i];

		if (slot && slot->start >= from && slot->start + slot->length <= until)
			window_work_add(work, slot, thresholds);
	}
}

/* Folds groups of tier t - 1 that end by until into tier t: 0, or -ENOMEM at the first. */
static int window_tier_fold(struct window_work *work, struct window *window, unsigned t,
			    uint32_t until, const struct window_thresholds *thresholds)
{
	struct window_rings *rings = window->rings;
	uint32_t grain = window_tiers[t].grain, start;

	for (;;) {
		struct window_slot *slot;

		start = window_tier_earliest(rings, t - 1, rings->folded[t], until);
		if (start == SECOND_MAX)
			break;
		start = start / grain * grain;
		window_work_clear(work);
		window_tier_add(work, rings, t - 1, start, start + grain, thresholds);
		slot = window_work_slot(work, start, grain, thresholds);
		if (!slot)
			return -ENOMEM;
		window_ring_put(work, window, t, slot);
		/* Partner: window_collect(), which takes the slot only when it sees this. */
		rcu_publish(rings->folded[t], start + grain);
	}
	rcu_publish(rings->folded[t], until);
	return 0;
}

/*
 * Takes into the total what lies before a boundary of the third tier: every 30 s, since it is the
 * longest to add to. What a restored total lacks of a group of the second tier goes at once.
 */
static int window_total_fold(struct window_work *work, struct window *window, uint32_t second,
			     const struct window_thresholds *thresholds)
{
	struct window_slot *old = window->total, *total;
	struct window_rings *rings = window->rings;
	uint32_t from = window_total_end(window);
	unsigned t = window_total_tier(old);
	uint32_t until = t ? rings->folded[1] / window_tiers[2].grain * window_tiers[2].grain
			   : (second - 1) / window_tiers[1].grain * window_tiers[1].grain;

	if (until <= rings->folded[0])
		return 0;
	if (window_tier_earliest(rings, t, from, until) != SECOND_MAX) {
		window_work_clear(work);
		if (old)
			window_work_add(work, old, thresholds);
		window_tier_add(work, rings, t, from, until, thresholds);
		total = window_work_slot(work, 0, until, thresholds);
		if (!total)
			return -ENOMEM;
		rcu_publish(window->total, total);
		window_slot_retire(work, old);
	}
	rings->folded[0] = until;
	return 0;
}

void window_fold(struct window_work *work, struct window *window, uint32_t second,
		 const struct window_thresholds *thresholds)
{
	if (!window->rings)
		return;
	for (unsigned t = 1; t < WINDOW_TIERS; t++) {
		uint32_t until = (second - 1) / window_tiers[t].grain * window_tiers[t].grain;

		if (until > window->rings->folded[t] &&
		    window_tier_fold(work, window, t, until, thresholds) < 0)
			break; /* What is above needs this tier first. */
	}
	(void)window_total_fold(work, window, second, thresholds);
}

/* Retires what is out of reach in one tier; sets when there will be something again. */
static void window_tier_expire(struct window_work *work, struct window *window, unsigned t,
			       uint32_t second)
{
	struct window_rings *rings = window->rings;

	rings->due[t] = SECOND_MAX;
	for (uint32_t i = 0; i < window_tiers[t].entries; i++) {
		struct window_slot **entry = &rings->slots[window_tiers[t].first + i];
		struct window_slot *slot = *entry;

		if (!slot)
			continue;
		if (window_slot_gone(slot, t) <= second) {
			rcu_publish(*entry, NULL);
			window_slot_drop(work, window, t, slot);
		} else if (window_slot_gone(slot, t) < rings->due[t]) {
			rings->due[t] = window_slot_gone(slot, t);
		}
	}
}

bool window_expire(struct window_work *work, struct window *window, uint32_t second)
{
	struct window_rings *rings = window->rings;
	bool empty = true;

	if (!rings)
		return true;
	for (unsigned t = 0; t < WINDOW_TIERS; t++) {
		if (rings->due[t] <= second)
			window_tier_expire(work, window, t, second);
		empty = empty && rings->due[t] == SECOND_MAX;
	}
	if (!empty)
		return false;
	rcu_publish(window->rings, NULL);
	work->bytes -= sizeof(*rings);
	window_garbage_add(work, rings);
	return true;
}

int window_total_add(struct window_work *work, struct window *window, uint32_t until,
		     const struct window_content *content)
{
	struct window_slot *old = window->total, *total;
	int rc;

	window_work_clear(work);
	if (old)
		window_work_add(work, old, content->thresholds);
	rc = window_work_add_content(work, content);
	if (rc < 0)
		return rc;
	until = until > window_total_end(window) ? until : window_total_end(window);
	total = window_work_slot(work, 0, until, content->thresholds);
	if (!total)
		return -ENOMEM;
	rcu_publish(window->total, total);
	window_slot_retire(work, old);
	return 0;
}

int window_total_move(struct window_work *work, struct window *from, struct window *to,
		      const struct window_thresholds *thresholds)
{
	struct window_slot *moved = from->total, *old = to->total, *total;

	if (from->rings)
		return -EBUSY;
	if (!moved)
		return 0;
	window_work_clear(work);
	if (old)
		window_work_add(work, old, thresholds);
	window_work_add(work, moved, thresholds);
	total = window_work_slot(work, 0, window_total_end(to), thresholds);
	if (!total)
		return -ENOMEM;
	rcu_publish(to->total, total);
	rcu_publish(from->total, NULL);
	window_slot_retire(work, old);
	window_slot_retire(work, moved);
	return 0;
}

void window_free(struct window_work *work, struct window *window)
{
	for (unsigned i = 0; window->rings && i < WINDOW_ENTRIES; i++)
		if (window->rings->slots[i]) {
			work->bytes -= window_slot_bytes(window->rings->slots[i]);
			free(window->rings->slots[i]);
		}
	if (window->rings)
		work->bytes -= sizeof(*window->rings);
	if (window->total)
		work->bytes -= window_slot_bytes(window->total);
	free(window->rings);
	free(window->total);
	*window = (struct window){0};
}
