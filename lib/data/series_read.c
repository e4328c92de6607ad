/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lib/data/rcu.h"
#include "lib/data/series_table.h"

void series_reader_register(void)
{
	rcu_thread_register();
}

void series_reader_unregister(void)
{
	rcu_thread_unregister();
}

void series_read_lock(void)
{
	rcu_enter();
}

void series_read_unlock(void)
{
	rcu_leave();
}

size_t series_count(const struct series_table *table)
{
	return rcu_fetch(table->count);
}

const struct series *series_at(const struct series_table *table, series_id id)
{
	return id < series_count(table) ? table->by_id[id] : NULL;
}

const struct series_key *series_key_of(const struct series *s)
{
	return &s->key;
}

series_id series_id_of(const struct series *s)
{
	return s->id;
}

/*
 * The rings keep one second more than a window needs, so slots taken are those of `second` unless
 * two ticks passed meanwhile; then once more, but not for ever.
 */
static unsigned table_collect(const struct series_table *table, const struct series *s,
			      enum series_window window,
			      const struct window_slot *slots[WINDOW_SLOTS_MAX])
{
	unsigned n = 0;

	for (int tries = 0; tries < 3; tries++) {
		uint32_t second = rcu_fetch(table->second);

		n = window_collect(&s->window, window, second, slots);
		if (rcu_fetch(table->second) - second < 2)
			break;
	}
	return n;
}

void series_window_add(const struct series_table *table, const struct series *s,
		       enum series_window window, struct hist *latency, struct hist *queue,
		       struct series_counts *counts)
{
	const struct window_slot *slots[WINDOW_SLOTS_MAX];
	const struct window_thresholds *thresholds = rcu_fetch(s->thresholds);
	unsigned n = table_collect(table, s, window, slots);

	for (unsigned i = 0; i < n; i++)
		window_slot_add(slots[i], thresholds, latency, queue, counts);
}

dur_ns series_window_span(const struct series_table *table, enum series_window window)
{
	uint32_t second = rcu_fetch(table->second);

	return second ? (second + 1 - window_first_second(window, second)) * NS_PER_S : 0;
}

unsigned series_thresholds_of(const struct series *s, dur_ns thresholds[SERIES_THRESHOLDS])
{
	const struct window_thresholds *set = rcu_fetch(s->thresholds);

	memcpy(thresholds, set->ns, sizeof(set->ns));
	return set->count;
}

size_t series_table_bytes(const struct series_table *table)
{
	return __atomic_load_n(&table->bytes, __ATOMIC_RELAXED);
}

uint64_t series_other_total(const struct series_table *table)
{
	return __atomic_load_n(&table->other_total, __ATOMIC_RELAXED);
}

uint64_t series_unrecorded_total(const struct series_table *table)
{
	return __atomic_load_n(&table->unrecorded_total, __ATOMIC_RELAXED) +
	       __atomic_load_n(&table->lost_total, __ATOMIC_RELAXED);
}
