/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "agent/local.h"
#include "tests/unit/check.h"

static void put(struct local *local, const char *name, const char *text, size_t room)
{
	uint8_t *to = local_open(local, name, room);

	CHECK(to != NULL);
	memcpy(to, text, strlen(text));
	local_close(local, strlen(text));
}

CHECK_TEST(test_sections_come_back_in_order)
{
	struct local local = {0};
	struct local_section section;
	size_t at = 0;

	put(&local, "lanes", "positions", 4096);
	put(&local, "nothing", "", 16);
	put(&local, "@a-name-that-is-far-too-long", "x", 1);
	CHECK_RC(local_next(local.bytes, local.size, &at, &section), 1);
	CHECK_STR(section.name, "lanes");
	CHECK_EQ_U64(section.size, 9);
	CHECK_MEM(section.bytes, "positions", 9);
	CHECK_RC(local_next(local.bytes, local.size, &at, &section), 1);
	CHECK_STR(section.name, "@a-name-that-is");
	CHECK_OK(local_next(local.bytes, local.size, &at, &section));
	local_free(&local);
}

CHECK_TEST(test_every_cut_is_noticed)
{
	struct local local = {0};
	struct local_section section;

	put(&local, "lanes", "positions", 9);
	for (size_t size = 1; size < local.size; size++) {
		size_t at = 0;
		CHECK_RC(local_next(local.bytes, size, &at, &section), -EPROTO);
	}
	local_free(&local);
}

CHECK_TEST(test_a_length_beyond_the_end_is_refused)
{
	struct local local = {0};
	struct local_section section;
	size_t at = 0;

	put(&local, "lanes", "positions", 9);
	memset(local.bytes + LOCAL_NAME, 0xff, 4);
	CHECK_RC(local_next(local.bytes, local.size, &at, &section), -EPROTO);
	local_free(&local);
}

CHECK_MAIN("local", test_sections_come_back_in_order, test_every_cut_is_noticed,
	   test_a_length_beyond_the_end_is_refused)
