/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/data/journal_compact.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/data/journal_format.h"

#define FRESH ".new"

struct journal_compact {
	char path[PATH_MAX], fresh[PATH_MAX];
	/*
	 * The old segment, which does not change any more, read twice: `ahead` gathers a run of
	 * records, `behind` follows and writes. What lies before `behind` is written.
	 */
	struct journal_cursor ahead, behind;
	uint64_t old_size;
	uint64_t claim;
	int fd; /* of the new one */
	bool committed;
	struct journal_compact_result result;

	/* Records with content that follow one another, empty ones between them not among them. */
	struct journal_record run[COMPACT_RUN];
	uint8_t *copies[COMPACT_RUN]; /* of their wire parts */
	size_t run_count;
};

/* ---- life ------------------------------------------------------------------------------------ */

static bool journal_is_left_over(const char *name)
{
	static const char suffix[] = JOURNAL_SUFFIX FRESH;
	size_t length = strlen(name);

	return length >= sizeof(suffix) &&
	       strcmp(name + length - (sizeof(suffix) - 1), suffix) == 0;
}

int journal_compact_prepare(const char *dir)
{
	_cleanup_(fd_closep) int lock = -1;
	DIR *listing = opendir(dir);
	struct dirent *entry;

	if (!listing)
		return -errno;
	while ((entry = readdir(listing)))
		if (journal_is_left_over(entry->d_name))
			(void)unlinkat(dirfd(listing), entry->d_name, 0);
	closedir(listing);
	lock = journal_claims_open(dir, O_CREAT);
	return lock < 0 ? lock : 0;
}

static int journal_write_out(struct journal_compact *compact, const void *bytes, size_t size)
{
	int rc = fd_write_full(compact->fd, bytes, size);

	if (!rc)
		compact->result.bytes += size;
	return rc;
}

static int journal_old_open(struct journal_compact *compact)
{
	uint8_t bytes[JOURNAL_HEADER_BYTES];
	struct journal_header header;
	struct stat st;
	int fd = journal_segment_open(compact->path, O_RDONLY, &header);

	if (fd < 0)
		return fd;
	compact->ahead.fd = compact->behind.fd = fd;
	compact->ahead.offset = compact->behind.offset = JOURNAL_HEADER_BYTES;
	if (fstat(fd, &st) < 0)
		return -errno;
	compact->old_size = (uint64_t)st.st_size;
	journal_header_encode(&header, JOURNAL_FILE_SEGMENT, bytes);
	return journal_write_out(compact, bytes, sizeof(bytes));
}

static int journal_compact_open(struct journal_compact *compact)
{
	compact->fd = open(compact->fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
			   JOURNAL_MODE);
	return compact->fd < 0 ? -errno : journal_old_open(compact);
}

int journal_compact_begin(const char *dir, uint64_t first_seq, uint64_t claim,
			  struct journal_compact **compact)
{
	struct journal_compact *made = calloc(1, sizeof(*made));
	int rc = made ? 0 : -ENOMEM;

	if (rc)
		return rc;
	made->fd = made->ahead.fd = made->behind.fd = -1;
	made->claim = claim;
	made->result.first_seq = first_seq;
	rc = journal_path(made->path, dir, first_seq, "");
	if (!rc)
		rc = journal_path(made->fresh, dir, first_seq, FRESH);
	if (!rc)
		rc = journal_compact_open(made);
	if (rc < 0) {
		journal_compact_abandon(made);
		return rc;
	}
	*compact = made;
	return 0;
}

void journal_compact_abandon(struct journal_compact *compact)
{
	if (!compact)
		return;
	if (compact->fd >= 0) {
		close(compact->fd);
		if (!compact->committed)
			unlink(compact->fresh);
	}
	if (compact->ahead.fd >= 0)
		close(compact->ahead.fd);
	journal_cursor_deinit(&compact->ahead);
	journal_cursor_deinit(&compact->behind);
	for (size_t i = 0; i < compact->run_count; i++)
		free(compact->copies[i]);
	free(compact);
}

struct journal_compact_result journal_compact_result(const struct journal_compact *compact)
{
	return compact->result;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int journal_record_put(struct journal_compact *compact, const struct journal_record *record)
{
	uint8_t head[JOURNAL_HEAD_BYTES];
	int rc;

	journal_head_encode(head, record);
	rc = journal_write_out(compact, head, sizeof(head));
	if (!rc && record->wire_size)
		rc = journal_write_out(compact, record->wire, record->wire_size);
	if (!rc && record->local_size)
		rc = journal_write_out(compact, record->local, record->local_size);
	return rc;
}

/* A record that was merged into number `into`. */
static int journal_merged_put(struct journal_compact *compact, const struct journal_record *record,
			      uint64_t into)
{
	const uint64_t number = htole64(into);
	const struct journal_record merged = {.seq = record->seq,
					      .wall = record->wall,
					      .local = (const uint8_t *)&number,
					      .local_size = JOURNAL_MERGED_BYTES};

	compact->result.merged_records++;
	return journal_record_put(compact, &merged);
}

/*
 * Writes what lies before the record `last`, and that with the wire part given. Records with
 * content before it went into it, empty ones stay what they are.
 */
static int journal_span_put(struct journal_compact *compact, uint64_t last, const uint8_t *wire,
			    size_t wire_size)
{
	struct journal_record record = {0};
	int rc = 0;

	while (!rc && record.seq < last) {
		rc = journal_cursor_next(&compact->behind, &record);
		if (rc <= 0)
			return rc ? rc : -EPROTO;
		if (record.seq == last) {
			record.wire = wire;
			record.wire_size = wire_size;
			record.local_size = 0;
			rc = journal_record_put(compact, &record);
		} else if (record.wire_size) {
			rc = journal_merged_put(compact, &record, last);
		} else {
			rc = journal_record_put(compact, &record);
		}
	}
	return rc;
}

static void journal_run_shift(struct journal_compact *compact, size_t taken)
{
	for (size_t i = 0; i < taken; i++)
		free(compact->copies[i]);
	compact->run_count -= taken;
	memmove(compact->run, compact->run + taken, compact->run_count * sizeof(compact->run[0]));
	memmove(compact->copies, compact->copies + taken,
		compact->run_count * sizeof(compact->copies[0]));
}

/* Writes the first records of the run, merged as far as they can be. */
static int journal_run_put(struct journal_compact *compact, journal_merge_fn merge, void *arg)
{
	const uint8_t *wire = NULL;
	size_t wire_size = 0;
	ssize_t taken = 1;
	int rc;

	if (compact->run_count > 1)
		taken = merge(arg, compact->run, compact->run_count, &wire, &wire_size);
	if (taken < 0)
		return (int)taken;
	if (taken < 2 || wire_size > JOURNAL_RECORD_MAX) {
		taken = 1;
		wire = compact->run[0].wire;
		wire_size = compact->run[0].wire_size;
	}
	rc = journal_span_put(compact, compact->run[taken - 1].seq, wire, wire_size);
	journal_run_shift(compact, (size_t)taken);
	return rc;
}

static int journal_run_add(struct journal_compact *compact, const struct journal_record *record)
{
	uint8_t *copy = malloc(record->wire_size);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, record->wire, record->wire_size);
	compact->run[compact->run_count] = *record;
	compact->run[compact->run_count].wire = copy;
	compact->copies[compact->run_count++] = copy;
	return 0;
}

static int journal_record_take(struct journal_compact *compact, const struct journal_record *record,
			       journal_merge_fn merge, void *arg)
{
	int rc = 0;

	if (record->seq <= compact->claim) {
		compact->behind.offset = compact->ahead.offset;
		return journal_record_put(compact, record);
	}
	if (!record->wire_size)
		return 0; /* written on the way to the next one with content, or at the end */
	if (compact->run_count == COMPACT_RUN)
		rc = journal_run_put(compact, merge, arg);
	return rc ? rc : journal_run_add(compact, record);
}

/* What is left at the end: the run, and empty records behind it. */
static int journal_rest_put(struct journal_compact *compact, journal_merge_fn merge, void *arg)
{
	struct journal_record record;
	int rc = 0;

	while (!rc && compact->run_count)
		rc = journal_run_put(compact, merge, arg);
	while (!rc && (rc = journal_cursor_next(&compact->behind, &record)) > 0)
		rc = journal_record_put(compact, &record);
	return rc;
}

int journal_compact_step(struct journal_compact *compact, journal_merge_fn merge, void *arg)
{
	uint64_t until = compact->ahead.offset + COMPACT_STEP;
	int rc = 0;

	while (!rc && compact->ahead.offset < compact->old_size && compact->ahead.offset < until) {
		struct journal_record record;

		rc = journal_cursor_next(&compact->ahead, &record);
		if (rc <= 0)
			return rc ? rc : -EPROTO; /* broken: the next start mends it */
		rc = journal_record_take(compact, &record, merge, arg);
	}
	if (rc < 0 || compact->ahead.offset < compact->old_size)
		return rc;
	rc = journal_rest_put(compact, merge, arg);
	return rc < 0 ? rc : 1;
}

/* ---- taking its place ------------------------------------------------------------------------ */

int journal_compact_commit(struct journal_compact *compact, const char *dir, uint64_t epoch)
{
	_cleanup_(fd_closep) int folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(fd_closep) int lock = -1;
	uint64_t claim;

	if (folder < 0)
		return -errno;
	lock = journal_claims_open(dir, 0);
	if (lock < 0)
		return lock;
	if (fsync(compact->fd) < 0)
		return -errno;
	if (flock(lock, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	claim = journal_places_read(dir, epoch).claim;
	if (claim > compact->claim && claim >= compact->result.first_seq)
		return -ESTALE;
	if (rename(compact->fresh, compact->path) < 0)
		return -errno;
	compact->committed = true;
	/* Should the name be lost in a crash, the old segment has it again: as good. */
	(void)fsync(folder);
	return 0;
}
