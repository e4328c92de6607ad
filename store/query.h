/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statements of the store and how they are run. Inside store/ only: it shows SQLite's types. A
 * statement is bound, run to its end, and thereby reset. Thread of the store.
 */
#ifndef VOW_STORE_QUERY_H
#define VOW_STORE_QUERY_H

#include <sqlite3.h>
#include <sys/types.h>

#include "store/store.h"

enum store_query {
	STORE_BEGIN,
	STORE_COMMIT,
	STORE_ROLLBACK,
	STORE_AGENT_ADD,
	STORE_AGENT_PUT,
	STORE_OWNER_GET,
	STORE_OWNER_PUT,
	STORE_AGENT_GET,
	STORE_GAP_ADD,
	STORE_GAP_GROW,
	STORE_GAP_TRIM,
	STORE_REFUSED_ADD,
	STORE_REFUSED_TRIM,
	STORE_REFUSED,
	STORE_RECORD_ADD,
	STORE_RECORD_PUT,
	STORE_RECORD_TRIM,
	STORE_RECORDS_OLDEST,
	STORE_SERIES_PUT,
	STORE_HEARD_PUT,
	STORE_HEARD_SEAL,
	STORE_NAME_PUT,
	STORE_SLOTS_PUT,
	STORE_SLOTS_DROP,
	STORE_SLOTS_TRIM,
	STORE_SLOTS_CLEAR,
	STORE_SLOTS,
	STORE_NAMES_CLEAR,
	STORE_VALUE_PUT,
	STORE_VALUE_GET,
	STORE_ACTION_ADD,
	STORE_ACTION_TRIM,
	STORE_AGENTS,
	STORE_SERIES,
	STORE_NAMES,
	STORE_RECORDS,
	STORE_RECORDS_BACKWARDS,
	STORE_ACTIONS,
	STORE_PAGES,
	STORE_QUERIES
};

extern const char *const store_sql[STORE_QUERIES];

struct store {
	sqlite3 *db;
	sqlite3_stmt *queries[STORE_QUERIES];
	char path[512];
	bool in_transaction;
	dev_t device; /* of the file that is open */
	ino_t inode;
};

/* SQLite's code as the errno that store.h promises, with d filled. */
int store_fail(const struct store *store, int code, struct diag *d);

sqlite3_stmt *store_query(const struct store *store, enum store_query query);

/* Texts and blobs are read when the statement runs, and must stay until then. */
void store_bind_text(sqlite3_stmt *query, int column, const char *text);
/* An empty blob of no address is a blob too, not NULL. */
void store_bind_blob(sqlite3_stmt *query, int column, const void *bytes, size_t size);
void store_bind_int(sqlite3_stmt *query, int column, uint64_t value);

/* Runs a statement that gives no rows. A failure ends the open transaction. */
int store_run(struct store *store, enum store_query query, struct diag *d);
/*
 * 1: a row stands in the statement; who wants no more of them resets it. 0: no more; it is reset.
 */
int store_row(struct store *store, enum store_query query, struct diag *d);

/* Of the row that stands: columns from 0. A text is cut to its room. */
uint64_t store_int(sqlite3_stmt *row, int column);
void store_text(sqlite3_stmt *row, int column, char *buf, size_t room);
const uint8_t *store_blob(sqlite3_stmt *row, int column,
			  size_t *size); /* good until the next row */

#endif
