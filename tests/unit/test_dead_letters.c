/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "export/dead_letters.h"
#include "lib/base/fd.h"
#include "tests/unit/check.h"

static char path[512], before[520];
static struct dead_letters *letters;

static struct { /* cookies of letters in the file, in their order */
	uint64_t cookies[16];
	size_t count;
} kept;

static void note_kept(void *arg, uint64_t cookie)
{
	(void)arg;
	kept.cookies[kept.count++] = cookie;
}

static void letters_make(const char *folder)
{
	snprintf(path, sizeof(path), "%s%s/dead-letters.jsonl", check_dir(), folder);
	snprintf(before, sizeof(before), "%s.1", path);
	remove(path);
	remove(before);
	kept.count = 0;
	letters = dead_letters_new(path, note_kept, NULL);
}

/* Their ids are numbers, which are their cookies as well. */
static void add(const char *id, const char *body)
{
	const struct body_dead_letter letter = {.id = id,
						.type = "alert.firing",
						.receiver = "pager",
						.class = RETRY_TIMEOUT,
						.tries = 3,
						.body = body};

	CHECK_OK(dead_letters_add(letters, &letter, strtoull(id, NULL, 10)));
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

	letters_make("");
	memset(body, 'x', length);
	memcpy(body, "{\"pad\":\"", 8);
	memcpy(body + length - 2, "\"}", 2);
	body[length] = '\0';
	for (unsigned i = 1; i <= 11; i++) { /* three letters fill a file */
		snprintf(id, sizeof(id), "%u letter", i);
		add(id, body);
		CHECK(size_of(path) <= DEAD_LETTERS_BYTES);
		CHECK(size_of(before) <= DEAD_LETTERS_BYTES);
	}
	CHECK_OK(fd_read_file(path, DEAD_LETTERS_BYTES, &text, &size, NULL));
	CHECK(strstr(text, "10 letter") && strstr(text, "11 letter") && !strstr(text, "9 letter"));
	free(text);
	CHECK_OK(fd_read_file(before, DEAD_LETTERS_BYTES, &text, &size, NULL));
	CHECK(strstr(text, "7 letter") && strstr(text, "9 letter"));
	free(text);
	free(body);
	CHECK_EQ_U64(kept.count, 11);
	dead_letters_free(letters);
}

CHECK_TEST(test_line_that_was_never_ended_does_not_swallow_the_next)
{
	char *text;
	size_t size;

	letters_make("");
	CHECK_OK(fd_replace_file(path, "{\"id\":\"to", 9, 0640, NULL));
	add("whole", "{}");
	CHECK_OK(fd_read_file(path, 4096, &text, &size, NULL));
	CHECK_MEM(text, "{\"id\":\"to\n{\"id\":\"whole\"", 23);
	CHECK(text[size - 1] == '\n');
	free(text);
	dead_letters_free(letters);
}

/* How many lines, each of a whole letter, are in the file. */
static unsigned lines(void)
{
	unsigned count = 0;
	size_t size;
	char *text;

	CHECK_OK(fd_read_file(path, 1 << 20, &text, &size, NULL));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), count++) {
		CHECK_EQ_U64(strncmp(line, "{\"id\":\"", 7), 0);
		CHECK(line[strlen(line) - 1] == '}');
	}
	free(text);
	return count;
}

CHECK_TEST(test_what_the_disk_refuses_waits_and_counts_once_it_is_kept)
{
	char folder[512];

	letters_make("/later");
	add("1", "{}");
	add("2", "{}");
	dead_letters_write(letters);
	CHECK_EQ_U64(kept.count, 0);
	snprintf(folder, sizeof(folder), "%s/later", check_dir());
	CHECK_EQ_I64(mkdir(folder, 0755), 0);
	dead_letters_write(letters);
	CHECK_EQ_U64(kept.count, 2);
	add("3", "{}");
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ_U64(kept.cookies[i], i + 1);
	CHECK_EQ_U64(lines(), 3);
	dead_letters_free(letters);
}

CHECK_TEST(test_half_a_line_is_taken_back)
{
	struct rlimit whole, small;
	size_t one;

	letters_make("");
	add("1", "{}");
	one = size_of(path);
	/* A file that may not grow takes the first part of a line, as a full disk does. */
	CHECK_EQ_I64(getrlimit(RLIMIT_FSIZE, &whole), 0);
	small = (struct rlimit){one + 10, whole.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	CHECK_EQ_I64(setrlimit(RLIMIT_FSIZE, &small), 0);
	add("2", "{}");
	CHECK_EQ_I64(setrlimit(RLIMIT_FSIZE, &whole), 0);
	CHECK_EQ_U64(kept.count, 1);
	CHECK_EQ_U64(size_of(path), one);
	dead_letters_free(letters); /* tries once more */
	CHECK_EQ_U64(kept.count, 2);
	CHECK_EQ_U64(lines(), 2);
}

CHECK_TEST(test_what_still_waits_at_the_end_is_not_kept)
{
	letters_make("/nowhere");
	add("1", "{}");
	dead_letters_free(letters);
	CHECK_EQ_U64(kept.count, 0);
	dead_letters_free(NULL);
}

CHECK_MAIN("dead_letters", test_full_file_makes_way_and_the_newest_letters_stay,
	   test_line_that_was_never_ended_does_not_swallow_the_next,
	   test_what_the_disk_refuses_waits_and_counts_once_it_is_kept,
	   test_half_a_line_is_taken_back, test_what_still_waits_at_the_end_is_not_kept)
