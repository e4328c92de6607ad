/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one histogram of vow: base-2 exponential, scale 7, integer counts, the layout that
 * OpenTelemetry exponential histograms and Prometheus native histograms share. 128 buckets an
 * octave, 1 ns to 2^42 ns (73 min): a quantile read as its bucket's middle is at most 0.271 %
 * off. Merging is addition, so shared memory, journal, wire, store and screen hold the same thing.
 *
 * Buckets include their upper bound: slot s > 0 holds values in (2^((s-1)/128), 2^(s/128)], slot 0
 * holds 1 ns (and 0, which counts as 1). Values above 2^42 count in the last slot; max_ns still
 * says what they were. The slot of a value is computed exactly, with integers (hist_slot()).
 *
 * Three forms: struct hist_delta (u32, what one tick adds; cheap to record into), struct hist
 * (u64, anything merged), and packed bytes (sparse, for journal, wire, store and windows).
 *
 * sum_ns stays at UINT64_MAX once it would overflow (584 years of latency); counts do not overflow
 * in the life of a program. Nothing here blocks or allocates; a histogram belongs to one thread at
 * a time. In memory from mmap() or a fresh large calloc(), pages of slots that were never used
 * stay absent: recording, clearing, merging and packing touch occupied ranges only.
 */
#ifndef VOW_LIB_DATA_HIST_H
#define VOW_LIB_DATA_HIST_H

#include <stdbool.h>
#include <string.h>
#include <sys/types.h>

#include "lib/base/types.h"

#define HIST_SCALE	    7
#define HIST_SCALE_MAX	    8 /* of hist_bucket(); docs/adr/scale-seven.md */
#define HIST_OCTAVES	    42
#define HIST_OCTAVE_SLOTS   (1 << HIST_SCALE)
#define HIST_SLOTS	    (HIST_OCTAVES * HIST_OCTAVE_SLOTS + 1) /* 5377 */
#define HIST_MAX_NS	    (UINT64_C(1) << HIST_OCTAVES)
#define HIST_RELATIVE_ERROR 0.00271 /* (2^(1/128) - 1) / (2^(1/128) + 1), rounded up */

/* Largest packed size in bytes: head plus every slot occupied with the largest count. */
#define HIST_PACKED_MAX (64 + HIST_SLOTS * 10)

struct hist_delta {
	uint64_t count;
	uint64_t sum_ns;
	uint64_t max_ns;
	uint32_t low, high; /* occupied slots lie in [low, high); high == 0: none */
	uint32_t slots[HIST_SLOTS];
};

struct hist {
	uint64_t count;
	uint64_t sum_ns;
	uint64_t max_ns;
	uint32_t low, high;
	uint64_t slots[HIST_SLOTS];
};

/* Known to be in the same program or library, so that no load of their address precedes theirs. */
#define HIST_LOCAL __attribute__((visibility("hidden")))

/* Constants of hist_table.c: bucket bounds in [1, 2) as mantissas with bit 63 set, rounded down. */
extern const uint64_t hist_bounds[HIST_OCTAVE_SLOTS] HIST_LOCAL;
/* For each 1/256 of an octave the fraction of the bound that may fall into it, low byte: bounds below. */
extern const uint64_t hist_cells[256] HIST_LOCAL;

/*
 * Slot of a value in [0, UINT64_MAX] ns, exact at every bucket bound; about 1.4 ns.
 *
 * A double holds a whole number of up to 2^53 exactly, and its bits are the octave and the fraction
 * that are asked for: one conversion, where finding the highest bit and shifting takes two steps
 * (and BSR, all that x86-64 promises for the first, is slow on many machines). Of the fraction at
 * most 42 bits are used, so that a comparison with a bound decides the same when the bound's low 8
 * bits are replaced: that is where the cell keeps its count, and one load serves both.
 */
static inline uint32_t hist_slot(uint64_t ns)
{
	enum { FRACTION_BITS = 52, EXPONENT_OF_1 = 1023 };
	uint64_t bits, fraction, cell;

	if (unlikely(ns - 1 >= HIST_MAX_NS))
		ns = ns ? HIST_MAX_NS : 1;
	double exact = (double)(int64_t)ns;
	memcpy(&bits, &exact, sizeof(bits));
	fraction = bits << (64 - FRACTION_BITS);
	cell = hist_cells[fraction >> 56];
	return (uint32_t)((bits >> FRACTION_BITS) - EXPONENT_OF_1) * HIST_OCTAVE_SLOTS +
	       (uint8_t)cell + (fraction > cell);
}

/* The bucket that contains one of a scale that is finer by so many steps; exact, as said below. */
static inline uint32_t hist_bucket_fold(uint32_t bucket, unsigned finer)
{
	return (bucket + (1u << finer) - 1) >> finer;
}

/*
 * The bucket that contains a slot at a lower scale, 0..HIST_SCALE, where an octave has 2^scale
 * buckets: bucket b > 0 holds values in (2^((b-1)/2^scale), 2^(b/2^scale)], bucket 0 holds 1 ns and
 * 0. Each bound of a lower scale is one of this scale, so adding up slots by their buckets is exact.
 * Prometheus' native histograms number such buckets alike; OpenTelemetry calls bucket b b - 1.
 */
static inline uint32_t hist_slot_at_scale(uint32_t slot, unsigned scale)
{
	return hist_bucket_fold(slot, HIST_SCALE - scale);
}

/*
 * The bucket of a value in [0, UINT64_MAX] ns at a scale of 0..HIST_SCALE_MAX, numbered in the same
 * way and exact at every bound; a few ns. Values above HIST_MAX_NS count in the last bucket.
 */
uint32_t hist_bucket(uint64_t ns, unsigned scale);

/* Bounds of a slot < HIST_SLOTS: it holds lower < value <= upper, in ns (slot 0 from 0). */
double hist_slot_lower(uint32_t slot);
double hist_slot_upper(uint32_t slot);
/* The largest whole number of ns in slot and all below it: floor of the upper bound. */
uint64_t hist_slot_last(uint32_t slot);

/* All zero is a valid empty histogram; these clear only the occupied range. */
void hist_clear(struct hist *h);
void hist_delta_clear(struct hist_delta *d);

/* Adds that stop at the largest value instead of starting again at 0. */
static inline uint64_t hist_sum(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/*
 * Adds one value. O(1), no branch on the value's size. A slot counts up to UINT32_MAX: what one
 * tick brings, not what a day does.
 */
static inline void hist_delta_record(struct hist_delta *d, uint64_t ns)
{
	uint32_t slot = hist_slot(ns);

	if (unlikely(!d->high))
		d->low = slot;
	d->low = slot < d->low ? slot : d->low;
	d->high = slot >= d->high ? slot + 1 : d->high;
	d->slots[slot]++;
	d->count++;
	d->sum_ns = hist_sum(d->sum_ns, ns);
	d->max_ns = ns > d->max_ns ? ns : d->max_ns;
}

/* Adds a value `times` times; 0 times is nothing. */
void hist_record(struct hist *h, uint64_t ns, uint64_t times);

void hist_merge(struct hist *into, const struct hist *from);
void hist_merge_delta(struct hist *into, const struct hist_delta *from);

/*
 * What a quantile is known to be: the value lies in (lower_ns, upper_ns], both rounded down to
 * whole ns, which loses nothing since values are whole. value_ns is the estimate: within
 * HIST_RELATIVE_ERROR and half a ns (it is rounded too) of the true value as long as that is
 * <= HIST_MAX_NS, never above max_ns; the quantile that is the largest value is max_ns itself.
 * All zero for an empty histogram.
 */
struct hist_quantile {
	uint64_t value_ns;
	uint64_t lower_ns;
	uint64_t upper_ns;
};

/*
 * q in [0, 1] (else clamped; NaN is 0): the smallest recorded value such that at least
 * max(1, ceil(q * count)) values are not above it.
 */
struct hist_quantile hist_quantile(const struct hist *h, double q);

/* How many recorded values are surely <= ns, and how many may be (both bounds, exact counts). */
void hist_count_below(const struct hist *h, uint64_t ns, uint64_t *surely, uint64_t *possibly);

/*
 * Packed form, of LEB128 varints in their shortest form (docs/journal-format.md has an example):
 *
 *   scale (7), count, sum_ns, max_ns, then for each occupied slot, lowest first:
 *   (slot's count - 1) * 4 + gap, gap = 0, 1, 2 empty slots since the previous occupied one
 *   (or since slot 0 for the first), or 3 and a further varint with the empty slots beyond 3
 *
 * so that a slot of up to 32 among busy neighbours takes one byte. An empty histogram packs as
 * well (4 bytes). Equal histograms have equal bytes. pack returns the size written, -ENOBUFS when
 * cap is too small (HIST_PACKED_MAX always suffices; buf may hold anything then), or -EOVERFLOW
 * when a slot's count is above 2^62.
 */
ssize_t hist_pack(const struct hist *h, uint8_t *buf, size_t cap);
ssize_t hist_delta_pack(const struct hist_delta *d, uint8_t *buf, size_t cap);

/* Packed bytes that were checked, read slot by slot; the bytes stay the caller's. */
struct hist_packed {
	uint64_t count, sum_ns, max_ns;
	uint32_t low, high; /* occupied slots lie in [low, high); high == 0: none */
	uint32_t slot; /* from here on hist_packed_next() goes on */
	const uint8_t *next, *end;
};

/*
 * Checks all of bytes from outside: 0, or with packed unchanged -EPROTO when they are not a packed
 * histogram whose counts add up to count and whose last slot holds max_ns. Scales 0..6 are well
 * formed but refused with -ENOTSUP in this version.
 */
int hist_packed_open(struct hist_packed *packed, const uint8_t *bytes, size_t size);
/*
 * Adds the counts of slots low ... high - 1 (high > 0), which add up to count, as do sum and max.
 * The merged count must fit.
 */
void hist_merge_slots(struct hist *into, const struct hist_packed *totals, const uint32_t *slots);
/* The next occupied slot, lowest first, with its count (> 0); false behind the last. */
bool hist_packed_next(struct hist_packed *packed, uint32_t *slot, uint64_t *count);

/*
 * hist_packed_open(), then adds all of it into h: 0, or with h unchanged what open says, or
 * -EOVERFLOW when the merged count would not fit.
 */
int hist_merge_packed(struct hist *into, const uint8_t *bytes, size_t size);

/*
 * The same checks, then count, sum and max alone (each may be NULL), O(size): for a receiver that
 * keeps the bytes. Outputs untouched on failure.
 */
int hist_packed_totals(const uint8_t *bytes, size_t size, uint64_t *count, uint64_t *sum_ns,
		       uint64_t *max_ns);

#endif
