/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One application's segment while the agent reads it: its lanes and overflow blocks go into the
 * series table, and what was taken is described for the journal and then given back. One thread.
 */
#ifndef VOW_COLLECTORS_LANE_SEGMENT_H
#define VOW_COLLECTORS_LANE_SEGMENT_H

#include "collectors/lanes/lane_series.h"
#include "lib/data/exemplar.h"
#include "lib/data/lane.h"
#include "lib/data/overflow.h"

/* What became of observations, over all segments. */
struct lane_tally {
	uint64_t events; /* reported */
	uint64_t spilled; /* of these, by way of overflow blocks */
	uint64_t malformed; /* records that are none */
	uint64_t no_memory; /* the series table or the application had no memory for them */
};

struct lane_segment {
	struct segment segment;
	struct lane lanes[VOW_SHM_LANES];
	struct overflow overflow;
	struct lane_series series;
	unsigned block; /* next overflow block to look at in this round */
	bool thorough; /* the owner is gone: look at everything until a round takes nothing */
	bool took; /* this round took something */
	bool drained; /* and nothing was left */
	bool tagged; /* a drain saw exemplars that were not looked at yet */
	bool hurry; /* a lane was more than half full at the last drain, and not full */
};

/* Bytes by which one segment's lanes make the description longer. */
#define LANE_SEGMENT_LANES_MAX (1 + VOW_SHM_LANES * 12)

/*
 * Begins to read; takes segment over, also on failure. redo (or NULL) is what the journal says was
 * described last and perhaps not given back. 0 or -ENOMEM.
 */
int lane_segment_begin(struct lane_segment *ls, struct segment *segment, struct series_table *table,
		       const uint8_t *redo, size_t redo_size);
void lane_segment_end(struct lane_segment *ls);

/* Lanes that were ever used. */
unsigned lane_segment_lanes(const struct lane_segment *ls);
/* Takes records of all lanes, each lane once around; about 6 ns each. Returns how many. */
uint64_t lane_segment_drain(struct lane_segment *ls, struct lane_tally *tally);

/*
 * Adds the exemplars that drains saw since the last look, of all lanes; none that claims to have
 * ended later than now. Returns how many there were, at most VOW_SHM_EXEMPLARS a lane; 50 to 100 ns
 * each.
 */
unsigned lane_segment_exemplars(struct lane_segment *ls, struct exemplars *to, wall_ns now);

/*
 * Goes on with a round over the overflow blocks: at most `blocks` of them and while no more than
 * room bytes can be pending. Returns how many blocks it looked at; a round is complete when
 * lane_segment_round_done(). work is scratch.
 */
struct lane_segment_work {
	struct overflow_delta delta, wait;
	uint8_t packed[HIST_PACKED_MAX], packed_wait[HIST_PACKED_MAX];
};
unsigned lane_segment_round(struct lane_segment *ls, unsigned blocks, size_t room,
			    struct lane_segment_work *work, struct lane_tally *tally);
bool lane_segment_new_blocks(const struct lane_segment *ls); /* since the last round began */
bool lane_segment_round_done(const struct lane_segment *ls);
void lane_segment_round_begin(struct lane_segment *ls);

/* Lanes that are not read any more because their words made no sense. */
unsigned lane_segment_quarantined(const struct lane_segment *ls);
/* Whether something was taken since the last commit. */
bool lane_segment_changed(const struct lane_segment *ls);
/* Writes what was; NULL when it does not fit (LANE_SEGMENT_LANES_MAX + overflow.pending_bytes). */
uint8_t *lane_segment_describe(const struct lane_segment *ls, uint8_t *p, const uint8_t *end);
void lane_segment_commit(struct lane_segment *ls);

#endif
