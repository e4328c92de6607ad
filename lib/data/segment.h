/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's view of a segment that an application shares (include/vow/shm.h). Whatever stands in
 * it is a claim of another process, which may write to it at any time: what is read here is
 * checked, clamped and copied, and nothing that a segment holds can make a reader leave its bounds.
 *
 * One thread per segment. Only segment_open(), segment_close() and segment_bytes() make system calls.
 */
#ifndef VOW_LIB_DATA_SEGMENT_H
#define VOW_LIB_DATA_SEGMENT_H

#include <stdbool.h>
#include <vow/shm.h>

#include "lib/base/diag.h"
#include "lib/base/types.h"

struct segment {
	struct vow_shm *shm; /* the mapping; read only through the functions of this folder */
	uint64_t id; /* of the header */
	uint64_t inode; /* of the memfd, from the kernel */
	int memfd; /* 0: none */
	uint32_t pid; /* as the owner sees itself: a claim */
	uint32_t clock; /* enum vow_shm_clock */
	uint64_t tick_ratio;
	char service[VOW_SHM_SERVICE];
};

/*
 * Maps the segment behind fd, which stays the caller's and is not needed afterwards. Refused with
 * d filled and nothing mapped:
 *   -EPERM   it could shrink under the reader: seals are missing, or it is no memfd
 *   -ENOTSUP another layout version
 *   -EPROTO  not a segment, or its header contradicts itself
 *   or the errno of the kernel.
 */
int segment_open(int fd, struct segment *segment, struct diag *d);
/* -EPERM with d filled as there, for who knows of a descriptor that it is no memfd without having it. */
int segment_is_no_memfd(struct diag *d);
void segment_close(struct segment *segment); /* a closed or all-zero segment is allowed */

/* Bytes of memory that it takes, whoever touched them first; by the kernel. One system call. */
uint64_t segment_bytes(const struct segment *segment);

struct segment_name {
	enum vow_shm_name_kind kind;
	size_t length; /* 1..VOW_SHM_NAME_TEXT */
	char text[VOW_SHM_NAME_TEXT]; /* any bytes */
};

/* Names written so far, never more than VOW_SHM_NAMES; 0 when they cannot be read now. */
unsigned segment_names_known(const struct segment *segment);
/* Copies a name. False when index is not written yet or what stands there is no name. */
bool segment_name(const struct segment *segment, unsigned index, struct segment_name *name);
/* Copies the last values of a name; false when it has none. */
bool segment_value(const struct segment *segment, unsigned index, uint64_t words[7]);
/* Copies the counters of the process. */
struct vow_shm_counters segment_counters(const struct segment *segment);

/*
 * Calls visit(arg) and returns what it returns, or -EFAULT when a page of a mapping could not be
 * had meanwhile (SIGBUS: the machine has no memory for a hole that was punched). visit only copies
 * out of the mapping: it may be left at any load. Not nested. Costs a few nanoseconds.
 */
int segment_guard(int (*visit)(void *arg), void *arg);

#endif
