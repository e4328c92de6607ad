/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/data/window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/data/hist_split.h"
#include "lib/data/rcu.h"
#include "lib/data/window_slot.h"

static const struct tier {
	uint32_t grain; /* seconds in a slot */
	uint32_t reach; /* seconds in the window */
	uint32_t first; /* of the entries in window_rings */
	uint32_t entries; /* a slot's entry: its number in the tier modulo this */
} tiers[WINDOW_TIERS] = {{1, 10, 0, 11},	 {5, 60, 11, 13},	   {30, 300, 24, 11},
			 {300, 3600, 35, 13},	 {3600, 21600, 48, 7},	   {10800, 86400, 55, 9},
			 {43200, 259200, 64, 7}, {259200, 2592000, 71, 11}};

_Static_assert(WINDOW_ENTRIES == 71 + 11, "the last tier ends with the rings");

/* The tier whose ring a window begins in, and the seconds that it reaches back. */
static const struct reach {
	uint32_t tier, seconds;
} reaches[SERIES_TOTAL] = {
	[WINDOW_10S] = {0, 10},	  [WINDOW_1M] = {1, 60},     [WINDOW_5M] = {2, 300},
	[WINDOW_30M] = {3, 1800}, [WINDOW_1H] = {3, 3600},   [WINDOW_6H] = {4, 21600},
	[WINDOW_1D] = {5, 86400}, [WINDOW_3D] = {6, 259200}, [WINDOW_30D] = {7, 2592000},
};

#define SECOND_MAX UINT32_MAX

/* ---- the writer's sums ----------------------------------------------------------------------- */

static void window_work_clear(struct window_work *work)
{
	hist_clear(&work->latency);
	hist_clear(&work->queue);
	work->counts = (struct series_counts){0};
}

static void window_work_add(struct window_work *work, const struct window_slot *slot,
			    const struct window_thresholds *as)
{
	window_slot_add(slot, as, &work->latency, &work->queue, &work->counts);
}

/* Adds content after checking it: its bytes may come from outside. On error sums are undefined. */
static int window_work_add_content(struct window_work *work, const struct window_content *content)
{
	int rc = hist_merge_packed(&work->latency, content->hist, content->hist_size);

	if (!rc && content->queue_size)
		rc = hist_merge_packed(&work->queue, content->queue, content->queue_size);
	if (rc < 0)
		return rc;
	work->counts.count += content->counts.count;
	work->counts.errors += content->counts.errors;
	for (unsigned i = 0; i < content->thresholds->count; i++)
		work->counts.bad[i] += content->counts.bad[i];
	return 0;
}

/*
 * Slots of fewer seconds, which there are for a minute, and histograms of fewer values stay in the
 * packed form: it is written and read faster, and of them there is little to gain.
 */
#define SPLIT_SECONDS 30
#define SPLIT_COUNT   32

/*
 * In the packed form, or split where that is smaller: where latencies are whole milliseconds, with
 * empty slots between, it is not. Returns the size.
 */
static ssize_t window_pack(struct window_work *work, const struct hist *h, uint32_t seconds,
			   uint8_t bytes[HIST_PACKED_MAX], bool *split)
{
	ssize_t size = hist_pack(h, bytes, HIST_PACKED_MAX), split_size;

	*split = false;
	if (size < 0 || seconds < SPLIT_SECONDS || h->count < SPLIT_COUNT)
		return size;
	split_size = hist_split_pack(h, work->split_bytes, (size_t)size);
	if (split_size < 0)
		return size;
	*split = true;
	memcpy(bytes, work->split_bytes, (size_t)split_size);
	return split_size;
}

static struct window_slot *window_slot_made(struct window_work *work, uint32_t start,
					    uint32_t length, const struct window_content *content)
{
	struct window_slot *slot = window_slot_new(start, length, content);

	if (slot)
		work->bytes += window_slot_bytes(slot);
	return slot;
}

/* The sums as a slot; NULL when memory lacks. */
static struct window_slot *window_work_slot(struct window_work *work, uint32_t start,
					    uint32_t length,
					    const struct window_thresholds *thresholds)
{
	struct window_content content = {.thresholds = thresholds,
					 .hist = work->hist_bytes,
					 .queue = work->queue_bytes,
					 .counts = work->counts};
	ssize_t size;

	size = window_pack(work, &work->latency, length, work->hist_bytes, &content.hist_split);

	if (size < 0)
		return NULL;
	content.hist_size = (size_t)size;
	if (work->queue.count) {
		size = window_pack(work, &work->queue, length, work->queue_bytes,
				   &content.queue_split);
		if (size < 0)
			return NULL;
		content.queue_size = (size_t)size;
	}
	return window_slot_made(work, start, length, &content);
}

/* ---- rings: filing, folding, expiring -------------------------------------------------------- */

static struct window_slot **window_ring_entry(struct window_rings *rings, unsigned t,
					      uint32_t start)
{
	return &rings->slots[tiers[t].first + start / tiers[t].grain % tiers[t].entries];
}

static uint32_t window_total_end(const struct window *window)
{
	return window->total ? window->total->length : 0;
}

/*
 * The tier whose slots the total takes next. A restored total may end within a group of the next
 * tier, of which it then must not take what it has.
 */
static unsigned window_total_tier(const struct window_slot *total)
{
	return total && total->length % tiers[1].grain ? 0 : 1;
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

/* The second at which no window reaches a slot any more, nor did in the second before. */
static uint32_t window_slot_gone(const struct window_slot *slot, unsigned t)
{
	return slot->start + window_tier_kept(t);
}

/* Puts a slot in its entry, instead of an older one or of its own smaller self. */
static void window_ring_put(struct window_work *work, struct window *window, unsigned t,
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

static int window_rings_need(struct window_work *work, struct window *window, uint32_t second)
{
	struct window_rings *rings;

	if (window->rings)
		return 0;
	rings = calloc(1, sizeof(*rings));
	if (!rings)
		return -ENOMEM;
	for (unsigned t = 0; t < WINDOW_TIERS; t++) {
		rings->folded[t] = (second - 1) / tiers[t].grain * tiers[t].grain;
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

	for (uint32_t i = 0; i < tiers[t].entries; i++) {
		const struct window_slot *slot = rings->slots[tiers[t].first + i];

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
	for (uint32_t i = 0; i < tiers[t].entries; i++) {
		const struct window_slot *slot = rings->slots[tiers[t].first + i];

		if (slot && slot->start >= from && slot->start + slot->length <= until)
			window_work_add(work, slot, thresholds);
	}
}

/* Folds groups of tier t - 1 that end by until into tier t: 0, or -ENOMEM at the first. */
static int window_tier_fold(struct window_work *work, struct window *window, unsigned t,
			    uint32_t until, const struct window_thresholds *thresholds)
{
	struct window_rings *rings = window->rings;
	uint32_t grain = tiers[t].grain, start;

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
	uint32_t until = t ? rings->folded[1] / tiers[2].grain * tiers[2].grain
			   : (second - 1) / tiers[1].grain * tiers[1].grain;

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
		uint32_t until = (second - 1) / tiers[t].grain * tiers[t].grain;

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
	for (uint32_t i = 0; i < tiers[t].entries; i++) {
		struct window_slot **entry = &rings->slots[tiers[t].first + i];
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

/* ---- a keyframe's slots ---------------------------------------------------------------------- */

/* The sums in the packed form, good until the next sums. */
static int window_work_content(struct window_work *work, const struct window_thresholds *thresholds,
			       struct window_content *content)
{
	ssize_t size, queue_size = 0;

	size = hist_pack(&work->latency, work->hist_bytes, sizeof(work->hist_bytes));
	if (work->queue.count)
		queue_size = hist_pack(&work->queue, work->queue_bytes, sizeof(work->queue_bytes));
	if (size < 0 || queue_size < 0)
		return (int)(size < 0 ? size : queue_size);
	*content = (struct window_content){.thresholds = thresholds,
					   .hist = work->hist_bytes,
					   .queue = work->queue_bytes,
					   .hist_size = (size_t)size,
					   .queue_size = (size_t)queue_size,
					   .counts = work->counts};
	return 0;
}

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

uint32_t window_tier_grain(unsigned t)
{
	return tiers[t].grain;
}

uint32_t window_tier_kept(unsigned t)
{
	return tiers[t].grain + tiers[t].reach + 1;
}

int window_slots_each(struct window_work *work, const struct window *window, unsigned t,
		      const uint32_t *start, uint32_t second, window_slot_fn fn, void *arg)
{
	int rc = 0;

	for (uint32_t i = 0; window->rings && i < tiers[t].entries && !rc; i++) {
		const struct window_slot *slot = window->rings->slots[tiers[t].first + i];
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

	if (t >= WINDOW_TIERS || start % tiers[t].grain || start >= second ||
	    second - start < tiers[t].grain || second - start > tiers[t].grain + tiers[t].reach)
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
	slot = window_work_slot(work, start, tiers[t].grain, content->thresholds);
	if (!slot)
		return -ENOMEM;
	window_ring_put(work, window, t, slot);
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

/* ---- readers --------------------------------------------------------------------------------- */

uint32_t window_first_second(enum series_window which, uint32_t second)
{
	uint32_t grain, start;

	if (which >= SERIES_TOTAL)
		return 1;
	grain = tiers[reaches[which].tier].grain;
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

		for (uint32_t i = 0; i < tiers[t].entries; i++) {
			const struct window_slot *slot =
				rcu_fetch(rings->slots[tiers[t].first + i]);

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
