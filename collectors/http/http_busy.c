/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http/http_busy.h"

#include <string.h>

void http_busy_pairs(struct http_busy *busy, const struct http_record *record, uint64_t count)
{
	/* pid 0: of a sum of whom the kernel had no room for. */
	if (busy->since && record->pid)
		tally_add(&busy->tally, record, count);
}

static void set_add(struct http_busy_set *set, uint64_t key)
{
	uint32_t home = busy_home(key);

	for (uint32_t i = 0; i < BUSY_PROBES; i++) {
		uint64_t *place = (uint64_t *)&set->keys[(home + i) & (BUSY_PLACES - 1)];

		if (*place)
			continue;
		*place = key;
		return;
	}
	/* The process stays as it is. */
}

/* A service that was busy is so until it has half as much, lest it goes to and fro. */
static bool is_busy(const struct http_busy *busy, const struct http_by_service_row *row,
		    const struct http_busy_set *before, uint64_t key, double seconds)
{
	double limit = (double)busy->per_s / (busy_has(before, key) ? 2 : 1);

	return row && (double)row->count > limit * seconds;
}

/* Twice over the processes: what a service has is known once all of them were added. */
static void set_fill(struct http_busy *busy, struct http_series *series, double seconds,
		     mono_ns now)
{
	struct http_by_service_row *rows[TALLY_PLACES] = {0};
	const struct http_busy_set before = busy->set;

	memset(&busy->set, 0, sizeof(busy->set));
	http_by_service_begin(&busy->services);
	for (unsigned i = 0; i < TALLY_PLACES; i++)
		if (busy->tally.places[i].key)
			rows[i] = http_by_service_add(&busy->services, series,
						      &busy->tally.places[i], now);
	for (unsigned i = 0; i < TALLY_PLACES; i++) {
		uint64_t key = busy->tally.places[i].key;

		if (key && is_busy(busy, rows[i], &before, key, seconds))
			set_add(&busy->set, key);
	}
}

void http_busy_second(struct http_busy *busy, struct http_series *series, bool wanted, mono_ns now)
{
	if (wanted && busy->since && now > busy->since)
		set_fill(busy, series, (double)(now - busy->since) / NS_PER_S, now);
	else if (!wanted && busy->since)
		memset(&busy->set, 0, sizeof(busy->set));
	if (wanted || busy->since)
		memset(&busy->tally, 0, sizeof(busy->tally));
	busy->since = wanted ? now : 0;
}
