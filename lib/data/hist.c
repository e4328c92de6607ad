/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/data/hist.h"

#include <string.h>

#include "lib/data/varint.h"

_Static_assert(sizeof(struct hist_delta) == 32 + 4 * (HIST_SLOTS + 1), "padding at the end only");
_Static_assert(HIST_OCTAVES <= 53, "hist_slot() needs values that a double holds exactly");
_Static_assert(HIST_OCTAVES <= 64 - 8, "hist_slot() needs the low 8 bits of a fraction clear");

/* A slot's count takes two bits less in the packed form than in memory. */
#define PACKED_COUNT_MAX (UINT64_C(1) << 62)
#define GAP_LONG	 3

double hist_slot_upper(uint32_t slot)
{
	unsigned octave = slot / HIST_OCTAVE_SLOTS;

	/* 63 bits of mantissa, thus exact to the last bit of a double, without libm's exp2(). */
	return (double)hist_bounds[slot % HIST_OCTAVE_SLOTS] / 0x1p63 *
	       (double)(UINT64_C(1) << octave);
}

/*
 * Whether a value of slot > 0 lies in the lower half of it: ns <= 2^((2 slot - 1) / 256), which is
 * ns^2 <= 2^((2 slot - 1) / 128), the square of a bound of the next scale being one of this scale.
 * Of that bound 64 bits are known. No value's square agrees with it in all of them without being
 * below it: test_hist.c tries all that come near.
 */
static bool hist_lower_half(uint64_t ns, uint32_t slot)
{
	unsigned __int128 square = (unsigned __int128)ns * ns;
	uint32_t bound = 2 * slot - 1, octave = bound / HIST_OCTAVE_SLOTS;
	uint64_t mantissa = hist_bounds[bound % HIST_OCTAVE_SLOTS];

	return octave < 63 ? square <= mantissa >> (63 - octave)
			   : square >> (octave - 63) <= mantissa;
}

uint32_t hist_bucket(uint64_t ns, unsigned scale)
{
	uint32_t slot = hist_slot(ns);

	if (scale <= HIST_SCALE)
		return hist_slot_at_scale(slot, scale);
	return slot && ns < HIST_MAX_NS ? 2 * slot - hist_lower_half(ns, slot) : 2 * slot;
}

double hist_slot_lower(uint32_t slot)
{
	return slot ? hist_slot_upper(slot - 1) : 0;
}

uint64_t hist_slot_last(uint32_t slot)
{
	return hist_bounds[slot % HIST_OCTAVE_SLOTS] >> (63 - slot / HIST_OCTAVE_SLOTS);
}

void hist_clear(struct hist *h)
{
	if (h->high)
		memset(&h->slots[h->low], 0, (h->high - h->low) * sizeof(h->slots[0]));
	h->count = h->sum_ns = h->max_ns = 0;
	h->low = h->high = 0;
}

void hist_delta_clear(struct hist_delta *d)
{
	if (d->high)
		memset(&d->slots[d->low], 0, (d->high - d->low) * sizeof(d->slots[0]));
	d->count = d->sum_ns = d->max_ns = 0;
	d->low = d->high = 0;
}

/* Widens h's occupied range by [low, high), which is not empty. */
static void hist_widen(struct hist *h, uint32_t low, uint32_t high)
{
	if (!h->high || low < h->low)
		h->low = low;
	if (high > h->high)
		h->high = high;
}

static void hist_totals_add(struct hist *h, uint64_t count, uint64_t sum_ns, uint64_t max_ns)
{
	h->count += count;
	h->sum_ns = hist_sum(h->sum_ns, sum_ns);
	if (max_ns > h->max_ns)
		h->max_ns = max_ns;
}

void hist_record(struct hist *h, uint64_t ns, uint64_t times)
{
	uint32_t slot = hist_slot(ns);
	uint64_t sum_ns;

	if (!times)
		return;
	if (__builtin_mul_overflow(ns, times, &sum_ns))
		sum_ns = UINT64_MAX;
	hist_widen(h, slot, slot + 1);
	h->slots[slot] += times;
	hist_totals_add(h, times, sum_ns, ns);
}

void hist_merge(struct hist *into, const struct hist *from)
{
	if (!from->high)
		return;
	hist_widen(into, from->low, from->high);
	hist_totals_add(into, from->count, from->sum_ns, from->max_ns);
	for (uint32_t i = from->low; i < from->high; i++)
		into->slots[i] += from->slots[i];
}

void hist_merge_delta(struct hist *into, const struct hist_delta *from)
{
	if (!from->high)
		return;
	hist_widen(into, from->low, from->high);
	hist_totals_add(into, from->count, from->sum_ns, from->max_ns);
	for (uint32_t i = from->low; i < from->high; i++)
		into->slots[i] += from->slots[i];
}

/* ---- quantiles -------------------------------------------------------------------------------- */

/*
 * ceil(q * count) in [1, count], without the rounding of a product that no longer fits a double. q
 * stands for a decimal that a double may only hold a little too large: 0.9 of 10 values is the 9th,
 * not the 10th. So the product is taken as small as half a unit in q's last place allows.
 */
static uint64_t quantile_rank(double q, uint64_t count)
{
	long double product = (long double)q * (1 - 0x1p-53L) * (long double)count;
	uint64_t rank;

	if (!(q > 0))
		return 1;
	if (q >= 1)
		return count;
	rank = (uint64_t)product;
	if ((long double)rank < product)
		rank++;
	if (rank < 1)
		return 1;
	return rank > count ? count : rank;
}

/*
 * The middle that is equally far off, relative to the value, at both ends of the bucket: the
 * harmonic mean of the bounds.
 */
static uint64_t slot_middle(uint32_t slot)
{
	double lower = hist_slot_lower(slot), upper = hist_slot_upper(slot);

	return slot ? (uint64_t)(2 * lower * upper / (lower + upper) + 0.5) : 1;
}

struct hist_quantile hist_quantile(const struct hist *h, double q)
{
	struct hist_quantile result = {0, 0, 0};
	uint64_t rank, seen = 0;
	uint32_t slot;

	if (!h->count)
		return result;
	rank = quantile_rank(q, h->count);
	for (slot = h->low; slot < h->high - 1; slot++) {
		seen += h->slots[slot];
		if (seen >= rank)
			break;
	}
	result.lower_ns = slot ? hist_slot_last(slot - 1) : 0;
	result.upper_ns = hist_slot_last(slot);
	result.value_ns = slot_middle(slot);
	/* The last slot also holds what is beyond its bound; max_ns says how far beyond. */
	if (slot == HIST_SLOTS - 1 || result.upper_ns > h->max_ns)
		result.upper_ns = h->max_ns;
	if (rank == h->count || result.value_ns > h->max_ns)
		result.value_ns = h->max_ns;
	return result;
}

void hist_count_below(const struct hist *h, uint64_t ns, uint64_t *surely, uint64_t *possibly)
{
	uint32_t slot = hist_slot(ns);
	uint64_t below = 0, in_slot = 0;

	if (ns >= h->max_ns) {
		*surely = *possibly = h->count;
		return;
	}
	for (uint32_t i = h->low; i < h->high && i < slot; i++)
		below += h->slots[i];
	if (slot >= h->low && slot < h->high)
		in_slot = h->slots[slot];
	*possibly = below + in_slot;
	*surely = slot < HIST_SLOTS - 1 && ns >= hist_slot_last(slot) ? *possibly : below;
}

/* ---- packed form ------------------------------------------------------------------------------ */

struct packer {
	uint8_t *p, *end;
	uint32_t next; /* first slot not yet spoken of */
	int err;
};

static void packer_put(struct packer *packer, uint64_t value)
{
	if ((size_t)(packer->end - packer->p) >= VARINT_MAX)
		packer->p = varint_put(packer->p, value);
	else if ((size_t)(packer->end - packer->p) >= varint_size(value))
		packer->p = varint_put(packer->p, value);
	else
		packer->err = -ENOBUFS;
}

static void packer_slot(struct packer *packer, uint32_t slot, uint64_t count)
{
	uint32_t gap = slot - packer->next;

	if (count > PACKED_COUNT_MAX) {
		packer->err = -EOVERFLOW;
		return;
	}
	packer_put(packer, (count - 1) << 2 | (gap < GAP_LONG ? gap : GAP_LONG));
	if (gap >= GAP_LONG)
		packer_put(packer, gap - GAP_LONG);
	packer->next = slot + 1;
}

static struct packer packer_begin(uint8_t *buf, size_t cap, uint64_t count, uint64_t sum_ns,
				  uint64_t max_ns)
{
	struct packer packer = {.p = buf, .end = buf + cap};

	packer_put(&packer, HIST_SCALE);
	packer_put(&packer, count);
	packer_put(&packer, sum_ns);
	packer_put(&packer, max_ns);
	return packer;
}

ssize_t hist_pack(const struct hist *h, uint8_t *buf, size_t cap)
{
	struct packer packer = packer_begin(buf, cap, h->count, h->sum_ns, h->max_ns);

	for (uint32_t i = h->low; i < h->high && !packer.err; i++)
		if (h->slots[i])
			packer_slot(&packer, i, h->slots[i]);
	return packer.err ? packer.err : packer.p - buf;
}

ssize_t hist_delta_pack(const struct hist_delta *d, uint8_t *buf, size_t cap)
{
	struct packer packer = packer_begin(buf, cap, d->count, d->sum_ns, d->max_ns);

	for (uint32_t i = d->low; i < d->high && !packer.err; i++)
		if (d->slots[i])
			packer_slot(&packer, i, d->slots[i]);
	return packer.err ? packer.err : packer.p - buf;
}

/* Reads the next occupied slot, which lies at or behind *slot: 0 or -EPROTO. */
static inline int packed_entry_get(const uint8_t **p, const uint8_t *end, uint32_t *slot,
				   uint64_t *count)
{
	uint64_t entry, gap;

	/* Most slots are one byte; the rest of this is for those that are not. */
	if (likely(*p < end && **p < 0x80))
		entry = *(*p)++;
	else if (varint_get(p, end, &entry) < 0)
		return -EPROTO;
	gap = entry & GAP_LONG;
	if (gap == GAP_LONG) {
		if (varint_get(p, end, &gap) < 0 || gap > HIST_SLOTS)
			return -EPROTO;
		gap += GAP_LONG;
	}
	if (gap >= HIST_SLOTS - *slot)
		return -EPROTO;
	*slot += (uint32_t)gap;
	*count = (entry >> 2) + 1;
	return 0;
}

int hist_packed_open(struct hist_packed *packed, const uint8_t *bytes, size_t size)
{
	struct hist_packed result = {.low = HIST_SLOTS};
	const uint8_t *p = bytes;
	uint64_t scale, left, count;
	uint32_t slot = 0;

	/* A field that is not there has neither bytes nor an end. */
	if (size == 0)
		return -EPROTO;
	result.end = bytes + size;

	if (varint_get(&p, result.end, &scale) < 0 ||
	    varint_get(&p, result.end, &result.count) < 0 ||
	    varint_get(&p, result.end, &result.sum_ns) < 0 ||
	    varint_get(&p, result.end, &result.max_ns) < 0)
		return -EPROTO;
	if (scale != HIST_SCALE)
		return scale < HIST_SCALE ? -ENOTSUP : -EPROTO;
	result.next = p;
	for (left = result.count; p < result.end; slot++) {
		if (packed_entry_get(&p, result.end, &slot, &count) < 0 || count > left)
			return -EPROTO;
		left -= count;
		if (!result.high)
			result.low = slot;
		result.high = slot + 1;
	}
	if (left)
		return -EPROTO;
	if (!result.count && (result.sum_ns || result.max_ns))
		return -EPROTO;
	if (result.count &&
	    (hist_slot(result.max_ns) != result.high - 1 || result.sum_ns < result.max_ns ||
	     result.sum_ns > (unsigned __int128)result.max_ns * result.count))
		return -EPROTO;
	*packed = result;
	return 0;
}

bool hist_packed_next(struct hist_packed *packed, uint32_t *slot, uint64_t *count)
{
	if (packed->next >= packed->end ||
	    packed_entry_get(&packed->next, packed->end, &packed->slot, count) < 0)
		return false;
	*slot = packed->slot++;
	return true;
}

void hist_merge_slots(struct hist *into, const struct hist_packed *totals, const uint32_t *slots)
{
	hist_widen(into, totals->low, totals->high);
	hist_totals_add(into, totals->count, totals->sum_ns, totals->max_ns);
	for (uint32_t i = totals->low; i < totals->high; i++)
		into->slots[i] += slots[i - totals->low];
}

int hist_merge_packed(struct hist *into, const uint8_t *bytes, size_t size)
{
	struct hist_packed packed;
	uint64_t count;
	uint32_t slot;
	int rc = hist_packed_open(&packed, bytes, size);

	if (rc < 0 || !packed.count)
		return rc;
	if (packed.count > UINT64_MAX - into->count)
		return -EOVERFLOW;
	hist_widen(into, packed.low, packed.high);
	hist_totals_add(into, packed.count, packed.sum_ns, packed.max_ns);
	while (hist_packed_next(&packed, &slot, &count))
		into->slots[slot] += count;
	return 0;
}

int hist_packed_totals(const uint8_t *bytes, size_t size, uint64_t *count, uint64_t *sum_ns,
		       uint64_t *max_ns)
{
	struct hist_packed packed;
	int rc = hist_packed_open(&packed, bytes, size);

	if (rc < 0)
		return rc;
	if (count)
		*count = packed.count;
	if (sum_ns)
		*sum_ns = packed.sum_ns;
	if (max_ns)
		*max_ns = packed.max_ns;
	return 0;
}
