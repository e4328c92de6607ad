/* SPDX-License-Identifier: Apache-2.0 */
/* Agents, and what of their records never came or could not be read. */
#include <string.h>

#include "store/query.h"

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

int store_owner_get(struct store *store, const uint8_t id[STORE_ID_SIZE], char *identity,
		    size_t room, struct diag *d)
{
	sqlite3_stmt *row = store_query(store, STORE_OWNER_GET);
	int rc;

	store_bind_blob(row, 1, id, STORE_ID_SIZE);
	rc = store_row(store, STORE_OWNER_GET, d);
	if (rc != 1)
		return rc;
	store_text(row, 0, identity, room);
	sqlite3_reset(row);
	return 1;
}

int store_owner_put(struct store *store, const uint8_t id[STORE_ID_SIZE], const char *identity,
		    struct diag *d)
{
	sqlite3_stmt *query = store_query(store, STORE_OWNER_PUT);

	store_bind_blob(query, 1, id, STORE_ID_SIZE);
	store_bind_text(query, 2, identity);
	return store_run(store, STORE_OWNER_PUT, d);
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

static void store_agent_row(sqlite3_stmt *row, struct store_agent *agent)
{
	size_t size;
	const uint8_t *id = store_blob(row, 1, &size);

	*agent = (struct store_agent){
		.no = sqlite3_column_int64(row, 0),
		.epoch = store_int(row, 2),
		.committed = store_int(row, 5),
		.last_seen = store_int(row, 6),
		.gap_records_total = store_int(row, 7),
	};
	if (size == sizeof(agent->id))
		memcpy(agent->id, id, size);
	store_text(row, 3, agent->host, sizeof(agent->host));
	store_text(row, 4, agent->version, sizeof(agent->version));
}

int store_agent_get(struct store *store, struct store_agent *agent, struct diag *d)
{
	sqlite3_stmt *row = store_query(store, STORE_AGENT_GET);
	int rc;

	store_bind_blob(row, 1, agent->id, sizeof(agent->id));
	store_bind_int(row, 2, agent->epoch);
	rc = store_row(store, STORE_AGENT_GET, d);
	if (rc != 1)
		return rc;
	store_agent_row(row, agent);
	sqlite3_reset(row);
	return 1;
}

int store_agents_read(struct store *store, unsigned most,
		      int (*fn)(void *arg, const struct store_agent *agent), void *arg,
		      struct diag *d)
{
	sqlite3_stmt *row = store_query(store, STORE_AGENTS);
	int rc;

	store_bind_int(row, 1, most);
	while ((rc = store_row(store, STORE_AGENTS, d)) == 1) {
		struct store_agent agent;

		store_agent_row(row, &agent);
		rc = fn(arg, &agent);
		if (rc) {
			sqlite3_reset(row);
			return rc;
		}
	}
	return rc;
}
