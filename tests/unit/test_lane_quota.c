/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/lanes/lane_quota.h"
#include "lib/base/types.h"
#include "tests/unit/check.h"

#define MIB (UINT64_C(1) << 20)

CHECK_TEST(test_up_to_the_quota_nothing_goes)
{
	struct lane_use uses[17] = {{.user = 7, .bytes = 5}};

	CHECK_EQ_I64(lane_quota_excess(uses, 0), -1);
	CHECK_EQ_I64(lane_quota_excess(uses, 1), -1);
	for (unsigned i = 0; i < 16; i++)
		uses[i] = (struct lane_use){.user = 7, .bytes = LANE_QUOTA_SEGMENT};
	uses[16] = (struct lane_use){.user = 8, .bytes = LANE_QUOTA_SEGMENT};
	CHECK_EQ_I64(lane_quota_excess(uses, ARRAY_LEN(uses)), -1);
}

CHECK_TEST(test_a_segment_beyond_its_own_quota_goes)
{
	const struct lane_use uses[] = {{.user = 7, .bytes = LANE_QUOTA_SEGMENT},
					{.user = 8, .bytes = LANE_QUOTA_SEGMENT + 1}};

	CHECK_EQ_I64(lane_quota_excess(uses, ARRAY_LEN(uses)), 1);
}

CHECK_TEST(test_the_largest_goes_of_the_user_who_has_too_much_and_of_no_other)
{
	struct lane_use uses[30];

	for (unsigned i = 0; i < ARRAY_LEN(uses); i++)
		uses[i] = (struct lane_use){.user = 7, .bytes = 70 * MIB};
	uses[3] = (struct lane_use){.user = 8, .bytes = 100 * MIB};
	uses[20].bytes = 71 * MIB;
	/* 29 x 70 + 1 = 2031 MiB: below; 18 more are too many. */
	CHECK_EQ_I64(lane_quota_excess(uses, ARRAY_LEN(uses)), -1);
	uses[9].bytes = 88 * MIB;
	CHECK_EQ_I64(lane_quota_excess(uses, ARRAY_LEN(uses)), 9);
	uses[9].bytes = 0;
	CHECK_EQ_I64(lane_quota_excess(uses, ARRAY_LEN(uses)), -1);
}

CHECK_MAIN("lane_quota", test_up_to_the_quota_nothing_goes,
	   test_a_segment_beyond_its_own_quota_goes,
	   test_the_largest_goes_of_the_user_who_has_too_much_and_of_no_other)
