/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes one tick of neighbouring ones, for a journal whose hub is away for long: counts,
 * histograms and names of all, of each series and minute the slowest exemplars, gauges and
 * collectors' totals of the last. Counts stay exact; only when within the span it was gets coarser.
 * Main thread.
 */
#ifndef VOW_AGENT_COMPACT_H
#define VOW_AGENT_COMPACT_H

#include "lib/data/journal.h"

/* A merged tick covers no more than this: a hub takes none that is longer. */
#define COMPACT_SPAN_MAX NS_PER_H

struct compact;
struct compact *compact_new(void); /* NULL when memory lacks */
void compact_free(struct compact *compact);

/*
 * A journal_merge_fn; arg is the struct compact. A tick with an alert or a scaling decision stays
 * alone, since its number is part of the name under which that was told; and ticks that watched
 * other thresholds are not mixed.
 */
ssize_t compact_merge(void *arg, const struct journal_record *records, size_t count,
		      const uint8_t **wire, size_t *wire_size);

#endif
