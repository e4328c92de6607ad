/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a journal segment, for its writer and its readers: what docs/journal-format.md says,
 * and the list of the segments in a folder. All numbers are little endian.
 */
#ifndef VOW_LIB_DATA_JOURNAL_FORMAT_H
#define VOW_LIB_DATA_JOURNAL_FORMAT_H

#include <stdbool.h>

#include "lib/data/journal.h"

#define JOURNAL_VERSION	     1
#define JOURNAL_HEADER_BYTES 64
#define JOURNAL_RECORD_BYTES 32 /* what stands before the wire bytes of a record */
#define JOURNAL_PATH_MAX     560

struct journal_header {
	uint64_t epoch;
	uint64_t first_seq;
	wall_ns created;
};

void journal_header_encode(const struct journal_header *header,
			   uint8_t bytes[JOURNAL_HEADER_BYTES]);
/*
 * -EPROTO: no segment, or a damaged one. -ENOTSUP: of another version. d (may be NULL) says which,
 * with `where` as its place.
 */
int journal_header_decode(const uint8_t bytes[JOURNAL_HEADER_BYTES], struct journal_header *header,
			  const char *where, struct diag *d);

struct journal_prefix { /* of a record, as claimed by its first 32 bytes */
	uint32_t crc;
	uint64_t seq;
	wall_ns wall;
	uint32_t wire_size, local_size;
};

/* The crc is computed here over everything behind it. */
void journal_prefix_encode(uint8_t bytes[JOURNAL_RECORD_BYTES], uint64_t seq, wall_ns wall,
			   const void *wire, size_t wire_size, const void *local,
			   size_t local_size);
/* 0, or -EPROTO when the lengths contradict each other or exceed JOURNAL_RECORD_MAX. */
int journal_prefix_decode(const uint8_t bytes[JOURNAL_RECORD_BYTES], struct journal_prefix *prefix);
/* Whether the crc fits; bytes is the whole record, prefix included. */
bool journal_record_intact(const uint8_t *bytes, const struct journal_prefix *prefix);
size_t journal_record_size(const struct journal_prefix *prefix);

/* "0000000000000001.vowj" */
void journal_segment_path(char path[JOURNAL_PATH_MAX], const char *dir, uint64_t first_seq);

/*
 * First sequence numbers of the segments in dir, ascending, in a heap array of *count that the
 * caller frees. -ENOENT when there is no such folder.
 */
int journal_list(const char *dir, uint64_t **firsts, size_t *count);

/*
 * The lowest position that a reader of this epoch published in dir; UINT64_MAX when there is no
 * reader at all.
 */
uint64_t journal_lowest_position(const char *dir, uint64_t epoch);

#endif
