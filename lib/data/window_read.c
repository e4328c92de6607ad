/* SPDX-License-Identifier: Apache-2.0 */
/* What readers see of windows: any thread under RCU, while the writer files and folds. */
#include "lib/data/rcu.h"
#include "lib/data/window_ring.h"

/* The tier whose ring a window begins in, and the seconds that it reaches back. */
static const struct reach {
	uint32_t tier, seconds;
} reaches[SERIES_TOTAL] = {
	[WINDOW_10S] = {0, 10},	  [WINDOW_1M] = {1, 60},     [WINDOW_5M] = {2, 300},
	[WINDOW_30M] = {3, 1800}, [WINDOW_1H] = {3, 3600},   [WINDOW_6H] = {4, 21600},
	[WINDOW_1D] = {5, 86400}, [WINDOW_3D] = {6, 259200}, [WINDOW_30D] = {7, 2592000},
};

uint32_t window_first_second(enum series_window which, uint32_t second)
{
	uint32_t grain, start;

	if (which >= SERIES_TOTAL)
		return 1;
	grain = window_tiers[reaches[which].tier].grain;
	start = second > reaches[which].seconds ? second - reaches[which].seconds : 0;
	return start / grain * grain + 1;
}

/*
 * The writer may fold while this runs. `folded` of a tier is fetched before its ring and bounds
 * both what is taken from it and where the finer tier goes on, so that no second is taken twice or
 * left out: finer slots stay in their ring long after they are folded.
 */
static unsigned window_rings_collect(const struct window_rings *rings, unsigned top, uint32_t from,
				     uint32_t second, const struct window_slot **slots)
{
	unsigned n = 0;

	for (unsigned t = top + 1; t-- > 0;) {
		uint32_t until = t ? rcu_fetch(rings->folded[t]) : second;

		for (uint32_t i = 0; i < window_tiers[t].entries; i++) {
			const struct window_slot *slot =
				rcu_fetch(rings->slots[window_tiers[t].first + i]);

			if (slot && slot->start >= from && slot->start + slot->length <= until)
				slots[n++] = slot;
		}
		if (until > from)
			from = until;
	}
	return n;
}

unsigned window_collect(const struct window *window, enum series_window which, uint32_t second,
			const struct window_slot *slots[WINDOW_SLOTS_MAX])
{
	const struct window_slot *total;
	const struct window_rings *rings;
	unsigned n = 0;

	if (which < SERIES_TOTAL) {
		rings = rcu_fetch(window->rings);
		return rings ? window_rings_collect(rings, reaches[which].tier,
						    window_first_second(which, second) - 1, second,
						    slots)
			     : 0;
	}
	/* The total first: what is folded into it meanwhile is still in the rings. */
	total = rcu_fetch(window->total);
	rings = rcu_fetch(window->rings);
	if (total)
		slots[n++] = total;
	if (rings)
		n += window_rings_collect(rings, window_total_tier(total),
					  total ? total->length : 0, second, slots + n);
	return n;
}
