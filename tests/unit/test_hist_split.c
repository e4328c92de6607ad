/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/data/hist_split.h"
#include "tests/unit/check.h"

static struct hist made, back;
static uint8_t bytes[HIST_PACKED_MAX], packed[HIST_PACKED_MAX];

static uint64_t next_random(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

/* Packs `made` and adds it to an empty histogram, from bytes behind which there is only the slack. */
static size_t there_and_back(void)
{
	ssize_t size = hist_split_pack(&made, bytes, sizeof(bytes));
	uint8_t *copy;

	CHECK(size > 0);
	copy = malloc((size_t)size + HIST_SPLIT_SLACK);
	CHECK(copy);
	memcpy(copy, bytes, (size_t)size);
	memset(copy + size, 0xff, HIST_SPLIT_SLACK); /* whatever it is */
	hist_clear(&back);
	CHECK_OK(hist_split_merge(&back, copy, (size_t)size));
	free(copy);
	CHECK_EQ_U64(back.count, made.count);
	CHECK_EQ_U64(back.sum_ns, made.sum_ns);
	CHECK_EQ_U64(back.max_ns, made.max_ns);
	CHECK_EQ_U64(back.low, made.low);
	CHECK_EQ_U64(back.high, made.high);
	CHECK_MEM(back.slots, made.slots, sizeof(made.slots));
	return (size_t)size;
}

/* A value of one of several kinds of distributions, some of which no route has. */
static uint64_t value_of(unsigned kind, uint64_t *random)
{
	uint64_t r = next_random(random), sum = 0;

	switch (kind % 6) {
	case 0: /* anywhere */
		return r >> r % 64;
	case 1: /* a few slots */
		return 1 + r % 5;
	case 2: /* smooth: a sum of logarithms */
		for (unsigned i = 0; i < 8; i++)
			sum += next_random(random) % 100;
		return hist_slot_last((uint32_t)(2500 + sum));
	case 3: /* whole milliseconds, as a coarse clock counts */
		return (1 + r % 200) * NS_PER_MS;
	case 4: /* two peaks far apart */
		return r % 3 ? NS_PER_US + r % 100 : NS_PER_S + r % NS_PER_MS;
	default: /* one value */
		return 12345;
	}
}

CHECK_TEST(test_what_was_packed_comes_back_exactly)
{
	uint64_t random = 0x9e3779b97f4a7c15u;

	for (unsigned round = 0; round < 3000; round++) {
		uint64_t n = next_random(&random) % (round % 100 ? 60 : 20000);

		hist_clear(&made);
		for (uint64_t i = 0; i < n; i++) {
			uint64_t times =
				next_random(&random) % 7 ? 1 : next_random(&random) % 100000;

			hist_record(&made, value_of(round, &random), times);
		}
		there_and_back();
	}
}

CHECK_TEST(test_every_slot_and_the_largest_counts_come_back)
{
	hist_clear(&made);
	there_and_back();
	for (uint32_t slot = 0; slot < HIST_SLOTS; slot++)
		hist_record(&made, hist_slot_last(slot), 1 + slot % 3);
	there_and_back();
	hist_clear(&made);
	hist_record(&made, UINT64_MAX, HIST_SPLIT_COUNT_MAX);
	there_and_back();
	hist_clear(&made);
	hist_record(&made, 1, 1);
	hist_record(&made, UINT64_MAX, HIST_SPLIT_COUNT_MAX - 1);
	there_and_back();
	hist_record(&made, 2, 1);
	CHECK_RC((int)hist_split_pack(&made, bytes, sizeof(bytes)), -EOVERFLOW);
}

/* Counts that jump from slot to slot as no distribution's do: every number is stored in full. */
CHECK_TEST(test_the_roughest_histogram_fits)
{
	uint64_t random = 1;

	hist_clear(&made);
	for (uint32_t slot = 0; slot < HIST_SLOTS; slot++)
		hist_record(&made, hist_slot_last(slot),
			    next_random(&random) % 2 ? 1 : next_random(&random) % 1500000);
	there_and_back();
}

CHECK_TEST(test_too_little_room_is_said)
{
	size_t size;

	hist_clear(&made);
	for (uint32_t slot = 1000; slot < 2000; slot++)
		hist_record(&made, hist_slot_last(slot), 1000 + slot % 17);
	size = there_and_back();
	for (size_t cap = 0; cap < size; cap++) {
		uint8_t *room = malloc(cap + 1);

		CHECK(room);
		CHECK_RC((int)hist_split_pack(&made, room, cap), -ENOBUFS);
		free(room);
	}
}

CHECK_TEST(test_sums_that_do_not_fit_are_refused_whole)
{
	ssize_t size;

	hist_clear(&made);
	hist_record(&made, 5, 3);
	size = hist_split_pack(&made, bytes, sizeof(bytes));
	hist_clear(&back);
	hist_record(&back, 7, UINT64_MAX - 2);
	CHECK_RC(hist_split_merge(&back, bytes, (size_t)size), -EOVERFLOW);
	CHECK_EQ_U64(back.count, UINT64_MAX - 2);
	CHECK_EQ_U64(back.slots[hist_slot(5)], 0);
}

/* What it is for: the slots of a busy route. */
CHECK_TEST(test_smooth_histograms_take_half_of_the_packed_bytes)
{
	uint64_t random = 42;
	size_t split;

	hist_clear(&made);
	for (unsigned i = 0; i < 54000; i++) /* 5 minutes */
		hist_record(&made, value_of(2, &random), 1);
	split = there_and_back();
	CHECK_LE_U64(2 * split, (uint64_t)hist_pack(&made, packed, sizeof(packed)));
}

CHECK_MAIN("hist_split", test_what_was_packed_comes_back_exactly,
	   test_every_slot_and_the_largest_counts_come_back, test_the_roughest_histogram_fits,
	   test_too_little_room_is_said, test_sums_that_do_not_fit_are_refused_whole,
	   test_smooth_histograms_take_half_of_the_packed_bytes)
