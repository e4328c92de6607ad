/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/data/window_work.h"

#include <string.h>

#include "lib/data/hist_split.h"
#include "lib/data/window_slot.h"

void window_work_clear(struct window_work *work)
{
	hist_clear(&work->latency);
	hist_clear(&work->queue);
	work->counts = (struct series_counts){0};
}

void window_work_add(struct window_work *work, const struct window_slot *slot,
		     const struct window_thresholds *as)
{
	window_slot_add(slot, as, &work->latency, &work->queue, &work->counts);
}

int window_work_add_content(struct window_work *work, const struct window_content *content)
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

struct window_slot *window_slot_made(struct window_work *work, uint32_t start, uint32_t length,
				     const struct window_content *content)
{
	struct window_slot *slot = window_slot_new(start, length, content);

	if (slot)
		work->bytes += window_slot_bytes(slot);
	return slot;
}

struct window_slot *window_work_slot(struct window_work *work, uint32_t start, uint32_t length,
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

int window_work_content(struct window_work *work, const struct window_thresholds *thresholds,
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
