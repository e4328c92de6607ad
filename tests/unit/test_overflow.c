/* SPDX-License-Identifier: Apache-2.0 */
/* What a segment's overflow blocks hold is taken once, whatever the application wrote there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/lanes/lane_segment.h"
#include "lib/data/overflow.h"
#include "tests/unit/forged.h"

static void block_count(struct vow_shm_block *block, uint32_t slot, uint64_t count)
{
	block->groups[slot / VOW_SHM_GROUP].slots[slot % VOW_SHM_GROUP] = count;
	block->used |= UINT64_C(1) << slot / VOW_SHM_GROUP;
}

CHECK_TEST(test_overflow_word_that_runs_back_breaks_its_block_alone)
{
	struct forged forged = forged_new(NULL, 1, SEALS);
	struct overflow_delta *delta = calloc(1, sizeof(*delta));
	struct segment segment;
	struct overflow overflow;
	const uint32_t slot = hist_slot(10);

	CHECK_OK(segment_open(forged.fd, &segment, NULL));
	overflow_init(&overflow, &segment);
	for (unsigned i = 0; i < 2; i++) {
		struct vow_shm_block *block = &forged.shm->blocks[i];

		forged.shm->directory[i] = VOW_SHM_KEY(VOW_SHM_OBSERVED, 2, 0, 1 + i, 0);
		block_count(block, slot, 10);
		block->sum_ns = 100;
		block->max_ns = 10;
	}
	forged.shm->counters.directory = 2;
	CHECK_OK(overflow_scan(&overflow));
	CHECK_EQ_U64(overflow.count, 2);
	CHECK(overflow_take(&overflow, 0, UINT64_MAX, true, delta));
	CHECK_EQ_U64(delta->hist.count, 10);
	CHECK_EQ_U64(delta->hist.slots[slot], 10);
	CHECK_EQ_U64(delta->hist.max_ns, 10);
	block_count(&forged.shm->blocks[0], slot, 9);
	CHECK(!overflow_take(&overflow, 0, UINT64_MAX, true, delta));
	block_count(&forged.shm->blocks[0], slot, 1000);
	CHECK(!overflow_take(&overflow, 0, UINT64_MAX, true, delta));
	CHECK_EQ_U64(overflow.broken, 1);
	CHECK(overflow_take(&overflow, 1, 4, true, delta));
	CHECK_EQ_U64(delta->hist.count, 4);
	CHECK(overflow_take(&overflow, 1, UINT64_MAX, true, delta));
	CHECK_EQ_U64(delta->hist.count, 6);
	overflow_deinit(&overflow);
	segment_close(&segment);
	free(delta);
	forged_close(&forged);
}

/* The delta is a histogram that everybody takes. */
static void check_packs(const struct overflow_delta *delta)
{
	static uint8_t packed[HIST_PACKED_MAX];
	ssize_t size = hist_delta_pack(&delta->hist, packed, sizeof(packed));
	uint64_t count;

	CHECK(size > 0);
	CHECK_OK(hist_packed_totals(packed, (size_t)size, &count, NULL, NULL));
	CHECK_EQ_U64(count, delta->hist.count);
}

CHECK_TEST(test_overflow_that_no_latencies_give_breaks_its_block_or_is_a_histogram)
{
	struct forged forged = forged_new(NULL, 1, SEALS);
	struct overflow_delta *delta = calloc(1, sizeof(*delta));
	struct segment segment;
	struct overflow overflow;

	CHECK_OK(segment_open(forged.fd, &segment, NULL));
	overflow_init(&overflow, &segment);
	for (unsigned i = 0; i < 3; i++)
		forged.shm->directory[i] = VOW_SHM_KEY(VOW_SHM_OBSERVED, 2, 0, 1 + i, 0);
	forged.shm->counters.directory = 3;
	/* Between 1 and 2 ns lie 127 slots that no whole number falls into. */
	block_count(&forged.shm->blocks[0], hist_slot(2) - 1, 7);
	/* Neither a sum nor a maximum; then one that is far too large. */
	block_count(&forged.shm->blocks[1], 0, 7);
	block_count(&forged.shm->blocks[2], hist_slot(1000), 7);
	forged.shm->blocks[2].sum_ns = forged.shm->blocks[2].max_ns = UINT64_MAX;
	CHECK_OK(overflow_scan(&overflow));
	CHECK(!overflow_take(&overflow, 0, UINT64_MAX, true, delta));
	CHECK_EQ_U64(overflow.broken, 1);
	for (unsigned i = 1; i < 3; i++) {
		CHECK(overflow_take(&overflow, i, UINT64_MAX, true, delta));
		CHECK_EQ_U64(delta->hist.count, 7);
		check_packs(delta);
	}
	overflow_deinit(&overflow);
	segment_close(&segment);
	free(delta);
	forged_close(&forged);
}

CHECK_TEST(test_described_state_redone_twice_changes_nothing)
{
	struct forged forged = forged_new(NULL, 1, SEALS);
	struct overflow_delta *delta = calloc(1, sizeof(*delta));
	uint8_t bytes[OVERFLOW_TAKE_MAX];
	struct segment segment;
	struct overflow overflow;
	struct vow_shm_block *block = &forged.shm->blocks[7];

	CHECK_OK(segment_open(forged.fd, &segment, NULL));
	overflow_init(&overflow, &segment);
	forged.shm->directory[7] = VOW_SHM_KEY(VOW_SHM_OBSERVED, 2, 0, 1, 0);
	forged.shm->counters.directory = 1;
	block->used = 1 << 9;
	block->groups[9].slots[1] = 41;
	block->groups[9].slots[127] = 300;
	block->sum_ns = 123456;
	CHECK_OK(overflow_scan(&overflow));
	CHECK(overflow_take(&overflow, 0, UINT64_MAX, true, delta));
	uint8_t *end = overflow_describe(&overflow, bytes, bytes + sizeof(bytes));
	CHECK(end != NULL);
	overflow_deinit(&overflow); /* it dies before it gives anything back */
	CHECK_EQ_U64(block->groups[9].taken[127], 0);

	for (unsigned i = 0; i < 2; i++) {
		const uint8_t *p = bytes;

		overflow_init(&overflow, &segment);
		CHECK_OK(overflow_redo(&overflow, &p, end));
		CHECK(p == end);
		CHECK_EQ_U64(block->groups[9].taken[1], 41);
		CHECK_EQ_U64(block->groups[9].taken[127], 300);
		CHECK_OK(overflow_scan(&overflow));
		CHECK(!overflow_take(&overflow, 0, UINT64_MAX, true, delta));
		overflow_deinit(&overflow);
	}
	/* Every shorter piece is refused, none does harm. */
	for (const uint8_t *cut = bytes; cut < end; cut++) {
		const uint8_t *p = bytes;

		overflow_init(&overflow, &segment);
		CHECK_RC(overflow_redo(&overflow, &p, cut), -EPROTO);
		overflow_deinit(&overflow);
	}
	segment_close(&segment);
	free(delta);
	forged_close(&forged);
}

/* Makes every slot of the block hold one observation; returns how many there are. */
static uint64_t block_fill(struct vow_shm_block *block)
{
	uint64_t count = 0;

	for (uint32_t slot = 0; slot < HIST_SLOTS; slot++) {
		if (hist_slot(hist_slot_last(slot)) != slot)
			continue; /* no whole number of ns falls into it */
		block_count(block, slot, 1);
		count++;
	}
	return count;
}

CHECK_TEST(test_description_cut_short_is_applied_as_far_as_it_goes)
{
	static uint8_t bytes[OVERFLOW_TAKE_MAX];
	struct forged forged = forged_new(NULL, 1, SEALS);
	struct overflow_delta *delta = calloc(1, sizeof(*delta));
	struct vow_shm_block *block = &forged.shm->blocks[7];
	const uint8_t *p = bytes;
	struct segment segment;
	struct overflow overflow;

	CHECK_OK(segment_open(forged.fd, &segment, NULL));
	overflow_init(&overflow, &segment);
	forged.shm->directory[7] = VOW_SHM_KEY(VOW_SHM_OBSERVED, 2, 0, 1, 0);
	forged.shm->counters.directory = 1;
	uint64_t count = block_fill(block);
	CHECK_OK(overflow_scan(&overflow));
	CHECK(overflow_take(&overflow, 0, UINT64_MAX, true, delta));
	CHECK_EQ_U64(delta->hist.count, count);
	uint8_t *end = overflow_describe(&overflow, bytes, bytes + sizeof(bytes));
	CHECK(end != NULL);
	overflow_deinit(&overflow);

	overflow_init(&overflow, &segment);
	CHECK_RC(overflow_redo(&overflow, &p, end - 3), -EPROTO); /* in the last slot's number */
	CHECK_EQ_U64(block->groups[0].taken[0], 1);
	CHECK_EQ_U64(block->groups[VOW_SHM_GROUPS - 1].taken[0], 0);
	CHECK_OK(overflow_scan(&overflow));
	CHECK(overflow_take(&overflow, 0, UINT64_MAX, true, delta));
	CHECK_EQ_U64(delta->hist.count, 1);
	/* Only what is new is described again, so it fits into the room that was announced. */
	end = overflow_describe(&overflow, bytes, bytes + sizeof(bytes));
	CHECK_LE_U64((uint64_t)(end - bytes), overflow.pending_bytes + 1);
	overflow_deinit(&overflow);
	segment_close(&segment);
	free(delta);
	forged_close(&forged);
}

CHECK_TEST(test_every_spare_block_is_known_and_waits_belong_to_outcomes)
{
	struct forged forged = forged_new(NULL, 1, SEALS);
	struct segment segment;
	struct overflow overflow;

	CHECK_OK(segment_open(forged.fd, &segment, NULL));
	overflow_init(&overflow, &segment);
	forged.shm->counters.spare[0] = forged.shm->counters.spare[1] = UINT64_MAX;
	CHECK_OK(overflow_scan(&overflow));
	CHECK_EQ_U64(overflow.count, VOW_SHM_SPARE);
	for (unsigned i = 0; i < overflow.count; i++) {
		unsigned kind = VOW_SHM_KEY_KIND(overflow_key(&overflow, i));
		int wait = overflow_wait_of(&overflow, i);

		CHECK_EQ_U64(kind, i / VOW_SHM_CLASSES);
		CHECK_EQ_I64(wait,
			     kind < VOW_SHM_WAIT ? (int)(i + VOW_SHM_WAIT * VOW_SHM_CLASSES) : -1);
	}
	overflow_deinit(&overflow);
	segment_close(&segment);
	forged_close(&forged);
}

#define SCARCE_BLOCKS 20 /* the list of blocks grows at 16 */
#define SCARCE_EACH   10

static uint64_t scarce_take(struct overflow *overflow, struct overflow_delta *delta)
{
	uint64_t taken = 0;

	for (unsigned i = 0; i < overflow->count; i++)
		if (overflow_take(overflow, i, UINT64_MAX, true, delta))
			taken += delta->hist.count;
	return taken;
}

static void scarce_forge(struct forged *forged)
{
	for (unsigned i = 0; i < SCARCE_BLOCKS; i++) {
		struct vow_shm_block *block = &forged->shm->blocks[i];

		forged->shm->directory[i] = VOW_SHM_KEY(VOW_SHM_OBSERVED, 2, 0, 1, i);
		block->groups[4].slots[0] = SCARCE_EACH;
		block->sum_ns = SCARCE_EACH * hist_slot_last(4 * 128);
		block->max_ns = hist_slot_last(4 * 128);
		block->used = 1 << 4;
	}
	forged->shm->counters.directory = SCARCE_BLOCKS;
}

CHECK_TEST(test_lack_of_memory_leaves_overflow_for_later)
{
	struct forged forged = forged_new(NULL, 1, SEALS);
	struct overflow_delta *delta = calloc(1, sizeof(*delta));
	struct segment segment;
	struct overflow overflow;

	scarce_forge(&forged);
	CHECK_OK(segment_open(forged.fd, &segment, NULL));
	CHECK_ALLOC_LOOP(n)
	{
		overflow_init(&overflow, &segment);
		int rc = overflow_scan(&overflow);
		uint64_t taken = scarce_take(&overflow, delta);

		CHECK(rc == 0 || (rc == -ENOMEM && check_alloc_failed()));
		if (check_alloc_failed()) {
			CHECK_LE_U64(taken, (SCARCE_BLOCKS - 1) * SCARCE_EACH);
			CHECK_OK(overflow_scan(&overflow));
			taken += scarce_take(&overflow, delta);
		}
		CHECK_EQ_U64(taken, SCARCE_BLOCKS * SCARCE_EACH);
		CHECK_EQ_U64(overflow.broken, 0);
		overflow_deinit(&overflow);
	}
	segment_close(&segment);
	free(delta);
	forged_close(&forged);
}

CHECK_TEST(test_lack_of_memory_at_the_begin_leaves_the_segment_as_it_was)
{
	static uint8_t bytes[SCARCE_BLOCKS * OVERFLOW_TAKE_MAX];
	struct forged forged = forged_new(NULL, 1, SEALS);
	struct overflow_delta *delta = calloc(1, sizeof(*delta));
	struct series_table *table = series_table_new(&(struct series_table_options){0});
	struct lane_segment *reader = calloc(1, sizeof(*reader));
	struct segment segment;
	struct overflow overflow;

	scarce_forge(&forged);
	CHECK_OK(segment_open(forged.fd, &segment, NULL));
	overflow_init(&overflow, &segment);
	CHECK_OK(overflow_scan(&overflow));
	CHECK_EQ_U64(scarce_take(&overflow, delta), SCARCE_BLOCKS * SCARCE_EACH);
	bytes[0] = 0; /* no lane */
	uint8_t *end = overflow_describe(&overflow, bytes + 1, bytes + sizeof(bytes));
	CHECK(end != NULL);
	overflow_deinit(&overflow);
	segment_close(&segment);
	CHECK_ALLOC_LOOP(n)
	{
		int rc = segment_open(forged.fd, &segment, NULL);

		if (rc == 0)
			rc = lane_segment_begin(reader, &segment, table, bytes,
						(size_t)(end - bytes));
		CHECK_RC(rc, check_alloc_failed() ? -ENOMEM : 0);
		CHECK(segment.shm == NULL); /* taken over in any case */
		if (rc == 0)
			lane_segment_end(reader);
	}
	/* However far the failed ones came, the last one has given all back that was described. */
	for (unsigned i = 0; i < SCARCE_BLOCKS; i++)
		CHECK_EQ_U64(forged.shm->blocks[i].groups[4].taken[0], SCARCE_EACH);
	free(reader);
	series_table_free(table);
	free(delta);
	forged_close(&forged);
}

CHECK_MAIN("overflow", test_overflow_word_that_runs_back_breaks_its_block_alone,
	   test_overflow_that_no_latencies_give_breaks_its_block_or_is_a_histogram,
	   test_described_state_redone_twice_changes_nothing,
	   test_description_cut_short_is_applied_as_far_as_it_goes,
	   test_every_spare_block_is_known_and_waits_belong_to_outcomes,
	   test_lack_of_memory_leaves_overflow_for_later,
	   test_lack_of_memory_at_the_begin_leaves_the_segment_as_it_was)
