/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "export/dead_letters.h"
#include "lib/base/fd.h"
#include "tests/unit/check.h"

static char path[512], before[520];

static void paths_make(void)
{
	snprintf(path, sizeof(path), "%s/dead-letters.jsonl", check_dir());
	snprintf(before, sizeof(before), "%s.1", path);
	remove(path);
	remove(before);
}

static void add(const char *id, const char *body)
{
	const struct body_dead_letter letter = {.id = id,
						.type = "alert.firing",
						.receiver = "pager",
						.class = RETRY_TIMEOUT,
						.tries = 3,
						.body = body};

	CHECK_OK(dead_letters_add(path, &letter));
}

static size_t size_of(const char *file)
{
	struct stat st;

	return stat(file, &st) < 0 ? 0 : (size_t)st.st_size;
}

CHECK_TEST(test_full_file_makes_way_and_the_newest_letters_stay)
{
	size_t length = DEAD_LETTERS_BYTES / 4;
	char *body = malloc(length + 1), *text, id[16];
	size_t size;

	paths_make();
	memset(body, 'x', length);
	memcpy(body, "{\"pad\":\"", 8);
	memcpy(body + length - 2, "\"}", 2);
	body[length] = '\0';
	for (unsigned i = 1; i <= 11; i++) { /* three letters fill a file */
		snprintf(id, sizeof(id), "letter %u", i);
		add(id, body);
		CHECK(size_of(path) <= DEAD_LETTERS_BYTES);
		CHECK(size_of(before) <= DEAD_LETTERS_BYTES);
	}
	CHECK_OK(fd_read_file(path, DEAD_LETTERS_BYTES, &text, &size, NULL));
	CHECK(strstr(text, "letter 10\"") && strstr(text, "letter 11\"") && !strstr(text, "9\""));
	free(text);
	CHECK_OK(fd_read_file(before, DEAD_LETTERS_BYTES, &text, &size, NULL));
	CHECK(strstr(text, "letter 7\"") && strstr(text, "letter 9\""));
	free(text);
	free(body);
}

CHECK_TEST(test_line_that_was_never_ended_does_not_swallow_the_next)
{
	char *text;
	size_t size;

	paths_make();
	CHECK_OK(fd_replace_file(path, "{\"id\":\"to", 9, 0640, NULL));
	add("whole", "{}");
	CHECK_OK(fd_read_file(path, 4096, &text, &size, NULL));
	CHECK_MEM(text, "{\"id\":\"to\n{\"id\":\"whole\"", 23);
	CHECK(text[size - 1] == '\n');
	free(text);
}

CHECK_TEST(test_folder_that_is_gone_is_an_error)
{
	const struct body_dead_letter letter = {
		.id = "a", .type = "t", .receiver = "r", .body = "{}"};

	CHECK_RC(dead_letters_add("/nonexistent/dead-letters.jsonl", &letter), -ENOENT);
}

CHECK_MAIN("dead_letters", test_full_file_makes_way_and_the_newest_letters_stay,
	   test_line_that_was_never_ended_does_not_swallow_the_next,
	   test_folder_that_is_gone_is_an_error)
