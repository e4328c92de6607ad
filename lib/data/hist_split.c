/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The halving is the S+P transform of Said and Pearlman (1996) without its last step, the numbers
 * are Rice-coded (1979). Three things make it small:
 *
 *  - A half is expected to hold what a straight line through the neighbours of the whole gives it.
 *  - The Rice parameter follows from the count that is split: half its bits, as its root has.
 *    A correction that both sides learn alike makes up for distributions that are not smooth.
 *  - Where nothing was counted, nothing is stored, and a split of 1 takes one bit.
 */
#include "lib/data/hist_split.h"

#include <endian.h>
#include <errno.h>

#include "lib/data/varint.h"

/* Halvings of the widest histogram, and the nodes of all levels: each has half as many, rounded up. */
#define LEVELS_MAX 14
#define NODES_MAX  (2 * HIST_SLOTS + LEVELS_MAX)
_Static_assert(HIST_SLOTS <= 1 << (LEVELS_MAX - 1), "one node at the top");

/* A quotient of so much is followed by the number itself: seldom, and never long. */
#define QUOTIENT_MAX   24
#define WHOLE_BITS     33
#define ROUGHNESS_BITS 5
#define ROUGHNESS_MAX  ((1u << ROUGHNESS_BITS) - 1)

/* ---- what both sides know ---------------------------------------------------------------------- */

/* Bits of value > 0, less one. */
static inline unsigned bits_of(uint32_t value)
{
	return 31 ^ (unsigned)__builtin_clz(value);
}

/* Half the bits of the count that is split, and of the level's roughness; at most all of its bits. */
static inline unsigned rice_parameter(uint32_t whole, unsigned roughness)
{
	unsigned most = bits_of(whole), k = (most + roughness) / 2;

	return k < most ? k : most;
}

/*
 * What the left half of whole is expected to hold, given the wholes beside it: from the middle of
 * one to that of the other are four halves, and from the half to its sister one, both counted.
 */
static inline uint32_t left_expected(uint32_t whole, uint32_t before, uint32_t after)
{
	int64_t left = (int64_t)(whole / 2) + before / 16 - after / 16;

	left = left < 0 ? 0 : left;
	return left < whole ? (uint32_t)left : whole;
}

/*
 * Numbers what differs from expected by how far it is off: 0, then one above, one below, ... Of a
 * small whole no number is wasted: beyond its nearer end each side stands for itself, and the largest
 * number is whole. Which side it is is chance: no branch would be foreseen.
 */
#define SMALL_MAX 15

static inline uint32_t room_of(uint32_t expected, uint32_t whole)
{
	if (whole > SMALL_MAX)
		return UINT32_MAX;
	return expected < whole - expected ? expected : whole - expected;
}

static inline uint64_t fold(uint32_t left, uint32_t expected, uint32_t whole)
{
	uint64_t above = left > expected, off = above ? left - expected : expected - left;
	uint32_t room = room_of(expected, whole);

	return off > room ? off + room : 2 * off - above;
}

static inline uint32_t unfold(uint64_t number, uint32_t expected, uint32_t whole)
{
	uint32_t below = (uint32_t)(number & 1) - 1; /* all ones, or 0 */
	uint32_t off = (uint32_t)((number + 1) / 2), room = room_of(expected, whole);

	if (off > room)
		return (uint32_t)(expected == room ? number : whole - number);
	return expected + ((off ^ below) - below);
}

/* The largest quotient there can be, or QUOTIENT_MAX, from where on there are none. */
static inline uint32_t quotient_most(uint32_t whole, unsigned k)
{
	return whole > SMALL_MAX ? QUOTIENT_MAX : whole >> k;
}

/* ---- bits, lowest first -------------------------------------------------------------------------- */

struct bit_writer {
	uint8_t *p, *end;
	uint64_t word; /* the low `held` bits of it are still to be written */
	unsigned held; /* < 32 between calls */
	bool full;
};

static void bits_put(struct bit_writer *w, uint64_t value, unsigned count) /* <= 32 */
{
	w->word |= value << w->held;
	w->held += count;
	if (w->held < 32)
		return;
	if (w->end - w->p < 4) {
		w->full = true;
	} else {
		const uint32_t low = htole32((uint32_t)w->word);

		memcpy(w->p, &low, sizeof(low));
		w->p += sizeof(low);
	}
	w->word >>= 32;
	w->held -= 32;
}

static void bits_flush(struct bit_writer *w)
{
	for (; w->held; w->held -= w->held < 8 ? w->held : 8, w->word >>= 8) {
		if (w->p == w->end) {
			w->full = true;
			return;
		}
		*w->p++ = (uint8_t)w->word;
	}
}

struct bit_reader {
	const uint8_t *bytes; /* and HIST_SPLIT_SLACK behind them */
	uint64_t at; /* bits taken */
};

/* The next 57 bits or more. */
static inline uint64_t bits_peek(const struct bit_reader *r)
{
	uint64_t word;

	memcpy(&word, r->bytes + r->at / 8, sizeof(word));
	return le64toh(word) >> r->at % 8;
}

static inline uint64_t bits_take(struct bit_reader *r, unsigned count) /* <= 57 */
{
	uint64_t value = bits_peek(r) & ((UINT64_C(1) << count) - 1);

	r->at += count;
	return value;
}

/* ---- one number ---------------------------------------------------------------------------------- */

/*
 * quotient ones, then a zero unless no larger quotient is possible, then the remainder. Or
 * QUOTIENT_MAX ones and the number, which is less than twice the whole.
 */
static void number_put(struct bit_writer *w, uint64_t number, uint32_t whole, unsigned k)
{
	uint32_t most = quotient_most(whole, k);
	uint64_t quotient = number >> k;

	if (quotient >= QUOTIENT_MAX) {
		bits_put(w, (1u << QUOTIENT_MAX) - 1, QUOTIENT_MAX);
		bits_put(w, number & UINT16_MAX, 16);
		bits_put(w, number >> 16, WHOLE_BITS - 16);
		return;
	}
	bits_put(w, (1u << quotient) - 1, (unsigned)quotient + (quotient < most));
	bits_put(w, number & ((1u << k) - 1), k);
}

static inline uint64_t number_take(struct bit_reader *r, uint32_t whole, unsigned k)
{
	uint32_t most = quotient_most(whole, k), quotient, used;
	uint64_t word = bits_peek(r);

	quotient = (uint32_t)__builtin_ctzll(~word | UINT64_C(1) << most);
	if (unlikely(quotient == QUOTIENT_MAX)) {
		r->at += QUOTIENT_MAX;
		return bits_take(r, WHOLE_BITS);
	}
	used = quotient + (quotient < most);
	r->at += used + k;
	return (uint64_t)quotient << k | (word >> used & ((1u << k) - 1));
}

/* ---- the tree ------------------------------------------------------------------------------------ */

/* Nodes of each level, level 0 the slots themselves, and where they begin in one array. */
struct levels {
	unsigned count; /* the top, of one node, is count - 1 */
	uint32_t nodes[LEVELS_MAX], first[LEVELS_MAX];
};

static void levels_init(struct levels *levels, uint32_t width)
{
	uint32_t first = 0;

	for (levels->count = 0;; width = (width + 1) / 2) {
		levels->nodes[levels->count] = width;
		levels->first[levels->count++] = first;
		first += width;
		if (width == 1)
			break;
	}
}

static void tree_sum(const struct levels *levels, uint32_t *nodes)
{
	for (unsigned l = 1; l < levels->count; l++) {
		const uint32_t *below = nodes + levels->first[l - 1];
		uint32_t *at = nodes + levels->first[l];
		uint32_t pairs = levels->nodes[l - 1] / 2;

		for (uint32_t i = 0; i < pairs; i++)
			at[i] = below[2 * i] + below[2 * i + 1];
		if (levels->nodes[l] > pairs)
			at[pairs] = below[2 * pairs];
	}
}

/* One level as the writer sees it. */
struct level {
	const uint32_t *wholes, *halves;
	uint32_t count, half_count;
	uint64_t numbers[HIST_SLOTS / 2 + 1]; /* of each split, where whole is not 0 */
};

static void level_number(struct level *level)
{
	const uint32_t *wholes = level->wholes;

	for (uint32_t i = 0; i < level->half_count / 2; i++) {
		uint32_t before = wholes[i ? i - 1 : i];
		uint32_t after = wholes[i + 1 < level->count ? i + 1 : i];

		level->numbers[i] = fold(level->halves[2 * i],
					 left_expected(wholes[i], before, after), wholes[i]);
	}
}

/*
 * How much larger than by chance alone the numbers of a level are: 0 when its quotients are 1.7 in
 * the mean, where Rice codes of a normal distribution are shortest, and one more for each root of 2.
 */
static unsigned level_roughness(const struct level *level)
{
	uint64_t sum = 0, splits = 0, limit;
	unsigned roughness = 0;

	for (uint32_t i = 0; i < level->half_count / 2; i++) {
		uint32_t whole = level->wholes[i], quotient;

		if (whole < 2)
			continue;
		quotient = level->numbers[i] >> rice_parameter(whole, 0);
		sum += quotient < 1024 ? quotient : 1024;
		splits++;
	}
	limit = splits * 6 / 5;
	while (sum > limit && roughness < ROUGHNESS_MAX) {
		limit = limit * 181 / 128;
		roughness++;
	}
	return roughness;
}

/* Splits of one level, from the right to the left: so the reader can split in place. */
static void level_put(struct bit_writer *w, struct level *level)
{
	unsigned roughness;

	level_number(level);
	roughness = level_roughness(level);
	bits_put(w, roughness ? 1 | roughness << 1 : 0, roughness ? 1 + ROUGHNESS_BITS : 1);
	for (uint32_t i = level->half_count / 2; i-- > 0;) {
		uint32_t whole = level->wholes[i];

		if (whole)
			number_put(w, level->numbers[i], whole, rice_parameter(whole, roughness));
	}
}

static inline uint32_t left_take(struct bit_reader *r, uint32_t whole, uint32_t expected,
				 unsigned roughness)
{
	return unfold(number_take(r, whole, rice_parameter(whole, roughness)), expected, whole);
}

/* nodes[-1] is the reader's to write. */
static void level_take(struct bit_reader *from, uint32_t *nodes, uint32_t count,
		       uint32_t half_count)
{
	struct bit_reader r = *from;
	uint32_t i = half_count / 2, after = nodes[i < count ? i : i - 1];
	unsigned roughness = bits_take(&r, 1) ? (unsigned)bits_take(&r, ROUGHNESS_BITS) : 0;

	if (i < count) /* has no right half */
		nodes[2 * i] = nodes[i];
	nodes[-1] = nodes[0];
	for (uint32_t *at = nodes + i, *to = nodes + 2 * i; to > nodes;) {
		uint32_t whole = *--at, left = 0;

		/* Twice the same, so that the larger ones are done with what they need. */
		if (likely(whole > SMALL_MAX))
			left = left_take(&r, whole, left_expected(whole, at[-1], after), roughness);
		else if (whole)
			left = left_take(&r, whole, left_expected(whole, at[-1], after), roughness);
		after = whole;
		*--to = whole - left;
		*--to = left;
	}
	from->at = r.at;
}

ssize_t hist_split_pack(const struct hist *h, uint8_t *buf, size_t cap)
{
	uint32_t nodes[NODES_MAX];
	struct bit_writer w = {.p = buf, .end = buf + cap};
	struct levels levels;
	struct level level;

	if (h->count > HIST_SPLIT_COUNT_MAX)
		return -EOVERFLOW;
	if (cap < 5 * VARINT_MAX)
		return -ENOBUFS;
	w.p = varint_put(w.p, h->count);
	if (!h->count)
		return w.p - buf;
	w.p = varint_put(w.p, h->sum_ns);
	w.p = varint_put(w.p, h->max_ns);
	w.p = varint_put(w.p, h->low);
	w.p = varint_put(w.p, h->high);
	levels_init(&levels, h->high - h->low);
	for (uint32_t i = h->low; i < h->high; i++)
		nodes[i - h->low] = (uint32_t)h->slots[i];
	tree_sum(&levels, nodes);
	for (unsigned l = levels.count - 1; l-- > 0;) {
		level.wholes = nodes + levels.first[l + 1];
		level.halves = nodes + levels.first[l];
		level.count = levels.nodes[l + 1];
		level.half_count = levels.nodes[l];
		level_put(&w, &level);
	}
	bits_flush(&w);
	return w.full ? -ENOBUFS : w.p - buf;
}

int hist_split_merge(struct hist *into, const uint8_t *bytes, size_t size)
{
	uint32_t room[1 + HIST_SLOTS], *nodes = room + 1;
	const uint8_t *p = bytes, *end = bytes + size;
	struct hist_packed packed = {0};
	uint64_t low = 0, high = 0;
	struct bit_reader r = {0};
	struct levels levels;

	/* hist_split_pack() wrote them. */
	(void)varint_get(&p, end, &packed.count);
	if (!packed.count)
		return 0;
	if (packed.count > UINT64_MAX - into->count)
		return -EOVERFLOW;
	(void)varint_get(&p, end, &packed.sum_ns);
	(void)varint_get(&p, end, &packed.max_ns);
	(void)varint_get(&p, end, &low);
	(void)varint_get(&p, end, &high);
	packed.low = (uint32_t)low;
	packed.high = (uint32_t)high;
	levels_init(&levels, packed.high - packed.low);
	nodes[0] = (uint32_t)packed.count;
	r.bytes = p;
	for (unsigned l = levels.count - 1; l-- > 0;)
		level_take(&r, nodes, levels.nodes[l + 1], levels.nodes[l]);
	hist_merge_slots(into, &packed, nodes);
	return 0;
}
