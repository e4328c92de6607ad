/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slot of a window, for lib/data/window*.c alone: the counts of a group of seconds and what was
 * measured in them, in one block of the heap. Immutable once published.
 */
#ifndef VOW_LIB_DATA_WINDOW_SLOT_H
#define VOW_LIB_DATA_WINDOW_SLOT_H

#include "lib/data/window.h"

struct window_slot {
	const struct window_thresholds *thresholds;
	uint32_t start; /* holds the seconds start + 1 ... start + length */
	uint32_t length; /* of a total: start is 0 */
	uint32_t hist_size, queue_size;
	uint8_t counts_size;
	bool hist_split, queue_split; /* as hist_split_pack() wrote it; else packed */
	uint8_t bytes[]; /* the two histograms, counts as varints (count, errors, bad...) */
};

/* A copy of content; NULL when memory lacks. */
struct window_slot *window_slot_new(uint32_t start, uint32_t length,
				    const struct window_content *content);
size_t window_slot_bytes(const struct window_slot *slot); /* of the heap that were asked for */
struct series_counts window_slot_counts(const struct window_slot *slot);

/* Freed by the next sweep, when no reader can see it any more. */
void window_garbage_add(struct window_work *work, void *what);
/* The same for a slot that is in no window any more; NULL is allowed. A pin holds it longer. */
void window_slot_retire(struct window_work *work, struct window_slot *slot);

#endif
