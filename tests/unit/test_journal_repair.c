/* SPDX-License-Identifier: Apache-2.0 */
/* What an opening finds broken in a journal and mends, and what survives of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/crc32c.h"
#include "tests/unit/journal_written.h"

CHECK_TEST(test_torn_end_is_cut_wherever_it_tore)
{
	char path[PATH_MAX], *bytes;
	struct journal *journal;
	size_t size, record_end[6] = {JOURNAL_HEADER_BYTES};

	fresh_dir();
	journal = open_sized(0, 0);
	for (int i = 1; i <= 5; i++) {
		append_some(journal, 1);
		record_end[i] = (size_t)journal_counters(journal).bytes;
	}
	journal_close(journal);
	path_of(path, 1, "");
	size = file_get(path, &bytes);
	CHECK_EQ_U64(size, record_end[5]);
	for (size_t cut = JOURNAL_HEADER_BYTES; cut <= size; cut++) {
		uint64_t whole = 0;

		while (whole < 5 && record_end[whole + 1] <= cut)
			whole++;
		file_put(path, bytes, cut);
		journal = open_sized(0, 0);
		CHECK_EQ_U64(journal_last_seq(journal), whole);
		CHECK_EQ_U64(journal_counters(journal).torn_total, cut != record_end[whole]);
		CHECK_EQ_U64(journal_counters(journal).quarantined_total, 0);
		append_some(journal, 2);
		check_holds(1, whole + 2, 0);
		journal_close(journal);
		path_of(path, whole + 1, "");
		unlink(path);
		path_of(path, 1, "");
	}
	free(bytes);
}

CHECK_TEST(test_torn_header_leaves_a_journal_that_works)
{
	char path[PATH_MAX], *bytes;
	struct journal *journal;
	uint64_t epoch;

	for (size_t cut = 0; cut < JOURNAL_HEADER_BYTES; cut += 7) {
		fresh_dir();
		journal = open_sized(0, 0);
		epoch = journal_epoch(journal);
		append_some(journal, 3);
		journal_close(journal);
		journal = open_sized(0, 0);
		append_some(journal, 1);
		journal_close(journal);
		path_of(path, 4, "");
		file_get(path, &bytes);
		file_put(path, bytes, cut);
		free(bytes);
		journal = open_sized(0, 0);
		CHECK_EQ_U64(journal_epoch(journal), epoch);
		CHECK_EQ_U64(journal_last_seq(journal), 3);
		append_some(journal, 2);
		check_holds(1, 5, 0);
		journal_close(journal);
	}
}

CHECK_TEST(test_broken_middle_is_set_aside_and_the_rest_kept)
{
	enum { RECORDS = 6 };
	size_t end[RECORDS + 1] = {JOURNAL_HEADER_BYTES}, size;
	char path[PATH_MAX], aside[PATH_MAX], *bytes;
	struct journal *journal;

	fresh_dir();
	journal = open_sized(0, 0);
	for (int i = 1; i <= RECORDS; i++) {
		append_some(journal, 1);
		end[i] = (size_t)journal_counters(journal).bytes;
	}
	journal_close(journal);
	path_of(path, 1, "");
	path_of(aside, 1, ".quarantined");
	size = file_get(path, &bytes);
	/* Any byte of any record but the last: that record is lost, and no other. */
	for (size_t at = JOURNAL_HEADER_BYTES; at < end[RECORDS - 1]; at++) {
		char *rotten = malloc(size);
		struct stat st;

		CHECK(rotten);
		memcpy(rotten, bytes, size);
		rotten[at] ^= 0x10;
		file_put(path, rotten, size);
		free(rotten);
		journal = open_sized(0, 0);
		CHECK_EQ_U64(journal_last_seq(journal), RECORDS);
		CHECK_EQ_U64(journal_counters(journal).quarantined_total, 1);
		CHECK_EQ_U64(journal_counters(journal).lost_records_total, 1);
		check_holds(1, RECORDS, 1);
		CHECK_OK(stat(aside, &st));
		CHECK_EQ_U64((uint64_t)st.st_size, size);
		journal_close(journal);
		journal = open_sized(0, 0);
		CHECK_EQ_U64(journal_counters(journal).quarantined_total, 0);
		journal_close(journal);
		unlink(aside);
	}
	free(bytes);
}

CHECK_TEST(test_lack_of_memory_while_mending_loses_nothing_that_was_whole)
{
	enum { RECORDS = 6 };
	char path[PATH_MAX], aside[PATH_MAX], *bytes;
	struct journal *journal;
	bool failed = true;
	size_t size;

	fresh_dir();
	journal = open_sized(0, 0);
	append_some(journal, RECORDS);
	journal_close(journal);
	path_of(path, 1, "");
	path_of(aside, 1, ".quarantined");
	size = file_get(path, &bytes);
	bytes[JOURNAL_HEADER_BYTES + JOURNAL_HEAD_BYTES] ^= 0x10;
	for (unsigned n = 1; failed; n++) {
		struct journal_options options = {0};

		file_put(path, bytes, size);
		journal = NULL;
		check_alloc_fail_at(n);
		int rc = journal_open(dir, &options, &journal, &d);
		failed = check_alloc_failed();
		check_alloc_fail_at(0);
		CHECK(rc == 0 || (rc == -ENOMEM && failed));
		CHECK(failed || n > 3);
		journal_close(journal);
		journal = open_sized(0, 0);
		CHECK_EQ_U64(journal_last_seq(journal), RECORDS);
		check_holds(1, RECORDS, 1);
		journal_close(journal);
		unlink(aside);
	}
	free(bytes);
}

CHECK_TEST(test_older_segment_that_lost_its_end_is_filled_up)
{
	char path[PATH_MAX], *bytes;
	struct journal *journal;
	size_t size;

	fresh_dir();
	journal = open_sized(0, 0);
	append_some(journal, 5);
	journal_close(journal);
	journal = open_sized(0, 0);
	append_some(journal, 5);
	journal_close(journal);
	path_of(path, 1, "");
	size = file_get(path, &bytes);
	file_put(path, bytes, size - 60);
	free(bytes);
	journal = open_sized(0, 0);
	CHECK(journal_counters(journal).lost_records_total >= 1);
	check_holds(1, 10, journal_counters(journal).lost_records_total);
	journal_close(journal);
	/* A whole segment gone from between two others. */
	journal = open_sized(0, 0);
	append_some(journal, 5);
	journal_close(journal);
	path_of(path, 6, "");
	unlink(path);
	journal = open_sized(0, 0);
	CHECK_EQ_U64(journal_counters(journal).lost_records_total, 5);
	CHECK_EQ_U64(journal_last_seq(journal), 15);
	journal_close(journal);
}

CHECK_TEST(test_reader_goes_past_a_broken_record_of_a_running_writer)
{
	char path[PATH_MAX], *bytes;
	struct journal_reader *reader;
	struct journal_record record;
	struct journal *journal;
	size_t size;

	fresh_dir();
	journal = open_sized(200, 0);
	append_some(journal, 20);
	path_of(path, 1, "");
	size = file_get(path, &bytes);
	bytes[JOURNAL_HEADER_BYTES + 20] ^= 1;
	file_put(path, bytes, size);
	free(bytes);
	reader = reader_of(NULL, 1);
	CHECK_RC(journal_reader_next(reader, &record, &d), -EPROTO);
	CHECK_STR_HAS(d.what, "broken record");
	CHECK_RC(journal_reader_next(reader, &record, &d), 1);
	CHECK(record.seq > 1);
	check_record(&record);
	/* The writer's next start mends the segment; a reader then finds every number. */
	journal_close(journal);
	journal = open_sized(200, 0);
	check_holds(1, 20, 1);
	journal_reader_close(reader);
	journal_close(journal);
}

CHECK_TEST(test_a_pipe_in_the_place_of_a_segment_is_no_start_and_no_wait)
{
	const struct journal_options options = {0};
	struct journal *journal;
	char path[PATH_MAX];

	fresh_dir();
	journal = open_sized(200, 0);
	append_some(journal, 3);
	path_of(path, journal_last_seq(journal) + 1, "");
	journal_close(journal);
	CHECK_OK(mkfifo(path, 0600));
	alarm(20); /* ends the program, and so says that it hangs */
	CHECK_RC(journal_open(dir, &options, &journal, &d), -ESPIPE);
	alarm(0);
	CHECK_STR_HAS(d.where, path);
	CHECK_OK(unlink(path));
	check_holds(1, 3, 0);
}

static ssize_t merge_none(void *arg, const struct journal_record *records, size_t count,
			  const uint8_t **wire, size_t *wire_size)
{
	(void)arg, (void)records, (void)count, (void)wire, (void)wire_size;
	return 0;
}

CHECK_TEST(test_a_pipe_in_the_place_of_the_lock_is_not_waited_for)
{
	const struct journal_options options = {.merge = merge_none};
	char path[PATH_MAX + sizeof("/" JOURNAL_CLAIM_LOCK)];
	struct journal *journal;

	fresh_dir();
	CHECK_OK(journal_open(dir, &options, &journal, &d));
	journal_close(journal);
	snprintf(path, sizeof(path), "%s/" JOURNAL_CLAIM_LOCK, dir);
	CHECK_OK(unlink(path));
	CHECK_OK(mkfifo(path, 0600));
	alarm(20); /* ends the program, and so says that it hangs */
	CHECK_OK(journal_open(dir, &options, &journal, &d));
	alarm(0);
	journal_close(journal);
}

/* A segment of version 3, whose header begins as ours does, its checksum too. */
static void make_later_version(uint64_t first_seq)
{
	char path[PATH_MAX], *bytes;
	size_t size;

	path_of(path, first_seq, "");
	size = file_get(path, &bytes);
	bytes[8] = JOURNAL_VERSION + 1;
	memcpy(bytes + 60, &(uint32_t){crc32c(0, bytes, 60)}, 4);
	file_put(path, bytes, size);
	free(bytes);
}

CHECK_TEST(test_segment_of_another_version_stops_the_start)
{
	struct journal_options options = {0};
	struct journal *journal;

	fresh_dir();
	journal = open_sized(0, 0);
	append_some(journal, 3);
	journal_close(journal);
	make_later_version(1);
	CHECK_RC(journal_open(dir, &options, &journal, &d), -EPROTONOSUPPORT);
	CHECK_STR_HAS(d.what, "this vow reads versions 1 to 2");
	CHECK_STR_HAS(d.where, ".vowj");
}

CHECK_TEST(test_reader_stops_before_a_segment_of_another_version)
{
	struct journal_reader *reader;
	struct journal_record record;
	struct journal *journal;
	uint64_t *seqs;
	size_t count;

	fresh_dir();
	journal = open_sized(300, 0);
	append_some(journal, 20);
	journal_close(journal);
	CHECK_OK(journal_list(dir, &seqs, &count));
	CHECK(count >= 2);
	make_later_version(seqs[1]);
	CHECK_OK(journal_reader_open(dir, NULL, 1, &reader, &d));
	for (uint64_t seq = 1; seq < seqs[1]; seq++) {
		CHECK_RC(journal_reader_next(reader, &record, &d), 1);
		CHECK_EQ_U64(record.seq, seq);
	}
	for (unsigned again = 0; again < 2; again++) {
		d = (struct diag){0};
		CHECK_RC(journal_reader_next(reader, &record, &d), -EPROTONOSUPPORT);
		CHECK_STR_HAS(d.what, "version");
		CHECK_STR_HAS(d.fix, "start the version of vow that wrote it");
	}
	journal_reader_close(reader);
	CHECK_RC(journal_reader_open(dir, NULL, seqs[1], &reader, &d), -EPROTONOSUPPORT);
	CHECK_STR_HAS(d.what, "version");
	free(seqs);
}

CHECK_TEST(test_restart_of_the_machine_leaves_numbers_out)
{
	uint8_t bytes[JOURNAL_HEADER_BYTES];
	struct journal_header header;
	struct journal *journal;
	char path[PATH_MAX];
	int fd;

	fresh_dir();
	journal = open_sized(0, 0);
	append_some(journal, 3);
	journal_close(journal);
	path_of(path, 1, "");
	fd = journal_segment_open(path, O_RDWR, &header);
	CHECK(fd >= 0);
	header.boot_id[3] ^= 1;
	journal_header_encode(&header, JOURNAL_FILE_SEGMENT, bytes);
	CHECK_EQ_I64(pwrite(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	close(fd);
	journal = open_sized(0, 0);
	/* More than an agent in a hurry appends until the kernel writes back: 11 a second for 35 s. */
	CHECK_GE_U64(journal_last_seq(journal), 3 + 385);
	CHECK_EQ_U64(journal_last_seq(journal), 3 + 512);
	append_some(journal, 1);
	check_holds(1, 516, 512);
	journal_close(journal);
	journal = open_sized(0, 0);
	CHECK_EQ_U64(journal_last_seq(journal), 516);
	journal_close(journal);
}

/* What a reader claimed it may have sent: its number must not come again for something else. */
CHECK_TEST(test_a_newest_segment_that_is_broken_leaves_out_what_was_claimed)
{
	struct journal_reader *reader;
	struct journal *journal;
	char path[PATH_MAX];

	fresh_dir();
	journal = open_sized(0, 0);
	append_some(journal, 3);
	journal_close(journal);
	reader = reader_of("hub", 1);
	CHECK_OK(journal_reader_claim(reader, 70));
	journal_reader_close(reader);
	/* Nothing is lost: nothing is left out. */
	journal = open_sized(0, 0);
	append_some(journal, 3);
	CHECK_EQ_U64(journal_last_seq(journal), 6);
	journal_close(journal);
	path_of(path, 4, "");
	CHECK_OK(truncate(path, 0));
	journal = open_sized(0, 0);
	CHECK_EQ_U64(journal_last_seq(journal), 70);
	append_some(journal, 1);
	check_holds(1, 71, 67);
	journal_close(journal);
}

/* ---- between the steps of mending ---- */

static const char *mended; /* the segment's path; NULL: nobody looks */
static unsigned missing; /* times that nothing had its name behind a rename */
static bool disk_fails; /* when the mended file is to take the name */

/* In the place of the C library's. */
int rename(const char *from, const char *to)
{
	int rc;

	if (mended && disk_fails && strcmp(to, mended) == 0) {
		errno = EIO;
		return -1;
	}
	rc = renameat(AT_FDCWD, from, AT_FDCWD, to);
	missing += mended && access(mended, F_OK) < 0;
	return rc;
}

CHECK_TEST(test_segment_that_is_mended_has_its_name_all_the_time)
{
	char path[PATH_MAX], aside[PATH_MAX], *bytes;
	struct journal *journal = NULL;
	size_t size;

	fresh_dir();
	journal = open_sized(0, 0);
	append_some(journal, 3);
	journal_close(journal);
	path_of(path, 1, "");
	path_of(aside, 1, ".quarantined");
	size = file_get(path, &bytes);
	bytes[JOURNAL_HEADER_BYTES + JOURNAL_HEAD_BYTES] ^= 1;
	file_put(path, bytes, size);
	free(bytes);
	mended = path;
	disk_fails = true;
	CHECK_RC(journal_open(dir, NULL, &journal, &d), -EIO);
	CHECK_OK(access(path, F_OK));
	disk_fails = false;
	journal = open_sized(0, 0);
	mended = NULL;
	CHECK_EQ_U64(missing, 0);
	CHECK_EQ_U64(file_get(aside, &bytes), size);
	free(bytes);
	check_holds(1, 3, 1);
	journal_close(journal);
}

CHECK_MAIN("journal_repair", test_segment_that_is_mended_has_its_name_all_the_time,
	   test_torn_end_is_cut_wherever_it_tore, test_torn_header_leaves_a_journal_that_works,
	   test_broken_middle_is_set_aside_and_the_rest_kept,
	   test_lack_of_memory_while_mending_loses_nothing_that_was_whole,
	   test_older_segment_that_lost_its_end_is_filled_up,
	   test_reader_goes_past_a_broken_record_of_a_running_writer,
	   test_a_pipe_in_the_place_of_a_segment_is_no_start_and_no_wait,
	   test_a_pipe_in_the_place_of_the_lock_is_not_waited_for,
	   test_segment_of_another_version_stops_the_start,
	   test_reader_stops_before_a_segment_of_another_version,
	   test_a_newest_segment_that_is_broken_leaves_out_what_was_claimed,
	   test_restart_of_the_machine_leaves_numbers_out)
