/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal's bytes and names, shared by its writer, its repair and its readers. What comes from
 * a file is checked before use. docs/journal-format.md is this header in prose.
 */
#ifndef VOW_LIB_DATA_JOURNAL_FORMAT_H
#define VOW_LIB_DATA_JOURNAL_FORMAT_H

#include <limits.h>
#include <sys/types.h>

#include "lib/data/journal.h"

#define JOURNAL_VERSION	     2 /* that is written */
#define JOURNAL_VERSION_READ 1 /* and the oldest that is read: a keyframe was in a first record */
#define JOURNAL_HEADER_BYTES 64
/* Before the bytes of a record: length, crc, seq, wall, wire_size, local_size. */
#define JOURNAL_HEAD_BYTES 32
/* The part of it that length counts. */
#define JOURNAL_HEAD_COVERED 24
#define JOURNAL_SUFFIX	     ".vowj"
#define JOURNAL_KEYFRAME     ".vowk" /* the suffix of a keyframe, whose name is a number too */
#define JOURNAL_MODE	     0640

struct journal_header {
	uint64_t epoch, first_seq;
	uint8_t boot_id[16]; /* of the machine's run in which the segment was begun */
	wall_ns begun_at;
	uint32_t crc; /* of the record that a keyframe stands behind; 0 in a segment */
};

enum journal_file { JOURNAL_FILE_SEGMENT, JOURNAL_FILE_KEYFRAME };

void journal_header_encode(const struct journal_header *header, enum journal_file file,
			   uint8_t out[JOURNAL_HEADER_BYTES]);
/* 0; -EPROTO: no header of such a file, or a broken one; -EPROTONOSUPPORT: of another version. */
int journal_header_decode(struct journal_header *header, enum journal_file file,
			  const uint8_t in[JOURNAL_HEADER_BYTES]);

/* Fills the head of a record whose bytes are given; sizes add up to JOURNAL_RECORD_MAX at most. */
void journal_head_encode(uint8_t out[JOURNAL_HEAD_BYTES], const struct journal_record *record);
/* The checksum in such a head. */
uint32_t journal_head_crc(const uint8_t head[JOURNAL_HEAD_BYTES]);
/*
 * Checks a whole record at bytes (size of them are there) and points into it. Returns its size
 * with the head, 0 when size ends before it does, -EPROTO when it is none.
 */
ssize_t journal_record_decode(struct journal_record *record, const uint8_t *bytes, size_t size);

/* Reads records of an open segment one after the other; the fd is the caller's. */
struct journal_cursor {
	int fd;
	uint64_t offset; /* of the next record */
	uint8_t *buf; /* grows to the largest record met */
	size_t cap;
};
/*
 * 1 with record (good until the next call) and offset behind it; 0: the file ends before a whole
 * record; -EPROTO: what is there is no record; -ENOMEM; or read(2)'s error. Then offset stays.
 */
int journal_cursor_next(struct journal_cursor *cursor, struct journal_record *record);
void journal_cursor_deinit(struct journal_cursor *cursor); /* frees buf, keeps the fd */

/* dir/NAME of a segment with this first sequence number, and suffix behind. -ENAMETOOLONG. */
int journal_path(char path[PATH_MAX], const char *dir, uint64_t first_seq, const char *suffix);

/*
 * First sequence numbers of the segments in dir, ascending; the caller frees *seqs. 0, or a
 * negative errno (-ENOENT: no such directory).
 */
int journal_list(const char *dir, uint64_t **seqs, size_t *count);
/* The same for files of this suffix. */
int journal_list_of(const char *dir, const char *suffix, uint64_t **seqs, size_t *count);

/* Opens a segment and reads its header: the descriptor, or as journal_header_decode(), or errno. */
int journal_segment_open(const char *path, int flags, struct journal_header *header);
/* The same for a file of either sort. */
int journal_file_open(const char *path, int flags, enum journal_file file,
		      struct journal_header *header);

/* Says what to do about a file of another version (in path; or in that folder): -EPROTONOSUPPORT. */
int journal_version_refuse(const char *path, struct diag *d);

/*
 * What is found, and mended, in one segment (journal_repair.c). Beyond the last record that is
 * good, a newest segment is cut; where more good records follow a broken one, or an older segment
 * lacks some, the segment is written anew with an empty record in the place of each that is lost,
 * and the broken file is renamed to *.quarantined. A segment of another epoch than header's counts
 * as lost altogether.
 */
struct journal_repair {
	uint64_t first_seq;
	uint64_t limit_seq; /* the last one it has to hold; 0: it is the newest, unknown */
	/* Its epoch is the journal's; the rest is for a segment without its own. */
	struct journal_header header;

	/* Results. */
	uint64_t last_seq; /* first_seq - 1 when it holds nothing */
	uint64_t bytes;
	uint64_t lost_records;
	bool torn, quarantined;
};
int journal_repair_segment(const char *dir, struct journal_repair *repair, struct diag *d);

/* How far a sequence number may be ahead of another for a gap between them to be believed. */
#define JOURNAL_AHEAD_MAX (1u << 20)

/*
 * The local part of a record whose content went into that of a later one: the later one's number.
 * Its wire part is empty.
 */
#define JOURNAL_MERGED_BYTES 8

/* How far a reader came; claim: no record up to it may be merged (0 where it does not say). */
struct journal_place {
	uint64_t epoch, seq, claim;
};
/* 0, or a negative errno when there is no whole one. */
int journal_place_read(const char *dir, const char *name, struct journal_place *place);

/* dir/NAME.position of a reader. -ENAMETOOLONG. */
int journal_place_path(char path[PATH_MAX], const char *dir, const char *name);
/* Atomic and durable by rename. Errno as open(2). */
int journal_place_write(const char *dir, const char *name, const struct journal_place *place);

/*
 * What the named readers of an epoch say together; one that says nothing of it stands at 0. While one
 * cannot be read (broken, or no descriptor is left) it may have claimed anything: nothing is merged.
 */
struct journal_places {
	uint64_t least, most; /* positions; least is UINT64_MAX without readers */
	uint64_t claim; /* nothing up to here is to be merged; UINT64_MAX: nothing at all */
};
struct journal_places journal_places_read(const char *dir, uint64_t epoch);

/* dir/NAME of the lock that is held while claims are written, or a segment replaced. */
#define JOURNAL_CLAIM_LOCK "claims"

/* Opens that lock of the journal in dir; flags: O_CREAT or 0. The descriptor, or negative errno. */
int journal_claims_open(const char *dir, int flags);

/* Appends empty records from..to with this time to fd, whose position is its end. */
int journal_write_empty(int fd, uint64_t from, uint64_t to, wall_ns wall);

#endif
