/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process has of libvow: its segment and one writer for each lane.
 *
 * It lives in pages that fork() hands to the child as zeros (MADV_WIPEONFORK): a child finds
 * writers without room and no segment, falls into the slow path at its first call, and opens a
 * segment of its own there (process_segment()). What the child needs for that stays in ordinary
 * memory of process.c. After vow_close() the pages are zeroed and left mapped, so a thread that
 * comes late finds the same emptiness.
 */
#ifndef VOW_CLIENT_PROCESS_H
#define VOW_CLIENT_PROCESS_H

#include <pthread.h>
#include <stdbool.h>
#include <vow/shm.h>
#include <vow/vow.h>

#include "lib/base/types.h"

/*
 * One thread's hand on its lane; touched by that thread only. tail == limit means "look again"
 * (writer_push_slow()), which an all-zero writer says as well.
 */
struct writer {
	uint64_t tail; /* the lane's tail, which nobody else stores to */
	uint64_t limit; /* the tail at which the lane is full, as far as is known */
	struct vow_shm_record *slots; /* NULL: no lane */
	struct vow_shm_lane *lane;
	uint64_t mask; /* slots in use - 1 */
	bool spilled; /* the lane was full; it grows when it is empty next */
	bool kept; /* it does not grow: it has, or there was no memory for it */
	uint8_t pad[22]; /* neighbours' writers stay off this cache line */
};

struct process {
	struct vow_shm *shm; /* NULL: nothing open; stored with release, partner process_shm() */
	pthread_mutex_t lock; /* registering names; zero is an unlocked one */
	uint32_t blocks_claimed; /* atomic; counters.directory again, see spill_record() */
	uint32_t lanes_free; /* atomic; a hint that saves threads without a lane the search */
	_Alignas(64) struct writer writers[VOW_SHM_LANES];
};

/* Never NULL; at first an empty one in static memory. Other threads go through process_current(). */
extern struct process *process_mine;

/* What is open now: threads may observe while another one opens. */
static inline struct process *process_current(void)
{
	/* Partner: the release in process_open_first(). */
	return __atomic_load_n(&process_mine, __ATOMIC_ACQUIRE);
}

/* The segment or NULL. The fast half of process_segment(). */
static inline struct vow_shm *process_shm(void)
{
	return __atomic_load_n(&process_current()->shm, __ATOMIC_ACQUIRE);
}

/*
 * The segment; in a child after fork() it is opened here, once. NULL when there is none. Takes a
 * lock and makes system calls only in such a child. Keeps errno.
 */
struct vow_shm *process_segment(void);

/* Finds or writes a name of this sort; 0 when it is empty, the table is full or nothing is open. */
vow_id process_name(enum vow_shm_name_kind kind, const char *text, size_t length);

/*
 * Makes the pages around [start, start + size) of the segment exist, so that writing there cannot
 * raise SIGBUS when the machine has no memory left. 0 or a negative errno. One system call. Keeps
 * errno.
 */
int process_populate(void *start, size_t size);

#endif
