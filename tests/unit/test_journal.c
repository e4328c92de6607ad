/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/crc32c.h"
#include "lib/data/journal_keyframe.h"
#include "lib/data/journal_writer.h"
#include "tests/unit/journal_written.h"

CHECK_TEST(test_what_was_appended_is_read_over_many_segments)
{
	struct journal *journal;
	uint64_t epoch;

	fresh_dir();
	journal = open_sized(300, 0);
	CHECK(journal_at_segment_start(journal));
	CHECK_EQ_U64(journal_last_seq(journal), 0);
	epoch = journal_epoch(journal);
	CHECK(epoch != 0);
	append_some(journal, 100);
	CHECK(journal_counters(journal).segments > 10);
	check_holds(1, 100, 0);
	check_holds(57, 100, 0);
	journal_close(journal);

	journal = open_sized(300, 0);
	CHECK_EQ_U64(journal_epoch(journal), epoch);
	CHECK_EQ_U64(journal_last_seq(journal), 100);
	CHECK(journal_at_segment_start(journal));
	append_some(journal, 50);
	check_holds(1, 150, 0);
	CHECK_EQ_U64(journal_counters(journal).torn_total, 0);
	CHECK_EQ_U64(journal_counters(journal).quarantined_total, 0);
	journal_close(journal);
}

CHECK_TEST(test_reader_follows_a_live_writer)
{
	struct journal_reader *reader = NULL;
	struct journal_record record;
	struct journal *journal;

	fresh_dir();
	CHECK_RC(journal_reader_open(dir, NULL, 1, &reader, &d), -ENOENT);
	journal = open_sized(500, 0);
	CHECK_RC(journal_reader_open(dir, NULL, 1, &reader, &d), -ENOENT);
	append_some(journal, 1);
	reader = reader_of(NULL, 1);
	CHECK_EQ_U64(journal_reader_epoch(reader), journal_epoch(journal));
	CHECK_RC(journal_reader_next(reader, &record, &d), 1);
	for (uint64_t seq = 2; seq < 200; seq++) {
		CHECK_RC(journal_reader_next(reader, &record, &d), 0);
		append_some(journal, 1);
		CHECK_RC(journal_reader_next(reader, &record, &d), 1);
		CHECK_EQ_U64(record.seq, seq);
		check_record(&record);
		if (seq % 50 == 0) { /* The writer restarts. */
			journal_close(journal);
			journal = open_sized(500, 0);
		}
	}
	CHECK_OK(journal_reader_seek(reader, 77));
	CHECK_RC(journal_reader_next(reader, &record, &d), 1);
	CHECK_EQ_U64(record.seq, 77);
	CHECK_OK(journal_reader_seek(reader, 10000));
	CHECK_RC(journal_reader_next(reader, &record, &d), 0);
	journal_reader_close(reader);
	journal_close(journal);
}

CHECK_TEST(test_reader_does_not_take_a_record_in_the_making)
{
	struct journal_reader *reader;
	struct journal_record record;
	struct journal *journal;
	char path[PATH_MAX], *bytes;
	size_t size;

	fresh_dir();
	journal = open_sized(0, 0);
	append_some(journal, 3);
	path_of(path, 1, "");
	size = file_get(path, &bytes);
	for (size_t cut = JOURNAL_HEADER_BYTES; cut < size; cut++) {
		uint64_t seq = 0;

		file_put(path, bytes, cut);
		reader = reader_of(NULL, 1);
		while (journal_reader_next(reader, &record, &d) > 0)
			check_record(&record), seq = record.seq;
		CHECK(seq < 3);
		CHECK_RC(journal_reader_next(reader, &record, &d), 0);
		file_put(path, bytes, size); /* The same file, now with the rest. */
		while (journal_reader_next(reader, &record, &d) > 0)
			seq = record.seq;
		CHECK_EQ_U64(seq, 3);
		journal_reader_close(reader);
	}
	free(bytes);
	journal_close(journal);
}

CHECK_TEST(test_second_writer_is_refused)
{
	struct journal *journal, *second = NULL;
	struct journal_options options = {0};

	fresh_dir();
	journal = open_sized(0, 0);
	CHECK_RC(journal_open(dir, &options, &second, &d), -EBUSY);
	journal_close(journal);
	CHECK_OK(journal_open(dir, &options, &second, &d));
	journal_close(second);
}

CHECK_TEST(test_trim_waits_for_every_reader_and_keeps_the_newest)
{
	struct journal_reader *hub, *other;
	struct journal *journal;

	fresh_dir();
	journal = open_sized(200, 0);
	append_some(journal, 100);
	hub = reader_of("hub", 1);
	other = reader_of("other", 1);
	journal_trim(journal, UINT64_MAX);
	check_holds(1, 100, 0);
	CHECK_OK(journal_reader_commit(hub, 60));
	CHECK_EQ_U64(journal_position(dir, "hub", journal_epoch(journal)), 60);
	CHECK_EQ_U64(journal_position(dir, "hub", journal_epoch(journal) + 1), 0);
	CHECK_EQ_U64(journal_position(dir, "nobody", journal_epoch(journal)), 0);
	journal_trim(journal, UINT64_MAX);
	check_holds(1, 100, 0);
	CHECK_OK(journal_reader_commit(other, 100));
	journal_trim(journal, 40);
	check_holds(40, 100, 0);
	journal_trim(journal, UINT64_MAX);
	check_holds(61, 100, 0);
	CHECK_OK(journal_reader_commit(hub, 100));
	journal_trim(journal, UINT64_MAX);
	CHECK_EQ_U64(journal_counters(journal).segments, 1);
	CHECK_EQ_U64(journal_counters(journal).dropped_records_total, 0);
	/* What the position says survives a restart; a broken one counts as nothing read. */
	journal_reader_close(hub);
	hub = reader_of("hub", 1);
	CHECK_EQ_U64(journal_position(dir, "hub", journal_epoch(journal)), 100);
	CHECK_RC(journal_reader_open(dir, "../hub", 1, &hub, &d), -EINVAL);
	journal_reader_close(hub);
	journal_reader_close(other);
	journal_close(journal);
}

CHECK_TEST(test_broken_position_counts_as_nothing_read)
{
	struct journal_reader *hub;
	struct journal *journal;
	char path[PATH_MAX + 16], *bytes;
	size_t size;

	fresh_dir();
	journal = open_sized(200, 0);
	append_some(journal, 10);
	hub = reader_of("hub", 1);
	CHECK_OK(journal_reader_commit(hub, 7));
	snprintf(path, sizeof(path), "%s/hub.position", dir);
	size = file_get(path, &bytes);
	for (size_t at = 0; at + 1 < size; at++) {
		bytes[at] ^= 1;
		file_put(path, bytes, size);
		CHECK_EQ_U64(journal_position(dir, "hub", journal_epoch(journal)), 0);
		bytes[at] ^= 1;
		file_put(path, bytes, at);
		CHECK_EQ_U64(journal_position(dir, "hub", journal_epoch(journal)), 0);
	}
	file_put(path, bytes, size);
	CHECK_EQ_U64(journal_position(dir, "hub", journal_epoch(journal)), 7);
	free(bytes);
	journal_reader_close(hub);
	journal_close(journal);
}

CHECK_TEST(test_without_readers_the_budget_is_kept_as_memory)
{
	struct journal *journal;

	fresh_dir();
	journal = open_sized(300, 2000);
	append_some(journal, 20);
	journal_trim(journal, UINT64_MAX);
	check_holds(1, 20, 0);
	append_some(journal, 180);
	journal_trim(journal, UINT64_MAX);
	CHECK_LE_U64(journal_counters(journal).bytes, 2000);
	CHECK(journal_counters(journal).bytes > 1000);
	CHECK_EQ_U64(journal_counters(journal).dropped_records_total, 0);
	journal_close(journal);
}

CHECK_TEST(test_budget_drops_the_oldest_and_counts_what_was_unread)
{
	struct journal_reader *hub;
	struct journal_record record;
	struct journal *journal;

	fresh_dir();
	journal = open_sized(300, 2000);
	append_some(journal, 10);
	hub = reader_of("hub", 1);
	CHECK_OK(journal_reader_commit(hub, 5));
	append_some(journal, 190);
	CHECK(journal_counters(journal).bytes > 2000);
	/* What the writer itself still needs stays, whatever it costs. */
	journal_trim(journal, 1);
	check_holds(1, 200, 0);
	journal_trim(journal, 195);
	CHECK_LE_U64(journal_counters(journal).bytes, 2000);
	/* The reader, who had read nothing but committed 5, goes on with what is left. */
	CHECK_OK(journal_reader_seek(hub, 6));
	CHECK_RC(journal_reader_next(hub, &record, &d), 1);
	CHECK_EQ_U64(record.seq - 6, journal_counters(journal).dropped_records_total);
	check_holds(record.seq, 200, 0);
	journal_reader_close(hub);
	journal_close(journal);
}

CHECK_TEST(test_full_disk_leaves_the_journal_whole)
{
	struct rlimit old, small;
	struct journal *journal;
	uint64_t refused = 0;

	fresh_dir();
	journal = open_sized(0, 0);
	append_some(journal, 3);
	CHECK_OK(getrlimit(RLIMIT_FSIZE, &old));
	signal(SIGXFSZ, SIG_IGN);
	/* Every room behind the third record that is too small for the fourth. */
	for (rlim_t room = 0; room < 32; room++) {
		uint8_t wire[64];
		int rc;

		small = old;
		small.rlim_cur = journal_counters(journal).bytes + room;
		CHECK_OK(setrlimit(RLIMIT_FSIZE, &small));
		rc = journal_append(journal, 1, wire, sizeof(wire), NULL, 0, NULL, &d);
		CHECK_OK(setrlimit(RLIMIT_FSIZE, &old));
		CHECK(rc == -EFBIG || rc == -ENOSPC);
		refused++;
		CHECK_EQ_U64(journal_last_seq(journal), 3);
		check_holds(1, 3, 0);
	}
	CHECK_EQ_U64(refused, 32);
	append_some(journal, 1);
	check_holds(1, 4, 0);
	journal_close(journal);
	/* And no room even for the header of a new segment. */
	journal = open_sized(0, 0);
	small.rlim_cur = 70;
	CHECK_OK(setrlimit(RLIMIT_FSIZE, &small));
	CHECK(journal_append(journal, 1, "x", 1, NULL, 0, NULL, &d) < 0);
	small.rlim_cur = 20;
	CHECK_OK(setrlimit(RLIMIT_FSIZE, &small));
	CHECK(journal_append(journal, 1, "x", 1, NULL, 0, NULL, &d) < 0);
	CHECK_OK(setrlimit(RLIMIT_FSIZE, &old));
	CHECK(journal_at_segment_start(journal));
	check_holds(1, 4, 0);
	append_some(journal, 1);
	check_holds(1, 5, 0);
	journal_close(journal);
}

static void leave_behind(uint64_t seq, const void *bytes, size_t size)
{
	char path[sizeof(dir) + 32];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%016llx.vowj", dir, (unsigned long long)seq);
	file = fopen(path, "w");
	CHECK(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
}

/* As after a disk that let a segment be made, then neither be written to nor removed. */
CHECK_TEST(test_what_has_the_name_of_the_next_segment_is_taken_away)
{
	const char torn[JOURNAL_HEADER_BYTES + 5] = "torn";
	char aside[sizeof(dir) + 40], path[sizeof(dir) + 32];
	struct journal *journal;
	struct stat st;

	fresh_dir();
	journal = open_sized(0, 0);
	leave_behind(1, "", 0);
	append_some(journal, 3);
	check_holds(1, 3, 0);
	journal_close(journal);
	journal = open_sized(0, 0);
	leave_behind(4, torn, JOURNAL_HEADER_BYTES);
	append_some(journal, 2);
	check_holds(1, 5, 0);
	CHECK_EQ_U64(journal_counters(journal).quarantined_total, 0);
	journal_close(journal);
	/* What is more than a header is kept beside. */
	journal = open_sized(0, 0);
	leave_behind(6, torn, sizeof(torn));
	append_some(journal, 2);
	check_holds(1, 7, 0);
	CHECK_EQ_U64(journal_counters(journal).quarantined_total, 1);
	snprintf(aside, sizeof(aside), "%s/%016x.vowj.quarantined", dir, 6);
	CHECK_OK(stat(aside, &st));
	CHECK_EQ_U64((uint64_t)st.st_size, sizeof(torn));
	journal_close(journal);
	/* Nor does it write through a link. */
	journal = open_sized(0, 0);
	snprintf(path, sizeof(path), "%s/%016x.vowj", dir, 8);
	CHECK_OK(symlink(aside, path));
	append_some(journal, 1);
	check_holds(1, 8, 0);
	CHECK_OK(stat(aside, &st));
	CHECK_EQ_U64((uint64_t)st.st_size, sizeof(torn));
	journal_close(journal);
}

/* tests/golden/make_journal.py wrote the file from the document of the format. */
#define GOLDEN		"tests/golden/0000000000000029.vowj"
#define GOLDEN_KEYFRAME "tests/golden/0000000000000029.vowk"

static const uint8_t *golden_wire(void)
{
	static uint8_t bytes[256];

	for (int i = 0; i < 256; i++)
		bytes[i] = (uint8_t)i;
	return bytes;
}

CHECK_TEST(test_written_bytes_are_the_golden_ones)
{
	const struct journal_record records[] = {
		{.seq = 0x29,
		 .wall = 1795315200000000001,
		 .wire = (const uint8_t *)"what the hub gets",
		 .wire_size = 17,
		 .local = (const uint8_t *)"what stays",
		 .local_size = 10},
		{.seq = 0x2a, .wall = 1795315201000000002},
		{.seq = 0x2b, .wall = 1795315202000000003, .wire = golden_wire(), .wire_size = 256},
	};
	struct journal_header header = {
		.epoch = 0x0123456789abcdef, .first_seq = 0x29, .begun_at = 1795315200000000000};
	uint8_t bytes[1024], *p = bytes + JOURNAL_HEADER_BYTES;
	char *golden;
	size_t size = file_get(GOLDEN, &golden);

	for (int i = 0; i < 16; i++)
		header.boot_id[i] = (uint8_t)i;
	journal_header_encode(&header, JOURNAL_FILE_SEGMENT, bytes);
	for (size_t i = 0; i < ARRAY_LEN(records); i++) {
		journal_head_encode(p, &records[i]);
		p += JOURNAL_HEAD_BYTES;
		if (records[i].wire_size)
			memcpy(p, records[i].wire, records[i].wire_size);
		p += records[i].wire_size;
		if (records[i].local_size)
			memcpy(p, records[i].local, records[i].local_size);
		p += records[i].local_size;
	}
	CHECK_EQ_U64((uint64_t)(p - bytes), size);
	CHECK_MEM(bytes, golden, size);
	free(golden);
}

/* The mark of the golden keyframe's record. */
static struct journal_mark golden_mark(void)
{
	struct journal_reader *reader = NULL;
	struct journal_record record;
	struct journal_mark mark;

	CHECK_OK(journal_reader_open("tests/golden", NULL, 0, &reader, &d));
	CHECK_RC(journal_reader_next(reader, &record, &d), 1);
	mark = journal_mark_of(journal_reader_epoch(reader), &record);
	journal_reader_close(reader);
	return mark;
}

static int golden_piece(void *arg, const uint8_t *bytes, size_t size)
{
	unsigned *pieces = arg;

	if ((*pieces)++ == 0) {
		CHECK_EQ_U64(size, 20);
		CHECK_MEM(bytes, "a piece of the state", 20);
	} else {
		CHECK_EQ_U64(size, 256);
		CHECK_MEM(bytes, golden_wire(), 256);
	}
	return 0;
}

CHECK_TEST(test_golden_keyframe_is_read)
{
	struct journal_mark mark = golden_mark();
	unsigned pieces = 0;

	CHECK_OK(journal_keyframe_read("tests/golden", &mark, NULL, NULL));
	CHECK_OK(journal_keyframe_read("tests/golden", &mark, golden_piece, &pieces));
	CHECK_EQ_U64(pieces, 2);
	mark.crc ^= 1;
	CHECK_RC(journal_keyframe_read("tests/golden", &mark, NULL, NULL), -EPROTO);
	mark.seq++;
	CHECK_RC(journal_keyframe_read("tests/golden", &mark, NULL, NULL), -ENOENT);
}

CHECK_TEST(test_written_keyframe_is_the_golden_one)
{
	struct journal_mark mark = golden_mark();
	struct journal_keyframe *keyframe;
	struct journal *journal;
	char path[PATH_MAX], *golden, *written;
	size_t size = file_get(GOLDEN_KEYFRAME, &golden);

	fresh_dir();
	journal = open_sized(0, 0);
	for (int i = 0; i < 16; i++)
		journal->header.boot_id[i] = (uint8_t)i;
	clock_fake(NS_PER_H, 1795315200000000000);
	CHECK_OK(journal_keyframe_begin(journal, &mark, &keyframe));
	CHECK_OK(journal_keyframe_append(keyframe, "a piece of the state", 20));
	CHECK_OK(journal_keyframe_append(keyframe, golden_wire(), 256));
	CHECK_OK(journal_keyframe_commit(keyframe));
	clock_fake_end();
	CHECK(snprintf(path, sizeof(path), "%s/0000000000000029.vowk", dir) < PATH_MAX);
	CHECK_EQ_U64(file_get(path, &written), size);
	CHECK_MEM(written, golden, size);
	CHECK_EQ_U64(journal_counters(journal).bytes, size);
	free(golden);
	free(written);
	journal_close(journal);
}

CHECK_TEST(test_segments_of_version_1_are_read)
{
	struct journal *journal;
	char path[PATH_MAX], *bytes;
	size_t size;

	fresh_dir();
	journal = open_sized(0, 0);
	append_some(journal, 9);
	journal_close(journal);
	path_of(path, 1, "");
	size = file_get(path, &bytes);
	CHECK_EQ_U64((uint8_t)bytes[8], JOURNAL_VERSION);
	bytes[8] = 1;
	memcpy(bytes + 60, &(uint32_t){crc32c(0, bytes, 60)}, 4);
	file_put(path, bytes, size);
	free(bytes);
	journal = open_sized(0, 0);
	append_some(journal, 1);
	check_holds(1, 10, 0);
	journal_close(journal);
}

CHECK_TEST(test_golden_journal_is_read)
{
	struct journal_reader *reader = NULL;
	struct journal_record record;

	CHECK_OK(journal_reader_open("tests/golden", NULL, 0, &reader, &d));
	CHECK_EQ_U64(journal_reader_epoch(reader), 0x0123456789abcdef);
	CHECK_RC(journal_reader_next(reader, &record, &d), 1);
	CHECK_EQ_U64(record.seq, 0x29);
	CHECK_EQ_U64(record.wall, 1795315200000000001);
	CHECK_EQ_U64(record.wire_size, 17);
	CHECK_MEM(record.wire, "what the hub gets", 17);
	CHECK_EQ_U64(record.local_size, 10);
	CHECK_MEM(record.local, "what stays", 10);
	CHECK_RC(journal_reader_next(reader, &record, &d), 1);
	CHECK(record.seq == 0x2a && !record.wire_size && !record.local_size);
	CHECK_RC(journal_reader_next(reader, &record, &d), 1);
	CHECK_EQ_U64(record.wire_size, 256);
	CHECK_MEM(record.wire, golden_wire(), 256);
	CHECK_RC(journal_reader_next(reader, &record, &d), 0);
	journal_reader_close(reader);
}

CHECK_TEST(test_record_too_large_is_refused)
{
	struct journal *journal;

	fresh_dir();
	journal = open_sized(0, 0);
	CHECK_RC(journal_append(journal, 1, "", JOURNAL_RECORD_MAX, "", 1, NULL, &d), -EMSGSIZE);
	CHECK_RC(journal_append(journal, 1, "", SIZE_MAX, "", SIZE_MAX, NULL, &d), -EMSGSIZE);
	append_some(journal, 1);
	check_holds(1, 1, 0);
	journal_close(journal);
}

/* A pipe takes records as a file does, and has no disk to store them on. */
CHECK_TEST(test_sync_that_is_refused_is_counted_and_told)
{
	struct journal_options options = {.fsync_every = NS_PER_S};
	struct journal *journal = NULL;
	int file, pipe_fds[2];

	fresh_dir();
	CHECK_OK(pipe(pipe_fds));
	clock_fake(NS_PER_H, NS_PER_H);
	CHECK_OK(journal_open(dir, &options, &journal, &d));
	append_some(journal, 1);
	CHECK_EQ_U64(journal_counters(journal).sync_failures_total, 0);
	CHECK_OK(journal_sync_diag(journal, &d));
	file = dup(journal->fd);
	CHECK(dup2(pipe_fds[1], journal->fd) == journal->fd);
	append_some(journal, 1); /* within the second: no sync is due */
	CHECK_EQ_U64(journal_counters(journal).sync_failures_total, 0);
	clock_fake(NS_PER_H + 2 * NS_PER_S, NS_PER_H);
	append_some(journal, 1);
	CHECK_EQ_U64(journal_counters(journal).sync_failures_total, 1);
	CHECK_RC(journal_sync_diag(journal, &d), -EINVAL);
	CHECK_STR_HAS(d.what, "does not store");
	CHECK_STR_HAS(d.fix, "dmesg");
	/* It goes well again: what failed stays counted. */
	CHECK(dup2(file, journal->fd) == journal->fd);
	clock_fake(NS_PER_H + 4 * NS_PER_S, NS_PER_H);
	append_some(journal, 1);
	CHECK_EQ_U64(journal_counters(journal).sync_failures_total, 1);
	CHECK_OK(journal_sync_diag(journal, &d));
	CHECK(dup2(pipe_fds[1], journal->fd) == journal->fd);
	CHECK_RC(journal_close(journal), -EINVAL);
	clock_fake_end();
	close(file);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

CHECK_TEST(test_segment_that_cannot_be_read_now_is_not_set_aside)
{
	struct journal *journal = NULL;
	char path[PATH_MAX];
	struct stat st;

	fresh_dir();
	journal_close(open_sized(0, 0));
	path_of(path, 1, "");
	CHECK_OK(mkdir(path,
		       0700)); /* as unreadable as a file of a failing disk, for root as well */
	CHECK_RC(journal_open(dir, NULL, &journal, &d), -EISDIR);
	CHECK_STR(d.where, path);
	CHECK_OK(stat(path, &st));
}

CHECK_TEST(test_position_that_cannot_be_read_now_is_kept)
{
	struct journal_reader *reader;
	struct journal *journal;

	fresh_dir();
	journal = open_sized(0, 0);
	append_some(journal, 9);
	reader = reader_of("hub", 1);
	CHECK_OK(journal_reader_commit(reader, 7));
	journal_reader_close(reader);
	CHECK_ALLOC_LOOP(n)
	{
		int rc;

		reader = NULL;
		rc = journal_reader_open(dir, "hub", 1, &reader, &d);
		CHECK(rc == 0 || (rc == -ENOMEM && check_alloc_failed()));
		journal_reader_close(reader);
	}
	CHECK_EQ_U64(journal_position(dir, "hub", journal_epoch(journal)), 7);
	journal_close(journal);
}

CHECK_TEST(test_reader_notices_another_journal)
{
	struct journal_reader *reader;
	struct journal_record record;
	struct journal *journal;
	char path[PATH_MAX];

	fresh_dir();
	journal = open_sized(0, 0);
	append_some(journal, 3);
	reader = reader_of(NULL, 1);
	while (journal_reader_next(reader, &record, &d) > 0)
		;
	journal_close(journal);
	path_of(path, 1, "");
	unlink(path);
	journal = open_sized(0, 0);
	append_some(journal, 1);
	CHECK_RC(journal_reader_next(reader, &record, &d), -ESTALE);
	journal_reader_close(reader);
	journal_close(journal);
}

CHECK_TEST(test_failed_allocations_leave_the_journal_whole)
{
	CHECK_ALLOC_LOOP(n)
	{
		struct journal_options options = {.segment_bytes = 200};
		struct journal_reader *reader = NULL;
		struct journal *journal = NULL;
		struct journal_record record;
		uint64_t appended = 0, seen = 0;
		int rc;

		fresh_dir();
		rc = journal_open(dir, &options, &journal, &d);
		for (int i = 0; !rc && i < 20; i++)
			if (journal_append(journal, 1, "wire", 4, NULL, 0, NULL, &d) == 0)
				appended++;
		if (!rc)
			rc = journal_reader_open(dir, "hub", 1, &reader, &d);
		while (!rc && (rc = journal_reader_next(reader, &record, &d)) > 0)
			seen++, rc = 0;
		CHECK(rc == 0 || check_alloc_failed());
		if (!check_alloc_failed())
			CHECK(appended == 20 && seen == 20);
		journal_reader_close(reader);
		journal_close(journal);
		if (appended) {
			journal = NULL;
			/* The failure may still be to come. */
			if (journal_open(dir, NULL, &journal, &d) < 0)
				journal = open_sized(0, 0);
			CHECK_EQ_U64(journal_last_seq(journal), appended);
			journal_close(journal);
		}
	}
}

CHECK_MAIN("journal", test_what_was_appended_is_read_over_many_segments,
	   test_reader_follows_a_live_writer, test_reader_does_not_take_a_record_in_the_making,
	   test_second_writer_is_refused, test_trim_waits_for_every_reader_and_keeps_the_newest,
	   test_broken_position_counts_as_nothing_read,
	   test_without_readers_the_budget_is_kept_as_memory,
	   test_budget_drops_the_oldest_and_counts_what_was_unread,
	   test_full_disk_leaves_the_journal_whole,
	   test_what_has_the_name_of_the_next_segment_is_taken_away,
	   test_written_bytes_are_the_golden_ones, test_golden_journal_is_read,
	   test_golden_keyframe_is_read, test_written_keyframe_is_the_golden_one,
	   test_segments_of_version_1_are_read, test_record_too_large_is_refused,
	   test_sync_that_is_refused_is_counted_and_told,
	   test_segment_that_cannot_be_read_now_is_not_set_aside,
	   test_position_that_cannot_be_read_now_is_kept, test_reader_notices_another_journal,
	   test_failed_allocations_leave_the_journal_whole)
