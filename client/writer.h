/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writing end of the lanes.
 *
 * Roles: a lane has one writer thread at a time, its owner, and one reader, the agent.
 *
 *   step                                   order                      if the process dies after it
 *   owner stores a record at slots[tail]   plain                      not observed
 *   owner stores lane->tail                release, with the agent    observed, drained later
 *   agent copies the record                after acquire of tail      -
 *   agent stores lane->head                release, with the owner    the slot may be reused
 *   owner loads lane->head                 acquire, only when full    -
 *   owner stores lane->grown               relaxed, before a tail     an empty lane of more slots
 *
 * The owner knows its tail from private memory and the head from when it last looked, so a push
 * loads no line that the agent writes. Progress: wait-free; a full lane spills (spill.h). A thread
 * claims a free lane by compare and swap of lane->owner (acquire) and goes on at the lane's tail;
 * at its exit it stores owner 0 (release). If a thread dies without its exit, its lane is lost
 * until the process ends. The agent may stop, die or come back at any step: lanes fill, spill.
 */
#ifndef VOW_CLIENT_WRITER_H
#define VOW_CLIENT_WRITER_H

#include "client/process.h"

/*
 * Initial-exec: the general model would call __tls_get_addr in every push of the shared library;
 * eight bytes fit into what the C library keeps free for libraries that come by dlopen().
 */
extern __thread struct writer *writer_mine __attribute__((tls_model("initial-exec")));

/* Makes the thread key that notices the exit of threads, once. 0 or a negative errno. */
int writer_key_make(void);

/* No lane yet, or full: claims, looks again, or spills. */
void writer_push_slow(uint64_t extra, uint64_t latency_ns, uint64_t what, uint64_t tag);

/* One record, in words as struct vow_shm_record says; they stay in registers up to the lane. */
static inline void writer_push(uint64_t extra, uint64_t latency_ns, uint64_t what, uint64_t tag)
{
	struct writer *writer = writer_mine;
	uint64_t tail = writer->tail;

	if (unlikely(tail == writer->limit)) {
		writer_push_slow(extra, latency_ns, what, tag);
		return;
	}
	struct vow_shm_record *record = &writer->slots[tail & writer->mask];
	record->extra = extra;
	record->latency_ns = latency_ns;
	record->what = what;
	record->tag = tag;
	writer->tail = tail + 1;
	/* Partner: the agent's acquire in lane_take(). */
	__atomic_store_n(&writer->lane->tail, tail + 1, __ATOMIC_RELEASE);
}

/* A status as a record holds it. */
static inline uint64_t writer_status(unsigned status)
{
	return status < UINT16_MAX ? status : UINT16_MAX;
}

/* An id of a name as a record holds it: one that cannot be counts under "{unnamed}". */
static inline uint64_t writer_name(vow_id id)
{
	return id < VOW_SHM_NAMES ? id : 0;
}

#endif
