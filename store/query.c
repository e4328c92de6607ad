/* SPDX-License-Identifier: Apache-2.0 */
#include "store/query.h"

#include <errno.h>
#include <stdio.h>

const char *const store_sql[STORE_QUERIES] = {
	[STORE_BEGIN] = "BEGIN IMMEDIATE",
	[STORE_COMMIT] = "COMMIT",
	[STORE_ROLLBACK] = "ROLLBACK",
	[STORE_AGENT_ADD] = "INSERT INTO agent(id, epoch, host, version, committed, last_seen,"
			    " gap_records) VALUES(?,?,?,?,?,?,?)",
	[STORE_AGENT_PUT] = "UPDATE agent SET host=?, version=?, committed=?, last_seen=?,"
			    " gap_records=? WHERE no=?",
	[STORE_OWNER_GET] = "SELECT identity FROM owner WHERE id=?",
	[STORE_OWNER_PUT] = "INSERT INTO owner VALUES(?,?)",
	[STORE_AGENT_GET] = "SELECT no, id, epoch, host, version, committed, last_seen, gap_records"
			    " FROM agent WHERE id=? AND epoch=?",
	[STORE_GAP_ADD] = "INSERT INTO gap VALUES(?,?,?,?)",
	[STORE_GAP_GROW] = "UPDATE gap SET end=?3 WHERE agent=?1 AND end=?2",
	[STORE_GAP_TRIM] = "DELETE FROM gap WHERE rowid <= (SELECT max(rowid) FROM gap) - ?",
	[STORE_REFUSED_ADD] = "INSERT INTO refused(agent, seq, at, reason, tick) VALUES(?,?,?,?,?)",
	[STORE_REFUSED_TRIM] = "DELETE FROM refused WHERE no <= (SELECT max(no) FROM refused) - ?",
	[STORE_REFUSED] = "SELECT agent, seq, at, reason, tick FROM refused ORDER BY no",
	[STORE_RECORD_ADD] = "INSERT INTO record(agent, seq, arrived, late, tick)"
			     " VALUES(?,?,?,?,?)",
	[STORE_RECORD_PUT] = "UPDATE record SET late=1, tick=? WHERE no=?",
	[STORE_RECORD_TRIM] = "DELETE FROM record WHERE no<=?",
	[STORE_RECORDS_OLDEST] = "SELECT no, arrived FROM record WHERE no<=? ORDER BY no LIMIT ?",
	[STORE_SERIES_PUT] = "INSERT OR REPLACE INTO series VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[STORE_HEARD_PUT] = "INSERT OR REPLACE INTO heard VALUES(?,?)",
	[STORE_HEARD_SEAL] = "INSERT OR REPLACE INTO value SELECT 'heard', bytes FROM value"
			     " WHERE name='applied'",
	[STORE_NAME_PUT] = "INSERT OR REPLACE INTO name VALUES(?,?,?)",
	[STORE_NAMES_CLEAR] = "DELETE FROM name WHERE agent=?",
	[STORE_SLOTS_PUT] = "INSERT INTO slots VALUES(?,?,?,?)",
	[STORE_SLOTS_DROP] = "DELETE FROM slots WHERE tier=? AND start=?",
	[STORE_SLOTS_TRIM] = "DELETE FROM slots WHERE tier=? AND start<?",
	[STORE_SLOTS_CLEAR] = "DELETE FROM slots",
	[STORE_SLOTS] = "SELECT tier, start, part, slots FROM slots ORDER BY tier, start, part",
	[STORE_VALUE_PUT] = "INSERT OR REPLACE INTO value VALUES(?,?)",
	[STORE_VALUE_GET] = "SELECT bytes FROM value WHERE name=?",
	[STORE_ACTION_ADD] = "INSERT INTO action(host, tick) VALUES(?,?)",
	[STORE_ACTION_TRIM] = "DELETE FROM action WHERE no <= (SELECT max(no) FROM action) - ?",
	[STORE_AGENTS] = "SELECT no, id, epoch, host, version, committed, last_seen, gap_records"
			 " FROM (SELECT * FROM agent ORDER BY last_seen DESC, no DESC LIMIT ?)"
			 " ORDER BY last_seen, no",
	[STORE_SERIES] = "SELECT series.*, heard.at FROM series LEFT JOIN heard ON heard.series=no"
			 " AND (SELECT bytes FROM value WHERE name='heard')"
			 " = (SELECT bytes FROM value WHERE name='applied') ORDER BY no",
	[STORE_NAMES] = "SELECT agent, id, series FROM name",
	[STORE_RECORDS] = "SELECT no, agent, seq, arrived, late, tick FROM record WHERE no>?"
			  " ORDER BY no",
	[STORE_RECORDS_BACKWARDS] = "SELECT no, arrived, length(tick) FROM record ORDER BY no DESC",
	[STORE_ACTIONS] = "SELECT host, tick FROM (SELECT no, host, tick FROM action"
			  " ORDER BY no DESC LIMIT ?) ORDER BY no",
	[STORE_PAGES] = "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count,"
			" pragma_freelist_count, pragma_page_size",
};

/* ---- errors ------------------------------------------------------------------------------------ */

static int store_errno(int code)
{
	switch (code & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return -EUCLEAN;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_CANTOPEN:
		return -EACCES;
	default:
		return -EIO;
	}
}

static const char *store_fix(int err)
{
	switch (err) {
	case -ENOSPC:
		return "free space there; the hub goes on by itself";
	case -EBUSY:
		return "end the other process that has it open";
	case -EUCLEAN:
		return "move the file away; agents send again what they still have";
	case -EACCES:
		return "let the hub's user write the folder";
	default:
		return NULL;
	}
}

int store_fail(const struct store *store, int code, struct diag *d)
{
	int err = store_errno(code);

	return diag_set(d, err, store->path, store_fix(err), "%s",
			store->db ? sqlite3_errmsg(store->db) : sqlite3_errstr(code));
}

/* ---- running statements ------------------------------------------------------------------------ */

sqlite3_stmt *store_query(const struct store *store, enum store_query query)
{
	return store->queries[query];
}

void store_bind_text(sqlite3_stmt *query, int column, const char *text)
{
	sqlite3_bind_text(query, column, text, -1, SQLITE_STATIC);
}

void store_bind_blob(sqlite3_stmt *query, int column, const void *bytes, size_t size)
{
	sqlite3_bind_blob64(query, column, bytes ? bytes : "", size, SQLITE_STATIC);
}

void store_bind_int(sqlite3_stmt *query, int column, uint64_t value)
{
	sqlite3_bind_int64(query, column, (sqlite3_int64)value);
}

int store_run(struct store *store, enum store_query query, struct diag *d)
{
	sqlite3_stmt *statement = store_query(store, query);
	int code = sqlite3_step(statement);
	int rc = 0;

	if (code != SQLITE_DONE && code != SQLITE_ROW) {
		rc = store_fail(store, code, d);
		sqlite3_reset(statement);
		if (query != STORE_ROLLBACK)
			store_rollback(store);
		return rc;
	}
	sqlite3_reset(statement);
	return 0;
}

int store_row(struct store *store, enum store_query query, struct diag *d)
{
	sqlite3_stmt *statement = store_query(store, query);
	int code = sqlite3_step(statement);
	int rc = 0;

	if (code == SQLITE_ROW)
		return 1;
	if (code != SQLITE_DONE)
		rc = store_fail(store, code, d);
	sqlite3_reset(statement);
	return rc;
}

uint64_t store_int(sqlite3_stmt *row, int column)
{
	return (uint64_t)sqlite3_column_int64(row, column);
}

void store_text(sqlite3_stmt *row, int column, char *buf, size_t room)
{
	const char *text = (const char *)sqlite3_column_text(row, column);

	snprintf(buf, room, "%s", text ? text : "");
}

const uint8_t *store_blob(sqlite3_stmt *row, int column, size_t *size)
{
	*size = (size_t)sqlite3_column_bytes(row, column);
	return sqlite3_column_blob(row, column);
}
