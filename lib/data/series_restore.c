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
