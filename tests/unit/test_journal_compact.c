/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/data/journal_compact.h"
#include "lib/data/journal_keyframe.h"
#include "tests/unit/check.h"

/* A record's wire part is a number and padding; merging adds the numbers up. */
#define WIRE_BYTES 200

static char dir[PATH_MAX];
static struct diag d;
static uint8_t sum_bytes[WIRE_BYTES];
static uint64_t alone; /* a record with this number is never merged; 0: none */

static uint64_t number_of(const struct journal_record *record)
{
	uint64_t number = 0;

	if (record->wire_size)
		memcpy(&number, record->wire, sizeof(number));
	return number;
}

static ssize_t add_up(void *arg, const struct journal_record *records, size_t count,
		      const uint8_t **wire, size_t *wire_size)
{
	uint64_t sum = 0;
	size_t taken = 0;

	(void)arg;
	while (taken < count && !(alone && number_of(&records[taken]) == alone))
		sum += number_of(&records[taken++]);
	memcpy(sum_bytes, &sum, sizeof(sum));
	*wire = sum_bytes;
	*wire_size = sizeof(sum_bytes);
	return taken > 1 ? (ssize_t)taken : 1;
}

static void fresh_dir(void)
{
	static int number;

	snprintf(dir, sizeof(dir), "%s/%d", check_dir(), number++);
}

static struct journal *open_with(uint64_t budget, bool keep_sent, dur_ns age)
{
	const struct journal_options options = {.segment_bytes = 8000,
						.budget_bytes = budget,
						.keep_sent = keep_sent,
						.age = age,
						.merge = add_up};
	struct journal *journal = NULL;

	CHECK_OK(journal_open(dir, &options, &journal, &d));
	return journal;
}

/* Appends records 1, 2, 3... as the agent does: a keyframe where a segment begins, then trims. */
static uint64_t append_and_trim(struct journal *journal, unsigned n, wall_ns wall)
{
	static uint64_t keyframe;
	uint64_t sum = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t seq = journal_last_seq(journal) + 1;
		bool start = journal_at_segment_start(journal);
		uint8_t wire[WIRE_BYTES] = {0}, local[300] = {0};

		memcpy(wire, &seq, sizeof(seq));
		sum += seq;
		CHECK_OK(journal_append(journal, wall + seq, wire, sizeof(wire), local,
					start ? sizeof(local) : 8, NULL, &d));
		if (start)
			keyframe = seq;
		journal_trim(journal, keyframe);
	}
	return sum;
}

struct tally {
	uint64_t sum, records, merged, last;
};

/* Reads on to the end; every number must be there, and merged ones lead to one with content. */
static void read_on(struct journal_reader *reader, struct tally *tally)
{
	struct journal_record record;
	uint64_t into = 0;
	int rc;

	while ((rc = journal_reader_next(reader, &record, &d)) > 0) {
		if (tally->last)
			CHECK_EQ_U64(record.seq, tally->last + 1);
		tally->last = record.seq;
		tally->records++;
		tally->sum += number_of(&record);
		/* What it went into has content, or went on into a later one itself. */
		if (record.seq == into)
			into = 0;
		if (record.wire_size) {
			CHECK(!into);
		} else if (journal_record_merged(&record)) {
			uint64_t number;

			memcpy(&number, record.local, sizeof(number));
			CHECK(number > record.seq);
			tally->merged++;
			into = into && into < number ? into : number;
		}
	}
	CHECK_OK(rc);
}

static struct tally read_all(void)
{
	struct journal_reader *reader = NULL;
	struct tally tally = {0};

	CHECK_OK(journal_reader_open(dir, NULL, 0, &reader, &d));
	read_on(reader, &tally);
	journal_reader_close(reader);
	return tally;
}

/* A reader that has not come yet, so that everything is owed to it. */
static void announce(const char *name)
{
	struct journal_reader *reader = NULL;

	CHECK_OK(journal_reader_open(dir, name, 0, &reader, &d));
	journal_reader_close(reader);
}

CHECK_TEST(test_a_tiny_budget_merges_and_loses_nothing)
{
	struct journal *journal;
	struct tally tally;
	uint64_t sum;

	fresh_dir();
	alone = 0;
	journal = open_with(200000, false, 0);
	sum = append_and_trim(journal, 1, 0);
	announce("hub");
	/* 720 KB of records, and yet no more than the budget. */
	sum += append_and_trim(journal, 3000, 0);
	tally = read_all();
	CHECK_EQ_U64(tally.sum, sum);
	CHECK_EQ_U64(tally.records, 3001);
	CHECK(tally.merged > 2000);
	CHECK_EQ_U64(journal_counters(journal).merged_records_total, tally.merged);
	CHECK_EQ_U64(journal_counters(journal).dropped_records_total, 0);
	CHECK_EQ_U64(journal_counters(journal).lost_records_total, 0);
	CHECK_LE_U64(journal_counters(journal).bytes, 200000);
	journal_close(journal);
	/* The next start finds nothing to mend, and the same bytes. */
	journal = open_with(200000, false, 0);
	CHECK_EQ_U64(journal_counters(journal).quarantined_total, 0);
	CHECK_EQ_U64(read_all().sum, sum);
	journal_close(journal);
}

/* A keyframe behind the newest record, which the disk has long since. */
static struct journal_mark keyframe_write(struct journal *journal)
{
	const struct timespec old[2] = {{1, 0}, {1, 0}};
	const struct journal_mark mark = journal_mark(journal);
	struct journal_keyframe *keyframe;
	char path[PATH_MAX + 32];

	CHECK_OK(journal_keyframe_begin(journal, &mark, &keyframe));
	CHECK_OK(journal_keyframe_append(keyframe, "state", 5));
	CHECK_OK(journal_keyframe_commit(keyframe));
	snprintf(path, sizeof(path), "%s/%016llx.vowk", dir, (unsigned long long)mark.seq);
	CHECK_OK(utimensat(AT_FDCWD, path, old, 0));
	return mark;
}

/* A start from there would need what a merged record lacks. */
CHECK_TEST(test_a_keyframe_goes_before_its_record_is_merged)
{
	struct journal *journal;
	struct journal_mark mark;

	fresh_dir();
	alone = 0;
	journal = open_with(200000, false, 0);
	append_and_trim(journal, 1, 0);
	mark = keyframe_write(journal);
	announce("hub");
	CHECK_EQ_U64(mark.seq, 1);
	/* Without another one to start from, nothing is. */
	append_and_trim(journal, 1000, 0);
	CHECK_EQ_U64(journal_counters(journal).merged_records_total, 0);
	keyframe_write(journal);
	while (!journal_counters(journal).merged_records_total) {
		CHECK_OK(journal_keyframe_read(dir, &mark, NULL, NULL));
		append_and_trim(journal, 1, 0);
		CHECK_LE_U64(journal_last_seq(journal), 3000);
	}
	CHECK_RC(journal_keyframe_read(dir, &mark, NULL, NULL), -ENOENT);
	journal_close(journal);
}

CHECK_TEST(test_what_cannot_be_merged_stays_and_what_is_beyond_goes_counted)
{
	struct journal *journal;
	struct tally tally;
	uint64_t sum;

	fresh_dir();
	alone = 7;
	journal = open_with(100000, false, 0);
	sum = append_and_trim(journal, 1, 0);
	announce("hub");
	sum += append_and_trim(journal, 1500, 0);
	tally = read_all();
	CHECK_EQ_U64(tally.sum, sum);
	CHECK_EQ_U64(journal_counters(journal).dropped_records_total, 0);
	/* Even numbers alone take more than the budget in the end: 40 bytes each. */
	append_and_trim(journal, 3000, 0);
	tally = read_all();
	CHECK(journal_counters(journal).dropped_records_total > 0);
	CHECK_EQ_U64(tally.records + journal_counters(journal).dropped_records_total, 4501);
	CHECK_LE_U64(journal_counters(journal).bytes, 100000);
	journal_close(journal);
	alone = 0;
}

CHECK_TEST(test_a_reader_in_the_middle_is_never_disturbed)
{
	struct journal_reader *reader = NULL;
	struct journal_record record;
	struct journal *journal;
	struct tally tally = {0};
	uint64_t sum;

	fresh_dir();
	journal = open_with(200000, false, 0);
	sum = append_and_trim(journal, 400, 0);
	CHECK_OK(journal_reader_open(dir, "hub", 0, &reader, &d));
	/* Reads a record now and then while all around is merged, and sometimes goes to the end. */
	for (unsigned i = 0; i < 2000; i++) {
		sum += append_and_trim(journal, 1, 0);
		if (i % 20 == 0) {
			CHECK_OK(journal_reader_claim(reader, tally.last + 3));
			CHECK_RC(journal_reader_next(reader, &record, &d), 1);
			CHECK_EQ_U64(record.seq, tally.last + 1);
			tally.sum += number_of(&record);
			tally.last = record.seq;
			tally.records++;
		}
	}
	CHECK(journal_counters(journal).merged_records_total > 500);
	read_on(reader, &tally);
	CHECK_EQ_U64(tally.sum, sum);
	CHECK_EQ_U64(tally.last, 2400);
	journal_reader_close(reader);
	journal_close(journal);
}

CHECK_TEST(test_what_was_claimed_is_the_same_after_a_death_of_its_reader)
{
	struct journal_reader *reader = NULL;
	struct journal_record record;
	struct journal *journal;
	struct tally tally = {0};
	uint64_t sum, passed_on = 0;

	fresh_dir();
	journal = open_with(200000, false, 0);
	sum = append_and_trim(journal, 500, 0);
	CHECK_OK(journal_reader_open(dir, "hub", 0, &reader, &d));
	CHECK_OK(journal_reader_claim(reader, 150));
	for (uint64_t seq = 1; seq <= 140; seq++) {
		CHECK_RC(journal_reader_next(reader, &record, &d), 1);
		passed_on += number_of(&record);
	}
	journal_reader_close(reader); /* without a word of how far it came */
	sum += append_and_trim(journal, 1500, 0);
	CHECK(journal_counters(journal).merged_records_total > 500);
	CHECK_EQ_U64(journal_counters(journal).dropped_records_total, 0);
	/* The other side says that it has 140: what follows is the rest, no more and no less. */
	CHECK_OK(journal_reader_open(dir, "hub", 141, &reader, &d));
	tally.last = 140;
	read_on(reader, &tally);
	CHECK_EQ_U64(passed_on + tally.sum, sum);
	CHECK_EQ_U64(passed_on, 140 * 141 / 2);
	journal_reader_close(reader);
	journal_close(journal);
}

/* What it claimed nobody knows: merging what was passed on already would count it twice. */
CHECK_TEST(test_nothing_is_merged_while_a_position_cannot_be_read)
{
	struct journal *journal;
	char path[PATH_MAX + 16];

	fresh_dir();
	journal = open_with(200000, false, 0);
	append_and_trim(journal, 1, 0);
	announce("hub");
	snprintf(path, sizeof(path), "%s/other.position", dir);
	CHECK_OK(mkdir(path, 0700)); /* cannot be read, not even by root */
	append_and_trim(journal, 780, 0);
	CHECK_GE_U64(journal_counters(journal).bytes, 150000);
	CHECK_EQ_U64(journal_counters(journal).merged_records_total, 0);
	CHECK_OK(rmdir(path));
	append_and_trim(journal, 100, 0);
	CHECK(journal_counters(journal).merged_records_total > 0);
	CHECK_EQ_U64(journal_counters(journal).dropped_records_total, 0);
	/* Nor when the folder itself cannot be listed. */
	CHECK_EQ_U64(journal_places_read(path, 1).claim, UINT64_MAX);
	CHECK_EQ_U64(journal_places_read(path, 1).least, 0);
	journal_close(journal);
}

CHECK_TEST(test_a_claim_in_the_last_moment_keeps_the_segment)
{
	struct journal_reader *reader = NULL;
	struct journal_compact *compact = NULL;
	struct journal *journal;
	uint64_t sum, epoch;

	fresh_dir();
	journal = open_with(0, false, 0);
	sum = append_and_trim(journal, 100, 0);
	epoch = journal_epoch(journal);
	CHECK_OK(journal_reader_open(dir, "hub", 0, &reader, &d));
	CHECK_OK(journal_compact_begin(dir, 1, 0, &compact));
	CHECK_RC(journal_compact_step(compact, add_up, NULL), 1);
	CHECK_OK(journal_reader_claim(reader, 5));
	CHECK_RC(journal_compact_commit(compact, dir, epoch), -ESTALE);
	journal_compact_abandon(compact);
	CHECK_EQ_U64(read_all().merged, 0);
	/* Begun with that claim it is done behind it. */
	CHECK_OK(journal_compact_begin(dir, 1, 5, &compact));
	CHECK_RC(journal_compact_step(compact, add_up, NULL), 1);
	CHECK_OK(journal_compact_commit(compact, dir, epoch));
	CHECK(journal_compact_result(compact).merged_records > 10);
	journal_compact_abandon(compact);
	CHECK_EQ_U64(read_all().sum, sum);
	journal_reader_close(reader);
	journal_close(journal);
}

CHECK_TEST(test_lack_of_memory_leaves_the_segment_as_it_was)
{
	struct journal *journal;
	char fresh[PATH_MAX];
	bool failed = true;
	uint64_t sum;

	fresh_dir();
	alone = 0;
	journal = open_with(0, false, 0);
	sum = append_and_trim(journal, 60, 0);
	journal_close(journal);
	CHECK_OK(journal_path(fresh, dir, 1, ".new"));
	for (unsigned n = 1; failed; n++) {
		struct journal_compact *compact = NULL;

		check_alloc_fail_at(n);
		int rc = journal_compact_begin(dir, 1, 0, &compact);
		if (!rc)
			rc = journal_compact_step(compact, add_up, NULL);
		failed = check_alloc_failed();
		check_alloc_fail_at(0);
		CHECK_RC(rc, failed ? -ENOMEM : 1);
		CHECK(failed || n > 10); /* each record of the run is copied */
		journal_compact_abandon(compact);
		CHECK_RC(access(fresh, F_OK), -1);
		CHECK_EQ_U64(read_all().sum, sum);
		CHECK_EQ_U64(read_all().merged, 0);
	}
}

/* Whatever a death left of the new file, the old one counts, and nothing stays of the new. */
CHECK_TEST(test_a_death_at_any_byte_of_the_rewriting_changes_nothing)
{
	char segment[PATH_MAX], fresh[PATH_MAX], *bytes;
	struct journal_compact *compact = NULL;
	struct journal *journal;
	struct tally before;
	size_t size;
	int fd;

	fresh_dir();
	journal = open_with(0, false, 0);
	append_and_trim(journal, 60, 0);
	journal_close(journal);
	before = read_all();
	CHECK_OK(journal_path(segment, dir, 1, ""));
	CHECK_OK(journal_path(fresh, dir, 1, ".new"));
	CHECK_OK(journal_compact_begin(dir, 1, 0, &compact));
	CHECK_RC(journal_compact_step(compact, add_up, NULL), 1);
	CHECK_OK(fd_read_file(fresh, 1 << 20, &bytes, &size, NULL));
	journal_compact_abandon(compact);
	CHECK(size > 1000);
	CHECK_RC(access(fresh, F_OK), -1);
	for (size_t cut = 0; cut <= size; cut += 1 + cut % 7) {
		fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC, 0640);
		CHECK(fd >= 0);
		CHECK_OK(fd_write_full(fd, bytes, cut));
		close(fd);
		journal = open_with(0, false, 0);
		CHECK_EQ_U64(journal_counters(journal).quarantined_total, 0);
		CHECK_EQ_U64(journal_last_seq(journal), 60);
		CHECK_RC(access(fresh, F_OK), -1);
		journal_close(journal);
		CHECK_EQ_U64(read_all().sum, before.sum);
	}
	free(bytes);
}

CHECK_TEST(test_sent_records_stay_as_a_memory_until_room_is_needed)
{
	struct journal_reader *reader = NULL;
	struct journal *journal;

	fresh_dir();
	journal = open_with(60000, true, 0);
	append_and_trim(journal, 1, 0);
	CHECK_OK(journal_reader_open(dir, "hub", 0, &reader, &d));
	for (unsigned i = 0; i < 2000; i++) {
		append_and_trim(journal, 1, 0);
		CHECK_OK(journal_reader_commit(reader, journal_last_seq(journal)));
	}
	CHECK(read_all().records > 150);
	CHECK_EQ_U64(read_all().merged, 0);
	CHECK_LE_U64(journal_counters(journal).bytes, 60000 + 300);
	CHECK_EQ_U64(journal_counters(journal).dropped_records_total, 0);
	journal_reader_close(reader);
	journal_close(journal);
}

CHECK_TEST(test_records_beyond_the_age_go)
{
	struct journal *journal;
	struct tally tally;

	fresh_dir();
	journal = open_with(0, true, NS_PER_H);
	append_and_trim(journal, 1, 0);
	announce("hub");
	append_and_trim(journal, 200, 0); /* of 1970 */
	CHECK_LE_U64(read_all().records, 60);
	CHECK_EQ_U64(journal_counters(journal).dropped_records_total + read_all().records, 201);
	append_and_trim(journal, 200, UINT64_MAX / 4); /* of a time to come */
	tally = read_all();
	CHECK(tally.records >= 200);
	journal_close(journal);
}

CHECK_TEST(test_free_space_is_kept_at_the_budget_s_cost)
{
	const struct journal_options options = {.segment_bytes = 8000,
						.free_bytes = UINT64_MAX / 2,
						.keep_sent = true,
						.merge = add_up};
	struct journal *journal = NULL;

	fresh_dir();
	CHECK_OK(journal_open(dir, &options, &journal, &d));
	append_and_trim(journal, 1, 0);
	announce("hub");
	append_and_trim(journal, 500, 0);
	/* No disk has that much: what is left is the newest segment, and the one before it. */
	CHECK_LE_U64(journal_counters(journal).segments, 2);
	CHECK(journal_counters(journal).dropped_records_total > 300);
	journal_close(journal);
}

CHECK_MAIN("journal_compact", test_a_tiny_budget_merges_and_loses_nothing,
	   test_a_keyframe_goes_before_its_record_is_merged,
	   test_what_cannot_be_merged_stays_and_what_is_beyond_goes_counted,
	   test_a_reader_in_the_middle_is_never_disturbed,
	   test_what_was_claimed_is_the_same_after_a_death_of_its_reader,
	   test_nothing_is_merged_while_a_position_cannot_be_read,
	   test_a_claim_in_the_last_moment_keeps_the_segment,
	   test_lack_of_memory_leaves_the_segment_as_it_was,
	   test_a_death_at_any_byte_of_the_rewriting_changes_nothing,
	   test_sent_records_stay_as_a_memory_until_room_is_needed, test_records_beyond_the_age_go,
	   test_free_space_is_kept_at_the_budget_s_cost)
