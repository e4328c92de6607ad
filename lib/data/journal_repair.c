/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/data/journal_format.h"

/* A segment is at most its size when a new one begins, and one record. */
#define SEGMENT_READ_MAX ((size_t)1 << 31)

static void journal_bytes_freep(char **bytes)
{
	free(*bytes);
}

/* Follows the records of a segment while they are good and their numbers have no gap. */
static int journal_follow(int fd, const struct journal_repair *repair, uint64_t *last_seq,
			  uint64_t *end)
{
	struct journal_cursor cursor = {.fd = fd, .offset = JOURNAL_HEADER_BYTES};
	struct journal_record record;
	uint64_t seq = repair->first_seq - 1;
	int rc;

	*end = cursor.offset;
	while ((rc = journal_cursor_next(&cursor, &record)) > 0 && record.seq == seq + 1) {
		seq = record.seq;
		*end = cursor.offset;
	}
	journal_cursor_deinit(&cursor);
	*last_seq = seq;
	return rc == -EPROTO || rc > 0 ? 0 : rc;
}

/*
 * The next good record at or behind *at whose number is expected or reasonably ahead: 1 with *at
 * on it, or 0. Looks at every byte, since a broken length says nothing about where the next begins.
 */
static int journal_find_record(const uint8_t *bytes, size_t size, size_t *at, uint64_t expected,
			       uint64_t limit, struct journal_record *record)
{
	for (; *at + JOURNAL_HEAD_BYTES <= size; ++*at)
		if (journal_record_decode(record, bytes + *at, size - *at) > 0 &&
		    record->seq >= expected && record->seq - expected < JOURNAL_AHEAD_MAX &&
		    (!limit || record->seq <= limit))
			return 1;
	return 0;
}

/* Writes all that is good of bytes to fd, empty records in the place of what is not. */
static int journal_rescue(int fd, const uint8_t *bytes, size_t size, struct journal_repair *repair)
{
	uint8_t header[JOURNAL_HEADER_BYTES];
	struct journal_record record;
	uint64_t expected = repair->first_seq;
	wall_ns wall = repair->header.begun_at;
	size_t at = 0;
	int rc;

	journal_header_encode(&repair->header, JOURNAL_FILE_SEGMENT, header);
	rc = fd_write_full(fd, header, sizeof(header));
	while (!rc && journal_find_record(bytes, size, &at, expected, repair->limit_seq, &record)) {
		size_t whole = JOURNAL_HEAD_BYTES + record.wire_size + record.local_size;

		repair->lost_records += record.seq - expected;
		rc = journal_write_empty(fd, expected, record.seq - 1, wall);
		if (!rc)
			rc = fd_write_full(fd, bytes + at, whole);
		expected = record.seq + 1;
		wall = record.wall;
		at += whole;
	}
	if (!rc && repair->limit_seq >= expected) {
		repair->lost_records += repair->limit_seq + 1 - expected;
		rc = journal_write_empty(fd, expected, repair->limit_seq, wall);
		expected = repair->limit_seq + 1;
	}
	repair->last_seq = expected - 1;
	return rc;
}

/*
 * Gives the broken file its other name. It keeps the first one until the mended one takes that: no
 * crash leaves a segment out of the sequence, and no reader misses it.
 */
static int journal_name_aside(const char *path, const char *aside)
{
	if (unlink(aside) < 0 && errno != ENOENT)
		return -errno;
	/* Not every file system has links. */
	return link(path, aside) < 0 && rename(path, aside) < 0 ? -errno : 0;
}

/* Writes the segment anew beside the broken one, which is set aside, and takes its name. */
static int journal_quarantine(const char *dir, const char *path, bool foreign,
			      struct journal_repair *repair, struct diag *d)
{
	_cleanup_(fd_closep) int fd = -1;
	_cleanup_(journal_bytes_freep) char *bytes = NULL;
	char fresh[PATH_MAX], aside[PATH_MAX];
	struct stat st;
	size_t size;
	int rc;

	if (journal_path(fresh, dir, repair->first_seq, ".new") < 0 ||
	    journal_path(aside, dir, repair->first_seq, ".quarantined") < 0)
		return diag_errno(d, -ENAMETOOLONG, dir, NULL, "cannot name a segment");
	rc = fd_read_file(path, SEGMENT_READ_MAX, &bytes, &size, d);
	if (rc < 0)
		return rc;
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, JOURNAL_MODE);
	if (fd < 0)
		return diag_errno(d, -errno, fresh, NULL, "cannot create");
	repair->lost_records = 0;
	rc = journal_rescue(fd, (const uint8_t *)bytes, foreign ? 0 : size, repair);
	if (!rc && (fsync(fd) < 0 || fstat(fd, &st) < 0))
		rc = -errno;
	if (!rc)
		rc = journal_name_aside(path, aside);
	if (!rc && rename(fresh, path) < 0)
		rc = -errno;
	if (rc < 0) {
		unlink(fresh);
		return diag_errno(d, rc, path, NULL, "cannot set a broken segment aside");
	}
	repair->bytes = (uint64_t)st.st_size;
	repair->quarantined = true;
	return 0;
}

/* Whether a good record lies behind the end of the good ones: then the middle is broken. */
static int journal_more_follows(const char *path, const struct journal_repair *repair, uint64_t end,
				struct diag *d)
{
	_cleanup_(journal_bytes_freep) char *bytes = NULL;
	struct journal_record record;
	size_t size, at = (size_t)end;
	int rc = fd_read_file(path, SEGMENT_READ_MAX, &bytes, &size, d);

	return rc < 0 ? rc
		      : journal_find_record((const uint8_t *)bytes, size, &at, repair->last_seq + 1,
					    0, &record);
}

static int journal_mend_newest(int fd, const char *dir, const char *path,
			       struct journal_repair *repair, uint64_t size, struct diag *d)
{
	int rc;

	if (repair->bytes == size)
		return 0;
	rc = journal_more_follows(path, repair, repair->bytes, d);
	if (rc < 0)
		return rc;
	if (rc)
		return journal_quarantine(dir, path, false, repair, d);
	if (ftruncate(fd, (off_t)repair->bytes) < 0)
		return diag_errno(d, -errno, path, NULL, "cannot cut the torn end");
	repair->torn = true;
	return 0;
}

int journal_repair_segment(const char *dir, struct journal_repair *repair, struct diag *d)
{
	_cleanup_(fd_closep) int fd = -1;
	struct journal_header own;
	char path[PATH_MAX];
	struct stat st;
	int rc;

	repair->last_seq = repair->first_seq - 1;
	if (journal_path(path, dir, repair->first_seq, "") < 0)
		return diag_errno(d, -ENAMETOOLONG, dir, NULL, "cannot name a segment");
	fd = journal_segment_open(path, O_RDWR, &own);
	if (fd == -EPROTONOSUPPORT)
		return journal_version_refuse(path, d);
	if (fd < 0 && fd != -EPROTO)
		return diag_errno(d, fd, path, NULL, "cannot open");
	if (fd == -EPROTO || own.first_seq != repair->first_seq ||
	    own.epoch != repair->header.epoch) {
		repair->header.first_seq = repair->first_seq;
		return journal_quarantine(dir, path, fd >= 0, repair, d);
	}
	repair->header = own;
	rc = journal_follow(fd, repair, &repair->last_seq, &repair->bytes);
	if (rc < 0 || fstat(fd, &st) < 0)
		return diag_errno(d, rc < 0 ? rc : -errno, path, NULL, "cannot read");
	if (!repair->limit_seq)
		return journal_mend_newest(fd, dir, path, repair, (uint64_t)st.st_size, d);
	if (repair->last_seq != repair->limit_seq || repair->bytes != (uint64_t)st.st_size)
		return journal_quarantine(dir, path, false, repair, d);
	return 0;
}
