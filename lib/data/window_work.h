/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sums in which the writer adds slots up, for lib/data/window*.c alone: add what a slot or new
 * content holds, then take the sums as a new slot, or in the packed form.
 */
#ifndef VOW_LIB_DATA_WINDOW_WORK_H
#define VOW_LIB_DATA_WINDOW_WORK_H

#include "lib/data/window.h"

void window_work_clear(struct window_work *work);
/* Adds a slot; its counts of bad events go to the thresholds of `as`. */
void window_work_add(struct window_work *work, const struct window_slot *slot,
		     const struct window_thresholds *as);
/*
 * Adds content after checking it, since its bytes may come from outside: what hist_merge_packed()
 * says. On error the sums are undefined.
 */
int window_work_add_content(struct window_work *work, const struct window_content *content);

/* The sums as a slot, split where that is smaller, counted in work->bytes; NULL: memory lacks. */
struct window_slot *window_work_slot(struct window_work *work, uint32_t start, uint32_t length,
				     const struct window_thresholds *thresholds);
/* The sums in the packed form, good until the next sums; what hist_pack() says. */
int window_work_content(struct window_work *work, const struct window_thresholds *thresholds,
			struct window_content *content);
/* Content as a slot, as it is, counted in work->bytes; NULL: memory lacks. */
struct window_slot *window_slot_made(struct window_work *work, uint32_t start, uint32_t length,
				     const struct window_content *content);

#endif
