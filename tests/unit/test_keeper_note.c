/* SPDX-License-Identifier: Apache-2.0 */
/* What keepers wrote down of that which they let go of. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collectors/lanes/keeper_note.h"
#include "lib/base/fd.h"
#include "lib/data/keep_wire.h"
#include "tests/unit/check.h"

static const char *note_path(void)
{
	static char path[400];

	snprintf(path, sizeof(path), "%s/" KEEP_TOLD, check_dir());
	return path;
}

static void note_write(const char *text)
{
	CHECK_OK(fd_replace_file(note_path(), text, strlen(text), 0600, NULL));
}

CHECK_TEST(test_lines_of_several_keepers_add_up_and_are_told_once)
{
	struct keeper_note note;

	CHECK(!keeper_note_take(check_dir(), &note));
	note_write("2 of 5 ended, 4096 bytes, 1 refused\n3 of 3 ended, 0 bytes, 0 refused\n");
	CHECK(keeper_note_take(check_dir(), &note));
	CHECK_EQ_U64(note.ended, 5);
	CHECK_EQ_U64(note.refused, 1);
	CHECK(!note.cut);
	CHECK(!keeper_note_take(check_dir(), &note));
}

CHECK_TEST(test_a_line_that_found_no_room_on_the_disk_is_missed)
{
	static const char *const cut[] = {"", "2 of 5 ended, 4096 bytes, 0 refused\n3 of",
					  "2 of 5 ended, 4096 bytes, 0 ref\n", "x\n"};
	struct keeper_note note;

	for (unsigned i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
		note_write(cut[i]);
		CHECK(keeper_note_take(check_dir(), &note));
		CHECK(note.cut);
		CHECK_EQ_U64(note.ended, i == 1 ? 2 : 0);
	}
}

CHECK_TEST(test_a_note_that_cannot_be_removed_is_not_told_again_and_again)
{
	struct keeper_note note;

	CHECK_OK(mkdir(note_path(), 0700));
	CHECK(!keeper_note_take(check_dir(), &note));
	CHECK_OK(rmdir(note_path()));
}

CHECK_MAIN("keeper_note", test_lines_of_several_keepers_add_up_and_are_told_once,
	   test_a_line_that_found_no_room_on_the_disk_is_missed,
	   test_a_note_that_cannot_be_removed_is_not_told_again_and_again)
