/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal: an append-only log on disk that stands between measuring and sending. One writer
 * (vowd); readers in other processes (vow-export, vow) only read and publish how far they came.
 *
 * A directory holds segments NAME = sixteen hex digits of the first sequence number + ".vowj". A
 * segment is a 64-byte header (magic, version, epoch, first sequence number, crc32c) and records:
 *
 *   u32 length of what follows the crc | u32 crc32c of it | u64 seq | u64 wall_ns |
 *   u32 wire_size | u32 local_size | wire bytes | local bytes
 *
 * `wire` is what the hub gets, `local` never leaves the host (ring positions). Numbers are little
 * endian; the epoch is random, made with the journal, and names its life: (agent, epoch, seq)
 * identifies a record for ever. seq grows by one a record from 1, without gaps: where a record was
 * lost to a broken disk or a crash of the machine, an empty one (no wire, no local bytes) has its
 * number. Only at the beginning may numbers be missing: what was trimmed.
 *
 * Appending is one writev(2): what it returned for survives the death of the process; fsync
 * survives that of the machine (option). Every opening for writing begins a new segment.
 * docs/journal-format.md has it byte by byte. Calls block as long as the disk does.
 */
#ifndef VOW_LIB_DATA_JOURNAL_H
#define VOW_LIB_DATA_JOURNAL_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/base/diag.h"
#include "lib/base/types.h"

#define JOURNAL_RECORD_MAX (32u << 20) /* bytes of wire + local in one record */

struct journal_record {
	uint64_t seq;
	wall_ns wall;
	const uint8_t *wire, *local; /* good until the next call on the reader */
	size_t wire_size, local_size;
};

/* Whether its content went into that of a later record: empty, and yet nothing is lost. */
bool journal_record_merged(const struct journal_record *record);

/*
 * Makes one record of neighbours that nobody has sent: returns how many of the first records (1 to
 * count) went into it, 1 when the first is to stay as it is (then wire is not used), or a negative
 * errno. *wire belongs to the callee, until its next call.
 */
typedef ssize_t (*journal_merge_fn)(void *arg, const struct journal_record *records, size_t count,
				    const uint8_t **wire, size_t *wire_size);

struct journal_options {
	/* A new segment begins beyond this and its first record; 0: 8 MiB. */
	uint64_t segment_bytes;
	uint64_t budget_bytes; /* oldest segments go beyond this, counted; 0: 256 MiB */
	dur_ns age; /* segments go when all in them is older than this, counted; 0: never */
	/* What is to stay free on the disk, at the budget's cost; 0: nothing. */
	uint64_t free_bytes;
	bool keep_sent; /* what every reader has stays, too, as a memory, until room is needed */
	journal_merge_fn merge; /* merges before anything unread is dropped; NULL: never */
	void *merge_arg;
	dur_ns fsync_every; /* 0: never (the kernel writes back within about 30 s) */
};

struct journal;

/*
 * Opens for writing, creating directory and epoch when there is none. options may be NULL. Takes a
 * lock: a second writer gets -EBUSY. Reads all segments: a torn end is cut, and counted; a segment
 * that is broken elsewhere is set aside as *.quarantined and counted, and written anew with what is
 * good of it. After a restart of the machine, 256 empty records follow what is there, since records
 * that the disk had not yet may have been sent. -EPROTONOSUPPORT: another version wrote it. d gets
 * the text of a failure; the journal is then as it was, or partly mended.
 */
int journal_open(const char *dir, const struct journal_options *options, struct journal **journal,
		 struct diag *d);
/* Syncs: 0, or the errno with which the disk refused, and all is closed. NULL is allowed. */
int journal_close(struct journal *journal);

uint64_t journal_epoch(const struct journal *journal);
uint64_t journal_last_seq(const struct journal *journal); /* 0 when nothing was ever appended */
/* Where the next record starts a new segment: then everything in it must stand on its own. */
bool journal_at_segment_start(const struct journal *journal);

/*
 * Appends and gives the record the next sequence number. -ENOSPC or another errno of the disk
 * leaves the journal as it was (a partial write is cut off again); the caller may try again later.
 * -ESTALE: the newest segment was removed, and what it held; the next record begins another one.
 * -EMSGSIZE beyond JOURNAL_RECORD_MAX. seq may be NULL.
 */
int journal_append(struct journal *journal, wall_ns wall, const void *wire, size_t wire_size,
		   const void *local, size_t local_size, uint64_t *seq, struct diag *d);

/*
 * Keeps the journal within its budgets; call it after each record. What goes, whole segments whose
 * every record is < keep_from, and < the keyframe that stands for these (journal_keyframe.h): those that are too old; those that every named reader has, at once
 * or (keep_sent) when room is needed; without named readers those beyond the budget. When three
 * quarters of the budget are used by what is not read, neighbouring records of old segments are
 * merged, those below a reader's claim excepted. Only when that does not help, the oldest unread
 * segments go, counted. Never the newest. Two directory scans, and at most COMPACT_STEP bytes of
 * records merged a call (journal_compact.h).
 */
void journal_trim(struct journal *journal, uint64_t keep_from);

struct journal_counters {
	uint64_t segments, bytes; /* now on disk */
	uint64_t torn_total; /* tails cut at open */
	uint64_t quarantined_total; /* segments set aside */
	uint64_t lost_records_total; /* empty ones in the place of broken ones */
	uint64_t dropped_records_total; /* unread records that a budget cost */
	uint64_t merged_records_total; /* numbers whose content went into a later one's */
	/*
	 * Syncs (fsync_every) that the disk refused. What was appended before one may be lost when
	 * the machine crashes, even if a later one goes well: the kernel reports pages that it could
	 * not write once, and then takes them for clean.
	 */
	uint64_t sync_failures_total;
	int sync_err; /* the negative errno of the newest sync; 0: it went well */
};
struct journal_counters journal_counters(const struct journal *journal);
/* Why the newest sync failed: its errno with d filled; 0: it went well. */
int journal_sync_diag(const struct journal *journal, struct diag *d);

/* ---- readers: any process that may read the directory ---------------------------------------- */

struct journal_reader;
/*
 * Begins at the first record with a sequence number >= from that is still there. name (or NULL)
 * (letters, digits, '-', '_'; else -EINVAL) is a reader whose position counts for journal_trim()
 * from now on: a file NAME.position in the directory, made here with position 0 when there is none
 * of this epoch. -ENOENT when there is no journal yet: it begins with its first record.
 * -EPROTONOSUPPORT when its first segment is of another version.
 */
int journal_reader_open(const char *dir, const char *name, uint64_t from,
			struct journal_reader **reader, struct diag *d);
void journal_reader_close(struct journal_reader *reader);
uint64_t journal_reader_epoch(const struct journal_reader *reader);
/*
 * 1: record filled. 0: nothing more yet. -EPROTO: a broken record, the reader went on to the next
 * segment. -ESTALE: another journal (epoch) has come: open it anew. -EPROTONOSUPPORT: the next
 * segment is of another version. Else an errno, to try again.
 */
int journal_reader_next(struct journal_reader *reader, struct journal_record *record,
			struct diag *d);
/* Next record read will be the first with seq >= from; used after a hub's answer. Errno as open. */
int journal_reader_seek(struct journal_reader *reader, uint64_t from);
/*
 * Everything <= seq may go, as far as this reader is concerned. Atomic and durable by rename, thus
 * some ms. -EINVAL for a reader without a name.
 */
int journal_reader_commit(struct journal_reader *reader, uint64_t seq);
/*
 * For a reader that passes content on: before it does so with records <= seq, it claims them, and
 * they are never merged from then on, whatever becomes of the reader. Does not fall below what was
 * committed; a lower seq than before gives back what was surely not passed on. Waits for a segment
 * that is just being replaced; then reads are those of the segment as it is. Errors as commit.
 */
int journal_reader_claim(struct journal_reader *reader, uint64_t seq);
/* Position of a named reader; 0 when it never committed in this epoch. */
uint64_t journal_position(const char *dir, const char *name, uint64_t epoch);

#endif
