/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Kept in the file's user_version; a file of another one is refused. */
#define STORE_SCHEMA 1

/*
 * Ticks are some kilobytes long: with pages of 16 KiB most need no chain of overflow pages. The
 * write-ahead log is folded back every 16 MiB.
 */
static const char store_setup[] = "PRAGMA page_size=16384;"
				  "PRAGMA locking_mode=EXCLUSIVE;"
				  "PRAGMA journal_mode=WAL;"
				  "PRAGMA synchronous=FULL;"
				  "PRAGMA wal_autocheckpoint=1024;"
				  "PRAGMA journal_size_limit=33554432;";

static const char store_schema[] =
	"BEGIN;"
	"CREATE TABLE value(name TEXT PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE agent(no INTEGER PRIMARY KEY, id BLOB NOT NULL, epoch INTEGER NOT NULL,"
	" host TEXT NOT NULL, version TEXT NOT NULL, committed INTEGER NOT NULL,"
	" last_seen INTEGER NOT NULL, gap_records INTEGER NOT NULL, UNIQUE(id, epoch));"
	"CREATE TABLE gap(agent INTEGER NOT NULL, first INTEGER NOT NULL, end INTEGER NOT NULL,"
	" noticed INTEGER NOT NULL);"
	"CREATE TABLE record(no INTEGER PRIMARY KEY AUTOINCREMENT, agent INTEGER NOT NULL,"
	" seq INTEGER NOT NULL, arrived INTEGER NOT NULL, late INTEGER NOT NULL,"
	" tick BLOB NOT NULL);"
	"CREATE TABLE series(no INTEGER PRIMARY KEY, host TEXT NOT NULL, service TEXT NOT NULL,"
	" kind INTEGER NOT NULL, role INTEGER NOT NULL, method TEXT NOT NULL, route TEXT NOT NULL,"
	" peer TEXT NOT NULL, class INTEGER NOT NULL, count INTEGER NOT NULL,"
	" errors INTEGER NOT NULL, latency BLOB NOT NULL, queue BLOB NOT NULL);"
	"CREATE TABLE name(agent INTEGER NOT NULL, id INTEGER NOT NULL, series INTEGER NOT NULL,"
	" PRIMARY KEY(agent, id)) WITHOUT ROWID;"
	"CREATE TABLE action(no INTEGER PRIMARY KEY AUTOINCREMENT, host TEXT NOT NULL,"
	" tick BLOB NOT NULL);"
	"PRAGMA user_version=1;"
	"COMMIT;";

/* What was added to version 1 so that a hub from before goes on with the file as well. */
static const char store_additions[] =
	"CREATE TABLE IF NOT EXISTS refused(no INTEGER PRIMARY KEY AUTOINCREMENT,"
	" agent INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, reason TEXT NOT NULL,"
	" tick BLOB NOT NULL);";

enum store_query {
	STORE_BEGIN,
	STORE_COMMIT,
	STORE_ROLLBACK,
	STORE_AGENT_ADD,
	STORE_AGENT_PUT,
	STORE_GAP_ADD,
	STORE_GAP_GROW,
	STORE_GAP_TRIM,
	STORE_REFUSED_ADD,
	STORE_REFUSED_TRIM,
	STORE_REFUSED,
	STORE_RECORD_ADD,
	STORE_RECORD_TRIM,
	STORE_RECORDS_OLDEST,
	STORE_SERIES_PUT,
	STORE_NAME_PUT,
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

static const char *const store_sql[STORE_QUERIES] = {
	[STORE_BEGIN] = "BEGIN IMMEDIATE",
	[STORE_COMMIT] = "COMMIT",
	[STORE_ROLLBACK] = "ROLLBACK",
	[STORE_AGENT_ADD] = "INSERT INTO agent(id, epoch, host, version, committed, last_seen,"
			    " gap_records) VALUES(?,?,?,?,?,?,?)",
	[STORE_AGENT_PUT] = "UPDATE agent SET host=?, version=?, committed=?, last_seen=?,"
			    " gap_records=? WHERE no=?",
	[STORE_GAP_ADD] = "INSERT INTO gap VALUES(?,?,?,?)",
	[STORE_GAP_GROW] = "UPDATE gap SET end=?3 WHERE agent=?1 AND end=?2",
	[STORE_GAP_TRIM] = "DELETE FROM gap WHERE rowid <= (SELECT max(rowid) FROM gap) - ?",
	[STORE_REFUSED_ADD] = "INSERT INTO refused(agent, seq, at, reason, tick) VALUES(?,?,?,?,?)",
	[STORE_REFUSED_TRIM] = "DELETE FROM refused WHERE no <= (SELECT max(no) FROM refused) - ?",
	[STORE_REFUSED] = "SELECT agent, seq, at, reason, tick FROM refused ORDER BY no",
	[STORE_RECORD_ADD] = "INSERT INTO record(agent, seq, arrived, late, tick)"
			     " VALUES(?,?,?,?,?)",
	[STORE_RECORD_TRIM] = "DELETE FROM record WHERE no<=?",
	[STORE_RECORDS_OLDEST] = "SELECT no, arrived FROM record WHERE no<=? ORDER BY no LIMIT ?",
	[STORE_SERIES_PUT] = "INSERT OR REPLACE INTO series VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[STORE_NAME_PUT] = "INSERT OR REPLACE INTO name VALUES(?,?,?)",
	[STORE_VALUE_PUT] = "INSERT OR REPLACE INTO value VALUES(?,?)",
	[STORE_VALUE_GET] = "SELECT bytes FROM value WHERE name=?",
	[STORE_ACTION_ADD] = "INSERT INTO action(host, tick) VALUES(?,?)",
	[STORE_ACTION_TRIM] = "DELETE FROM action WHERE no <= (SELECT max(no) FROM action) - ?",
	[STORE_AGENTS] = "SELECT no, id, epoch, host, version, committed, last_seen, gap_records"
			 " FROM agent ORDER BY last_seen, no",
	[STORE_SERIES] = "SELECT * FROM series ORDER BY no",
	[STORE_NAMES] = "SELECT agent, id, series FROM name",
	[STORE_RECORDS] = "SELECT no, agent, seq, arrived, late, tick FROM record WHERE no>?"
			  " ORDER BY no",
	[STORE_RECORDS_BACKWARDS] = "SELECT no, arrived, length(tick) FROM record ORDER BY no DESC",
	[STORE_ACTIONS] = "SELECT host, tick FROM (SELECT no, host, tick FROM action"
			  " ORDER BY no DESC LIMIT ?) ORDER BY no",
	[STORE_PAGES] = "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count,"
			" pragma_freelist_count, pragma_page_size",
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *queries[STORE_QUERIES];
	char path[512];
	bool in_transaction;
	dev_t device; /* of the file that is open */
	ino_t inode;
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

static int store_fail(const struct store *store, int code, struct diag *d)
{
	int err = store_errno(code);

	return diag_set(d, err, store->path, store_fix(err), "%s",
			store->db ? sqlite3_errmsg(store->db) : sqlite3_errstr(code));
}

/* ---- running statements ------------------------------------------------------------------------ */

static sqlite3_stmt *store_query(const struct store *store, enum store_query query)
{
	return store->queries[query];
}

static void store_bind_text(sqlite3_stmt *query, int column, const char *text)
{
	sqlite3_bind_text(query, column, text, -1, SQLITE_STATIC);
}

/* An empty blob of no address is a blob too, not NULL. */
static void store_bind_blob(sqlite3_stmt *query, int column, const void *bytes, size_t size)
{
	sqlite3_bind_blob64(query, column, bytes ? bytes : "", size, SQLITE_STATIC);
}

static void store_bind_int(sqlite3_stmt *query, int column, uint64_t value)
{
	sqlite3_bind_int64(query, column, (sqlite3_int64)value);
}

/* Runs a statement that gives no rows. A failure ends the open transaction. */
static int store_run(struct store *store, enum store_query query, struct diag *d)
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

/* 1: a row stands in the statement. 0: no more; it is reset. */
static int store_row(struct store *store, enum store_query query, struct diag *d)
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

static uint64_t store_int(sqlite3_stmt *row, int column)
{
	return (uint64_t)sqlite3_column_int64(row, column);
}

static void store_text(sqlite3_stmt *row, int column, char *buf, size_t room)
{
	const char *text = (const char *)sqlite3_column_text(row, column);

	snprintf(buf, room, "%s", text ? text : "");
}

static const uint8_t *store_blob(sqlite3_stmt *row, int column, size_t *size)
{
	*size = (size_t)sqlite3_column_bytes(row, column);
	return sqlite3_column_blob(row, column);
}

/* ---- opening ----------------------------------------------------------------------------------- */

static int store_version(struct store *store, int *version, struct diag *d)
{
	sqlite3_stmt *statement;
	int code = sqlite3_prepare_v2(store->db, "PRAGMA user_version", -1, &statement, NULL);

	if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW)
		*version = sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	return code == SQLITE_ROW ? 0 : store_fail(store, code, d);
}

static int store_prepare(struct store *store, struct diag *d)
{
	int version = 0;
	int code = sqlite3_exec(store->db, store_setup, NULL, NULL, NULL);
	int rc;

	if (code != SQLITE_OK)
		return store_fail(store, code, d);
	rc = store_version(store, &version, d);
	if (rc)
		return rc;
	if (version == 0) {
		code = sqlite3_exec(store->db, store_schema, NULL, NULL, NULL);
		if (code != SQLITE_OK)
			return store_fail(store, code, d);
	} else if (version != STORE_SCHEMA) {
		return diag_set(d, -EUCLEAN, store->path,
				"run the hub that made it, or move it away",
				"is a store of version %d, this hub reads version %d", version,
				STORE_SCHEMA);
	}
	code = sqlite3_exec(store->db, store_additions, NULL, NULL, NULL);
	if (code != SQLITE_OK)
		return store_fail(store, code, d);
	for (int i = 0; i < STORE_QUERIES; i++) {
		code = sqlite3_prepare_v3(store->db, store_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
					  &store->queries[i], NULL);
		if (code != SQLITE_OK)
			return store_fail(store, code, d);
	}
	return 0;
}

int store_open(const char *dir, struct store **out, struct diag *d)
{
	struct store *store = calloc(1, sizeof(*store));
	struct stat st;
	int code, rc;

	if (!store)
		return diag_set(d, -ENOMEM, dir, NULL, "no memory for the store");
	if ((size_t)snprintf(store->path, sizeof(store->path), "%s/hub.db", dir) >=
	    sizeof(store->path)) {
		free(store);
		return diag_set(d, -ENAMETOOLONG, dir, "choose a shorter folder",
				"the store's path is longer than 511 bytes");
	}
	code = sqlite3_open_v2(store->path, &store->db,
			       SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
			       NULL);
	rc = code == SQLITE_OK ? store_prepare(store, d) : store_fail(store, code, d);
	if (!rc && stat(store->path, &st) < 0)
		rc = diag_errno(d, -errno, store->path, NULL, "cannot find the store's file");
	if (rc) {
		store_close(store);
		return rc;
	}
	store->device = st.st_dev;
	store->inode = st.st_ino;
	*out = store;
	return 0;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	if (store->in_transaction)
		store_rollback(store);
	for (int i = 0; i < STORE_QUERIES; i++)
		sqlite3_finalize(store->queries[i]);
	sqlite3_close(store->db);
	free(store);
}

uint64_t store_bytes(struct store *store)
{
	sqlite3_stmt *row = store_query(store, STORE_PAGES);
	uint64_t bytes = 0;

	if (store_row(store, STORE_PAGES, NULL) == 1) {
		bytes = store_int(row, 0);
		sqlite3_reset(row);
	}
	return bytes;
}

/* ---- transactions ------------------------------------------------------------------------------ */

int store_begin(struct store *store, struct diag *d)
{
	int rc;

	if (store->in_transaction)
		return 0;
	rc = store_run(store, STORE_BEGIN, d);
	if (!rc)
		store->in_transaction = true;
	return rc;
}

/* A file that was removed takes whatever is written to it, and it is gone when the hub ends. */
static int store_check_file(struct store *store, struct diag *d)
{
	struct stat st;

	if (stat(store->path, &st) == 0 && st.st_ino == store->inode && st.st_dev == store->device)
		return 0;
	return diag_set(d, -ESTALE, store->path, "start vow-hub again",
			"the store's file was removed or replaced");
}

int store_commit(struct store *store, struct diag *d)
{
	int rc;

	if (!store->in_transaction)
		return 0;
	rc = store_check_file(store, d);
	if (rc) {
		store_rollback(store);
		return rc;
	}
	rc = store_run(store, STORE_COMMIT, d);
	store->in_transaction = false;
	return rc;
}

void store_rollback(struct store *store)
{
	/* After some errors (a full disk) SQLite has rolled back by itself. */
	if (!sqlite3_get_autocommit(store->db))
		store_run(store, STORE_ROLLBACK, NULL);
	store->in_transaction = false;
}

/* ---- agents ------------------------------------------------------------------------------------ */

int store_agent_add(struct store *store, struct store_agent *agent, struct diag *d)
{
	sqlite3_stmt *query = store_query(store, STORE_AGENT_ADD);
	int rc;

	store_bind_blob(query, 1, agent->id, sizeof(agent->id));
	store_bind_int(query, 2, agent->epoch);
	store_bind_text(query, 3, agent->host);
	store_bind_text(query, 4, agent->version);
	store_bind_int(query, 5, agent->committed);
	store_bind_int(query, 6, agent->last_seen);
	store_bind_int(query, 7, agent->gap_records_total);
	rc = store_run(store, STORE_AGENT_ADD, d);
	if (!rc)
		agent->no = sqlite3_last_insert_rowid(store->db);
	return rc;
}

int store_agent_put(struct store *store, const struct store_agent *agent, struct diag *d)
{
	sqlite3_stmt *query = store_query(store, STORE_AGENT_PUT);

	store_bind_text(query, 1, agent->host);
	store_bind_text(query, 2, agent->version);
	store_bind_int(query, 3, agent->committed);
	store_bind_int(query, 4, agent->last_seen);
	store_bind_int(query, 5, agent->gap_records_total);
	sqlite3_bind_int64(query, 6, agent->no);
	return store_run(store, STORE_AGENT_PUT, d);
}

int store_gap_add(struct store *store, int64_t agent, uint64_t first, uint64_t end, wall_ns at,
		  struct diag *d)
{
	sqlite3_stmt *query = store_query(store, STORE_GAP_GROW);
	int rc;

	sqlite3_bind_int64(query, 1, agent);
	store_bind_int(query, 2, first);
	store_bind_int(query, 3, end);
	rc = store_run(store, STORE_GAP_GROW, d);
	if (rc || sqlite3_changes(store->db))
		return rc;
	query = store_query(store, STORE_GAP_ADD);
	sqlite3_bind_int64(query, 1, agent);
	store_bind_int(query, 2, first);
	store_bind_int(query, 3, end);
	store_bind_int(query, 4, at);
	return store_run(store, STORE_GAP_ADD, d);
}

int store_refused_add(struct store *store, const struct store_refused *refused, struct diag *d)
{
	sqlite3_stmt *query = store_query(store, STORE_REFUSED_ADD);
	size_t size = refused->tick_size;

	sqlite3_bind_int64(query, 1, refused->agent);
	store_bind_int(query, 2, refused->seq);
	store_bind_int(query, 3, refused->at);
	store_bind_text(query, 4, refused->reason);
	store_bind_blob(query, 5, refused->tick,
			size < STORE_REFUSED_BYTES ? size : STORE_REFUSED_BYTES);
	return store_run(store, STORE_REFUSED_ADD, d);
}

int store_refused_read(struct store *store,
		       int (*fn)(void *arg, const struct store_refused *refused), void *arg,
		       struct diag *d)
{
	sqlite3_stmt *row = store_query(store, STORE_REFUSED);
	int rc;

	while ((rc = store_row(store, STORE_REFUSED, d)) == 1) {
		struct store_refused refused = {
			.agent = sqlite3_column_int64(row, 0),
			.seq = store_int(row, 1),
			.at = store_int(row, 2),
			.reason = (const char *)sqlite3_column_text(row, 3),
		};

		refused.tick = store_blob(row, 4, &refused.tick_size);
		rc = refused.reason ? fn(arg, &refused) : 0;
		if (rc) {
			sqlite3_reset(row);
			return rc;
		}
	}
	return rc;
}

int store_agents_read(struct store *store, int (*fn)(void *arg, const struct store_agent *agent),
		      void *arg, struct diag *d)
{
	sqlite3_stmt *row = store_query(store, STORE_AGENTS);
	int rc;

	while ((rc = store_row(store, STORE_AGENTS, d)) == 1) {
		struct store_agent agent = {
			.no = sqlite3_column_int64(row, 0),
			.epoch = store_int(row, 2),
			.committed = store_int(row, 5),
			.last_seen = store_int(row, 6),
			.gap_records_total = store_int(row, 7),
		};
		size_t size;
		const uint8_t *id = store_blob(row, 1, &size);

		if (size == sizeof(agent.id))
			memcpy(agent.id, id, size);
		store_text(row, 3, agent.host, sizeof(agent.host));
		store_text(row, 4, agent.version, sizeof(agent.version));
		rc = fn(arg, &agent);
		if (rc) {
			sqlite3_reset(row);
			return rc;
		}
	}
	return rc;
}

/* ---- raw ticks --------------------------------------------------------------------------------- */

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

/* ---- the checkpoint ---------------------------------------------------------------------------- */

int store_series_put(struct store *store, const struct store_series *series, struct diag *d)
{
	sqlite3_stmt *query = store_query(store, STORE_SERIES_PUT);

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
	return store_run(store, STORE_SERIES_PUT, d);
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

int store_series_clear(struct store *store, struct diag *d)
{
	int code =
		sqlite3_exec(store->db, "DELETE FROM name; DELETE FROM series", NULL, NULL, NULL);
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

/* ---- alerts and decisions ---------------------------------------------------------------------- */

int store_action_add(struct store *store, const char *host, const uint8_t *tick, size_t tick_size,
		     struct diag *d)
{
	sqlite3_stmt *query = store_query(store, STORE_ACTION_ADD);

	store_bind_text(query, 1, host);
	store_bind_blob(query, 2, tick, tick_size);
	return store_run(store, STORE_ACTION_ADD, d);
}

int store_history_trim(struct store *store, struct diag *d)
{
	static const struct {
		enum store_query query;
		int most;
	} kept[] = {
		{STORE_ACTION_TRIM, STORE_ACTIONS_MAX},
		{STORE_GAP_TRIM, STORE_GAPS_MAX},
		{STORE_REFUSED_TRIM, STORE_REFUSED_MAX},
	};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(kept) && !rc; i++) {
		sqlite3_bind_int(store_query(store, kept[i].query), 1, kept[i].most);
		rc = store_run(store, kept[i].query, d);
	}
	return rc;
}

int store_actions_read(struct store *store, unsigned most,
		       int (*fn)(void *arg, const char *host, const uint8_t *tick, size_t size),
		       void *arg, struct diag *d)
{
	sqlite3_stmt *row = store_query(store, STORE_ACTIONS);
	int rc;

	store_bind_int(row, 1, most);
	while ((rc = store_row(store, STORE_ACTIONS, d)) == 1) {
		char host[SERIES_NAME_MAX + 1];
		size_t size;
		const uint8_t *tick = store_blob(row, 1, &size);

		store_text(row, 0, host, sizeof(host));
		rc = fn(arg, host, tick, size);
		if (rc) {
			sqlite3_reset(row);
			return rc;
		}
	}
	return rc;
}
