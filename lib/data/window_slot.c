/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/data/window_slot.h"

#include <stdlib.h>
#include <string.h>

#include "lib/data/hist_split.h"
#include "lib/data/varint.h"

void window_bad_add(const struct window_thresholds *from, const uint64_t *bad,
		    const struct window_thresholds *to, uint64_t into[SERIES_THRESHOLDS])
{
	for (unsigned i = 0; i < from->count; i++)
		for (unsigned k = 0; k < to->count; k++)
			if (from == to ? i == k : from->ns[i] == to->ns[k])
				into[k] += bad[i];
}

/* Counts come last: to what is read past the histograms they are most of the slack. */
static const uint8_t *slot_counts(const struct window_slot *slot)
{
	return slot->bytes + slot->hist_size + slot->queue_size;
}

size_t window_slot_bytes(const struct window_slot *slot)
{
	size_t tail = slot->counts_size > HIST_SPLIT_SLACK ? slot->counts_size : HIST_SPLIT_SLACK;

	return offsetof(struct window_slot, bytes) + slot->hist_size + slot->queue_size + tail;
}

struct window_slot *window_slot_new(uint32_t start, uint32_t length,
				    const struct window_content *content)
{
	uint8_t counts[(2 + SERIES_THRESHOLDS) * VARINT_MAX], *p = counts;
	struct window_slot head = {
		.thresholds = content->thresholds,
		.start = start,
		.length = length,
		.hist_size = (uint32_t)content->hist_size,
		.queue_size = (uint32_t)content->queue_size,
		.hist_split = content->hist_split,
		.queue_split = content->queue_split,
	};
	struct window_slot *slot;

	p = varint_put(p, content->counts.count);
	p = varint_put(p, content->counts.errors);
	for (unsigned i = 0; i < content->thresholds->count; i++)
		p = varint_put(p, content->counts.bad[i]);
	head.counts_size = (uint8_t)(p - counts);
	slot = malloc(window_slot_bytes(&head));
	if (!slot)
		return NULL;
	/* Not by assignment: the bytes begin within what pads the struct. */
	memcpy(slot, &head, offsetof(struct window_slot, bytes));
	memcpy(slot->bytes, content->hist, content->hist_size);
	if (content->queue_size)
		memcpy(slot->bytes + content->hist_size, content->queue, content->queue_size);
	memcpy(slot->bytes + content->hist_size + content->queue_size, counts, head.counts_size);
	return slot;
}

struct series_counts window_slot_counts(const struct window_slot *slot)
{
	struct series_counts counts = {0};
	const uint8_t *p = slot_counts(slot), *end = p + slot->counts_size;
	uint64_t *fields[2 + SERIES_THRESHOLDS] = {&counts.count, &counts.errors};
	unsigned n = 2 + slot->thresholds->count;

	for (unsigned i = 2; i < n; i++)
		fields[i] = &counts.bad[i - 2];
	for (unsigned i = 0; i < n; i++)
		(void)varint_get(&p, end, fields[i]); /* window_slot_new() wrote them */
	return counts;
}

/* Cannot fail: a slot holds what a pack function wrote, and sums of it fit. */
static void slot_hist_add(struct hist *into, const uint8_t *bytes, size_t size, bool split)
{
	(void)(split ? hist_split_merge : hist_merge_packed)(into, bytes, size);
}

void window_slot_add(const struct window_slot *slot, const struct window_thresholds *as,
		     struct hist *latency, struct hist *queue, struct series_counts *counts)
{
	const uint8_t *hist = slot->bytes;

	if (latency)
		slot_hist_add(latency, hist, slot->hist_size, slot->hist_split);
	if (queue && slot->queue_size)
		slot_hist_add(queue, hist + slot->hist_size, slot->queue_size, slot->queue_split);
	if (counts) {
		struct series_counts add = window_slot_counts(slot);

		counts->count += add.count;
		counts->errors += add.errors;
		window_bad_add(slot->thresholds, add.bad, as, counts->bad);
	}
}
