/* SPDX-License-Identifier: Apache-2.0 */
/* What was taken out of windows: freed when no reader sees it, nor a copy of the table needs it. */
#include <errno.h>
#include <stdlib.h>

#include "lib/data/rcu.h"
#include "lib/data/window_slot.h"

void window_garbage_add(struct window_work *work, void *what)
{
	if (work->garbage_count == work->garbage_room) {
		size_t room = work->garbage_room ? 2 * work->garbage_room : 256;
		void **grown = realloc(work->garbage, room * sizeof(*grown));

		if (!grown) {
			/* No room to remember it: wait for the readers now. */
			rcu_wait();
			free(what);
			return;
		}
		work->garbage = grown;
		work->garbage_room = room;
	}
	work->garbage[work->garbage_count++] = what;
}

void window_sweep(struct window_work *work)
{
	if (!work->garbage_count)
		return;
	rcu_wait();
	while (work->garbage_count)
		free(work->garbage[--work->garbage_count]);
}

/* ---- slots that a copy of windows refers to ---------------------------------------------------- */

void window_pin(struct window_work *work, uint32_t second)
{
	work->pinned = true;
	work->pinned_second = second;
}

void window_unpin(struct window_work *work)
{
	while (work->held_count)
		window_garbage_add(work, work->held[--work->held_count]);
	free(work->held);
	work->held = NULL;
	work->held_room = 0;
	work->held_bytes = 0;
	work->pinned = false;
}

/* False when there is no room to remember it: then the copy is given up, and nothing is held. */
static bool window_hold(struct window_work *work, struct window_slot *slot)
{
	if (work->held_count == work->held_room) {
		size_t room = work->held_room ? 2 * work->held_room : 256;
		struct window_slot **grown =
			realloc(work->held, room * sizeof(struct window_slot *));

		if (!grown) {
			window_unpin(work);
			return false;
		}
		work->held = grown;
		work->held_room = room;
	}
	work->held[work->held_count++] = slot;
	work->held_bytes += window_slot_bytes(slot);
	return true;
}

void window_slot_retire(struct window_work *work, struct window_slot *slot)
{
	if (!slot)
		return;
	work->bytes -= window_slot_bytes(slot);
	/* One that holds a later second was made after the copy, which cannot refer to it. */
	if (work->pinned && slot->start + slot->length <= work->pinned_second &&
	    window_hold(work, slot))
		return;
	window_garbage_add(work, slot);
}

void window_work_deinit(struct window_work *work)
{
	window_unpin(work);
	window_sweep(work);
	free(work->garbage);
	work->garbage = NULL;
	work->garbage_room = 0;
}
