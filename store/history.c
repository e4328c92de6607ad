/* SPDX-License-Identifier: Apache-2.0 */
/* Alerts and decisions; and how much of all that happened is kept. */
#include "store/query.h"

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
