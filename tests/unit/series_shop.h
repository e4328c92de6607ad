/* SPDX-License-Identifier: Apache-2.0 */
/* A table of series of a made-up shop, and what its windows say. */
#ifndef VOW_TESTS_UNIT_SERIES_SHOP_H
#define VOW_TESTS_UNIT_SERIES_SHOP_H

#include <string.h>

#include "lib/data/series.h"
#include "tests/unit/check.h"

static struct hist latency, queue; /* of the window that was read last */

static struct series_key key_of(const char *service, const char *route, enum series_class class)
{
	struct series_key key = {.kind = SERIES_HTTP, .role = SERIES_SERVER, .status_class = class};

	series_text_set(key.host, sizeof(key.host), "web1", 4);
	series_text_set(key.service, sizeof(key.service), service, strlen(service));
	series_text_set(key.route, sizeof(key.route), route, strlen(route));
	series_text_set(key.method, sizeof(key.method), "GET", 3);
	return key;
}

/* Watches 100 ms and "errors only". */
static unsigned watch_two(void *arg, const struct series_key *key, dur_ns thresholds[])
{
	(void)arg;
	(void)key;
	thresholds[0] = 100 * NS_PER_MS;
	thresholds[1] = UINT64_MAX;
	return 2;
}

static struct series_table *table_of(size_t series_max, series_thresholds_fn fn, void *arg)
{
	struct series_table_options options = {
		.series_max = series_max, .thresholds = fn, .thresholds_arg = arg};
	struct series_table *table = series_table_new(&options);

	CHECK(table);
	return table;
}

/* What a window holds, in fresh sums. */
static struct series_counts read_window(const struct series_table *table, const struct series *s,
					enum series_window window)
{
	struct series_counts counts = {0};

	hist_clear(&latency);
	hist_clear(&queue);
	series_read_lock();
	series_window_add(table, s, window, &latency, &queue, &counts);
	series_read_unlock();
	CHECK_EQ_U64(counts.count, latency.count);
	return counts;
}

#endif
