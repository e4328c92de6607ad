/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rewrites one segment of a journal with neighbouring records merged, a step at a time: the writer
 * does a bounded piece of work each second. The segment is written whole beside the old one and
 * takes its name at the end, so readers and crashes meet either the one or the other.
 *
 * Of k merged records the last keeps its number and has the content of all; the others become
 * empty, and say in their local part into which one they went. Local parts of merged segments are
 * left out: they are for starting again, which newer keyframes serve.
 */
#ifndef VOW_LIB_DATA_JOURNAL_COMPACT_H
#define VOW_LIB_DATA_JOURNAL_COMPACT_H

#include "lib/data/journal.h"

/* Bytes of old records that a step reads: some ms of merging. */
#define COMPACT_STEP (512u << 10)
/* Records that become one in one rewriting, at most. */
#define COMPACT_RUN 16

struct journal_compact;

/* Makes what claiming readers wait at, removes what a crash left behind. 0 or a negative errno. */
int journal_compact_prepare(const char *dir);

/* Records <= claim stay as they are. 0 or a negative errno. */
int journal_compact_begin(const char *dir, uint64_t first_seq, uint64_t claim,
			  struct journal_compact **compact);
/* 1: all of it is written. 0: not yet. Else a negative errno: abandon it. */
int journal_compact_step(struct journal_compact *compact, journal_merge_fn merge, void *arg);
/*
 * Puts the new segment in the place of the old one. -EBUSY: a reader is just claiming, try again;
 * -ESTALE: one has claimed more meanwhile; else an errno of the disk. Then the old one stands.
 */
int journal_compact_commit(struct journal_compact *compact, const char *dir, uint64_t epoch);
/* Frees it; the new segment is removed unless it was committed. NULL is allowed. */
void journal_compact_abandon(struct journal_compact *compact);

struct journal_compact_result {
	uint64_t first_seq;
	uint64_t bytes; /* of the new segment */
	uint64_t merged_records; /* that became empty */
};
struct journal_compact_result journal_compact_result(const struct journal_compact *compact);

#endif
