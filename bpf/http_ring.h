/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * How records get from the BPF programs to user space: rings of slots in memory that both map.
 * Writing one takes an atomic step and the copy, no helper and no lock, a third of what the
 * kernel's own ring takes; each ring serves few processors, whose writes then seldom meet.
 *
 * Roles: writers are programs on any processor, which may interrupt each other; the one reader is
 * vowd. A writer takes a position when there is room (compare and swap of `written`), fills its
 * slot, and stamps it. The reader takes slots in the order of positions, stops at the first that
 * is not stamped yet, and gives the room back (`taken`). Nothing waits: a full ring loses the
 * record, which is counted. Programs run to their end, so that no slot stays without its stamp.
 */
#ifndef VOW_BPF_HTTP_RING_H
#define VOW_BPF_HTTP_RING_H

#include "bpf/http_record.h"

#define HTTP_RINGS_MAX 8 /* a power of two; more of smaller size would fill sooner */

#define HTTP_SLOT_WORDS 31

/*
 * A record as it lies in the ring: its first words, path_words of its path, and in the last words,
 * a line of the cache that is left alone without HTTP_NOTED, its notes. A path of more than
 * HTTP_SLOT_PATH words reaches into the type of the event, which is left out then. With HTTP_NAMED
 * it takes two positions, of which only the first is stamped: the words of the second begin with
 * the name of the peer.
 */
struct http_slot {
	__u64 stamp; /* its position + 1 once the record is whole */
	__u64 words[HTTP_SLOT_WORDS];
};

#define HTTP_SLOT_FIXED (__builtin_offsetof(struct http_record, path) / 8)
#define HTTP_SLOT_NOTES (HTTP_SLOT_WORDS - sizeof(struct http_notes) / 8)
#define HTTP_SLOT_PATH	(HTTP_SLOT_NOTES - HTTP_SLOT_FIXED)

/* A power of two of slots follows; position p lies in slot p modulo their number. */
struct http_ring {
	__u64 written; /* positions given to writers */
	__u64 apart[15]; /* two lines, since processors fetch pairs */
	__u64 taken; /* positions that the reader is done with */
	__u64 from_slots[15];
};

#endif
