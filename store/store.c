/* SPDX-License-Identifier: Apache-2.0 */
/* The file: its layout, its opening, its transactions. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lib/base/fd.h"
#include "store/query.h"

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
	" tick BLOB NOT NULL);"
	"CREATE TABLE IF NOT EXISTS slots(tier INTEGER NOT NULL, start INTEGER NOT NULL,"
	" part INTEGER NOT NULL, slots BLOB NOT NULL, PRIMARY KEY(tier, start, part));"
	"CREATE TABLE IF NOT EXISTS owner(id BLOB PRIMARY KEY, identity TEXT NOT NULL)"
	" WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS heard(series INTEGER PRIMARY KEY, at INTEGER NOT NULL);";

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

/*
 * For its owner and group, as other files of state; SQLite gives its other files the mode of the
 * first. One that is there already loses what it grants to the rest of the world.
 */
static int store_file(const struct store *store, struct diag *d)
{
	_cleanup_(fd_closep) int fd = open(store->path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 &&
	    (!(st.st_mode & 0007) || fchmod(fd, st.st_mode & 0770) == 0))
		return 0;
	return diag_errno(d, -errno, store->path, "may vow-hub write there?",
			  "cannot make the store's file");
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
	rc = store_file(store, d);
	if (rc) {
		free(store);
		return rc;
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
