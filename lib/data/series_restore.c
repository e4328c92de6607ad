/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "lib/data/rcu.h"
#include "lib/data/series_table.h"

/* What was saved as a window takes it in: 0, or errors as series_counts_check(). */
static int content_of(const struct series *s, const uint8_t *hist, size_t hist_size,
		      const uint8_t *queue, size_t queue_size, const struct series_counts *counts,
		      struct window_content *content)
{
	*content = (struct window_content){.thresholds = s->thresholds,
					   .hist = hist,
					   .queue = queue,
					   .hist_size = hist_size,
					   .queue_size = queue_size,
					   .counts = *counts};
	return series_counts_check(s, hist, hist_size, queue, queue_size, counts);
}

int series_restore_total(struct series *s, const uint8_t *hist, size_t hist_size,
			 const uint8_t *queue, size_t queue_size,
			 const struct series_counts *counts)
{
	struct window_content content;
	int rc = content_of(s, hist, hist_size, queue, queue_size, counts, &content);

	return rc < 0 ? rc
		      : window_total_add(&s->table->work, &s->window, s->table->restored, &content);
}

struct series_clock series_clock(const struct series_table *table)
{
	return (struct series_clock){table->first_tick, table->second};
}

int series_restore_clock(struct series_table *table, const struct series_clock *clock)
{
	if (table->second)
		return -EBUSY;
	if (!clock->second || clock->second > UINT32_MAX / 2)
		return -EPROTO;
	table->first_tick = clock->first_tick;
	table->restored = clock->second;
	rcu_publish(table->second, clock->second);
	return 0;
}

struct slot_walk {
	const struct series *s;
	series_slot_fn fn;
	void *arg;
};

static int slot_hand_out(void *arg, uint32_t start, const struct window_content *content)
{
	const struct slot_walk *walk = arg;
	const struct series_delta delta = {
		.id = walk->s->id,
		.key = &walk->s->key,
		.hist = content->hist,
		.queue = content->queue,
		.hist_size = content->hist_size,
		.queue_size = content->queue_size,
		.counts = content->counts,
		.threshold_count = content->thresholds->count,
		.thresholds = content->thresholds->ns,
	};

	return walk->fn(walk->arg, start, &delta);
}

static int slots_walk(struct series_table *table, unsigned tier, const uint32_t *start,
		      series_slot_fn fn, void *arg)
{
	int rc = 0;

	for (uint32_t i = 0; i < table->count && !rc; i++) {
		struct slot_walk walk = {table->by_id[i], fn, arg};

		rc = window_slots_each(&table->work, &walk.s->window, tier, start, table->second,
				       slot_hand_out, &walk);
	}
	return rc;
}

int series_slots_each(struct series_table *table, unsigned tier, series_slot_fn fn, void *arg)
{
	return slots_walk(table, tier, NULL, fn, arg);
}

int series_slots_at(struct series_table *table, unsigned tier, uint32_t start, series_slot_fn fn,
		    void *arg)
{
	return slots_walk(table, tier, &start, fn, arg);
}

uint32_t series_tier_grain(unsigned tier)
{
	return window_tier_grain(tier);
}

uint32_t series_tier_kept(unsigned tier)
{
	return window_tier_kept(tier);
}

int series_restore_slot(struct series *s, unsigned tier, uint32_t start, const uint8_t *hist,
			size_t hist_size, const uint8_t *queue, size_t queue_size,
			const struct series_counts *counts)
{
	struct window_content content;
	int rc = content_of(s, hist, hist_size, queue, queue_size, counts, &content);

	if (!rc)
		rc = window_slot_restore(&s->table->work, &s->window, tier, start, s->table->second,
					 &content);
	if (!rc)
		series_bit_set(s->table->live, s->id);
	return rc;
}
