/* SPDX-License-Identifier: Apache-2.0 */
#include "client/writer.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/spill.h"
#include "lib/base/testpoint.h"

static struct writer writer_none;
/* As empty: of a thread that found no lane and was counted. */
static struct writer writer_crowded;
__thread struct writer *writer_mine __attribute__((tls_model("initial-exec"))) = &writer_none;

static pthread_key_t writer_key;
static pthread_once_t writer_key_once = PTHREAD_ONCE_INIT;
static int writer_key_rc;

/* At the exit of a thread: its lane is free for the next one, which goes on at its tail. */
static void writer_release(void *unused)
{
	struct writer *writer = writer_mine;
	struct vow_shm_lane *lane = writer->lane;

	(void)unused;
	writer_mine = &writer_none;
	if (!lane)
		return;
	*writer = writer_none;
	__atomic_fetch_add(&process_current()->lanes_free, 1, __ATOMIC_RELAXED);
	/* Partner: the acquire in writer_claim(). */
	__atomic_store_n(&lane->owner, 0, __ATOMIC_RELEASE);
}

static void writer_key_create(void)
{
	writer_key_rc = -pthread_key_create(&writer_key, writer_release);
}

int writer_key_make(void)
{
	pthread_once(&writer_key_once, writer_key_create);
	return writer_key_rc;
}

/* The agent looks at the first `lanes` lanes only: those behind have no memory yet. */
static void writer_announce(struct vow_shm *shm, uint32_t lanes)
{
	uint32_t known = __atomic_load_n(&shm->counters.lanes, __ATOMIC_RELAXED);

	while (known < lanes && !__atomic_compare_exchange_n(&shm->counters.lanes, &known, lanes, 1,
							     __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/* Also asked before a claim, when the lane may have come to be another thread's that grows it. */
static uint32_t writer_slots(const struct vow_shm_lane *lane)
{
	uint32_t grown = __atomic_load_n(&lane->grown, __ATOMIC_RELAXED);

	return grown == VOW_SHM_LANE_ROOM ? VOW_SHM_LANE_ROOM : VOW_SHM_LANE_SLOTS;
}

/* Takes a lane when one is free; NULL otherwise. */
static struct writer *writer_claim(struct vow_shm *shm)
{
	struct process *process = process_current();

	/* In front of the system call: a thread without a lane comes here at each observation. */
	if (__atomic_load_n(&process->lanes_free, __ATOMIC_RELAXED) == 0)
		return NULL;
	uint32_t tid = (uint32_t)syscall(SYS_gettid);
	for (unsigned i = 0; i < VOW_SHM_LANES; i++) {
		struct vow_shm_lane *lane = &shm->lanes[i];
		struct writer *writer = &process->writers[i];
		uint32_t nobody = 0;

		if (__atomic_load_n(&lane->owner, __ATOMIC_RELAXED) != 0)
			continue;
		/* Without memory for the lane the thread spills, into whatever pages there are. */
		if (process_populate(lane, offsetof(struct vow_shm_lane, slots) +
						   writer_slots(lane) * sizeof(lane->slots[0])) < 0)
			return NULL;
		if (!__atomic_compare_exchange_n(&lane->owner, &nobody, tid, 0, __ATOMIC_ACQUIRE,
						 __ATOMIC_RELAXED))
			continue;
		TESTPOINT(lane_claimed);
		__atomic_fetch_sub(&process->lanes_free, 1, __ATOMIC_RELAXED);
		writer_announce(shm, i + 1);
		TESTPOINT(lane_announced);
		__atomic_store_n(&lane->generation, lane->generation + 1, __ATOMIC_RELAXED);
		*writer = (struct writer){.tail = lane->tail,
					  .limit = lane->tail,
					  .slots = lane->slots,
					  .lane = lane,
					  .mask = writer_slots(lane) - 1};
		writer->kept = writer->mask == VOW_SHM_LANE_ROOM - 1;
		writer_mine = writer;
		pthread_setspecific(writer_key, writer);
		return writer;
	}
	return NULL;
}

/* An empty lane that was full before: 96 KiB more, once. A lane without them stays as it is. */
static void writer_grow(struct writer *writer)
{
	struct vow_shm_lane *lane = writer->lane;

	writer->kept = true;
	if (process_populate(&lane->slots[VOW_SHM_LANE_SLOTS],
			     (VOW_SHM_LANE_ROOM - VOW_SHM_LANE_SLOTS) * sizeof(lane->slots[0])) < 0)
		return;
	__atomic_store_n(&lane->grown, VOW_SHM_LANE_ROOM, __ATOMIC_RELAXED);
	TESTPOINT(lane_grown);
	writer->mask = VOW_SHM_LANE_ROOM - 1;
}

/* True when the agent made room since the last look. */
static bool writer_room(struct writer *writer)
{
	uint64_t head = __atomic_load_n(&writer->lane->head, __ATOMIC_ACQUIRE);

	/* A head that makes no sense counts as "full": it can cost resolution, not memory. */
	if (writer->tail - head > writer->mask)
		return false;
	if (writer->spilled && !writer->kept && head == writer->tail)
		writer_grow(writer);
	writer->limit = head + writer->mask + 1;
	return true;
}

/*
 * A thread that found no lane. It shares no line with those on other processors, as far as there are
 * shards, hence no count of such observations: the number of the processor costs 2 ns, a line that
 * two of them write to 20 and more.
 */
static void writer_spill_crowded(struct vow_shm *shm, uint64_t extra, uint64_t latency_ns,
				 uint64_t what)
{
	if (writer_mine != &writer_crowded) {
		writer_mine = &writer_crowded;
		__atomic_fetch_add(&shm->counters.laneless, 1, __ATOMIC_RELAXED);
	}
	spill_record(shm, (unsigned)sched_getcpu() % VOW_SHM_SHARDS, extra, latency_ns, what);
}

__attribute__((noinline)) void writer_push_slow(uint64_t extra, uint64_t latency_ns, uint64_t what,
						uint64_t tag)
{
	struct vow_shm *shm = process_segment();
	struct writer *writer = writer_mine;

	if (!shm)
		return;
	if (!writer->slots)
		writer = writer_claim(shm);
	if (!writer) {
		writer_spill_crowded(shm, extra, latency_ns, what);
		return;
	}
	if (writer_room(writer)) {
		writer_push(extra, latency_ns, what, tag);
		return;
	}
	writer->spilled = true;
	__atomic_store_n(&writer->lane->overflowed, writer->lane->overflowed + 1, __ATOMIC_RELAXED);
	TESTPOINT(lane_overflowed);
	spill_record(shm, (unsigned)(writer->lane - shm->lanes) % VOW_SHM_SHARDS, extra, latency_ns,
		     what);
}
