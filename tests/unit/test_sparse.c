/* SPDX-License-Identifier: Apache-2.0 */
/* One series' tick in blocks of a pool: whatever comes, the sum is that of a dense histogram. */
#include <errno.h>
#include <string.h>

#include "lib/data/sparse.h"
#include "tests/unit/check.h"

static struct sparse_pool pool;
static struct sparse sparse;
static struct hist_delta dense, copy;
static struct hist sum;
static uint8_t packed[HIST_PACKED_MAX], packed_copy[HIST_PACKED_MAX];

static void begin(size_t blocks)
{
	CHECK_OK(sparse_pool_init(&pool, blocks));
	sparse = (struct sparse){0};
	hist_delta_clear(&dense);
}

static void end(void)
{
	sparse_pool_deinit(&pool);
}

static bool record(uint64_t ns)
{
	uint32_t slot = hist_slot(ns);

	if (!sparse.width)
		sparse_open(&pool, &sparse, slot);
	if (!sparse_reserve(&pool, &sparse, slot))
		return false;
	sparse_record(&pool, &sparse, slot, ns);
	hist_delta_record(&dense, ns);
	return true;
}

/* Equal histograms have equal bytes. */
static void check_same(void)
{
	sparse_copy(&pool, &sparse, &copy);
	ssize_t size = hist_delta_pack(&dense, packed, sizeof(packed));

	CHECK(size > 0);
	CHECK_EQ_I64(hist_delta_pack(&copy, packed_copy, sizeof(packed_copy)), size);
	CHECK(memcmp(packed, packed_copy, (size_t)size) == 0);
}

static void next_tick(void)
{
	sparse_reset(&pool, &sparse);
	hist_delta_clear(&dense);
	CHECK_EQ_U64(sparse.count, 0);
}

CHECK_TEST(test_values_of_any_size_are_all_there)
{
	uint64_t state = 7;

	begin(SPARSE_BLOCKS);
	for (int tick = 0; tick < 20; tick++) {
		for (int i = 0; i < 3000; i++) {
			state = state * 6364136223846793005u + 1442695040888963407u;
			CHECK(record(state >> (tick + i % 40)));
		}
		check_same();
		next_tick();
	}
	end();
}

CHECK_TEST(test_a_counter_of_a_byte_goes_over_into_a_large_one)
{
	begin(SPARSE_BLOCKS);
	for (int i = 1; i <= 2000; i++) {
		CHECK(record(NS_PER_MS));
		if (i % 3 == 0)
			CHECK(record(2 * NS_PER_MS));
		if (i % 255 <= 2)
			check_same();
	}
	check_same();
	end();
}

CHECK_TEST(test_both_ends_of_the_histogram_can_be_near_or_far)
{
	static const uint64_t values[] = {0,	       1,	  2, 255, 256, HIST_MAX_NS - 1,
					  HIST_MAX_NS, UINT64_MAX};

	for (size_t first = 0; first < ARRAY_LEN(values); first++) {
		begin(SPARSE_BLOCKS);
		for (size_t i = 0; i < 300 * ARRAY_LEN(values); i++)
			CHECK(record(values[(first + i) % ARRAY_LEN(values)]));
		check_same();
		end();
	}
}

CHECK_TEST(test_a_busy_tick_takes_one_block_and_a_quiet_one_gives_it_back)
{
	begin(SPARSE_BLOCKS);
	for (int tick = 0; tick < 5; tick++) {
		for (uint64_t i = 1; i <= 200; i++)
			CHECK(record(NS_PER_MS + i * 50 * NS_PER_US));
		next_tick();
	}
	CHECK_EQ_U64(sparse_pool_bytes(&pool), 2 * 1024); /* number 0 is none, and counts */
	CHECK(sparse.near != NULL);
	next_tick();
	CHECK(sparse.near == NULL);
	CHECK(pool.free != 0);
	end();
}

CHECK_TEST(test_the_near_part_follows_where_most_values_are)
{
	begin(SPARSE_BLOCKS);
	CHECK(record(30 * NS_PER_S));
	for (int i = 0; i < 100; i++)
		CHECK(record(NS_PER_MS));
	CHECK_EQ_U64(sparse.strays, 100);
	check_same();
	next_tick();
	CHECK(record(NS_PER_MS));
	CHECK(record(30 * NS_PER_S));
	CHECK(record(NS_PER_MS));
	CHECK_EQ_U64(sparse.strays, 1);
	check_same();
	end();
}

CHECK_TEST(test_an_empty_pool_refuses_and_counts_nothing)
{
	begin(1);
	CHECK(record(NS_PER_MS));
	CHECK(!record(30 * NS_PER_S));
	for (int i = 1; i < UINT8_MAX; i++)
		CHECK(record(NS_PER_MS));
	/* The byte is full, and there is no block to go over into. */
	CHECK(!record(NS_PER_MS));
	CHECK(record(2 * NS_PER_MS));
	check_same();
	end();
}

CHECK_TEST(test_packed_bytes_are_merged_or_refused_as_a_whole)
{
	begin(SPARSE_BLOCKS);
	for (uint64_t i = 0; i < 400; i++) {
		CHECK(record(NS_PER_MS));
		CHECK(record(i * i * i * NS_PER_US));
	}
	hist_clear(&sum);
	hist_record(&sum, NS_PER_MS, UINT32_MAX - 1000);
	hist_record(&sum, 77, 3);
	ssize_t size = hist_pack(&sum, packed, sizeof(packed));
	CHECK_OK(sparse_merge_packed(&pool, &sparse, packed, (size_t)size));
	sparse_copy(&pool, &sparse, &copy);
	CHECK_EQ_U64(copy.slots[hist_slot(77)], dense.slots[hist_slot(77)] + 3);
	CHECK_EQ_U64(copy.slots[hist_slot(NS_PER_MS)],
		     dense.slots[hist_slot(NS_PER_MS)] + UINT32_MAX - 1000);
	uint64_t count = sparse.count;
	CHECK_RC(sparse_merge_packed(&pool, &sparse, packed, (size_t)size), -EOVERFLOW);
	CHECK_EQ_U64(sparse.count, count);
	end();
}

CHECK_TEST(test_a_merge_that_is_refused_opens_nothing)
{
	begin(1);
	hist_clear(&sum);
	hist_record(&sum, NS_PER_MS, 1);
	hist_record(&sum, 30 * NS_PER_S, 1);
	ssize_t size = hist_pack(&sum, packed, sizeof(packed));
	CHECK_RC(sparse_merge_packed(&pool, &sparse, packed, (size_t)size), -ENOMEM);
	CHECK_EQ_U64(sparse.count, 0);
	CHECK(!sparse_record_near(&sparse, hist_slot(NS_PER_MS), NS_PER_MS));
	end();
}

CHECK_MAIN("sparse", test_values_of_any_size_are_all_there,
	   test_a_counter_of_a_byte_goes_over_into_a_large_one,
	   test_both_ends_of_the_histogram_can_be_near_or_far,
	   test_a_busy_tick_takes_one_block_and_a_quiet_one_gives_it_back,
	   test_the_near_part_follows_where_most_values_are,
	   test_an_empty_pool_refuses_and_counts_nothing,
	   test_packed_bytes_are_merged_or_refused_as_a_whole,
	   test_a_merge_that_is_refused_opens_nothing)
