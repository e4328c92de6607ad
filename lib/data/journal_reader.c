/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/data/journal_format.h"

struct journal_reader {
	char *dir, *name;
	uint64_t epoch;
	uint64_t next_seq; /* of the next record; what is before it is skipped */
	uint64_t first_seq; /* of the open segment */
	uint64_t committed, claim; /* as in the position's file */
	struct journal_cursor cursor;
};

/* ---- positions ------------------------------------------------------------------------------- */

static int journal_place_set(struct journal_reader *reader, uint64_t seq, uint64_t claim)
{
	const struct journal_place place = {reader->epoch, seq, claim};
	int rc = journal_place_write(reader->dir, reader->name, &place);

	if (rc < 0)
		return rc;
	reader->committed = seq;
	reader->claim = claim;
	return 0;
}

int journal_reader_commit(struct journal_reader *reader, uint64_t seq)
{
	return reader->name ? journal_place_set(reader, seq, reader->claim) : -EINVAL;
}

/* Makes the reader's position count, from before its first record. */
static int journal_reader_announce(struct journal_reader *reader)
{
	struct journal_place place;
	int rc = journal_place_read(reader->dir, reader->name, &place);

	if (!rc && place.epoch == reader->epoch) {
		reader->committed = place.seq;
		reader->claim = place.claim;
		return 0;
	}
	/* One that only cannot be read now says where the reader stands: it is not to be replaced. */
	if (rc < 0 && rc != -ENOENT && rc != -EPROTO)
		return rc;
	return journal_place_set(reader, 0, 0);
}

/* ---- segments -------------------------------------------------------------------------------- */

/* Goes to the beginning of a segment. -ESTALE when it is of another epoch than the reader's. */
static int journal_reader_enter(struct journal_reader *reader, uint64_t first_seq)
{
	struct journal_header header;
	char path[PATH_MAX];
	int fd, rc = journal_path(path, reader->dir, first_seq, "");

	if (rc < 0)
		return rc;
	fd = journal_segment_open(path, O_RDONLY, &header);
	if (fd < 0)
		return fd;
	if (reader->epoch && header.epoch != reader->epoch) {
		close(fd);
		return -ESTALE;
	}
	if (reader->cursor.fd >= 0)
		close(reader->cursor.fd);
	reader->epoch = header.epoch;
	reader->first_seq = first_seq;
	reader->cursor.fd = fd;
	reader->cursor.offset = JOURNAL_HEADER_BYTES;
	return 0;
}

/* The segment that holds seq, else the first one behind it; 0 when there is none. */
static int journal_segment_of(const char *dir, uint64_t seq, uint64_t *first_seq)
{
	uint64_t *seqs;
	size_t count;
	int rc = journal_list(dir, &seqs, &count);

	if (rc < 0)
		return rc;
	*first_seq = count ? seqs[0] : 0;
	for (size_t i = 0; i < count && seqs[i] <= seq; i++)
		*first_seq = seqs[i];
	free(seqs);
	return 0;
}

/*
 * Opens the first segment behind this one whose header is whole: 0. 1: there is none yet (the last
 * may be in the making); then nothing has changed.
 */
static int journal_reader_enter_later(struct journal_reader *reader)
{
	uint64_t *seqs;
	size_t count;
	int rc = journal_list(reader->dir, &seqs, &count);

	if (rc < 0)
		return rc;
	rc = 1;
	for (size_t i = 0; i < count && rc > 0; i++) {
		if (seqs[i] <= reader->first_seq)
			continue;
		rc = journal_reader_enter(reader, seqs[i]);
		if (rc == -EPROTO || rc == -ENOENT)
			rc = 1;
	}
	free(seqs);
	return rc;
}

/* 1 when a later segment is there: nothing is appended to this one any more. */
static int journal_segment_is_sealed(const struct journal_reader *reader)
{
	uint64_t *seqs;
	size_t count;
	int rc = journal_list(reader->dir, &seqs, &count);

	if (rc < 0)
		return rc;
	rc = count && seqs[count - 1] > reader->first_seq;
	free(seqs);
	return rc;
}

/* Whether the file that is open no longer is the one with the segment's name. */
static bool journal_segment_replaced(const struct journal_reader *reader)
{
	struct stat mine, named;
	char path[PATH_MAX];

	return journal_path(path, reader->dir, reader->first_seq, "") == 0 &&
	       fstat(reader->cursor.fd, &mine) == 0 && stat(path, &named) == 0 &&
	       (mine.st_ino != named.st_ino || mine.st_dev != named.st_dev);
}

/* The open segment as it is by now; what was read of it is skipped. */
static int journal_reader_refresh(struct journal_reader *reader)
{
	return journal_segment_replaced(reader) ? journal_reader_enter(reader, reader->first_seq)
						: 0;
}

int journal_reader_claim(struct journal_reader *reader, uint64_t seq)
{
	_cleanup_(fd_closep) int lock = -1;
	int rc;

	if (!reader->name)
		return -EINVAL;
	/* A writer that merges nothing has not made it: then there is nothing to wait for. */
	lock = journal_claims_open(reader->dir, 0);
	if (lock < 0 && lock != -ENOENT)
		return lock;
	while (lock >= 0 && flock(lock, LOCK_SH) < 0)
		if (errno != EINTR)
			return -errno;
	rc = journal_place_set(reader, reader->committed,
			       seq > reader->committed ? seq : reader->committed);
	return rc < 0 ? rc : journal_reader_refresh(reader);
}

int journal_reader_seek(struct journal_reader *reader, uint64_t from)
{
	uint64_t first_seq;
	int rc = journal_segment_of(reader->dir, from, &first_seq);

	if (!rc && !first_seq)
		rc = -ENOENT;
	if (!rc)
		rc = journal_reader_enter(reader, first_seq);
	if (!rc)
		reader->next_seq = from;
	return rc;
}

/*
 * At the end of the open segment, or at bytes that are no record: goes where the next record will
 * be. 1: went on, read again; 0: it is not there yet; -EPROTO: went on past what is broken.
 */
static int journal_reader_move(struct journal_reader *reader)
{
	struct journal_record record;
	struct stat st;
	bool broken;
	int rc;

	if (journal_segment_replaced(reader)) {
		rc = journal_reader_enter(reader, reader->first_seq);
		if (rc == -EPROTO || rc == -ENOENT)
			return 0; /* being replaced right now */
		return rc < 0 ? rc : 1;
	}
	rc = journal_segment_is_sealed(reader);
	if (rc <= 0)
		return rc;
	/* Something may have come since it was last read, before it was sealed. */
	if (journal_cursor_next(&reader->cursor, &record) > 0) {
		reader->cursor.offset -= JOURNAL_HEAD_BYTES + record.wire_size + record.local_size;
		return 1;
	}
	/* Bytes behind the last whole record of a sealed segment are broken ones. */
	broken = fstat(reader->cursor.fd, &st) == 0 && (uint64_t)st.st_size > reader->cursor.offset;
	rc = journal_reader_enter_later(reader);
	if (rc)
		return rc < 0 ? rc : 0;
	return broken ? -EPROTO : 1;
}

/* Reports why the reader cannot go on. */
static int journal_reader_fail(const char *dir, int rc, const char *what, struct diag *d)
{
	return rc == -EPROTONOSUPPORT ? journal_version_refuse(dir, d)
				      : diag_errno(d, rc, dir, NULL, what);
}

int journal_reader_next(struct journal_reader *reader, struct journal_record *record,
			struct diag *d)
{
	for (;;) {
		int rc = journal_cursor_next(&reader->cursor, record);

		if (rc > 0 && record->seq < reader->next_seq)
			continue;
		if (rc > 0) {
			reader->next_seq = record->seq + 1;
			return 1;
		}
		if (rc < 0 && rc != -EPROTO)
			return diag_errno(d, rc, reader->dir, NULL, "cannot read the journal");
		rc = journal_reader_move(reader);
		if (rc == 0)
			return 0;
		if (rc == -EPROTO)
			return diag_set(
				d, rc, reader->dir,
				"restart vowd: it sets the segment aside and saves the rest",
				"a broken record before %" PRIu64, reader->first_seq);
		if (rc < 0)
			return journal_reader_fail(reader->dir, rc, "cannot go on in the journal",
						   d);
	}
}

/* ---- life ------------------------------------------------------------------------------------ */

static bool journal_name_is_good(const char *name)
{
	if (!*name || strlen(name) > 64)
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && *name != '-' && *name != '_')
			return false;
	return true;
}

int journal_reader_open(const char *dir, const char *name, uint64_t from,
			struct journal_reader **reader, struct diag *d)
{
	struct journal_reader *r;
	int rc = 0;

	if (name && !journal_name_is_good(name))
		return diag_set(d, -EINVAL, dir, NULL, "no name for a reader: '%s'", name);
	r = calloc(1, sizeof(*r));
	if (!r)
		return diag_errno(d, -ENOMEM, dir, NULL, "cannot read the journal");
	r->cursor.fd = -1;
	r->dir = strdup(dir);
	r->name = name ? strdup(name) : NULL;
	if (!r->dir || (name && !r->name))
		rc = -ENOMEM;
	if (!rc)
		rc = journal_reader_seek(r, from);
	if (!rc && name)
		rc = journal_reader_announce(r);
	if (rc < 0) {
		journal_reader_close(r);
		return journal_reader_fail(dir, rc, "cannot read the journal", d);
	}
	*reader = r;
	return 0;
}

void journal_reader_close(struct journal_reader *reader)
{
	if (!reader)
		return;
	if (reader->cursor.fd >= 0)
		close(reader->cursor.fd);
	journal_cursor_deinit(&reader->cursor);
	free(reader->dir);
	free(reader->name);
	free(reader);
}

uint64_t journal_reader_epoch(const struct journal_reader *reader)
{
	return reader->epoch;
}
