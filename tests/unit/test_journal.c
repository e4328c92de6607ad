/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/data/journal_format.h"
#include "tests/unit/check.h"

static struct journal *open_journal(const struct journal_options *options)
{
	struct journal *journal = NULL;

	CHECK_OK(journal_open(check_dir(), options, &journal, NULL));
	return journal;
}

static uint64_t append(struct journal *journal, const char *wire, const char *local)
{
	uint64_t seq = 0;

	CHECK_OK(journal_append(journal, 42, wire, strlen(wire), local, strlen(local), &seq, NULL));
	return seq;
}

static struct journal_reader *open_reader(const char *name, uint64_t from)
{
	struct journal_reader *reader = NULL;

	CHECK_OK(journal_reader_open(check_dir(), name, from, &reader, NULL));
	return reader;
}

/* Number of records that a fresh reader finds, and the last one's sequence number. */
static unsigned read_all(uint64_t *last)
{
	struct journal_reader *reader = open_reader(NULL, 1);
	struct journal_record record;
	unsigned found = 0;
	int rc;

	while ((rc = journal_reader_next(reader, &record, NULL)) != 0)
		if (rc > 0) {
			found++;
			*last = record.seq;
		}
	journal_reader_close(reader);
	return found;
}

CHECK_TEST(test_a_reader_gets_what_was_appended_and_then_waits)
{
	struct journal *journal = open_journal(NULL);
	struct journal_record record;

	CHECK(journal_at_segment_start(journal));
	CHECK_EQ_U64(append(journal, "one", "here"), 1);
	CHECK(!journal_at_segment_start(journal));
	struct journal_reader *reader = open_reader(NULL, 1);
	CHECK_EQ_U64(journal_reader_epoch(reader), journal_epoch(journal));
	CHECK_RC(journal_reader_next(reader, &record, NULL), 1);
	CHECK_EQ_U64(record.seq, 1);
	CHECK_EQ_U64(record.wall, 42);
	CHECK_MEM(record.wire, "one", 3);
	CHECK_MEM(record.local, "here", 4);
	CHECK_OK(journal_reader_next(reader, &record, NULL));
	CHECK_EQ_U64(append(journal, "two", ""), 2);
	CHECK_RC(journal_reader_next(reader, &record, NULL), 1);
	CHECK_EQ_U64(record.seq, 2);
	CHECK_EQ_U64(record.local_size, 0);
	journal_reader_close(reader);
	journal_close(journal);
}

CHECK_TEST(test_segments_follow_each_other_and_a_reader_may_go_back)
{
	const struct journal_options options = {.segment_bytes = 150};
	struct journal *journal = open_journal(&options);
	struct journal_record record;
	uint64_t last = 0;

	for (unsigned i = 0; i < 20; i++)
		append(journal, "0123456789", "");
	CHECK_GE_U64(journal_counters(journal).segments, 5);
	CHECK_EQ_U64(read_all(&last), 20);
	CHECK_EQ_U64(last, 20);
	struct journal_reader *reader = open_reader(NULL, 13);
	CHECK_RC(journal_reader_next(reader, &record, NULL), 1);
	CHECK_EQ_U64(record.seq, 13);
	CHECK_OK(journal_reader_seek(reader, 4));
	CHECK_RC(journal_reader_next(reader, &record, NULL), 1);
	CHECK_EQ_U64(record.seq, 4);
	journal_reader_close(reader);
	journal_close(journal);
}

CHECK_TEST(test_epoch_and_sequence_survive_a_restart)
{
	struct journal *journal = open_journal(NULL);

	append(journal, "one", "");
	uint64_t epoch = journal_epoch(journal);
	journal_close(journal);
	journal = open_journal(NULL);
	CHECK_EQ_U64(journal_epoch(journal), epoch);
	CHECK_EQ_U64(append(journal, "two", ""), 2);
	journal_close(journal);
}

CHECK_TEST(test_a_second_writer_is_refused)
{
	struct journal *journal = open_journal(NULL), *second;
	struct diag d = {0};

	CHECK_RC(journal_open(check_dir(), NULL, &second, &d), -EBUSY);
	CHECK(d.what[0] != '\0');
	journal_close(journal);
}

static void segment_of(char path[JOURNAL_PATH_MAX], uint64_t first)
{
	journal_segment_path(path, check_dir(), first);
}

CHECK_TEST(test_a_tail_torn_at_any_byte_is_cut)
{
	char path[JOURNAL_PATH_MAX];
	struct stat st;
	uint64_t last = 0;
	struct journal *journal = open_journal(NULL);

	append(journal, "first", "kept");
	append(journal, "second", "torn");
	journal_close(journal);
	segment_of(path, 1);
	CHECK_OK(stat(path, &st));
	off_t whole = st.st_size - (JOURNAL_RECORD_BYTES + 10);
	char *bytes;
	size_t size;
	CHECK_OK(fd_read_file(path, 1 << 20, &bytes, &size, NULL));
	for (off_t cut = whole + 1; cut < st.st_size; cut++) {
		CHECK_OK(fd_replace_file(path, bytes, (size_t)cut, 0644, NULL));
		journal = open_journal(NULL);
		CHECK_EQ_U64(journal_counters(journal).torn_total, 1);
		CHECK_EQ_U64(append(journal, "again", ""), 2);
		journal_close(journal);
		CHECK_EQ_U64(read_all(&last), 2);
	}
	free(bytes);
}

CHECK_TEST(test_a_segment_that_never_got_its_first_record_goes)
{
	char path[JOURNAL_PATH_MAX];
	struct journal *journal = open_journal(NULL);

	append(journal, "first", "");
	journal_close(journal);
	segment_of(path, 1);
	CHECK_OK(truncate(path, JOURNAL_HEADER_BYTES + 7));
	journal = open_journal(NULL);
	CHECK(journal_at_segment_start(journal));
	CHECK_EQ_U64(append(journal, "first again", ""), 1);
	journal_close(journal);
}

CHECK_TEST(test_rot_in_the_middle_sets_the_segment_aside_and_numbers_are_not_reused)
{
	char path[JOURNAL_PATH_MAX], aside[JOURNAL_PATH_MAX + 16];
	uint64_t last = 0;
	struct journal *journal = open_journal(NULL);

	for (unsigned i = 0; i < 5; i++)
		append(journal, "0123456789", "");
	uint64_t epoch = journal_epoch(journal);
	journal_close(journal);
	segment_of(path, 1);
	int fd = open(path, O_WRONLY);
	CHECK(fd >= 0);
	off_t second = JOURNAL_HEADER_BYTES + JOURNAL_RECORD_BYTES + 10;
	CHECK(pwrite(fd, "rot", 3, second + JOURNAL_RECORD_BYTES + 2) == 3);
	close(fd);
	journal = open_journal(NULL);
	CHECK_EQ_U64(journal_counters(journal).quarantined_total, 1);
	CHECK_EQ_U64(journal_epoch(journal), epoch);
	uint64_t next = append(journal, "afterwards", "");
	CHECK_GE_U64(next, 6);
	snprintf(aside, sizeof(aside), "%s.quarantined", path);
	CHECK_OK(access(aside, R_OK));
	journal_close(journal);
	CHECK_EQ_U64(read_all(&last), 2); /* the first one and the new one */
	CHECK_EQ_U64(last, next);
}

CHECK_TEST(test_a_full_disk_leaves_the_journal_as_it_was)
{
	const struct rlimit small = {.rlim_cur = 4096, .rlim_max = RLIM_INFINITY};
	const struct rlimit large = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
	char big[8192];
	uint64_t seq = 0, last = 0;
	struct diag d = {0};
	struct journal *journal = open_journal(NULL);

	memset(big, 'x', sizeof(big));
	append(journal, "before", "");
	signal(SIGXFSZ, SIG_IGN);
	CHECK_OK(setrlimit(RLIMIT_FSIZE, &small));
	CHECK_RC(journal_append(journal, 1, big, sizeof(big), "", 0, &seq, &d), -ENOSPC);
	CHECK_OK(setrlimit(RLIMIT_FSIZE, &large));
	CHECK_EQ_U64(journal_last_seq(journal), 1);
	CHECK_STR_HAS(d.what, "No space");
	CHECK_EQ_U64(append(journal, "after", ""), 2);
	journal_close(journal);
	CHECK_EQ_U64(read_all(&last), 2);
}

CHECK_TEST(test_trimming_waits_for_readers_and_for_the_keyframe)
{
	const struct journal_options options = {.segment_bytes = 100};
	struct journal *journal = open_journal(&options);
	uint64_t last = 0;

	for (unsigned i = 0; i < 10; i++) /* one record a segment */
		append(journal, "0123456789", "");
	struct journal_reader *reader = open_reader("hub", 1);
	journal_trim(journal, 10);
	CHECK_EQ_U64(journal_counters(journal).segments, 10);
	CHECK_OK(journal_reader_commit(reader, 6));
	CHECK_EQ_U64(journal_position(check_dir(), "hub", journal_epoch(journal)), 6);
	CHECK_EQ_U64(journal_position(check_dir(), "hub", 1), 0);
	journal_trim(journal, 4);
	CHECK_EQ_U64(read_all(&last), 7); /* 4 to 10 */
	journal_trim(journal, 10);
	CHECK_EQ_U64(read_all(&last), 4); /* 7 to 10 */
	CHECK_EQ_U64(journal_counters(journal).dropped_records_total, 0);
	journal_reader_close(reader);
	journal_close(journal);
}

CHECK_TEST(test_what_the_budget_costs_is_counted)
{
	const struct journal_options options = {.segment_bytes = 100, .budget_bytes = 320};
	struct journal *journal = open_journal(&options);
	uint64_t last = 0;

	append(journal, "0123456789", "");
	struct journal_reader *reader = open_reader("hub", 1);
	for (unsigned i = 1; i < 10; i++)
		append(journal, "0123456789", "");
	journal_trim(journal, 10);
	unsigned left = read_all(&last);
	CHECK_EQ_U64(left, 3); /* 106 bytes each */
	CHECK_EQ_U64(journal_counters(journal).dropped_records_total, 7);
	journal_reader_close(reader);
	journal_close(journal);
}

CHECK_TEST(test_a_segment_of_another_version_is_left_alone)
{
	char path[JOURNAL_PATH_MAX];
	struct diag d = {0};
	struct journal *journal = open_journal(NULL);

	append(journal, "first", "");
	journal_close(journal);
	segment_of(path, 1);
	int fd = open(path, O_WRONLY);
	CHECK(fd >= 0 && pwrite(fd, "\x09", 1, 8) == 1);
	close(fd);
	CHECK_RC(journal_open(check_dir(), NULL, &journal, &d), -ENOTSUP);
	CHECK_STR_HAS(d.what, "version 9");
	CHECK_OK(access(path, R_OK));
}

CHECK_MAIN("journal", test_a_reader_gets_what_was_appended_and_then_waits,
	   test_segments_follow_each_other_and_a_reader_may_go_back,
	   test_epoch_and_sequence_survive_a_restart, test_a_second_writer_is_refused,
	   test_a_tail_torn_at_any_byte_is_cut, test_a_segment_that_never_got_its_first_record_goes,
	   test_rot_in_the_middle_sets_the_segment_aside_and_numbers_are_not_reused,
	   test_a_full_disk_leaves_the_journal_as_it_was,
	   test_trimming_waits_for_readers_and_for_the_keyframe,
	   test_what_the_budget_costs_is_counted, test_a_segment_of_another_version_is_left_alone)
