/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gauges: the last value of something that goes up and down (queue depth, CPU, memory, PSI).
 * One thread. A gauge not set for 10 s is gone: absent is not zero.
 */
#ifndef VOW_LIB_DATA_GAUGE_H
#define VOW_LIB_DATA_GAUGE_H

#include "lib/data/series.h"

#define GAUGE_NAMES_MAX 1024 /* gauges of one host */

struct gauge {
	char host[SERIES_NAME_MAX + 1];
	char service[SERIES_NAME_MAX + 1]; /* "" for the host itself */
	char name[SERIES_NAME_MAX + 1]; /* "cpu_ratio", "queue_depth"; the unit ends the name */
	char label[SERIES_NAME_MAX + 1]; /* which queue, disk, job; may be "" */
	double value;
	mono_ns set_at;
};

struct gauge_table;
/* most: further gauges are refused with a counter; 0: GAUGE_NAMES_MAX. NULL when memory lacks. */
struct gauge_table *gauge_table_new(size_t most);
void gauge_table_free(struct gauge_table *table);

/*
 * Sets or creates; texts (none NULL) are cut and cleaned as series_text_set() does. -ENOSPC at the
 * cap, -ENOMEM; both are counted. Pointers to gauges are good until the next call that may change
 * the table.
 */
int gauge_set(struct gauge_table *table, const char *host, const char *service, const char *name,
	      const char *label, double value, mono_ns now);

/* Number of gauges and the i-th (NULL beyond); a new one and an expiry change their order. */
size_t gauge_count(const struct gauge_table *table);
const struct gauge *gauge_at(const struct gauge_table *table, size_t i);
/* NULL when unknown. label may be NULL: any label. */
const struct gauge *gauge_find(const struct gauge_table *table, const char *service,
			       const char *name, const char *label);
/* Forgets gauges not set for 10 s. */
void gauge_expire(struct gauge_table *table, mono_ns now);
/* Calls of gauge_set() that a full table or a lack of memory refused. */
uint64_t gauge_refused_total(const struct gauge_table *table);

#endif
