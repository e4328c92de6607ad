/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which series carry a breach: the worst ones of an objective over about its long window. Memory
 * is bounded, whatever the number of series: EVIDENCE_SERIES are followed (about 9 KB); a series
 * enters with its first bad event and pushes out the one with the fewest bad events in the window
 * when it has more in one tick. Bad events of a series that stays are exact, its count of all
 * events begins when it entered. One thread; neither blocks nor allocates; no clock.
 */
#ifndef VOW_LIB_MODEL_EVIDENCE_H
#define VOW_LIB_MODEL_EVIDENCE_H

#include "lib/model/action.h"
#include "lib/model/bytes.h"

#define EVIDENCE_SERIES 16
/*
 * The window slides in eighths, in whole seconds: so many parts as it spans, eight at most, and the
 * running one. What is told covers the window and less than one part before it.
 */
#define EVIDENCE_PARTS 9

struct evidence_series {
	struct series_key key;
	struct {
		uint64_t bad, count;
	} parts[EVIDENCE_PARTS]; /* at part % EVIDENCE_PARTS */
};

/* All zero is a valid start. */
struct evidence {
	uint64_t part; /* the running one */
	unsigned used;
	series_id ids[EVIDENCE_SERIES];
	struct evidence_series series[EVIDENCE_SERIES];
};

void evidence_add(struct evidence *evidence, series_id id, const struct series_key *key,
		  uint64_t count, uint64_t bad);
/* Time is `second` (never less than before); what left the window is forgotten. */
void evidence_advance(struct evidence *evidence, uint64_t second, uint64_t window_s);
/* Fills `worst` with series that have bad events, worst first; returns how many. */
unsigned evidence_worst(const struct evidence *evidence,
			struct action_evidence worst[ACTION_EVIDENCE]);

/* A series' name as bytes, as part of what was told. */
void evidence_key_save(const struct series_key *key, struct bytes_writer *w);
void evidence_key_restore(struct series_key *key, struct bytes_reader *r);

#endif
