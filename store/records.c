/* SPDX-License-Identifier: Apache-2.0 */
/* Raw ticks, in the order in which they came. */
#include "store/query.h"

int store_record_add(struct store *store, struct store_record *record, struct diag *d)
{
	sqlite3_stmt *query = store_query(store, STORE_RECORD_ADD);
	int rc;

	sqlite3_bind_int64(query, 1, record->agent);
	store_bind_int(query, 2, record->seq);
	store_bind_int(query, 3, record->arrived);
	sqlite3_bind_int(query, 4, record->late);
	store_bind_blob(query, 5, record->tick, record->tick_size);
	rc = store_run(store, STORE_RECORD_ADD, d);
	if (!rc)
		record->no = sqlite3_last_insert_rowid(store->db);
	return rc;
}

int store_record_put(struct store *store, const struct store_record *record, struct diag *d)
{
	sqlite3_stmt *query = store_query(store, STORE_RECORD_PUT);

	store_bind_blob(query, 1, record->tick, record->tick_size);
	sqlite3_bind_int64(query, 2, record->no);
	return store_run(store, STORE_RECORD_PUT, d);
}

int store_record_trim(struct store *store, int64_t applied, wall_ns before, uint64_t budget_bytes,
		      unsigned most, struct diag *d)
{
	sqlite3_stmt *oldest = store_query(store, STORE_RECORDS_OLDEST);
	bool over = store_bytes(store) > budget_bytes;
	int64_t last = 0;
	int rc;

	sqlite3_bind_int64(oldest, 1, applied);
	store_bind_int(oldest, 2, most);
	while ((rc = store_row(store, STORE_RECORDS_OLDEST, d)) == 1) {
		if (!over && store_int(oldest, 1) >= before) {
			sqlite3_reset(oldest);
			break;
		}
		last = sqlite3_column_int64(oldest, 0);
	}
	if (rc < 0 || !last)
		return rc < 0 ? rc : 0;
	sqlite3_bind_int64(store_query(store, STORE_RECORD_TRIM), 1, last);
	return store_run(store, STORE_RECORD_TRIM, d);
}

int store_records_since(struct store *store, wall_ns since, uint64_t max_bytes, int64_t *after,
			struct diag *d)
{
	sqlite3_stmt *row = store_query(store, STORE_RECORDS_BACKWARDS);
	uint64_t bytes = 0;
	int64_t no = 0;
	int rc;

	while ((rc = store_row(store, STORE_RECORDS_BACKWARDS, d)) == 1) {
		bytes += store_int(row, 2);
		if (store_int(row, 1) < since || bytes > max_bytes) {
			no = sqlite3_column_int64(row, 0);
			sqlite3_reset(row);
			break;
		}
	}
	if (rc < 0)
		return rc;
	*after = no;
	return 0;
}

int store_records_read(struct store *store, int64_t after,
		       int (*fn)(void *arg, const struct store_record *record), void *arg,
		       struct diag *d)
{
	sqlite3_stmt *row = store_query(store, STORE_RECORDS);
	int rc;

	sqlite3_bind_int64(row, 1, after);
	while ((rc = store_row(store, STORE_RECORDS, d)) == 1) {
		struct store_record record = {
			.no = sqlite3_column_int64(row, 0),
			.agent = sqlite3_column_int64(row, 1),
			.seq = store_int(row, 2),
			.arrived = store_int(row, 3),
			.late = sqlite3_column_int(row, 4) != 0,
		};

		record.tick = store_blob(row, 5, &record.tick_size);
		rc = fn(arg, &record);
		if (rc) {
			sqlite3_reset(row);
			return rc;
		}
	}
	return rc;
}
