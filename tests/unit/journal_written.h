/* SPDX-License-Identifier: Apache-2.0 */
/* Journals in scratch folders whose records tell by their bytes what they must be. */
#ifndef VOW_TESTS_UNIT_JOURNAL_WRITTEN_H
#define VOW_TESTS_UNIT_JOURNAL_WRITTEN_H

#include <stdio.h>

#include "lib/base/fd.h"
#include "lib/data/journal.h"
#include "lib/data/journal_format.h"
#include "tests/unit/check.h"

static char dir[PATH_MAX];
static struct diag d;

/* A folder of its own for each case. */
static void fresh_dir(void)
{
	static int number;

	snprintf(dir, sizeof(dir), "%s/%d", check_dir(), number++);
}

static struct journal *open_sized(uint64_t segment_bytes, uint64_t budget_bytes)
{
	struct journal_options options = {.segment_bytes = segment_bytes,
					  .budget_bytes = budget_bytes};
	struct journal *journal = NULL;
	int rc = journal_open(dir, &options, &journal, &d);

	if (rc < 0)
		CHECK_FAIL("journal_open: %d: %s", rc, d.what);
	return journal;
}

/* Record number seq has bytes that follow from seq, so that a reader can tell what it must be. */
static size_t wire_of(uint64_t seq, uint8_t *wire)
{
	size_t size = (size_t)(seq * 7 % 40);

	for (size_t i = 0; i < size; i++)
		wire[i] = (uint8_t)(seq + i);
	return size;
}

static void append_some(struct journal *journal, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t expected = journal_last_seq(journal) + 1, seq;
		uint8_t wire[64], local[] = {'L', (uint8_t)expected};
		size_t size = wire_of(expected, wire);

		CHECK_OK(journal_append(journal, 1000 + expected, wire, size, local, sizeof(local),
					&seq, &d));
		CHECK_EQ_U64(seq, expected);
	}
}

static void check_record(const struct journal_record *record)
{
	uint8_t wire[64];

	CHECK_EQ_U64(record->wire_size, wire_of(record->seq, wire));
	CHECK_MEM(record->wire, wire, record->wire_size);
	CHECK_EQ_U64(record->local_size, 2);
	CHECK_EQ_U64(record->local[1], (uint8_t)record->seq);
	CHECK_EQ_U64(record->wall, 1000 + record->seq);
}

static struct journal_reader *reader_of(const char *name, uint64_t from)
{
	struct journal_reader *reader = NULL;

	CHECK_OK(journal_reader_open(dir, name, from, &reader, &d));
	return reader;
}

/* Reads from..to, all of it whole but `empties` records, and nothing behind. */
static void check_holds(uint64_t from, uint64_t to, uint64_t empties)
{
	struct journal_reader *reader = reader_of(NULL, from);
	struct journal_record record;
	uint64_t empty = 0;

	for (uint64_t seq = from; seq <= to; seq++) {
		CHECK_RC(journal_reader_next(reader, &record, &d), 1);
		CHECK_EQ_U64(record.seq, seq);
		if (!record.wire_size && !record.local_size)
			empty++;
		else
			check_record(&record);
	}
	CHECK_RC(journal_reader_next(reader, &record, &d), 0);
	CHECK_EQ_U64(empty, empties);
	journal_reader_close(reader);
}

static void path_of(char *path, uint64_t first_seq, const char *suffix)
{
	CHECK_OK(journal_path(path, dir, first_seq, suffix));
}

static size_t file_get(const char *path, char **bytes)
{
	size_t size;

	CHECK_OK(fd_read_file(path, 1 << 24, bytes, &size, &d));
	return size;
}

static void file_put(const char *path, const void *bytes, size_t size)
{
	FILE *file = fopen(path, "w");

	CHECK(file);
	CHECK_EQ_U64(fwrite(bytes, 1, size, file), size);
	fclose(file);
}

#endif
