/* SPDX-License-Identifier: Apache-2.0 */
/* The slots of windows as a keyframe keeps them: handed out, and put back. */
#include <errno.h>

#include "lib/data/window_ring.h"
#include "lib/data/window_work.h"

/* What a slot holds, in the packed form: where it is in another, by way of the sums. */
static int window_slot_content(struct window_work *work, const struct window_slot *slot,
			       struct window_content *content)
{
	window_work_clear(work);
	window_work_add(work, slot, slot->thresholds);
	return window_work_content(work, slot->thresholds, content);
}

int window_total_content(struct window_work *work, const struct window *window, uint32_t second,
			 const struct window_thresholds *thresholds, struct window_content *content)
{
	const struct window_slot *slots[WINDOW_SLOTS_MAX];
	unsigned n = window_collect(window, SERIES_TOTAL, second, slots);

	window_work_clear(work);
	for (unsigned i = 0; i < n; i++)
		window_work_add(work, slots[i], thresholds);
	return window_work_content(work, thresholds, content);
}

int window_slots_each(struct window_work *work, const struct window *window, unsigned t,
		      const uint32_t *start, uint32_t second, window_slot_fn fn, void *arg)
{
	int rc = 0;

	for (uint32_t i = 0; window->rings && i < window_tiers[t].entries && !rc; i++) {
		const struct window_slot *slot = window->rings->slots[window_tiers[t].first + i];
		struct window_content content;

		if (!slot || window_slot_gone(slot, t) <= second ||
		    (start && slot->start != *start))
			continue;
		rc = window_slot_content(work, slot, &content);
		if (!rc)
			rc = fn(arg, slot->start, &content);
	}
	return rc;
}

int window_slot_restore(struct window_work *work, struct window *window, unsigned t, uint32_t start,
			uint32_t second, const struct window_content *content)
{
	struct window_slot *same, *slot;
	int rc;

	if (t >= WINDOW_TIERS || start % window_tiers[t].grain || start >= second ||
	    second - start < window_tiers[t].grain ||
	    second - start > window_tiers[t].grain + window_tiers[t].reach)
		return -EPROTO;
	rc = window_rings_need(work, window, second);
	if (rc < 0)
		return rc;
	/* Two saved series may have become one, "{other}": then its slot is there already. */
	same = *window_ring_entry(window->rings, t, start);
	if (same && same->start != start)
		return -EPROTO;
	window_work_clear(work);
	if (same)
		window_work_add(work, same, content->thresholds);
	rc = window_work_add_content(work, content);
	if (rc < 0)
		return rc;
	slot = window_work_slot(work, start, window_tiers[t].grain, content->thresholds);
	if (!slot)
		return -ENOMEM;
	window_ring_put(work, window, t, slot);
	return 0;
}
