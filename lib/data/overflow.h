/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's end of a segment's overflow blocks; the other end is client/spill.h.
 *
 * The words of a block only grow. What was taken of them is kept in the segment itself (`taken`),
 * beside them, and moves in two steps like a lane's head: overflow_take() hands out what is new and
 * remembers it privately; overflow_describe() writes the new state as bytes for the journal; and
 * overflow_commit() stores it into the segment once the journal has it. The bytes hold absolute
 * values, so applying them again (overflow_redo(), by the next agent, when this one died in
 * between) changes nothing: a redo log of one record is all that a restart needs.
 *
 * One thread. What a segment says is checked: a block whose words run backwards, or that counts
 * what no latency can be, is broken and not read any more; the others go on. Every delta packs to
 * a sound histogram (hist.h).
 */
#ifndef VOW_LIB_DATA_OVERFLOW_H
#define VOW_LIB_DATA_OVERFLOW_H

#include "lib/data/hist.h"
#include "lib/data/segment.h"

struct overflow_block;

/* The blocks of one segment. */
struct overflow {
	struct segment *segment;
	struct overflow_block **blocks; /* those in use, in order of discovery */
	unsigned count, capacity;
	unsigned broken; /* blocks set aside */
	uint32_t directory; /* what the counters said at the last scan */
	uint64_t spare[VOW_SHM_SPARE / 64];
	size_t pending_bytes; /* at most so many will overflow_describe() write */
	uint16_t by_index[VOW_SHM_BLOCKS]; /* place in blocks plus 1; 0: not known */
};

/* What one overflow_take() found. */
struct overflow_delta {
	/* max_ns is the largest ever where that may be among these, else a bound. */
	struct hist_delta hist;
	uint64_t unjudged; /* among hist.count: seen before any threshold was known */
	uint64_t bad[VOW_SHM_POLICIES][VOW_SHM_THRESHOLDS];
};

/* Bytes by which one overflow_take() may raise pending_bytes. */
#define OVERFLOW_TAKE_MAX (64 + 11 * 17 + HIST_SLOTS * 12)

/* segment outlives o. An all-zero o may be passed to overflow_deinit(). */
void overflow_init(struct overflow *o, struct segment *segment);
void overflow_deinit(struct overflow *o);

/* Looks for new blocks when the counters say that there are some. 0 or -ENOMEM (partly done). */
int overflow_scan(struct overflow *o);

/* Key of the i-th block, as VOW_SHM_KEY() made it (a spare block: without name, peer and shard). */
uint64_t overflow_key(const struct overflow *o, unsigned i);

/* The waits that belong to the outcomes of block i: another block's place, or -1: it has none. */
int overflow_wait_of(const struct overflow *o, unsigned i);

/*
 * Takes at most limit observations that block i has more than were taken. True with delta filled;
 * false when there is nothing. Blocks without activity are looked at closely only every
 * OVERFLOW_IDLE_ROUNDS calls unless thorough.
 */
#define OVERFLOW_IDLE_ROUNDS 64
bool overflow_take(struct overflow *o, unsigned i, uint64_t limit, bool thorough,
		   struct overflow_delta *delta);

/* Makes these the thresholds by which the application judges from now on in block i. */
void overflow_judge(struct overflow *o, unsigned i, const dur_ns *thresholds, unsigned count);

/*
 * How many of a delta's observations were slower than threshold: counted exactly by the application
 * where it knew the threshold; for those it saw before, what their buckets show for sure.
 */
uint64_t overflow_slower(const struct overflow *o, unsigned i, const struct overflow_delta *delta,
			 dur_ns threshold);

/*
 * Writes the state of all blocks taken from since the last commit; returns the end of what was
 * written, or NULL when it does not fit (never while room is >= pending_bytes).
 */
uint8_t *overflow_describe(const struct overflow *o, uint8_t *p, const uint8_t *end);
/* Stores into the segment what overflow_describe() wrote. */
void overflow_commit(struct overflow *o);

/*
 * Stores what another agent described and perhaps did not commit. Before overflow_scan(). -EPROTO
 * when bytes are not such a description (what was sound before the fault is applied).
 */
int overflow_redo(struct overflow *o, const uint8_t **p, const uint8_t *end);

#endif
