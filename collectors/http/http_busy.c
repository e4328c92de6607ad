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
	uint32_t home = tally_home(key, BUSY_BITS);

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
		    double seconds)
{
	double limit = (double)busy->per_s / (row->busy ? 2 : 1);

	return (double)row->count > limit * seconds;
}

/* What a service has is known once all processes were added: so they are gone through twice. */
static void set_fill(struct http_busy *busy, struct http_series *series, double seconds,
		     mono_ns now)
{
	const struct http_tally_place *places = busy->tally.places;
	const struct http_by_service_row *rows[TALLY_PLACES] = {0};

	http_by_service_begin(&busy->services);
	for (unsigned i = 0; i < TALLY_PLACES; i++)
		if (places[i].key)
			rows[i] = http_by_service_add(&busy->services, series, &places[i], now);
	for (unsigned i = 0; i < busy->services.row_count; i++) {
		struct http_by_service_row *row = &busy->services.rows[i];

		row->busy = is_busy(busy, row, seconds);
	}
	memset(&busy->set, 0, sizeof(busy->set));
	for (unsigned i = 0; i < TALLY_PLACES; i++)
		if (rows[i] && rows[i]->busy)
			set_add(&busy->set, places[i].key);
}

void http_busy_second(struct http_busy *busy, struct http_series *series, bool wanted, mono_ns now)
{
	if (wanted && busy->since && now > busy->since)
		set_fill(busy, series, (double)(now - busy->since) / NS_PER_S, now);
	if (!wanted && busy->since) {
		memset(&busy->set, 0, sizeof(busy->set));
		busy->services.row_count = 0;
	}
	if (wanted || busy->since)
		memset(&busy->tally, 0, sizeof(busy->tally));
	busy->since = wanted ? now : 0;
}
