/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sliding windows and the total of one series, for the series table alone.
 *
 * Time is counted in seconds of the table: second n is what the n-th tick brought, from 1. Eight
 * tiers of immutable slots hold the past, each slot the packed histograms and counts of a group of
 * seconds; only observed groups have a slot:
 *
 *   tier 0:  1 s x 10     10 s           tier 4:  1 h x 6      6 h
 *   tier 1:  5 s x 12     1 min          tier 5:  3 h x 8      1 d
 *   tier 2: 30 s x 10     5 min          tier 6: 12 h x 6      3 d
 *   tier 3: 5 min x 12    30 min, 1 h    tier 7:  3 d x 10     30 d
 *
 * A tick files its second in tier 0. When a group of seconds is complete, the next tick folds it
 * into one slot of the tier above (and, every 30 s, into the total). A window is read as the slots
 * of its tier that are folded, then the finer slots that are not yet, so it always contains the
 * newest second.
 *
 * From tier 2 on slots hold histograms as hist_split_pack() writes them: most of the memory is there.
 *
 * One writer thread; readers take slots under RCU. Each ring has one entry more than its window
 * needs, so that a reader who still sees the previous second finds what that second's windows are
 * made of. What is taken out of a ring goes to the garbage and is freed a tick later.
 */
#ifndef VOW_LIB_DATA_WINDOW_H
#define VOW_LIB_DATA_WINDOW_H

#include "lib/data/series.h"

#define WINDOW_TIERS   8
#define WINDOW_ENTRIES SERIES_SLOTS
/* What window_collect() hands out at most: every entry of the rings, and a total. */
#define WINDOW_SLOTS_MAX (WINDOW_ENTRIES + 1)

/* The thresholds that counts of bad events belong to. Immutable; lives as long as the table. */
struct window_thresholds {
	struct window_thresholds *next; /* the table's list */
	unsigned count;
	dur_ns ns[SERIES_THRESHOLDS];
};

/* Moves counts of bad events from one set of thresholds to another: those not in `to` are left. */
void window_bad_add(const struct window_thresholds *from, const uint64_t *bad,
		    const struct window_thresholds *to, uint64_t into[SERIES_THRESHOLDS]);

/* A group of seconds; immutable once published. */
struct window_slot;

struct window_rings {
	/* Seconds <= this are in the tier's slots; [0]: in the total, which alone the writer reads. */
	uint32_t folded[WINDOW_TIERS];
	uint32_t due[WINDOW_TIERS]; /* not before then a slot goes; UINT32_MAX: there is none */
	struct window_slot *slots[WINDOW_ENTRIES];
};

struct window {
	struct window_slot *total; /* of seconds up to its own; NULL: none yet */
	struct window_rings *rings; /* NULL: nothing observed within the longest window */
};

/* What a slot is made from: packed histograms and counts. */
struct window_content {
	const struct window_thresholds *thresholds;
	const uint8_t *hist, *queue;
	size_t hist_size, queue_size; /* queue_size 0: nothing waited */
	bool hist_split, queue_split; /* as hist_split_pack() wrote it; between files of windows */
	struct series_counts counts;
};

/* The writer's room for sums, shared by all windows of a table, and what it has to free. */
struct window_work {
	struct hist latency, queue;
	struct series_counts counts;
	uint8_t hist_bytes[HIST_PACKED_MAX], queue_bytes[HIST_PACKED_MAX];
	uint8_t split_bytes[HIST_PACKED_MAX];
	void **garbage; /* taken out, to be freed when no reader can see it any more */
	size_t garbage_count, garbage_room;
	bool pinned; /* a copy of windows refers to slots of seconds up to this one */
	uint32_t pinned_second;
	struct window_slot **held; /* such slots that were taken out since */
	size_t held_count, held_room;
	uint64_t held_bytes;
	uint64_t bytes; /* heap that windows hold, garbage and held slots not counted */
	uint64_t lost_total; /* observations that left a window or total early: no memory */
};

/* Frees what was retired before the call, waiting for readers that may still see it. */
void window_sweep(struct window_work *work);

/*
 * From a pin on, slots that are in a window now stay good until the unpin, also those that are taken
 * out: plain copies of windows and rings can be read all that time. second: the newest. Where memory
 * lacks to remember a slot, the pin ends by itself, and the copies are void.
 */
void window_pin(struct window_work *work, uint32_t second);
void window_unpin(struct window_work *work);

/* At the end of the table, when no reader is left. All zero is a valid beginning. */
void window_work_deinit(struct window_work *work);

/* Files content as of second (>= 1, not before an earlier one): 0 or -ENOMEM, nothing changed. */
int window_file(struct window_work *work, struct window *window, uint32_t second,
		const struct window_content *content);

/* Folds what is complete before second. Where memory lacks, it is tried again at the next call. */
void window_fold(struct window_work *work, struct window *window, uint32_t second,
		 const struct window_thresholds *thresholds);

/* Retires slots that no window reaches at second; true when nothing but the total is left. */
bool window_expire(struct window_work *work, struct window *window, uint32_t second);

/*
 * Adds to the total alone; what is filed as of seconds up to `until` is part of it then. -ENOMEM,
 * -EOVERFLOW, or what hist_packed_open() says; then unchanged.
 */
int window_total_add(struct window_work *work, struct window *window, uint32_t until,
		     const struct window_content *content);

/*
 * Moves the total of one window to another's: 0; -EBUSY while `from` holds more than a total;
 * -ENOMEM; then unchanged.
 */
int window_total_move(struct window_work *work, struct window *from, struct window *to,
		      const struct window_thresholds *thresholds);

/*
 * Writer: hands out the slots of a tier that a window at second reaches, in the packed form; a
 * non-zero return ends the walk and is handed up. fn leaves windows of the table alone.
 */
typedef int (*window_slot_fn)(void *arg, uint32_t start, const struct window_content *content);
/* start: of the one slot that is asked for; NULL for all. */
int window_slots_each(struct window_work *work, const struct window *window, unsigned t,
		      const uint32_t *start, uint32_t second, window_slot_fn fn, void *arg);
/* Writer: the total as of second, in the packed form; good until the next call with this work. */
int window_total_content(struct window_work *work, const struct window *window, uint32_t second,
			 const struct window_thresholds *thresholds,
			 struct window_content *content);
/* Seconds in a slot of a tier, and from its begin until no window reaches it. */
uint32_t window_tier_grain(unsigned t);
uint32_t window_tier_kept(unsigned t);
/*
 * Puts such a slot back where the newest second is `second`. -EPROTO for a slot that cannot be, or
 * what hist_packed_open() says; -ENOMEM; then nothing has changed.
 */
int window_slot_restore(struct window_work *work, struct window *window, unsigned t, uint32_t start,
			uint32_t second, const struct window_content *content);

/* At the end of the table, when no reader is left. */
void window_free(struct window_work *work, struct window *window);

/*
 * Any thread under RCU: the slots that make up a window (or the total) at second; returns how
 * many. They stay good until the reader's section ends.
 */
unsigned window_collect(const struct window *window, enum series_window which, uint32_t second,
			const struct window_slot *slots[WINDOW_SLOTS_MAX]);
/* Adds a slot into sums; each may be NULL. Counts of bad events go to the thresholds of `as`. */
void window_slot_add(const struct window_slot *slot, const struct window_thresholds *as,
		     struct hist *latency, struct hist *queue, struct series_counts *counts);
/* The first second that a window read at second reaches back to (at least 1). */
uint32_t window_first_second(enum series_window which, uint32_t second);

#endif
