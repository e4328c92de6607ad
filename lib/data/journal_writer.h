/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the journal's writer share: its state. */
#ifndef VOW_LIB_DATA_JOURNAL_WRITER_H
#define VOW_LIB_DATA_JOURNAL_WRITER_H

#include "lib/data/journal_format.h"

struct journal_segment {
	uint64_t first_seq, last_seq, bytes;
	wall_ns newest; /* when its last record was written */
	unsigned merged; /* times that its neighbours were merged */
};

#define JOURNAL_MERGED_OUT UINT_MAX /* of segment.merged: nothing more can be */

struct journal {
	char *dir;
	struct journal_options options;
	int lock_fd;
	struct journal_header header; /* of the next segment, but for its first_seq */
	uint64_t last_seq;

	struct journal_segment *segments; /* oldest first; the last is written to while fd >= 0 */
	size_t count, cap;
	int fd; /* -1: the next record begins a segment */
	uint32_t last_crc; /* of the newest record that was appended */
	uint64_t keyframe_bytes; /* of all keyframes, a part of counters.bytes */
	uint64_t begun_bytes; /* of the newest segment up to the end of its first record */
	bool dirty; /* bytes of a record that failed could not be cut off yet */
	mono_ns synced_at;

	struct journal_compact *compact; /* of a segment being rewritten; NULL: none */
	struct journal_counters counters;
};

#endif
