/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "lib/data/series_table.h"

/* Where there are no more series than these, those in use stay in the first cache. */
#define SERIES_FEW 64

static void series_touch(struct series *s, uint64_t count)
{
	if (s->is_other)
		series_counter_add(&s->table->other_total, count);
	series_bit_set(s->table->dirty, s->id);
}

/* Counts what is bad about an event: too slow for a threshold, or an error by its class. */
static __attribute__((noinline)) void bad_record(struct series *s, dur_ns latency_ns)
{
	s->errors += s->is_error;
	for (unsigned i = 0; i < s->limit_count; i++)
		s->bad[i] += (latency_ns > s->limits[i]) | s->is_error;
}

/*
 * Blocks of the pool for both parts were not to be had: neither is recorded. record_one() takes an
 * open near part for a series that the tick knows of, so none may stay open.
 */
static __attribute__((noinline)) void record_refused(struct series *s)
{
	sparse_close_unused(&s->latency);
	sparse_close_unused(&s->queue);
	series_counter_add(&s->table->unrecorded_total, 1);
}

/* Whatever is not the common case of record_one(), and that one as well. */
static __attribute__((noinline)) void record_any(struct series *s, uint32_t slot, dur_ns latency_ns,
						 dur_ns queue_ns)
{
	struct sparse_pool *pool = &s->table->pool;
	bool waited = queue_ns != SERIES_NO_QUEUE;
	uint32_t queue_slot = waited ? hist_slot(queue_ns) : 0;

	if (!s->latency.width)
		sparse_open(pool, &s->latency, slot);
	if (waited && !s->queue.width)
		sparse_open(pool, &s->queue, queue_slot);
	if (unlikely(!sparse_reserve(pool, &s->latency, slot) ||
		     (waited && !sparse_reserve(pool, &s->queue, queue_slot)))) {
		record_refused(s);
		return;
	}
	if (unlikely(!s->latency.count || s->is_other))
		series_touch(s, 1);
	sparse_record(pool, &s->latency, slot, latency_ns);
	if (waited)
		sparse_record(pool, &s->queue, queue_slot, queue_ns);
	if (latency_ns >= s->special_from)
		bad_record(s, latency_ns);
}

/*
 * Nothing bad, and not the first of the tick: the near part is open then. Needs no call, hence no
 * register saved. One comparison stands for all thresholds.
 */
static inline void record_one(struct series *s, uint32_t slot, dur_ns latency_ns)
{
	if (unlikely(latency_ns >= s->special_from ||
		     !sparse_record_near(&s->latency, slot, latency_ns)))
		record_any(s, slot, latency_ns, SERIES_NO_QUEUE);
}

void series_record(struct series *s, dur_ns latency_ns, dur_ns queue_ns)
{
	uint32_t slot = hist_slot(latency_ns);

	if (queue_ns == SERIES_NO_QUEUE)
		record_one(s, slot, latency_ns);
	else
		record_any(s, slot, latency_ns, queue_ns);
}

void series_record_batch(struct series *const *series, const dur_ns *latencies_ns, unsigned count)
{
	uint16_t slots[SERIES_BATCH];

	if (!count)
		return;
	if (series[0]->table->count <= SERIES_FEW) {
		for (unsigned i = 0; i < count; i++)
			record_one(series[i], hist_slot(latencies_ns[i]), latencies_ns[i]);
		return;
	}
	/* Three passes, so that the loads of one event overlap with those of the next. */
	for (unsigned i = 0; i < count; i++) {
		__builtin_prefetch(series[i], 1);
		slots[i] = (uint16_t)hist_slot(latencies_ns[i]);
	}
	for (unsigned i = 0; i < count; i++)
		sparse_prefetch(&series[i]->latency, slots[i]);
	for (unsigned i = 0; i < count; i++)
		record_one(series[i], slots[i], latencies_ns[i]);
}

int series_counts_check(const struct series *s, const uint8_t *hist, size_t hist_size,
			const uint8_t *queue, size_t queue_size, const struct series_counts *counts)
{
	uint64_t count, waited = 0;
	int rc = hist_packed_totals(hist, hist_size, &count, NULL, NULL);

	if (!rc && queue_size)
		rc = hist_packed_totals(queue, queue_size, &waited, NULL, NULL);
	if (rc < 0)
		return rc;
	if (counts->count != count || counts->errors > count || waited > count)
		return -EPROTO;
	for (unsigned i = 0; i < s->limit_count; i++)
		if (counts->bad[i] > count)
			return -EPROTO;
	return 0;
}

int series_merge_packed(struct series *s, const uint8_t *hist, size_t hist_size,
			const uint8_t *queue, size_t queue_size, const struct series_counts *counts)
{
	struct sparse_pool *pool = &s->table->pool;
	int rc = series_counts_check(s, hist, hist_size, queue, queue_size, counts);

	if (!rc && queue_size)
		rc = sparse_merge_check(pool, &s->queue, queue, queue_size);
	if (!rc)
		rc = sparse_merge_packed(pool, &s->latency, hist, hist_size);
	if (rc < 0 || !counts->count)
		return rc;
	if (queue_size)
		(void)sparse_merge_packed(pool, &s->queue, queue, queue_size); /* was checked */
	series_touch(s, counts->count);
	s->errors += counts->errors;
	for (unsigned i = 0; i < s->limit_count; i++)
		s->bad[i] += counts->bad[i];
	return 0;
}
