/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the hub must not forget, in one SQLite file DIR/hub.db: agents and how far each is durable,
 * the raw ticks of the last days, and, as of one of them, the totals of every series. So a restart
 * loads totals and replays the raw ticks that came after.
 *
 * One thread, one connection, and no other process: the file is locked exclusively before WAL is
 * switched on (SQLite 3.40's WAL is safe for a single connection only). A commit is fsync'ed: what
 * it returned for survives the machine. Every function blocks as long as the disk does.
 *
 * Errors: -ENOSPC the disk is full, -EIO it fails, -EBUSY another process has the file, -EUCLEAN it
 * is no store of ours or damaged, -ESTALE it was removed, -ENOMEM; with d filled. Writing happens between store_begin() and
 * store_commit(); after a failed write or commit the transaction is gone as a whole.
 */
#ifndef VOW_STORE_STORE_H
#define VOW_STORE_STORE_H

#include <stdbool.h>

#include "lib/base/diag.h"
#include "lib/data/series.h"

#define STORE_ID_SIZE 16

struct store;

int store_open(const char *dir, struct store **store, struct diag *d);
void store_close(struct store *store); /* NULL is allowed; an open transaction is rolled back */

int store_begin(struct store *store, struct diag *d); /* 0 also when one is open */
int store_commit(struct store *store, struct diag *d); /* 0 also when none is open */
void store_rollback(struct store *store);

/* Bytes that the file uses, without what deleted ticks left free. */
uint64_t store_bytes(struct store *store);

/* ---- agents ---------------------------------------------------------------------------------- */

struct store_agent { /* one life of an agent's journal */
	int64_t no; /* given by the store */
	uint8_t id[STORE_ID_SIZE];
	uint64_t epoch;
	char host[SERIES_NAME_MAX + 1];
	char version[32];
	uint64_t committed; /* last sequence number that is durable here; 0 none */
	wall_ns last_seen;
	uint64_t gap_records_total; /* records that the agent lost before we had them */
};

int store_agent_add(struct store *store, struct store_agent *agent, struct diag *d); /* sets no */
int store_agent_put(struct store *store, const struct store_agent *agent, struct diag *d);
/* 1: agent, of which id and epoch are set, is filled. 0: never heard of. */
int store_agent_get(struct store *store, struct store_agent *agent, struct diag *d);
/*
 * The identity that a certificate proved for the agent when it first came with one; it is for ever.
 * get: 1 found, cut to room; 0 there is none yet.
 */
int store_owner_get(struct store *store, const uint8_t id[STORE_ID_SIZE], char *identity,
		    size_t room, struct diag *d);
int store_owner_put(struct store *store, const uint8_t id[STORE_ID_SIZE], const char *identity,
		    struct diag *d);
/* Records [first, end) are lost for ever. */
int store_gap_add(struct store *store, int64_t agent, uint64_t first, uint64_t end, wall_ns at,
		  struct diag *d);

/* A record that this hub cannot read: kept, as its loss is, so that somebody can find out why. */
struct store_refused {
	int64_t agent;
	uint64_t seq;
	wall_ns at;
	const char *reason;
	const uint8_t *tick; /* kept up to STORE_REFUSED_BYTES */
	size_t tick_size;
};
#define STORE_REFUSED_BYTES (1u << 20) /* of each: a tick of a busy host, and then some */

int store_refused_add(struct store *store, const struct store_refused *refused, struct diag *d);

/* ---- raw ticks ------------------------------------------------------------------------------- */

struct store_record {
	int64_t no; /* order of arrival, from 1; given by the store */
	int64_t agent;
	uint64_t seq;
	wall_ns arrived;
	bool late; /* counts in totals, in no window */
	const uint8_t *tick;
	size_t tick_size;
};

int store_record_add(struct store *store, struct store_record *record, struct diag *d);
/* Puts other bytes in the place of record->no, late from now on. */
int store_record_put(struct store *store, const struct store_record *record, struct diag *d);

/*
 * Deletes the oldest raw ticks, `most` of them at most: up to the first that arrived at `before` or
 * later, or, when the file uses more than budget bytes, without asking how old they are; never one
 * with no > applied. In a transaction of the caller. Reads no more rows than it deletes, and one.
 */
int store_record_trim(struct store *store, int64_t applied, wall_ns before, uint64_t budget_bytes,
		      unsigned most, struct diag *d);

/* ---- the checkpoint: totals as of one raw tick ------------------------------------------------ */

struct store_series {
	series_id no;
	struct series_key key;
	const uint8_t *latency, *queue; /* packed histograms */
	size_t latency_size, queue_size;
	uint64_t count, errors;
	wall_ns heard; /* about when its last events came; read: 0 when the store does not know */
};

int store_series_put(struct store *store, const struct store_series *series, struct diag *d);
/*
 * Vouches for what was put as heard, in the transaction that changes the value "applied" and behind
 * it: a hub from before, which keeps no such times, may have changed the series since.
 */
int store_heard_seal(struct store *store, struct diag *d);
/* The agent calls series `no` by the number `id`. */
int store_name_put(struct store *store, int64_t agent, uint32_t id, series_id no, struct diag *d);
/* Forgets what the agent calls its series. */
int store_names_clear(struct store *store, int64_t agent, struct diag *d);
/* Forgets all series and names, to write them anew in the same transaction. */
int store_series_clear(struct store *store, struct diag *d);

/* Slots of all series' windows, as a tick whose deltas have the series' numbers; see hub/windows.h. */
struct store_slots {
	unsigned tier;
	uint32_t start; /* the second of the table in which they begin */
	uint32_t part; /* from 0, where they are too many for one row */
	const uint8_t *slots;
	size_t size;
};
int store_slots_put(struct store *store, const struct store_slots *slots, struct diag *d);
/* Deletes those of one start; those of a tier that begin before first; all. */
int store_slots_drop(struct store *store, unsigned tier, uint32_t start, struct diag *d);
int store_slots_trim(struct store *store, unsigned tier, uint32_t first, struct diag *d);
int store_slots_clear(struct store *store, struct diag *d);

/* Small named values: how far totals reach, the judge's state. */
int store_value_put(struct store *store, const char *name, const void *bytes, size_t size,
		    struct diag *d);
/* 1 found, *bytes malloc'ed; 0 there is none. */
int store_value_get(struct store *store, const char *name, uint8_t **bytes, size_t *size,
		    struct diag *d);

/* ---- alerts and decisions ---------------------------------------------------------------------- */

/* Of each the newest so many are kept: months of a calm fleet, some MB of a mad one. */
#define STORE_ACTIONS_MAX 10000
#define STORE_GAPS_MAX	  10000
#define STORE_REFUSED_MAX 100

/* tick: a tick that holds the one action; host "" for the fleet's own judge. */
int store_action_add(struct store *store, const char *host, const uint8_t *tick, size_t tick_size,
		     struct diag *d);
/* Deletes the oldest actions, gaps and refused records beyond what is kept. */
int store_history_trim(struct store *store, struct diag *d);

/* ---- reading back: in the order of writing, agents in the order they were last heard of -------- */

/* A callback that returns non-zero ends the reading; that is handed up. */
/* Of agents, the `most` that were heard of last. */
int store_agents_read(struct store *store, unsigned most,
		      int (*fn)(void *arg, const struct store_agent *agent), void *arg,
		      struct diag *d);
int store_series_read(struct store *store, int (*fn)(void *arg, const struct store_series *series),
		      void *arg, struct diag *d);
int store_names_read(struct store *store,
		     int (*fn)(void *arg, int64_t agent, uint32_t id, series_id no), void *arg,
		     struct diag *d);
int store_slots_read(struct store *store, int (*fn)(void *arg, const struct store_slots *slots),
		     void *arg, struct diag *d);
int store_refused_read(struct store *store,
		       int (*fn)(void *arg, const struct store_refused *refused), void *arg,
		       struct diag *d);
/* Records with no > after. */
int store_records_read(struct store *store, int64_t after,
		       int (*fn)(void *arg, const struct store_record *record), void *arg,
		       struct diag *d);
/*
 * Where to begin store_records_read() so that all it reads arrived at `since` or later and the
 * ticks together have at most max_bytes.
 */
int store_records_since(struct store *store, wall_ns since, uint64_t max_bytes, int64_t *after,
			struct diag *d);
/* The newest `most`, oldest of them first. */
int store_actions_read(struct store *store, unsigned most,
		       int (*fn)(void *arg, const char *host, const uint8_t *tick, size_t size),
		       void *arg, struct diag *d);

#endif
