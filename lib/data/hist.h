/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one histogram of vow: base-2 exponential, scale 7, integer counts, the layout that
 * OpenTelemetry exponential histograms and Prometheus native histograms share. 128 buckets an
 * octave, 1 ns to 2^42 ns (73 min): a quantile read as its bucket's midpoint is at most 0.271 %
 * off. Merging is addition, so shared memory, journal, wire, store and screen hold the same thing.
 *
 * Buckets include their upper bound: slot s > 0 holds values in (2^((s-1)/128), 2^(s/128)], slot 0
 * holds 1 ns (and 0, which counts as 1). Values above 2^42 count in the last slot; max_ns still
 * says what they were. The slot of a value is computed exactly, with integers (hist_slot()).
 *
 * Three forms: struct hist_delta (u32, what one tick adds; cheap to record into), struct hist
 * (u64, anything merged), and packed bytes (sparse, for journal, wire, store and windows).
 */
#ifndef VOW_LIB_DATA_HIST_H
#define VOW_LIB_DATA_HIST_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/base/types.h"

#define HIST_SCALE	    7
#define HIST_OCTAVES	    42
#define HIST_SLOTS	    (HIST_OCTAVES * (1 << HIST_SCALE) + 1) /* 5377 */
#define HIST_MAX_NS	    (UINT64_C(1) << HIST_OCTAVES)
#define HIST_RELATIVE_ERROR 0.00271 /* (2^(1/128) - 1) / (2^(1/128) + 1), rounded up */

/* Largest packed size in bytes: header plus every slot occupied with the largest count. */
#define HIST_PACKED_MAX (64 + HIST_SLOTS * 10)

struct hist_delta {
	uint64_t count;
	uint64_t sum_ns;
	uint64_t max_ns;
	uint32_t low, high; /* occupied slots lie in [low, high); low == high: none */
	uint32_t slots[HIST_SLOTS];
};

struct hist {
	uint64_t count;
	uint64_t sum_ns;
	uint64_t max_ns;
	uint32_t low, high;
	uint64_t slots[HIST_SLOTS];
};

/* Slot of a value in [0, UINT64_MAX] ns. Exact at every bucket bound. Needs hist_table (constant). */
uint32_t hist_slot(uint64_t ns);

/* Bounds of a slot < HIST_SLOTS: it holds lower < value <= upper, in ns. */
double hist_slot_lower(uint32_t slot);
double hist_slot_upper(uint32_t slot);

/* All zero is a valid empty histogram; these clear only the occupied range. */
void hist_clear(struct hist *h);
void hist_delta_clear(struct hist_delta *d);

/* Adds one value. O(1), no branch on the value's size. Caller is the only writer. */
void hist_delta_record(struct hist_delta *d, uint64_t ns);
void hist_record(struct hist *h, uint64_t ns, uint64_t times);

void hist_merge(struct hist *into, const struct hist *from);
void hist_merge_delta(struct hist *into, const struct hist_delta *from);

/*
 * What a quantile is known to be: the value lies in (lower_ns, upper_ns], value_ns is the estimate
 * with relative error <= HIST_RELATIVE_ERROR (never above max_ns). All zero for an empty histogram.
 */
struct hist_quantile {
	uint64_t value_ns;
	uint64_t lower_ns;
	uint64_t upper_ns;
};

/* q in [0, 1]: the smallest value such that at least ceil(q * count) values are not above it. */
struct hist_quantile hist_quantile(const struct hist *h, double q);

/* How many recorded values are surely <= ns, and how many may be (both bounds, exact counts). */
void hist_count_below(const struct hist *h, uint64_t ns, uint64_t *surely, uint64_t *possibly);

/*
 * Packed form: LEB128 varints: scale, count, sum_ns, max_ns, then runs of
 * (gap of empty slots, number n of occupied slots, n counts). Written byte by byte in
 * docs/shm-format.md. pack returns the size written or -ENOBUFS when cap is too small
 * (HIST_PACKED_MAX always suffices). An empty histogram packs as well.
 */
ssize_t hist_pack(const struct hist *h, uint8_t *buf, size_t cap);
ssize_t hist_delta_pack(const struct hist_delta *d, uint8_t *buf, size_t cap);

/*
 * Adds packed bytes from outside into h after checking all of them: 0, or -EPROTO with h unchanged
 * when they are not a packed histogram of a scale >= 0 and <= 7 whose counts add up. Lower scales
 * are refused with -ENOTSUP in this version.
 */
int hist_merge_packed(struct hist *into, const uint8_t *bytes, size_t size);

/* Count, sum and max of packed bytes without unpacking the slots; -EPROTO as above. */
int hist_packed_totals(const uint8_t *bytes, size_t size, uint64_t *count, uint64_t *sum_ns,
		       uint64_t *max_ns);

#endif
