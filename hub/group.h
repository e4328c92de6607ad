/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What merge.c, group.c and merge_restart.c share, and nobody else. The group is what was accepted
 * since the last commit, in one open transaction of the store: records, gaps, names, actions. Each
 * group_add_*() opens it when none is open; after a failure (the store's errno, -ENOMEM) the caller
 * gives up the whole group, since its transaction may be gone. Thread of the merge.
 */
#ifndef VOW_HUB_GROUP_H
#define VOW_HUB_GROUP_H

#include "hub/merge.h"
#include "hub/source.h"
#include "proto/stream.h"

struct merge_waiting { /* a record between acceptance and commit */
	struct source *source;
	struct intake intake;
	bool late;
};

struct merge {
	struct fleet *fleet;
	struct store *store;
	struct merge_link link;
	struct tick_writer *writer; /* for actions on their way into the store */
	struct sources *sources;
	struct merge_peer *peers;
	struct merge_waiting *group;
	size_t group_count, group_room;
	uint64_t group_bytes;
	bool group_open; /* a transaction stands, with or without records */
	mono_ns group_since;
	/* Numbers of raw ticks: in the fleet, in the transaction, in the checkpoint. */
	int64_t applied, newest, saved;
	struct merge_counters counters;
};

/* Where records of the source find names and series. */
struct intake_context merge_context(struct merge *merge, struct source *source);

int group_begin(struct merge *merge, struct diag *d); /* 0 also when it is open */
/* Forgets what was accepted; the transaction is the caller's to end. */
void group_clear(struct merge *merge);
/* Where the next record is read into; it counts from group_add_record() on. NULL: no memory. */
struct merge_waiting *group_next(struct merge *merge);

int group_add_record(struct merge *merge, struct source *source, const struct stream_record *record,
		     struct merge_waiting *waiting, struct diag *d);
/* Records [accepted + 1, first) will never count: the agent proved it, or they cannot be read. */
int group_add_gap(struct merge *merge, struct source *source, uint64_t first, struct diag *d);
/*
 * Names that came with a record which is not kept are kept as a tick of nothing but names: after a
 * crash the raw ticks behind the checkpoint are read again, and must find what they speak of.
 */
int group_add_names(struct merge *merge, struct source *source, const struct stream_record *record,
		    struct diag *d);
/*
 * A record that cannot be understood, and never could, however often it came: waiting for it would
 * stop all that follows. It becomes a gap with a reason, its bytes stay in the store. 1, with d
 * saying so.
 */
int group_set_aside(struct merge *merge, struct source *source, const struct stream_record *record,
		    const struct diag *why, struct diag *d);
int group_add_action(struct merge *merge, const char *host, const struct action *action,
		     struct diag *d);

#endif
