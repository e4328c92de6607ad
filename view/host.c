/* SPDX-License-Identifier: Apache-2.0 */
#include "view/host.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct view_host_part view_host_parts[VIEW_HOST_PARTS] = {
	[VIEW_HOST_HOSTS] = {"hosts",
			     NULL,
			     {"cpu_ratio", "memory_used_ratio", "psi_cpu_some_ratio",
			      "psi_cpu_alarms_total", "psi_memory_some_ratio",
			      "psi_memory_alarms_total", "psi_io_some_ratio", "psi_io_alarms_total",
			      "tcp_retransmits_per_s"}},
	[VIEW_HOST_SERVICES] = {"services",
				"service",
				{"run_queue_wait_s_per_s", "cpu_throttled_ratio",
				 "cpu_throttled_s_per_s", "psi_cpu_some_ratio",
				 "psi_memory_some_ratio", "memory_limit_hits_total",
				 "memory_oom_kills_total"}},
	[VIEW_HOST_PEERS] = {"peers",
			     "peer",
			     {"tcp_retransmits_total", "tcp_connects_refused_total",
			      "tcp_connects_timed_out_total", "tcp_connects_unreachable_total",
			      "tcp_connects_given_up_total"}},
	[VIEW_HOST_LISTENERS] = {"listeners", "address", {"tcp_listen_drops_total"}},
};

/* The column of a gauge in a part; -1: it is of another one. */
static int column_of(unsigned part, const struct gauge *gauge)
{
	bool of_service = part == VIEW_HOST_SERVICES;
	bool of_label = part == VIEW_HOST_PEERS || part == VIEW_HOST_LISTENERS;

	if (of_service != (gauge->service[0] != '\0') || of_label != (gauge->label[0] != '\0'))
		return -1;
	for (int i = 0; view_host_parts[part].gauges[i]; i++)
		if (strcmp(view_host_parts[part].gauges[i], gauge->name) == 0)
			return i;
	return -1;
}

static const char *key_of(unsigned part, const struct gauge *gauge)
{
	return part == VIEW_HOST_SERVICES ? gauge->service : gauge->label;
}

static int compare_rows(const void *a, const void *b)
{
	const struct view_host_row *left = a, *right = b;
	int by_host = strcmp(left->host, right->host);

	return by_host ? by_host : strcmp(left->key, right->key);
}

/* Makes one of rows that are of the same: each knows what the others do not. */
static size_t rows_join(struct view_host_row *rows, size_t count)
{
	size_t last = 0;

	for (size_t i = 1; i < count; i++) {
		if (compare_rows(&rows[last], &rows[i]) != 0) {
			rows[++last] = rows[i];
			continue;
		}
		for (unsigned at = 0; at < VIEW_HOST_GAUGES; at++)
			if (!isnan(rows[i].values[at]))
				rows[last].values[at] = rows[i].values[at];
	}
	return count ? last + 1 : 0;
}

int view_host_rows(const struct board *board, unsigned part, struct view_host_row **rows,
		   size_t *count)
{
	size_t most = board ? board->gauge_count : 0, n = 0;
	struct view_host_row *all = most ? calloc(most, sizeof(*all)) : NULL;

	if (most && !all)
		return -ENOMEM;
	for (size_t i = 0; i < most; i++) {
		const struct gauge *gauge = &board->gauges[i];
		int column = column_of(part, gauge);

		if (column < 0)
			continue;
		all[n] = (struct view_host_row){gauge->host, key_of(part, gauge), {0}};
		for (int at = 0; at < VIEW_HOST_GAUGES; at++)
			all[n].values[at] = at == column ? gauge->value : NAN;
		n++;
	}
	if (n)
		qsort(all, n, sizeof(*all), compare_rows);
	*rows = all;
	*count = rows_join(all, n);
	return 0;
}
