/* SPDX-License-Identifier: Apache-2.0 */
/* The checkpoint: totals of series, what agents call them, small values. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/query.h"

int store_series_put(struct store *store, const struct store_series *series, struct diag *d)
{
	sqlite3_stmt *query = store_query(store, STORE_SERIES_PUT);
	int rc;

	store_bind_int(query, 1, series->no);
	store_bind_text(query, 2, series->key.host);
	store_bind_text(query, 3, series->key.service);
	sqlite3_bind_int(query, 4, series->key.kind);
	sqlite3_bind_int(query, 5, series->key.role);
	store_bind_text(query, 6, series->key.method);
	store_bind_text(query, 7, series->key.route);
	store_bind_text(query, 8, series->key.peer);
	sqlite3_bind_int(query, 9, series->key.status_class);
	store_bind_int(query, 10, series->count);
	store_bind_int(query, 11, series->errors);
	store_bind_blob(query, 12, series->latency, series->latency_size);
	store_bind_blob(query, 13, series->queue, series->queue_size);
	rc = store_run(store, STORE_SERIES_PUT, d);
	if (rc)
		return rc;
	query = store_query(store, STORE_HEARD_PUT);
	store_bind_int(query, 1, series->no);
	store_bind_int(query, 2, series->heard);
	return store_run(store, STORE_HEARD_PUT, d);
}

int store_heard_seal(struct store *store, struct diag *d)
{
	return store_run(store, STORE_HEARD_SEAL, d);
}

int store_series_read(struct store *store, int (*fn)(void *arg, const struct store_series *series),
		      void *arg, struct diag *d)
{
	sqlite3_stmt *row = store_query(store, STORE_SERIES);
	int rc;

	while ((rc = store_row(store, STORE_SERIES, d)) == 1) {
		struct store_series series = {
			.no = (series_id)store_int(row, 0),
			.count = store_int(row, 9),
			.errors = store_int(row, 10),
			.heard = store_int(row, 13),
		};

		store_text(row, 1, series.key.host, sizeof(series.key.host));
		store_text(row, 2, series.key.service, sizeof(series.key.service));
		series.key.kind = (uint8_t)store_int(row, 3);
		series.key.role = (uint8_t)store_int(row, 4);
		store_text(row, 5, series.key.method, sizeof(series.key.method));
		store_text(row, 6, series.key.route, sizeof(series.key.route));
		store_text(row, 7, series.key.peer, sizeof(series.key.peer));
		series.key.status_class = (uint8_t)store_int(row, 8);
		series.latency = store_blob(row, 11, &series.latency_size);
		series.queue = store_blob(row, 12, &series.queue_size);
		rc = fn(arg, &series);
		if (rc) {
			sqlite3_reset(row);
			return rc;
		}
	}
	return rc;
}

int store_name_put(struct store *store, int64_t agent, uint32_t id, series_id no, struct diag *d)
{
	sqlite3_stmt *query = store_query(store, STORE_NAME_PUT);

	sqlite3_bind_int64(query, 1, agent);
	store_bind_int(query, 2, id);
	store_bind_int(query, 3, no);
	return store_run(store, STORE_NAME_PUT, d);
}

int store_names_read(struct store *store,
		     int (*fn)(void *arg, int64_t agent, uint32_t id, series_id no), void *arg,
		     struct diag *d)
{
	sqlite3_stmt *row = store_query(store, STORE_NAMES);
	int rc;

	while ((rc = store_row(store, STORE_NAMES, d)) == 1) {
		rc = fn(arg, sqlite3_column_int64(row, 0), (uint32_t)store_int(row, 1),
			(series_id)store_int(row, 2));
		if (rc) {
			sqlite3_reset(row);
			return rc;
		}
	}
	return rc;
}

int store_names_clear(struct store *store, int64_t agent, struct diag *d)
{
	sqlite3_bind_int64(store_query(store, STORE_NAMES_CLEAR), 1, agent);
	return store_run(store, STORE_NAMES_CLEAR, d);
}

int store_series_clear(struct store *store, struct diag *d)
{
	int code =
		sqlite3_exec(store->db, "DELETE FROM name; DELETE FROM series; DELETE FROM heard",
			     NULL, NULL, NULL);
	int rc;

	if (code == SQLITE_OK)
		return 0;
	rc = store_fail(store, code, d);
	store_rollback(store);
	return rc;
}

int store_value_put(struct store *store, const char *name, const void *bytes, size_t size,
		    struct diag *d)
{
	sqlite3_stmt *query = store_query(store, STORE_VALUE_PUT);

	store_bind_text(query, 1, name);
	store_bind_blob(query, 2, bytes, size);
	return store_run(store, STORE_VALUE_PUT, d);
}

int store_value_get(struct store *store, const char *name, uint8_t **bytes, size_t *size,
		    struct diag *d)
{
	sqlite3_stmt *row = store_query(store, STORE_VALUE_GET);
	const uint8_t *found;
	uint8_t *copy;
	size_t found_size;
	int rc;

	store_bind_text(row, 1, name);
	rc = store_row(store, STORE_VALUE_GET, d);
	if (rc != 1)
		return rc;
	found = store_blob(row, 0, &found_size);
	copy = malloc(found_size ? found_size : 1);
	if (copy) {
		if (found_size)
			memcpy(copy, found, found_size);
		*bytes = copy;
		*size = found_size;
	} else {
		rc = diag_set(d, -ENOMEM, store->path, NULL, "no memory for %zu bytes", found_size);
	}
	sqlite3_reset(row);
	return rc;
}

/* ---- slots of windows -------------------------------------------------------------------------- */

int store_slots_put(struct store *store, const struct store_slots *slots, struct diag *d)
{
	sqlite3_stmt *query = store_query(store, STORE_SLOTS_PUT);

	store_bind_int(query, 1, slots->tier);
	store_bind_int(query, 2, slots->start);
	store_bind_int(query, 3, slots->part);
	store_bind_blob(query, 4, slots->slots, slots->size);
	return store_run(store, STORE_SLOTS_PUT, d);
}

static int slots_delete(struct store *store, enum store_query which, unsigned tier, uint32_t start,
			struct diag *d)
{
	sqlite3_stmt *query = store_query(store, which);

	store_bind_int(query, 1, tier);
	store_bind_int(query, 2, start);
	return store_run(store, which, d);
}

int store_slots_drop(struct store *store, unsigned tier, uint32_t start, struct diag *d)
{
	return slots_delete(store, STORE_SLOTS_DROP, tier, start, d);
}

int store_slots_trim(struct store *store, unsigned tier, uint32_t first, struct diag *d)
{
	return slots_delete(store, STORE_SLOTS_TRIM, tier, first, d);
}

int store_slots_clear(struct store *store, struct diag *d)
{
	return store_run(store, STORE_SLOTS_CLEAR, d);
}

int store_slots_read(struct store *store, int (*fn)(void *arg, const struct store_slots *slots),
		     void *arg, struct diag *d)
{
	sqlite3_stmt *row = store_query(store, STORE_SLOTS);
	int rc;

	while ((rc = store_row(store, STORE_SLOTS, d)) == 1) {
		struct store_slots slots = {.tier = (unsigned)store_int(row, 0),
					    .start = (uint32_t)store_int(row, 1),
					    .part = (uint32_t)store_int(row, 2)};

		slots.slots = store_blob(row, 3, &slots.size);
		rc = fn(arg, &slots);
		if (rc) {
			sqlite3_reset(row);
			return rc;
		}
	}
	return rc;
}
