/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <quadmath.h>
#include <stdlib.h>
#include <string.h>

#include "lib/data/hist.h"
#include "lib/data/varint.h"
#include "tests/unit/check.h"

static struct hist hist_a, hist_b;
static struct hist_delta delta;
static uint8_t packed_a[HIST_PACKED_MAX], packed_b[HIST_PACKED_MAX];

static void reset(void)
{
	hist_clear(&hist_a);
	hist_clear(&hist_b);
	hist_delta_clear(&delta);
}

/* A xorshift generator: the same values in every run. */
static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Latencies from about 1 us to 1 s, even on a logarithmic scale, with a cluster around 200 ms. */
static uint64_t random_latency(uint64_t *state)
{
	uint64_t r = random_next(state);

	if (r % 8 == 0)
		return 199000000 + r % 2000000;
	return (uint64_t)(1000.0 * exp2((double)(r >> 11) / (double)(1ull << 53) * 20));
}

/*
 * Bucket by its definition at a scale, ceil(2^scale * log2(v)), in quadruple precision: the
 * independent answer.
 */
static uint32_t bucket_by_definition(uint64_t value, unsigned scale)
{
	unsigned buckets = 1u << scale;
	__float128 position;
	uint32_t bucket;

	if (value <= 1)
		return 0;
	if (value >= HIST_MAX_NS)
		return HIST_OCTAVES * buckets;
	position = log2q((__float128)value) * buckets;
	bucket = (uint32_t)ceilq(position);
	/* log2q may round a power of two upwards. */
	if (bucket && (__float128)value <= powq(2, (__float128)(bucket - 1) / buckets))
		bucket--;
	return bucket;
}

static uint32_t slot_by_definition(uint64_t value)
{
	return bucket_by_definition(value, HIST_SCALE);
}

CHECK_TEST(test_slot_is_exact_at_every_bound)
{
	for (uint32_t s = 0; s < HIST_SLOTS; s++) {
		uint64_t bound = (uint64_t)floorq(powq(2, (__float128)s / HIST_OCTAVE_SLOTS));

		CHECK_EQ_U64(hist_slot_last(s), bound);
		for (uint64_t v = bound > 2 ? bound - 2 : 0; v <= bound + 2; v++)
			if (hist_slot(v) != slot_by_definition(v))
				CHECK_FAIL("slot(%llu) is %u, by definition %u",
					   (unsigned long long)v, hist_slot(v),
					   slot_by_definition(v));
	}
	CHECK_EQ_U64(hist_slot(0), 0);
	CHECK_EQ_U64(hist_slot(HIST_MAX_NS), HIST_SLOTS - 1);
	CHECK_EQ_U64(hist_slot(UINT64_MAX), HIST_SLOTS - 1);
}

static void check_bucket(uint64_t value, unsigned scale)
{
	uint32_t got = hist_bucket(value, scale), wanted = bucket_by_definition(value, scale);

	if (got != wanted)
		CHECK_FAIL("bucket(%llu) at scale %u is %u, by definition %u",
			   (unsigned long long)value, scale, got, wanted);
	if (scale <= HIST_SCALE)
		CHECK_EQ_U64(hist_slot_at_scale(hist_slot(value), scale), got);
	else
		CHECK_EQ_U64(hist_bucket_fold(got, scale - HIST_SCALE), hist_slot(value));
}

CHECK_TEST(test_buckets_of_every_scale_are_exact_at_every_bound)
{
	for (unsigned scale = 0; scale <= HIST_SCALE_MAX; scale++) {
		unsigned buckets = 1u << scale;

		for (uint32_t b = 0; b <= HIST_OCTAVES * buckets; b++) {
			uint64_t bound = (uint64_t)floorq(powq(2, (__float128)b / buckets));

			for (uint64_t v = bound > 2 ? bound - 2 : 0; v <= bound + 2; v++)
				check_bucket(v, scale);
		}
		CHECK_EQ_U64(hist_bucket(UINT64_MAX, scale), HIST_OCTAVES << scale);
	}
}

CHECK_TEST(test_buckets_of_the_finest_scale_are_exact_for_random_values)
{
	uint64_t state = 11;

	for (int i = 0; i < 20000; i++)
		check_bucket(random_next(&state) >> (22 + i % 41), HIST_SCALE_MAX);
}

CHECK_TEST(test_slots_of_a_bucket_lie_together_and_within_its_bounds)
{
	for (unsigned scale = 0; scale <= HIST_SCALE; scale++) {
		uint32_t last = 0;

		for (uint32_t s = 0; s < HIST_SLOTS; s++) {
			uint32_t bucket = hist_slot_at_scale(s, scale);

			CHECK(bucket == last || bucket == last + 1);
			last = bucket;
			/* The bucket ends with the slot whose bound is its own. */
			CHECK(s <= bucket << (HIST_SCALE - scale));
		}
		CHECK_EQ_U64(last, HIST_OCTAVES << scale);
	}
}

CHECK_TEST(test_slot_is_exact_for_random_values)
{
	uint64_t state = 7;

	for (int i = 0; i < 20000; i++) {
		uint64_t v = random_next(&state) >> (22 + i % 41);

		CHECK_EQ_U64(hist_slot(v), slot_by_definition(v));
	}
}

CHECK_TEST(test_slot_bounds_meet_and_match_definition)
{
	for (uint32_t s = 0; s < HIST_SLOTS; s++) {
		double exact = (double)powq(2, (__float128)s / HIST_OCTAVE_SLOTS);

		CHECK_NEAR(hist_slot_upper(s) / exact, 1, 1e-15);
		CHECK(hist_slot_lower(s) == (s ? hist_slot_upper(s - 1) : 0));
	}
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

CHECK_TEST(test_quantiles_are_within_bound_of_sorted_values)
{
	static const double qs[] = {0, 0.001, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 1};
	enum { N = 100000 };
	uint64_t *values = malloc(N * sizeof(*values));
	uint64_t state = 42;

	CHECK(values);
	reset();
	for (int i = 0; i < N; i++) {
		values[i] = random_latency(&state);
		hist_delta_record(&delta, values[i]);
	}
	hist_merge_delta(&hist_a, &delta);
	qsort(values, N, sizeof(*values), compare_u64);
	for (size_t i = 0; i < ARRAY_LEN(qs); i++) {
		struct hist_quantile got = hist_quantile(&hist_a, qs[i]);
		size_t rank = (size_t)ceil(qs[i] * N);
		double truth = (double)values[rank ? rank - 1 : 0];

		CHECK_NEAR((double)got.value_ns, truth, truth * HIST_RELATIVE_ERROR + 0.5);
		CHECK((double)got.lower_ns < truth && truth <= (double)got.upper_ns);
	}
	CHECK_EQ_U64(hist_quantile(&hist_a, 1).value_ns, values[N - 1]);
	free(values);
}

CHECK_TEST(test_quantile_of_one_value_is_that_value)
{
	static const uint64_t values[] = {
		0,	   1, 2, 3, 150, 185, 186, 1000, 123456789, HIST_MAX_NS, HIST_MAX_NS + 1,
		UINT64_MAX};

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		reset();
		hist_record(&hist_a, values[i], 1);
		CHECK_EQ_U64(hist_quantile(&hist_a, 0.5).value_ns, values[i]);
		CHECK_EQ_U64(hist_quantile(&hist_a, 0).upper_ns, values[i]);
	}
}

/* Ranks by whole numbers, as no double rounds them: per mille of 1 to 2000 values. */
CHECK_TEST(test_quantile_of_a_decimal_is_the_value_of_that_rank)
{
	static const unsigned per_mille[] = {1, 50, 100, 250, 500, 700, 900, 950, 990, 999};

	for (uint64_t count = 1; count <= 2000; count++) {
		hist_clear(&hist_a);
		for (uint64_t i = 1; i <= count; i++)
			hist_record(&hist_a, i, 1); /* values up to 256 have a bucket each */
		for (size_t i = 0; i < ARRAY_LEN(per_mille); i++) {
			uint64_t rank = (per_mille[i] * count + 999) / 1000;
			struct hist_quantile got = hist_quantile(&hist_a, per_mille[i] / 1000.0);

			CHECK(got.lower_ns < rank && rank <= got.upper_ns);
		}
	}
}

CHECK_TEST(test_quantile_clamps_what_is_no_probability)
{
	reset();
	CHECK_EQ_U64(hist_quantile(&hist_a, 0.5).value_ns, 0);
	hist_record(&hist_a, 1000, 1);
	hist_record(&hist_a, 5000, 1);
	CHECK_EQ_U64(hist_quantile(&hist_a, 7).value_ns, 5000);
	CHECK_NEAR((double)hist_quantile(&hist_a, -1).value_ns, 1000, 3);
	CHECK_NEAR((double)hist_quantile(&hist_a, NAN).value_ns, 1000, 3);
}

CHECK_TEST(test_every_small_value_is_told_exactly)
{
	/* Up to 184 ns each bucket holds at most one whole number. */
	for (uint64_t v = 1; v <= 184; v++) {
		struct hist_quantile got;

		reset();
		hist_record(&hist_a, v, 3);
		hist_record(&hist_a, 100000, 1);
		got = hist_quantile(&hist_a, 0.5);
		CHECK_EQ_U64(got.value_ns, v);
	}
}

CHECK_TEST(test_count_below_brackets_the_exact_count)
{
	enum { N = 20000 };
	static uint64_t values[N];
	uint64_t state = 3;

	reset();
	for (int i = 0; i < N; i++) {
		values[i] = random_latency(&state);
		hist_record(&hist_a, values[i], 1);
	}
	for (int i = 0; i < 2000; i++) {
		uint64_t ns = random_latency(&state), surely, possibly, exact = 0;

		for (int k = 0; k < N; k++)
			exact += values[k] <= ns;
		hist_count_below(&hist_a, ns, &surely, &possibly);
		CHECK_LE_U64(surely, exact);
		CHECK_LE_U64(exact, possibly);
		if (i % 2) { /* At a slot's own bound there is no doubt. */
			ns = hist_slot_last(hist_slot(ns));
			hist_count_below(&hist_a, ns, &surely, &possibly);
			CHECK_EQ_U64(surely, possibly);
		}
	}
}

CHECK_TEST(test_merge_equals_recording_everything_in_one)
{
	static struct hist merged;
	uint64_t state = 9;

	reset();
	hist_clear(&merged);
	for (int i = 0; i < 30000; i++) {
		uint64_t v = random_latency(&state);

		hist_record(&merged, v, 1);
		if (i % 3 == 0)
			hist_delta_record(&delta, v);
		else
			hist_record(&hist_b, v, 1);
	}
	hist_merge(&hist_a, &hist_b);
	hist_merge_delta(&hist_a, &delta);
	CHECK_EQ_U64(hist_a.count, 30000);
	CHECK_MEM(&hist_a, &merged, sizeof(merged));
	hist_clear(&hist_a);
	hist_clear(&hist_b);
	CHECK_MEM(&hist_a, &hist_b, sizeof(hist_a));
	hist_merge(&merged, &hist_b); /* An empty one changes nothing. */
	CHECK_EQ_U64(merged.count, 30000);
	hist_record(&hist_a, 5, 0);
	CHECK_MEM(&hist_a, &hist_b, sizeof(hist_a));
}

CHECK_TEST(test_sum_saturates_and_count_stays)
{
	reset();
	hist_delta_record(&delta, UINT64_MAX);
	hist_delta_record(&delta, UINT64_MAX);
	CHECK_EQ_U64(delta.sum_ns, UINT64_MAX);
	hist_merge_delta(&hist_a, &delta);
	hist_record(&hist_a, UINT64_MAX, 5);
	CHECK_EQ_U64(hist_a.sum_ns, UINT64_MAX);
	CHECK_EQ_U64(hist_a.count, 7);
	CHECK_EQ_U64(hist_a.slots[HIST_SLOTS - 1], 7);
}

static void fill_case(int which, uint64_t *state)
{
	reset();
	switch (which) {
	case 0:
		return;
	case 1:
		hist_record(&hist_a, 0, 1);
		return;
	case 2:
		hist_record(&hist_a, UINT64_MAX, 1);
		return;
	case 3:
		for (uint32_t s = 0; s < HIST_SLOTS; s++)
			if (hist_slot(hist_slot_last(s)) == s)
				hist_record(&hist_a, hist_slot_last(s), UINT64_C(1) << 40);
		return;
	case 4:
		hist_record(&hist_a, 77, UINT64_C(1) << 62);
		return;
	default:
		for (int i = 0; i < 1 << which; i++)
			hist_record(&hist_a, random_latency(state), 1 + random_next(state) % 300);
	}
}

CHECK_TEST(test_packed_form_comes_back_whole)
{
	uint64_t state = 5;

	for (int which = 0; which < 14; which++) {
		uint64_t count, sum, max;
		ssize_t size;

		fill_case(which, &state);
		size = hist_pack(&hist_a, packed_a, sizeof(packed_a));
		CHECK(size > 0);
		CHECK_OK(hist_merge_packed(&hist_b, packed_a, (size_t)size));
		CHECK_MEM(&hist_b, &hist_a, sizeof(hist_a));
		CHECK_OK(hist_packed_totals(packed_a, (size_t)size, &count, &sum, &max));
		CHECK_EQ_U64(count, hist_a.count);
		CHECK_EQ_U64(sum, hist_a.sum_ns);
		CHECK_EQ_U64(max, hist_a.max_ns);
		/* Any room that is too small is refused, not overrun. */
		for (ssize_t cap = size > 600 ? size - 600 : 0; cap < size; cap++) {
			packed_b[cap] = 0xa5;
			CHECK_RC((int)hist_pack(&hist_a, packed_b, (size_t)cap), -ENOBUFS);
			CHECK(packed_b[cap] == 0xa5);
		}
		CHECK_EQ_I64(hist_pack(&hist_a, packed_b, (size_t)size), size);
		CHECK_MEM(packed_b, packed_a, (size_t)size);
	}
}

CHECK_TEST(test_delta_packs_to_the_same_bytes)
{
	uint64_t state = 11;
	ssize_t size;

	reset();
	for (int i = 0; i < 5000; i++) {
		uint64_t v = random_latency(&state);

		hist_delta_record(&delta, v);
		hist_record(&hist_a, v, 1);
	}
	size = hist_pack(&hist_a, packed_a, sizeof(packed_a));
	CHECK_EQ_I64(hist_delta_pack(&delta, packed_b, sizeof(packed_b)), size);
	CHECK_MEM(packed_b, packed_a, (size_t)size);
}

CHECK_TEST(test_packed_golden_bytes)
{
	/* 1 ns; 3 x 1000 ns (slot 1276); 1010 ns (1278); 2^20 ns (slot 2560): written by hand. */
	static const uint8_t golden[] = {
		0x07, /* scale */
		0x06, /* count */
		0xab, 0x9f, 0x40, /* sum: 1 + 3000 + 1010 + 1048576 = 1052587 */
		0x80, 0x80, 0x40, /* max: 1048576 */
		0x00, /* slot 0: (1-1)*4 + 0 */
		0x0b, 0xf8, 0x09, /* 3 values, 1275 = 3 + 1272 empty before */
		0x01, /* 1 value, 1 empty before */
		0x03, 0xfe, 0x09, /* 1 value, 1281 = 3 + 1278 empty before */
	};
	ssize_t size;

	reset();
	hist_record(&hist_a, 1, 1);
	hist_record(&hist_a, 1000, 3);
	hist_record(&hist_a, 1010, 1);
	hist_record(&hist_a, 1048576, 1);
	CHECK_EQ_U64(hist_slot(1000), 1276);
	CHECK_EQ_U64(hist_slot(1010), 1278);
	size = hist_pack(&hist_a, packed_a, sizeof(packed_a));
	CHECK_EQ_I64(size, (int64_t)sizeof(golden));
	CHECK_MEM(packed_a, golden, sizeof(golden));
}

CHECK_TEST(test_count_beyond_packed_range_is_refused)
{
	reset();
	hist_record(&hist_a, 77, (UINT64_C(1) << 62) + 1);
	CHECK_RC((int)hist_pack(&hist_a, packed_a, sizeof(packed_a)), -EOVERFLOW);
}

CHECK_TEST(test_merge_that_would_overflow_the_count_is_refused)
{
	ssize_t size;

	reset();
	hist_record(&hist_a, 77, UINT64_C(1) << 62);
	size = hist_pack(&hist_a, packed_a, sizeof(packed_a));
	hist_record(&hist_b, 1, UINT64_MAX - (UINT64_C(1) << 62) + 1);
	CHECK_RC(hist_merge_packed(&hist_b, packed_a, (size_t)size), -EOVERFLOW);
	CHECK_EQ_U64(hist_b.slots[hist_slot(77)], 0);
}

static void check_refused(const uint8_t *bytes, size_t size, int rc)
{
	static struct hist untouched;
	uint64_t count = 1, sum = 2, max = 3;

	hist_clear(&hist_b);
	hist_clear(&untouched);
	hist_record(&hist_b, 500, 2);
	hist_record(&untouched, 500, 2);
	CHECK_RC(hist_merge_packed(&hist_b, bytes, size), rc);
	CHECK_MEM(&hist_b, &untouched, sizeof(hist_b));
	CHECK_RC(hist_packed_totals(bytes, size, &count, &sum, &max), rc);
	CHECK(count == 1 && sum == 2 && max == 3);
}

CHECK_TEST(test_garbage_bytes_are_refused_and_change_nothing)
{
	static const struct {
		uint8_t bytes[16];
		size_t size;
		int rc;
	} cases[] = {
		{{0}, 0, -EPROTO},
		{{7}, 1, -EPROTO},
		{{7, 0, 0}, 3, -EPROTO},
		{{7, 0, 0, 1}, 4, -EPROTO}, /* a maximum of nothing */
		{{8, 0, 0, 0}, 4, -EPROTO}, /* no such scale */
		{{5, 0, 0, 0}, 4, -ENOTSUP}, /* a lower scale */
		{{7, 1, 1, 1}, 4, -EPROTO}, /* a count without a slot */
		{{7, 1, 1, 1, 4}, 5, -EPROTO}, /* 2 in the slot, count says 1 */
		{{7, 1, 1, 1, 1}, 5, -EPROTO}, /* slot 1 does not hold 1 ns */
		{{7, 1, 1, 2, 0}, 5, -EPROTO}, /* a maximum in another slot */
		{{7, 2, 1, 2, 0, 3, 124}, 7, -EPROTO}, /* a sum below the maximum */
		{{7, 1, 9, 1, 0}, 5, -EPROTO}, /* a sum above count * maximum */
		{{7, 0x81, 0, 1, 1, 0}, 6, -EPROTO}, /* not the shortest form of 1 */
		{{7, 1, 1, 1, 3}, 5, -EPROTO}, /* gap cut off */
		{{7, 1, 1, 1, 3, 0xff, 0x7f}, 7, -EPROTO}, /* beyond the last slot */
		{{7, 1, 1, 1, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
		 15,
		 -EPROTO},
		{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, 11, -EPROTO},
	};
	static const uint8_t good[] = {7, 1, 1, 1, 0};

	reset();
	CHECK_OK(hist_merge_packed(&hist_b, good, sizeof(good)));
	CHECK_EQ_U64(hist_b.slots[0], 1);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		check_refused(cases[i].bytes, cases[i].size, cases[i].rc);
	check_refused(NULL, 0, -EPROTO); /* a field that a message left out */
}

CHECK_TEST(test_cut_or_changed_bytes_never_break_the_sum)
{
	uint64_t state = 17;
	ssize_t size;

	reset();
	for (int i = 0; i < 300; i++)
		hist_record(&hist_a, random_latency(&state), 1);
	size = hist_pack(&hist_a, packed_a, sizeof(packed_a));
	for (size_t cut = 0; cut < (size_t)size; cut++)
		check_refused(packed_a, cut, -EPROTO);
	for (int i = 0; i < 20000; i++) {
		size_t at = random_next(&state) % (size_t)size;
		uint64_t sum = 0;

		memcpy(packed_b, packed_a, (size_t)size);
		packed_b[at] ^= (uint8_t)(1 + random_next(&state) % 255);
		hist_clear(&hist_b);
		if (hist_merge_packed(&hist_b, packed_b, (size_t)size) < 0) {
			CHECK(hist_b.count == 0 && hist_b.high == 0);
			continue;
		}
		for (uint32_t s = hist_b.low; s < hist_b.high; s++)
			sum += hist_b.slots[s];
		CHECK_EQ_U64(sum, hist_b.count);
	}
}

CHECK_TEST(test_varint_takes_every_size_in_its_shortest_form_only)
{
	uint8_t bytes[VARINT_MAX];

	for (unsigned bit = 0; bit < 64; bit++) {
		for (int step = -1; step <= 1; step++) {
			uint64_t value = (UINT64_C(1) << bit) + (uint64_t)(int64_t)step, got = 0;
			uint8_t *end = varint_put(bytes, value);
			const uint8_t *p = bytes;

			CHECK_EQ_U64((uint64_t)(end - bytes), varint_size(value));
			CHECK_OK(varint_get(&p, end, &got));
			CHECK(p == end);
			CHECK_EQ_U64(got, value);
			p = bytes;
			CHECK_RC(varint_get(&p, end - 1, &got), -EPROTO);
		}
	}
}

CHECK_MAIN("hist", test_slot_is_exact_at_every_bound,
	   test_buckets_of_every_scale_are_exact_at_every_bound,
	   test_buckets_of_the_finest_scale_are_exact_for_random_values,
	   test_slots_of_a_bucket_lie_together_and_within_its_bounds,
	   test_slot_is_exact_for_random_values, test_slot_bounds_meet_and_match_definition,
	   test_quantiles_are_within_bound_of_sorted_values,
	   test_quantile_of_one_value_is_that_value,
	   test_quantile_of_a_decimal_is_the_value_of_that_rank,
	   test_quantile_clamps_what_is_no_probability, test_every_small_value_is_told_exactly,
	   test_count_below_brackets_the_exact_count, test_merge_equals_recording_everything_in_one,
	   test_sum_saturates_and_count_stays, test_packed_form_comes_back_whole,
	   test_delta_packs_to_the_same_bytes, test_packed_golden_bytes,
	   test_count_beyond_packed_range_is_refused,
	   test_merge_that_would_overflow_the_count_is_refused,
	   test_garbage_bytes_are_refused_and_change_nothing,
	   test_cut_or_changed_bytes_never_break_the_sum,
	   test_varint_takes_every_size_in_its_shortest_form_only)
