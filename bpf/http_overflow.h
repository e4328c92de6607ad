/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Where pairs go for which the rings have no room: into counts by who was asked, what the answer
 * was, and how long it took, in memory that user space maps as well. Its path and the time at which
 * it happened are lost, its count and latency are not.
 *
 * There are two banks. Writers, programs on any processor, add to the one that `bank` names; the
 * one reader, vowd, makes the other one current and takes the first when no writer is left in it.
 *
 *	writer	enters its gate of a bank (entered + 1), looks whether that bank is still current
 *		(else leaves it, and enters the other), adds, leaves (left + 1)
 *	reader	swaps; then each gate's `left`, then its `entered`: equal, nobody is inside and whoever
 *		comes later sees the swap. Else it looks again at its next poll
 *
 * Nothing waits. A writer is a program that runs to its end, so that every gate is left. A cell is
 * claimed by a compare and swap of its key and given back only by the reader, who has the bank to
 * itself then: what is added is taken, once.
 *
 * Buckets are those of vow's histogram (lib/data/hist.h), of scale 7 as long as a quarter of the
 * cells is in use; then new cells get the scale 5, 3, 1. Only when a cell of scale 1 has no place
 * either is the pair lost, which is counted as HTTP_RING_FULL. Writers: http_overflow_add.h.
 */
#ifndef VOW_BPF_HTTP_OVERFLOW_H
#define VOW_BPF_HTTP_OVERFLOW_H

#include "bpf/http_record.h"

#define OVERFLOW_GATES	   8 /* a power of two: few processors share a line */
#define OVERFLOW_WHOS	   512 /* a power of two */
#define OVERFLOW_NOBODY	   OVERFLOW_WHOS /* when there are more of them */
#define OVERFLOW_CELLS	   8192 /* a power of two, 2^OVERFLOW_CELL_BITS */
#define OVERFLOW_CELL_BITS 13
#define OVERFLOW_PROBES	   16 /* places for a key from its own on */
#define OVERFLOW_LEVELS	   4 /* level n: scale 7 - 2 n */

/* Whom the kernel saw: a process, the port at which it serves or the peer that it asks. */
struct http_overflow_who {
	__u64 key; /* hash of all that follows but the command; 0: free */
	__u32 pid;
	__u16 port; /* of a server its own, of a client its peer's */
	__u8 role; /* enum http_role */
	__u8 family;
	__u8 address[16]; /* a client's peer */
	char command[16];
};

/* From the highest bit: 1, who, role, outcome, method, class, kind; then the level and its slot. */
#define OVERFLOW_SLOT_BITS		 13
#define OVERFLOW_LEVEL_BITS		 2
#define OVERFLOW_KIND_SHIFT		 (OVERFLOW_SLOT_BITS + OVERFLOW_LEVEL_BITS)
#define OVERFLOW_GROUP_SHIFT		 (OVERFLOW_KIND_SHIFT + 1) /* the same above: one histogram */
#define OVERFLOW_CLASS_SHIFT		 OVERFLOW_GROUP_SHIFT
#define OVERFLOW_METHOD_SHIFT		 (OVERFLOW_CLASS_SHIFT + 3)
#define OVERFLOW_METHOD_BITS		 4
#define OVERFLOW_OUTCOME_SHIFT		 (OVERFLOW_METHOD_SHIFT + OVERFLOW_METHOD_BITS)
#define OVERFLOW_ROLE_SHIFT		 (OVERFLOW_OUTCOME_SHIFT + 2)
#define OVERFLOW_WHO_SHIFT		 (OVERFLOW_ROLE_SHIFT + 1)
#define OVERFLOW_CLASS_OTHER		 6 /* no status of HTTP; else its hundreds, 0 none */
#define OVERFLOW_CLASS_TLS		 7 /* by turns; the method says whether exchanges: 1 */
#define OVERFLOW_KIND_LATENCY		 0
#define OVERFLOW_KIND_QUEUE		 1
#define OVERFLOW_FIELD(key, shift, bits) ((__u32)((key) >> (shift)) & ((1u << (bits)) - 1))

struct http_overflow_cell {
	__u64 key; /* 0: free */
	__u64 count;
	__u64 sum_ns;
};

struct http_overflow_gate {
	__u64 entered;
	__u64 left;
	__u64 apart[14]; /* two lines, since processors fetch pairs */
};

struct http_overflow_bank {
	struct http_overflow_gate gates[OVERFLOW_GATES];
	__u64 cells_used;
	__u64 apart[15];
	struct http_overflow_who whos[OVERFLOW_WHOS];
	struct http_overflow_cell cells[OVERFLOW_CELLS];
};

struct http_overflow { /* 434 KiB */
	__u64 bank; /* 0 or 1: the current one */
	__u64 apart[15];
	struct http_overflow_bank banks[2];
};

#endif
