/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/dirs.h"
#include "tests/unit/check.h"

CHECK_TEST(test_one_folder_holds_everything)
{
	struct dirs dirs;

	CHECK_OK(dirs_init(&dirs, "/tmp/x//", NULL));
	CHECK_STR(dirs.run, "/tmp/x");
	CHECK_STR(dirs.state, "/tmp/x");
	CHECK_OK(dirs_init(&dirs, NULL, NULL));
	CHECK_STR(dirs.run, "/run/vow");
	CHECK_STR(dirs.state, "/var/lib/vow");
}

CHECK_TEST(test_an_empty_folder_is_no_default)
{
	struct dirs dirs;
	struct diag d = {0};

	CHECK_RC(dirs_init(&dirs, "", &d), -EINVAL);
	CHECK_STR_HAS(d.what, "empty");
}

CHECK_TEST(test_a_path_too_long_is_refused_with_its_length)
{
	char path[DIRS_PATH_MAX + 8];
	struct dirs dirs;
	struct diag d = {0};

	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	CHECK_RC(dirs_init(&dirs, path, &d), -ENAMETOOLONG);
	CHECK_STR_HAS(d.what, "519 characters");
}

CHECK_TEST(test_folders_are_made_with_their_parents)
{
	char path[DIRS_PATH_MAX];
	struct dirs dirs;
	struct stat st;

	CHECK_OK(dirs_path(path, check_dir(), "a/b/c"));
	CHECK_OK(dirs_init(&dirs, path, NULL));
	CHECK_OK(dirs_make(&dirs, NULL));
	CHECK_OK(dirs_make(&dirs, NULL));
	CHECK(stat(path, &st) == 0 && S_ISDIR(st.st_mode));
}

CHECK_TEST(test_a_file_in_the_way_is_named)
{
	char file[DIRS_PATH_MAX], below[DIRS_PATH_MAX];
	struct dirs dirs;
	struct diag d = {0};

	CHECK_OK(dirs_path(file, check_dir(), "plain"));
	FILE *f = fopen(file, "w");
	CHECK(f != NULL);
	fclose(f);
	CHECK_OK(dirs_path(below, file, "sub"));
	CHECK_OK(dirs_init(&dirs, below, NULL));
	CHECK_RC(dirs_make(&dirs, &d), -ENOTDIR);
	CHECK_STR_HAS(d.where, "plain");
}

CHECK_TEST(test_the_second_holder_is_told_the_first_ones_process)
{
	struct diag d = {0};
	char expected[64];
	int fd = dirs_lock(check_dir(), "vowd", &d);

	CHECK(fd >= 0);
	CHECK_RC(dirs_lock(check_dir(), "vowd", &d), -EBUSY);
	snprintf(expected, sizeof(expected), "%d", getpid());
	CHECK_STR_HAS(d.what, expected);
	close(fd);
	fd = dirs_lock(check_dir(), "vowd", &d);
	CHECK(fd >= 0);
	close(fd);
}

CHECK_MAIN("dirs", test_one_folder_holds_everything, test_an_empty_folder_is_no_default,
	   test_a_path_too_long_is_refused_with_its_length,
	   test_folders_are_made_with_their_parents, test_a_file_in_the_way_is_named,
	   test_the_second_holder_is_told_the_first_ones_process)
