/* SPDX-License-Identifier: Apache-2.0 */
/* The journal's readers: they follow the writer from another process and never write but a position. */
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

struct journal_reader {
	char dir[JOURNAL_PATH_MAX - 32];
	char name[32]; /* "" for a reader whose position does not count */
	uint64_t epoch;
	int fd; /* of the segment being read; -1 none */
	uint64_t first; /* its name */
	uint64_t at; /* offset of the next record */
	uint64_t from; /* records below are skipped */
	uint8_t *buffer;
	size_t buffer_size;
};

static int reader_open_segment(struct journal_reader *reader, uint64_t first, struct diag *d)
{
	uint8_t bytes[JOURNAL_HEADER_BYTES];
	struct journal_header header;
	char path[JOURNAL_PATH_MAX];
	_cleanup_(fd_closep) int fd = -1;

	journal_segment_path(path, reader->dir, first);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = fd_read_full(fd, bytes, sizeof(bytes));
	if (n < (ssize_t)sizeof(bytes))
		return n < 0 ? (int)n : -EAGAIN; /* the writer has just begun it */
	int rc = journal_header_decode(bytes, &header, path, d);
	if (rc)
		return rc;
	fd_closep(&reader->fd);
	reader->fd = fd;
	fd = -1;
	reader->first = first;
	reader->at = JOURNAL_HEADER_BYTES;
	reader->epoch = header.epoch;
	return 0;
}

/*
 * Opens the segment in which `seq` is or would come: the last that begins at or below it, else the
 * oldest. -ENOENT when there is none at all.
 */
static int reader_find(struct journal_reader *reader, uint64_t seq, struct diag *d)
{
	uint64_t *firsts = NULL;
	size_t count = 0, pick = 0;
	int rc = journal_list(reader->dir, &firsts, &count);

	if (!rc && !count)
		rc = -ENOENT;
	for (size_t i = 0; !rc && i < count; i++)
		if (firsts[i] <= seq)
			pick = i;
	if (!rc)
		rc = reader_open_segment(reader, firsts[pick], d);
	free(firsts);
	return rc;
}

/* Opens the segment behind the current one. 1 opened, 0 there is none yet. */
static int reader_next_segment(struct journal_reader *reader, struct diag *d)
{
	uint64_t *firsts = NULL, next = 0;
	size_t count = 0;
	int rc = journal_list(reader->dir, &firsts, &count);

	for (size_t i = 0; !rc && i < count && !next; i++)
		if (firsts[i] > reader->first)
			next = firsts[i];
	free(firsts);
	if (rc || !next)
		return rc;
	rc = reader_open_segment(reader, next, d);
	return rc == -EAGAIN || rc == -ENOENT ? 0 : rc ? rc : 1;
}

int journal_reader_open(const char *dir, const char *name, uint64_t from,
			struct journal_reader **out, struct diag *d)
{
	struct journal_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return diag_errno(d, -ENOMEM, dir, NULL, "cannot read the journal");
	reader->fd = -1;
	reader->from = from;
	int rc = 0;
	if ((size_t)snprintf(reader->dir, sizeof(reader->dir), "%s", dir) >= sizeof(reader->dir) ||
	    (name && (size_t)snprintf(reader->name, sizeof(reader->name), "%s", name) >=
			     sizeof(reader->name)))
		rc = -ENAMETOOLONG;
	if (!rc)
		rc = reader_find(reader, from, d);
	if (rc == -EAGAIN)
		rc = -ENOENT;
	/* From now on the writer keeps what this reader has not seen. */
	if (!rc && name && !journal_position(dir, name, reader->epoch))
		rc = journal_reader_commit(reader, 0);
	if (rc) {
		journal_reader_close(reader);
		return rc == -EPROTO || rc == -ENOTSUP
			       ? rc
			       : diag_errno(d, rc, dir, "start vowd", "no journal to read");
	}
	*out = reader;
	return 0;
}

void journal_reader_close(struct journal_reader *reader)
{
	if (!reader)
		return;
	fd_closep(&reader->fd);
	free(reader->buffer);
	free(reader);
}

uint64_t journal_reader_epoch(const struct journal_reader *reader)
{
	return reader->epoch;
}

/* Reads size bytes at the current record; 1 all are there, 0 not yet. */
static int reader_fill(struct journal_reader *reader, size_t size)
{
	if (size > reader->buffer_size) {
		uint8_t *grown = realloc(reader->buffer, size);
		if (!grown)
			return -ENOMEM;
		reader->buffer = grown;
		reader->buffer_size = size;
	}
	size_t got = 0;
	while (got < size) {
		ssize_t n = pread(reader->fd, reader->buffer + got, size - got,
				  (off_t)(reader->at + got));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		got += (size_t)n;
	}
	return 1;
}

/*
 * One whole record at the current place: 1; 0 when the segment ends before it or in it; -EPROTO
 * when bytes stand there that are no record.
 */
static int reader_record(struct journal_reader *reader, struct journal_prefix *prefix)
{
	int rc = reader_fill(reader, JOURNAL_RECORD_BYTES);

	if (rc <= 0)
		return rc;
	if (journal_prefix_decode(reader->buffer, prefix))
		return -EPROTO;
	rc = reader_fill(reader, journal_record_size(prefix));
	if (rc <= 0)
		return rc;
	return journal_record_intact(reader->buffer, prefix) ? 1 : -EPROTO;
}

int journal_reader_next(struct journal_reader *reader, struct journal_record *record,
			struct diag *d)
{
	struct journal_prefix prefix;

	for (;;) {
		int rc = reader_record(reader, &prefix);
		if (rc > 0) {
			reader->at += journal_record_size(&prefix);
			if (prefix.seq < reader->from)
				continue;
			reader->from = prefix.seq + 1;
			*record = (struct journal_record){
				.seq = prefix.seq,
				.wall = prefix.wall,
				.wire = reader->buffer + JOURNAL_RECORD_BYTES,
				.wire_size = prefix.wire_size,
				.local = reader->buffer + JOURNAL_RECORD_BYTES + prefix.wire_size,
				.local_size = prefix.local_size,
			};
			return 1;
		}
		if (rc < 0 && rc != -EPROTO)
			return diag_errno(d, rc, reader->dir, NULL, "cannot read");
		/* Broken bytes at the very end may be a record that is just being written. */
		int next = reader_next_segment(reader, d);
		if (next <= 0)
			return next;
		if (rc == -EPROTO)
			return diag_set(d, -EPROTO, reader->dir, NULL,
					"a broken record; going on with the next segment");
	}
}

int journal_reader_seek(struct journal_reader *reader, uint64_t from)
{
	int rc = reader_find(reader, from, NULL);

	if (!rc)
		reader->from = from;
	return rc;
}

int journal_reader_commit(struct journal_reader *reader, uint64_t seq)
{
	char path[JOURNAL_PATH_MAX + 16], text[64];

	if (!reader->name[0])
		return -EINVAL;
	snprintf(path, sizeof(path), "%s/%s.position", reader->dir, reader->name);
	int length =
		snprintf(text, sizeof(text), "%016" PRIx64 " %" PRIu64 "\n", reader->epoch, seq);
	return fd_replace_file(path, text, (size_t)length, 0644, NULL);
}
