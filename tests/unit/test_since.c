/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/since.h"
#include "lib/base/fd.h"
#include "tests/unit/check.h"

CHECK_TEST(test_first_start_is_remembered_for_the_life_of_a_journal)
{
	CHECK_EQ_U64(since_load(check_dir(), 7, 1000), 1000);
	CHECK_EQ_U64(since_load(check_dir(), 7, 2000), 1000);
	/* Another journal begins anew. */
	CHECK_EQ_U64(since_load(check_dir(), 8, 3000), 3000);
	CHECK_EQ_U64(since_load(check_dir(), 8, 4000), 3000);
}

CHECK_TEST(test_damaged_or_future_memory_begins_anew)
{
	static const char *const damaged[] = {"", "7", "x y", "7 0", "7 9999"};
	char path[512];

	snprintf(path, sizeof(path), "%s/since", check_dir());
	for (unsigned i = 0; i < ARRAY_LEN(damaged); i++) {
		CHECK_OK(fd_replace_file(path, damaged[i], strlen(damaged[i]), 0600, NULL));
		CHECK_EQ_U64(since_load(check_dir(), 7, 1000 + i), 1000 + i);
	}
	CHECK_EQ_U64(since_load("/proc/nowhere", 7, 5), 5);
}

CHECK_MAIN("since", test_first_start_is_remembered_for_the_life_of_a_journal,
	   test_damaged_or_future_memory_begins_anew)
