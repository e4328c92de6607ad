/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keyframes of a journal: files beside its segments, each the whole state of the writer's program
 * behind one record, so that a start takes up the newest and reads later records only. What the state
 * consists of is the program's; here it is pieces of bytes.
 *
 * 0123456789abcdef.vowk has the number of its record, and that record's checksum in its header: a
 * keyframe counts only with the record that it was made behind. It is written under another name, a
 * piece at a time over as many turns as that takes, ends with an empty piece, and only then gets its
 * name. So a crash at any instant leaves a whole one or none; one that the disk of a crashed machine
 * has half of lacks its end, and does not count.
 */
#ifndef VOW_LIB_DATA_JOURNAL_KEYFRAME_H
#define VOW_LIB_DATA_JOURNAL_KEYFRAME_H

#include "lib/data/journal_format.h"

/* After so long the kernel has written a file back that nobody syncs: 30 s, and its folder 5 s. */
#define JOURNAL_KEYFRAME_STORED NS_PER_MIN

/* The record that a keyframe stands behind. */
struct journal_mark {
	uint64_t epoch, seq;
	uint32_t crc;
};
/* Of the newest record, which this writer has appended. */
struct journal_mark journal_mark(const struct journal *journal);
/* Of a record that was read. */
struct journal_mark journal_mark_of(uint64_t epoch, const struct journal_record *record);

/* ---- the writer ---------------------------------------------------------------------------------- */

struct journal_keyframe; /* one in the making; ends before its journal does */

/* Begins one, in the place of what an earlier life left unfinished. 0, -ENOMEM, or the disk's errno. */
int journal_keyframe_begin(struct journal *journal, const struct journal_mark *mark,
			   struct journal_keyframe **keyframe);
/* One piece of 1 to JOURNAL_RECORD_MAX bytes. After an error it can only be abandoned. */
int journal_keyframe_append(struct journal_keyframe *keyframe, const void *bytes, size_t size);
/*
 * Ends it and gives it its name. It and the newest one before it stay, and the one that stands; all
 * others go. On success it is freed; else abandon it. Waits for the disk, for its record too, where
 * the journal is synced (fsync_every).
 */
int journal_keyframe_commit(struct journal_keyframe *keyframe);
/*
 * The keyframe that a start will find even if the machine crashes now, of those up to number seq:
 * seq where the journal is synced, else the newest that is older than JOURNAL_KEYFRAME_STORED, else
 * the oldest. Without any keyframe, seq; 0 where they cannot be listed.
 */
uint64_t journal_keyframe_stands(const struct journal *journal, uint64_t seq);
/* Removes and frees it. NULL is allowed. */
void journal_keyframe_abandon(struct journal_keyframe *keyframe);

/*
 * Removes those behind records from..to, which are about to be merged: what a later start needs of
 * these records, and of those behind them, goes with that.
 */
void journal_keyframes_remove(struct journal *journal, uint64_t from, uint64_t to);
/* Counts what keyframes take as part of the journal's bytes; removes one that was not finished. */
void journal_keyframes_open(struct journal *journal);

/* ---- who takes one up ------------------------------------------------------------------------------ */

/* A non-zero return ends the reading and is handed up. */
typedef int (*journal_piece_fn)(void *arg, const uint8_t *bytes, size_t size);
/*
 * Hands out the pieces of the keyframe behind this record; with fn NULL it only looks whether all of
 * them are there, to be done before anything is taken up. 0; -ENOENT: there is none; -EPROTO: it is
 * broken, of another record, or lacks its end; -EPROTONOSUPPORT: another version wrote it; -ENOMEM, or the
 * disk's errno.
 */
int journal_keyframe_read(const char *dir, const struct journal_mark *mark, journal_piece_fn fn,
			  void *arg);
/* Says what to do about one of another version: -EPROTONOSUPPORT. */
int journal_keyframe_refuse(const char *dir, uint64_t seq, struct diag *d);
/* Numbers of the keyframes in dir, ascending, as journal_list(). */
int journal_keyframe_list(const char *dir, uint64_t **seqs, size_t *count);

#endif
