/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http/http_by_service.h"

#include <string.h>

/* What a record of that process would say of it. */
static struct http_record record_of(const struct http_tally_place *place)
{
	struct http_record record = {
		.pid = (uint32_t)(place->key >> TALLY_PID_SHIFT),
		.local_port = (uint16_t)(place->key >> TALLY_PORT_SHIFT),
		.role = place->key >> TALLY_ROLE_SHIFT & 1,
		.started_at = place->oldest_at,
	};

	memcpy(record.command, place->command, sizeof(record.command));
	return record;
}

#define QUIET (2 * NS_PER_S) /* more than a round: without any since the round before */

/* A row for a service that has none: a free one, or one of who was quiet the longest; or NULL. */
static struct http_by_service_row *row_new(struct http_by_service *sums, mono_ns now)
{
	struct http_by_service_row *quietest = sums->rows;

	if (sums->row_count < HTTP_BY_SERVICE_ROWS)
		return &sums->rows[sums->row_count++];
	for (unsigned i = 1; i < HTTP_BY_SERVICE_ROWS; i++)
		if (sums->rows[i].busy_at < quietest->busy_at)
			quietest = &sums->rows[i];
	return now - quietest->busy_at > QUIET ? quietest : NULL;
}

/* The row of a service in a role; NULL when all are others'. */
static struct http_by_service_row *row_get(struct http_by_service *sums, const char *service,
					   uint8_t role, mono_ns now)
{
	char name[SERIES_NAME_MAX + 1];
	struct http_by_service_row *row;

	series_text_set(name, sizeof(name), service, strlen(service));
	for (unsigned i = 0; i < sums->row_count; i++) {
		row = &sums->rows[i];
		if (row->role == role && strcmp(row->service, name) == 0)
			return row;
	}
	row = row_new(sums, now);
	if (!row)
		return NULL;
	*row = (struct http_by_service_row){.role = role};
	memcpy(row->service, name, sizeof(name));
	return row;
}

void http_by_service_begin(struct http_by_service *sums)
{
	sums->placeless = 0;
	for (unsigned i = 0; i < sums->row_count; i++)
		sums->rows[i].count = 0;
}

struct http_by_service_row *http_by_service_add(struct http_by_service *sums,
						struct http_series *series,
						const struct http_tally_place *place, mono_ns now)
{
	const struct http_record record = record_of(place);
	struct http_by_service_row *row =
		row_get(sums, http_series_service(series, &record, now), record.role, now);

	if (!row) {
		sums->placeless += place->count;
		return NULL;
	}
	if (!row->count || place->oldest_at < row->oldest_at)
		row->oldest_at = place->oldest_at;
	row->count += place->count;
	row->busy_at = now;
	return row;
}

void http_by_service_forget(struct http_by_service *sums, dur_ns quiet, mono_ns now)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < sums->row_count; i++)
		if (now - sums->rows[i].busy_at <= quiet)
			sums->rows[kept++] = sums->rows[i];
	sums->row_count = kept;
}
