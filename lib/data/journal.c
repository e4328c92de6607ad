/* SPDX-License-Identifier: Apache-2.0 */
/* The journal's writer. Its readers are in journal_reader.c, the bytes in journal_format.c. */
#include "lib/data/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/data/journal_format.h"

#define SEGMENT_BYTES_DEFAULT (UINT64_C(8) << 20)
#define BUDGET_BYTES_DEFAULT  (UINT64_C(256) << 20)

struct segment {
	uint64_t first_seq;
	uint64_t bytes;
};

struct journal {
	char dir[JOURNAL_PATH_MAX - 32];
	struct journal_options options;
	int lock;
	int fd; /* of the newest segment; -1 when the next record begins one */
	uint64_t epoch, last_seq;
	struct segment *segments; /* oldest first */
	size_t segment_count;
	mono_ns synced_at;
	struct journal_counters counters;
};

/* ---- opening: what a dead writer left is checked, cut or set aside --------------------------------- */

/* What reading a segment from its beginning found. */
struct survey {
	struct journal_header header;
	uint64_t last_seq; /* of the last whole record; first_seq - 1 when there is none */
	uint64_t whole_bytes; /* up to the end of the last whole record */
	uint64_t file_bytes;
	bool more_behind; /* a whole record stands behind what is broken: not a torn tail */
};

/* Looks for the beginning of a whole record of this journal behind a broken one. */
static bool record_behind(const uint8_t *bytes, size_t size, uint64_t last_seq)
{
	struct journal_prefix prefix;

	for (size_t at = 1; at + JOURNAL_RECORD_BYTES <= size; at++)
		if (!journal_prefix_decode(bytes + at, &prefix) && prefix.seq > last_seq &&
		    journal_record_size(&prefix) <= size - at &&
		    journal_record_intact(bytes + at, &prefix))
			return true;
	return false;
}

static int survey_segment(const char *path, struct survey *survey, struct diag *d)
{
	uint8_t *bytes = NULL;
	char *text = NULL;
	size_t size, at = JOURNAL_HEADER_BYTES;
	struct journal_prefix prefix;
	/* One record may exceed a segment's size by its own. */
	int rc = fd_read_file(path, (size_t)JOURNAL_RECORD_MAX * 40, &text, &size, d);

	if (rc)
		return rc;
	bytes = (uint8_t *)text;
	if (size < JOURNAL_HEADER_BYTES)
		rc = diag_set(d, -EPROTO, path, NULL, "the segment's header is cut");
	else
		rc = journal_header_decode(bytes, &survey->header, path, d);
	if (rc) {
		free(text);
		return rc;
	}
	survey->last_seq = survey->header.first_seq - 1;
	while (size - at >= JOURNAL_RECORD_BYTES && !journal_prefix_decode(bytes + at, &prefix) &&
	       journal_record_size(&prefix) <= size - at && prefix.seq > survey->last_seq &&
	       journal_record_intact(bytes + at, &prefix)) {
		survey->last_seq = prefix.seq;
		at += journal_record_size(&prefix);
	}
	survey->whole_bytes = at;
	survey->file_bytes = size;
	survey->more_behind = at < size && record_behind(bytes + at, size - at, survey->last_seq);
	free(text);
	return 0;
}

/* Renames a damaged segment; what is whole at its beginning stays under its name. */
static int quarantine(struct journal *journal, const char *path, uint64_t keep_bytes,
		      struct diag *d)
{
	char aside[JOURNAL_PATH_MAX + 16];
	char *text = NULL;
	size_t size;

	snprintf(aside, sizeof(aside), "%s.quarantined", path);
	if (keep_bytes) {
		int rc = fd_read_file(path, (size_t)JOURNAL_RECORD_MAX * 40, &text, &size, d);
		if (rc)
			return rc;
	}
	int rc = rename(path, aside) ? diag_errno(d, -errno, path, NULL, "cannot set it aside") : 0;
	if (!rc && keep_bytes)
		rc = fd_replace_file(path, text, keep_bytes, 0640, d);
	free(text);
	if (!rc)
		journal->counters.quarantined_total++;
	return rc;
}

static int segment_add(struct journal *journal, uint64_t first_seq, uint64_t bytes)
{
	struct segment *grown =
		realloc(journal->segments, (journal->segment_count + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	journal->segments = grown;
	grown[journal->segment_count++] = (struct segment){first_seq, bytes};
	return 0;
}

static int take_segment(struct journal *journal, uint64_t first, bool newest, struct diag *d)
{
	char path[JOURNAL_PATH_MAX];
	struct survey survey = {0};

	journal_segment_path(path, journal->dir, first);
	int rc = survey_segment(path, &survey, d);
	if (rc == -EPROTO)
		return quarantine(journal, path, 0, d);
	if (rc)
		return rc; /* of another version, or the disk's error: nothing is touched */
	if (survey.whole_bytes < survey.file_bytes) {
		if (survey.more_behind || !newest)
			rc = quarantine(journal, path, survey.whole_bytes, d);
		else if (truncate(path, (off_t)survey.whole_bytes))
			rc = diag_errno(d, -errno, path, NULL, "cannot cut a torn record");
		else
			journal->counters.torn_total++;
		if (rc)
			return rc;
	}
	journal->epoch = survey.header.epoch;
	journal->last_seq = survey.last_seq;
	/* A segment without a record would lack the keyframe that its first record brings. */
	if (newest && survey.whole_bytes == JOURNAL_HEADER_BYTES && !survey.more_behind)
		return unlink(path) ? diag_errno(d, -errno, path, NULL, "cannot remove it") : 0;
	/*
	 * Sequence numbers that broken records may have had are never given again: a hub that has
	 * seen them would take new records for repeated ones.
	 */
	if (survey.more_behind)
		journal->last_seq +=
			(survey.file_bytes - survey.whole_bytes) / JOURNAL_RECORD_BYTES + 1;
	return segment_add(journal, first, survey.whole_bytes);
}

static int take_segments(struct journal *journal, struct diag *d)
{
	uint64_t *firsts = NULL;
	size_t count = 0;
	int rc = journal_list(journal->dir, &firsts, &count);

	for (size_t i = 0; !rc && i < count; i++) {
		rc = take_segment(journal, firsts[i], i + 1 == count, d);
		if (!rc && journal->last_seq + 1 < firsts[i])
			journal->last_seq = firsts[i] - 1;
	}
	free(firsts);
	return rc;
}

/* Goes on in the newest segment unless it is full already. */
static int open_newest(struct journal *journal, struct diag *d)
{
	char path[JOURNAL_PATH_MAX];

	if (!journal->segment_count)
		return 0;
	const struct segment *newest = &journal->segments[journal->segment_count - 1];
	if (newest->bytes >= journal->options.segment_bytes)
		return 0;
	journal_segment_path(path, journal->dir, newest->first_seq);
	journal->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	return journal->fd < 0 ? diag_errno(d, -errno, path, NULL, "cannot open for writing") : 0;
}

static int new_epoch(struct journal *journal, struct diag *d)
{
	while (!journal->epoch)
		if (getrandom(&journal->epoch, sizeof(journal->epoch), 0) < 0)
			return diag_errno(d, -errno, journal->dir, NULL, "no random numbers");
	return 0;
}

int journal_open(const char *dir, const struct journal_options *options, struct journal **out,
		 struct diag *d)
{
	struct journal *journal = calloc(1, sizeof(*journal));
	char lock_path[JOURNAL_PATH_MAX];

	if (!journal)
		return diag_errno(d, -ENOMEM, dir, NULL, "cannot open the journal");
	journal->fd = journal->lock = -1;
	if (options)
		journal->options = *options;
	if (!journal->options.segment_bytes)
		journal->options.segment_bytes = SEGMENT_BYTES_DEFAULT;
	if (!journal->options.budget_bytes)
		journal->options.budget_bytes = BUDGET_BYTES_DEFAULT;
	int rc = 0;
	if ((size_t)snprintf(journal->dir, sizeof(journal->dir), "%s", dir) >= sizeof(journal->dir))
		rc = diag_errno(d, -ENAMETOOLONG, dir, "choose a shorter path", "journal");
	if (!rc)
		rc = fd_make_dirs(dir, 0755, d);
	if (!rc) {
		snprintf(lock_path, sizeof(lock_path), "%s/journal.lock", dir);
		journal->lock = fd_lock(lock_path, d);
		rc = journal->lock < 0 ? journal->lock : 0;
	}
	if (!rc)
		rc = take_segments(journal, d);
	if (!rc)
		rc = new_epoch(journal, d);
	if (!rc)
		rc = open_newest(journal, d);
	if (rc) {
		journal_close(journal);
		return rc;
	}
	*out = journal;
	return 0;
}

void journal_close(struct journal *journal)
{
	if (!journal)
		return;
	if (journal->fd >= 0 && journal->options.fsync_every)
		fdatasync(journal->fd);
	fd_closep(&journal->fd);
	fd_closep(&journal->lock);
	free(journal->segments);
	free(journal);
}

uint64_t journal_epoch(const struct journal *journal)
{
	return journal->epoch;
}

uint64_t journal_last_seq(const struct journal *journal)
{
	return journal->last_seq;
}

bool journal_at_segment_start(const struct journal *journal)
{
	return journal->fd < 0;
}

/* ---- appending ------------------------------------------------------------------------------------- */

/* Creates the segment of the next record with its header; leaves nothing behind on failure. */
static int segment_begin(struct journal *journal, wall_ns wall, struct diag *d)
{
	const struct journal_header header = {
		.epoch = journal->epoch, .first_seq = journal->last_seq + 1, .created = wall};
	uint8_t bytes[JOURNAL_HEADER_BYTES];
	char path[JOURNAL_PATH_MAX];

	journal_segment_path(path, journal->dir, header.first_seq);
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return diag_errno(d, -errno, path, "free disk space or make it writable",
				  "cannot begin a journal segment");
	journal_header_encode(&header, bytes);
	int rc = fd_write_full(fd, bytes, sizeof(bytes));
	if (!rc)
		rc = segment_add(journal, header.first_seq, sizeof(bytes));
	if (rc) {
		unlink(path);
		close(fd);
		return diag_errno(d, rc, path, "free disk space", "cannot begin a journal segment");
	}
	journal->fd = fd;
	return 0;
}

/* Takes back a segment that got no record. */
static void segment_abandon(struct journal *journal)
{
	char path[JOURNAL_PATH_MAX];

	journal_segment_path(path, journal->dir,
			     journal->segments[--journal->segment_count].first_seq);
	unlink(path);
	fd_closep(&journal->fd);
}

static int write_record(int fd, const struct iovec parts[3], size_t size)
{
	ssize_t n = writev(fd, parts, 3);

	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -ENOSPC; /* a short write is a disk that is full */
}

int journal_append(struct journal *journal, wall_ns wall, const void *wire, size_t wire_size,
		   const void *local, size_t local_size, uint64_t *seq, struct diag *d)
{
	uint8_t prefix[JOURNAL_RECORD_BYTES];
	bool begins = journal->fd < 0;
	size_t size = sizeof(prefix) + wire_size + local_size;

	if (wire_size + local_size > JOURNAL_RECORD_MAX)
		return diag_set(d, -EMSGSIZE, journal->dir, "lower series_max",
				"a record of %zu bytes is too large", wire_size + local_size);
	int rc = begins ? segment_begin(journal, wall, d) : 0;
	if (rc)
		return rc;
	journal_prefix_encode(prefix, journal->last_seq + 1, wall, wire, wire_size, local,
			      local_size);
	const struct iovec parts[3] = {
		{prefix, sizeof(prefix)}, {(void *)wire, wire_size}, {(void *)local, local_size}};
	struct segment *segment = &journal->segments[journal->segment_count - 1];
	rc = write_record(journal->fd, parts, size);
	if (rc) {
		if (begins)
			segment_abandon(journal);
		else if (ftruncate(journal->fd, (off_t)segment->bytes))
			fd_closep(&journal->fd); /* the torn tail stays: go on in a new segment */
		return diag_errno(d, rc, journal->dir, "free disk space", "cannot write");
	}
	segment->bytes += size;
	*seq = ++journal->last_seq;
	if (journal->options.fsync_every &&
	    clock_mono() - journal->synced_at >= journal->options.fsync_every) {
		fdatasync(journal->fd);
		journal->synced_at = clock_mono();
	}
	if (segment->bytes >= journal->options.segment_bytes)
		fd_closep(&journal->fd);
	return 0;
}

/* ---- trimming -------------------------------------------------------------------------------------- */

static uint64_t journal_bytes(const struct journal *journal)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < journal->segment_count; i++)
		bytes += journal->segments[i].bytes;
	return bytes;
}

static void drop_oldest(struct journal *journal)
{
	char path[JOURNAL_PATH_MAX];

	journal_segment_path(path, journal->dir, journal->segments[0].first_seq);
	unlink(path);
	memmove(journal->segments, journal->segments + 1,
		--journal->segment_count * sizeof(*journal->segments));
}

void journal_trim(struct journal *journal, uint64_t keep_from)
{
	uint64_t read_to = UINT64_MAX;
	bool asked = false;

	while (journal->segment_count > 1) {
		uint64_t first = journal->segments[0].first_seq;
		uint64_t last = journal->segments[1].first_seq - 1;

		if (last >= keep_from)
			return;
		if (!asked)
			read_to = journal_lowest_position(journal->dir, journal->epoch);
		asked = true;
		bool nobody_reads = read_to == UINT64_MAX;
		bool unread = nobody_reads || last > read_to;
		/* Without any reader the budget is a memory for restarts and for looking back. */
		if (unread && journal_bytes(journal) <= journal->options.budget_bytes)
			return;
		if (unread && !nobody_reads)
			journal->counters.dropped_records_total +=
				last - (first > read_to ? first - 1 : read_to);
		drop_oldest(journal);
	}
}

struct journal_counters journal_counters(const struct journal *journal)
{
	struct journal_counters counters = journal->counters;

	counters.segments = journal->segment_count;
	counters.bytes = journal_bytes(journal);
	return counters;
}
