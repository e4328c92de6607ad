/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments of a journal as a broken disk may leave them. A reader gets through; opening for writing
 * mends them so that every number from the first to the last is there, and the second time nothing
 * is left to mend. The same bytes as a keyframe are read to an end, or refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/local.h"
#include "lib/base/crc32c.h"
#include "lib/data/journal_keyframe.h"
#include "tests/fuzz/fuzz.h"

#define SEQ_MAX	   4096u /* gaps are filled with records: keep them short */
#define SECOND_SEQ 5u
#define STEPS_MAX  20000u

enum { MEND_CRC = 1, TWO_SEGMENTS = 2 };

static char dir[256];

static void put_crc(uint8_t *at, const uint8_t *bytes, size_t size)
{
	uint32_t crc = crc32c(0, bytes, size);

	memcpy(at, &crc, 4);
}

/* No input would get past the checksums by chance: let them be right. */
static void mend(uint8_t *bytes, size_t size)
{
	size_t at = JOURNAL_HEADER_BYTES;

	if (size >= JOURNAL_HEADER_BYTES)
		put_crc(bytes + 60, bytes, 60);
	while (at + JOURNAL_HEAD_BYTES <= size) {
		uint32_t length;
		uint64_t seq;

		memcpy(&length, bytes + at, 4);
		memcpy(&seq, bytes + at + 8, 8);
		seq %= SEQ_MAX;
		memcpy(bytes + at + 8, &seq, 8);
		if (length < JOURNAL_HEAD_COVERED || length > size - at - 8)
			break;
		put_crc(bytes + at + 4, bytes + at + 8, length);
		at += 8 + length;
	}
}

static void write_segment(uint64_t first_seq, struct fuzz_input *input, size_t size, bool mended)
{
	static uint8_t bytes[1 << 16];
	char path[PATH_MAX];

	size = fuzz_copy(input, bytes, size < sizeof(bytes) ? size : sizeof(bytes));
	if (mended)
		mend(bytes, size);
	FUZZ_CHECK(journal_path(path, dir, first_seq, "") == 0);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FUZZ_CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	close(fd);
}

static int keyframe_piece(void *arg, const uint8_t *bytes, size_t size)
{
	uint64_t *sum = arg;

	FUZZ_CHECK(size > 0);
	for (size_t i = 0; i < size; i++)
		*sum += bytes[i];
	return 0;
}

static void check_keyframe(const struct fuzz_input *from)
{
	static uint8_t bytes[1 << 16];
	struct fuzz_input input = *from;
	struct journal_header header;
	struct journal_mark mark = {.epoch = 1, .seq = 1};
	size_t size = fuzz_copy(&input, bytes, sizeof(bytes));
	uint64_t sum = 0;
	char path[300];
	int rc, whole, known = -EPROTO;

	if (size >= JOURNAL_HEADER_BYTES) {
		memcpy(bytes, "VOWKEYF\n", 8);
		mend(bytes, size);
	}
	if (size >= JOURNAL_HEADER_BYTES)
		known = journal_header_decode(&header, JOURNAL_FILE_KEYFRAME, bytes);
	if (known == 0)
		mark = (struct journal_mark){header.epoch, header.first_seq, header.crc};
	snprintf(path, sizeof(path), "%s/%016llx" JOURNAL_KEYFRAME, dir,
		 (unsigned long long)mark.seq);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FUZZ_CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	close(fd);
	whole = journal_keyframe_read(dir, &mark, NULL, NULL);
	rc = journal_keyframe_read(dir, &mark, keyframe_piece, &sum);
	FUZZ_CHECK(whole == rc && (rc == known || (!known && rc == -EPROTO)));
	unlink(path);
}

static void read_sections(const struct journal_record *record)
{
	struct local_section section;
	size_t at = 0;

	while (local_next(record->local, record->local_size, &at, &section) > 0)
		FUZZ_CHECK(section.bytes + section.size <= record->local + record->local_size);
}

/* Reads to the end; returns records, and in *broken how often something was no record. */
static uint64_t read_all(uint64_t *last_seq, unsigned *broken)
{
	struct journal_reader *journal_reader;
	struct journal_record record;
	uint64_t records = 0;
	int rc = journal_reader_open(dir, NULL, 1, &journal_reader, NULL);

	*last_seq = 0;
	*broken = 0;
	if (rc < 0)
		return 0;
	for (unsigned i = 0; i < STEPS_MAX; i++) {
		rc = journal_reader_next(journal_reader, &record, NULL);
		if (rc == 0 || rc == -ESTALE || rc == -EPROTONOSUPPORT)
			break;
		*broken += rc < 0;
		if (rc < 0)
			continue;
		FUZZ_CHECK(record.seq > *last_seq);
		*last_seq = record.seq;
		records++;
		read_sections(&record);
	}
	FUZZ_CHECK(rc == 0 || rc == -ESTALE || rc == -EPROTONOSUPPORT);
	journal_reader_close(journal_reader);
	return records;
}

static bool open_and_append(struct journal_counters *counters, uint64_t *last_seq)
{
	struct journal *journal;
	struct diag d = {0};
	int rc = journal_open(dir, NULL, &journal, &d);

	if (rc < 0) {
		FUZZ_CHECK(rc == -EPROTONOSUPPORT || rc == -EPROTO);
		FUZZ_CHECK(d.what[0]);
		return false;
	}
	*counters = journal_counters(journal);
	FUZZ_CHECK(journal_append(journal, 1, "w", 1, NULL, 0, last_seq, &d) == 0);
	journal_close(journal);
	return true;
}

static void check_mended(void)
{
	struct journal_counters counters;
	uint64_t appended, last, records;
	unsigned broken;

	if (!open_and_append(&counters, &appended))
		return;
	records = read_all(&last, &broken);
	FUZZ_CHECK(last == appended && broken == 0);
	FUZZ_CHECK(records <= last);
	FUZZ_CHECK(open_and_append(&counters, &appended));
	FUZZ_CHECK(appended == last + 1);
	FUZZ_CHECK(counters.torn_total == 0 && counters.quarantined_total == 0 &&
		   counters.lost_records_total == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fuzz_input input = {bytes, bytes + size};
	uint64_t flags = fuzz_number(&input, 1), last;
	unsigned broken;

	if (!dir[0])
		fuzz_path("", dir);
	fuzz_empty_dir();
	check_keyframe(&input);
	if (flags & TWO_SEGMENTS)
		write_segment(1, &input, fuzz_number(&input, 2), flags & MEND_CRC);
	write_segment(flags & TWO_SEGMENTS ? SECOND_SEQ : 1, &input, fuzz_left(&input),
		      flags & MEND_CRC);
	read_all(&last, &broken);
	check_mended();
	return 0;
}
