/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exactly-once merge. A record is known by (agent, epoch, seq). From each agent exactly the
 * record after the last one accepted is taken; older ones are duplicates; a jump is allowed only
 * over records that the agent says no longer exist, and is written down as a gap.
 *
 * Records wait in a group until merge_commit(): then the raw ticks and each agent's position become
 * durable in one transaction, only then are they added to the fleet, and only then acknowledged.
 * When the transaction fails the group is forgotten as a whole, streams end, and agents send again.
 * A record that cannot be understood is no reason to stop: it is set aside and counts as a gap.
 *
 * Transport is the caller's: a peer is one stream of one agent. One thread; commit blocks as long
 * as the disk does.
 */
#ifndef VOW_HUB_MERGE_H
#define VOW_HUB_MERGE_H

#include "hub/fleet.h"
#include "rpc/server.h"
#include "store/store.h"

/* Records that an agent may have in flight; about 4 minutes of catching up in one go. */
#define MERGE_CREDITS 256
/* A group is committed at the latest when it is so old, or so big. */
#define MERGE_GROUP_AGE	  (20 * NS_PER_MS)
#define MERGE_GROUP_BYTES (8u << 20)

struct merge;
struct merge_peer;

/* How the merge reaches the agent at the other end of a peer's stream; link is the caller's. */
struct merge_link {
	void (*send)(void *link, const uint8_t *bytes, size_t size);
	/* The peer stays until merge_peer_free(), deaf. */
	void (*finish)(void *link, enum rpc_status status, const char *text);
};

struct merge_counters {
	uint64_t records_total; /* durable and merged since this process began */
	uint64_t histograms_total;
	uint64_t duplicates_total; /* records that were sent again */
	uint64_t late_total; /* counted in totals, in no window */
	uint64_t refused_total; /* messages that were broken, records that were set aside */
	/* Records that agents lost or that were set aside, of all agents known at the start or since. */
	uint64_t gap_records_total;
	uint64_t commits_total, commit_failures_total;
	uint64_t bytes_total; /* of raw ticks */
};

/* Borrows fleet and store. NULL when memory lacks. */
struct merge *merge_new(struct fleet *fleet, struct store *store, const struct merge_link *link);
void merge_free(struct merge *merge); /* drops what was not committed */

/*
 * name: where it comes from, for the log. identity: what its certificate proved, "" without one; an
 * agent belongs to the first that it came with, and to no other afterwards. NULL when memory lacks.
 */
struct merge_peer *merge_peer_new(struct merge *merge, void *link, const char *name,
				  const char *identity);
void merge_peer_free(struct merge_peer *peer);
const char *merge_peer_name(const struct merge_peer *peer);

/*
 * Takes one message of the stream; d is not NULL. 0. 1: a record in it cannot be read and was set
 * aside, d says which and why, the stream goes on. Or a negative errno with d filled, after which
 * the stream was finished with that text: -EPROTO broken, -ENOTSUP another protocol version, -EPERM
 * an agent that belongs to another certificate, -EUSERS one more than the hub takes, or what the
 * store said.
 */
int merge_message(struct merge_peer *peer, const uint8_t *bytes, size_t size, struct diag *d);

/* True when the group is old or big enough to be committed without waiting for more. */
bool merge_due(const struct merge *merge);
/* 0 also when there is nothing. On failure as above, for all streams that had records in it. */
int merge_commit(struct merge *merge, struct diag *d);

/*
 * Puts an action into the group, so that it survives; host "" for the fleet's own judge. On failure
 * (as the store's) the group is lost as above.
 */
int merge_action_add(struct merge *merge, const char *host, const struct action *action,
		     struct diag *d);

struct merge_counters merge_counters(const struct merge *merge);
/* Number of the last raw tick that the fleet holds. */
int64_t merge_applied(const struct merge *merge);
/* Number of the last raw tick that the checkpoint in the store holds. */
int64_t merge_saved(const struct merge *merge);

/*
 * Lets go of agents that were not heard of since `before` and are not connected: from memory, from
 * what is shown, and with them, as windows let them, the series of hosts that no other agent has;
 * and of the series of all others that had no event since then (fleet_age()). The store goes on
 * knowing how far each agent was, so that one that comes back counts nothing twice. Not while a
 * group is open. 0, or the store's errno with nothing forgotten.
 */
int merge_forget(struct merge *merge, wall_ns before, struct diag *d);

/* Fills hosts and collectors. -ENOMEM. */
int merge_board(const struct merge *merge, struct board *board);
unsigned merge_connected(const struct merge *merge);

/* ---- for checkpoint.c ------------------------------------------------------------------------- */

/* An agent that was known before; no is the store's. -ENOMEM. */
int merge_restore_agent(struct merge *merge, const struct store_agent *agent);
/* What the agent calls a series. -ENOENT for an unknown agent. */
int merge_restore_name(struct merge *merge, int64_t agent, uint32_t id, struct series *series);
void merge_restore_refused(struct merge *merge, const struct store_refused *refused);
/* Merges a raw tick again, as far as `share` says; at is the fleet's clock then. */
int merge_restore_record(struct merge *merge, const struct store_record *record,
			 enum fleet_share share, mono_ns at, struct diag *d);
/* Of a raw tick that was merged, the exemplars alone, as far as they can be read. -ENOMEM. */
int merge_restore_exemplars(struct merge *merge, const struct store_record *record);
/*
 * Sets a raw tick aside that cannot be merged again, as if it came now: it counts as lost, its bytes
 * are kept with the reason, and in its place stay the names that it gives. Opens a transaction of
 * the store where none is. The store's errno, -ENOMEM.
 */
int merge_restore_aside(struct merge *merge, const struct store_record *record, const char *reason,
			struct diag *d);
/* The fleet holds all raw ticks up to this one; saved: and so does the checkpoint. */
void merge_restore_applied(struct merge *merge, int64_t applied, bool saved);
/* Calls fn for every name given since the last checkpoint. */
int merge_fresh_names(struct merge *merge, bool all,
		      int (*fn)(void *arg, int64_t agent, uint32_t id, series_id no), void *arg);
/* A checkpoint of everything up to merge_applied() is durable. */
void merge_checkpoint_saved(struct merge *merge);

#endif
