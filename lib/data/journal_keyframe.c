/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/data/journal_keyframe.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/testpoint.h"
#include "lib/data/journal_writer.h"

/* Of one that is being written: there is but one at a time. */
#define KEYFRAME_NEW "keyframe.new"

struct journal_keyframe {
	struct journal *journal;
	struct journal_mark mark;
	wall_ns begun_at;
	int fd;
	char path[PATH_MAX];
};

struct journal_mark journal_mark(const struct journal *journal)
{
	return (struct journal_mark){journal->header.epoch, journal->last_seq, journal->last_crc};
}

struct journal_mark journal_mark_of(uint64_t epoch, const struct journal_record *record)
{
	uint8_t head[JOURNAL_HEAD_BYTES];

	journal_head_encode(head, record);
	return (struct journal_mark){epoch, record->seq, journal_head_crc(head)};
}

static int keyframe_path(char path[PATH_MAX], const char *dir, uint64_t seq)
{
	int n = snprintf(path, PATH_MAX, "%s/%016" PRIx64 JOURNAL_KEYFRAME, dir, seq);

	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int keyframe_new_path(char path[PATH_MAX], const char *dir)
{
	return snprintf(path, PATH_MAX, "%s/" KEYFRAME_NEW, dir) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* ---- writing ------------------------------------------------------------------------------------- */

static int keyframe_create(struct journal_keyframe *keyframe)
{
	const struct journal *journal = keyframe->journal;
	struct journal_header header = journal->header;
	uint8_t bytes[JOURNAL_HEADER_BYTES];
	int rc = keyframe_new_path(keyframe->path, journal->dir);

	if (rc < 0)
		return rc;
	header.epoch = keyframe->mark.epoch;
	header.first_seq = keyframe->mark.seq;
	header.crc = keyframe->mark.crc;
	header.begun_at = keyframe->begun_at;
	journal_header_encode(&header, JOURNAL_FILE_KEYFRAME, bytes);
	keyframe->fd = open(keyframe->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
			    JOURNAL_MODE);
	if (keyframe->fd < 0)
		return -errno;
	return fd_write_full(keyframe->fd, bytes, sizeof(bytes));
}

int journal_keyframe_begin(struct journal *journal, const struct journal_mark *mark,
			   struct journal_keyframe **keyframe)
{
	struct journal_keyframe *begun = malloc(sizeof(*begun));
	int rc;

	if (!begun)
		return -ENOMEM;
	*begun = (struct journal_keyframe){
		.journal = journal, .mark = *mark, .begun_at = clock_wall(), .fd = -1};
	rc = keyframe_create(begun);
	TESTPOINT(keyframe_created);
	if (rc < 0)
		journal_keyframe_abandon(begun);
	else
		*keyframe = begun;
	return rc;
}

int journal_keyframe_append(struct journal_keyframe *keyframe, const void *bytes, size_t size)
{
	const struct journal_record piece = {.seq = keyframe->mark.seq,
					     .wall = keyframe->begun_at,
					     .local = bytes,
					     .local_size = size};
	uint8_t head[JOURNAL_HEAD_BYTES];
	struct iovec parts[] = {{head, sizeof(head)}, {(void *)bytes, size}};
	ssize_t n;

	if (size > JOURNAL_RECORD_MAX)
		return -EMSGSIZE;
	journal_head_encode(head, &piece);
	n = writev(keyframe->fd, parts, 2);
	TESTPOINT(keyframe_piece_written);
	if (n < 0)
		return -errno;
	/* A short write says nothing of why; a full disk or a limit is what it can be. */
	if (n != (ssize_t)(sizeof(head) + size))
		return -ENOSPC;
	/* Begins to store it, so that the sync at the end has little to wait for. */
	if (keyframe->journal->options.fsync_every)
		(void)sync_file_range(keyframe->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return 0;
}

static int keyframe_dir_sync(const struct journal *journal)
{
	_cleanup_(fd_closep) int fd = open(journal->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* Whether the disk has it by now, also of a journal that is not synced. */
static bool keyframe_stored(const struct journal *journal, uint64_t seq)
{
	char path[PATH_MAX];
	struct stat st;

	return keyframe_path(path, journal->dir, seq) == 0 && stat(path, &st) == 0 &&
	       (wall_ns)st.st_mtim.tv_sec * NS_PER_S + JOURNAL_KEYFRAME_STORED < clock_wall();
}

/*
 * Of keyframes in the order of their numbers the newest that the disk has; where it has none of them
 * yet, the oldest, which it will have first. count > 0.
 */
static uint64_t keyframe_stored_newest(const struct journal *journal, const uint64_t *seqs,
				       size_t count)
{
	while (--count > 0 && !keyframe_stored(journal, seqs[count])) {
	}
	return seqs[count];
}

uint64_t journal_keyframe_stands(const struct journal *journal, uint64_t seq)
{
	uint64_t *seqs;
	size_t count, older = 0;

	if (journal->options.fsync_every)
		return seq;
	if (journal_keyframe_list(journal->dir, &seqs, &count) < 0)
		return 0;
	while (older < count && seqs[older] <= seq)
		older++;
	if (older)
		seq = keyframe_stored_newest(journal, seqs, older);
	free(seqs);
	return seq;
}

/*
 * Those that stay are this one and the newest before it, should the disk have lost the end of this;
 * and where that too is of the last minute, as after two starts, the one that stands.
 */
static void keyframes_drop(const struct journal *journal, uint64_t seq)
{
	char path[PATH_MAX];
	uint64_t *seqs, before = 0, stands = 0;
	size_t count, older = 0;

	if (journal_keyframe_list(journal->dir, &seqs, &count) < 0)
		return;
	while (older < count && seqs[older] < seq)
		before = seqs[older++];
	if (older)
		stands = keyframe_stored_newest(journal, seqs, older);
	for (size_t i = 0; i < count; i++)
		if (seqs[i] != seq && seqs[i] != before && seqs[i] != stands &&
		    keyframe_path(path, journal->dir, seqs[i]) == 0)
			(void)unlink(path);
	free(seqs);
}

/* What they take is a part of the journal's bytes. */
static void keyframes_count(struct journal *journal)
{
	char path[PATH_MAX];
	uint64_t *seqs, bytes = 0;
	size_t count;

	if (journal_keyframe_list(journal->dir, &seqs, &count) < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		struct stat st;

		if (keyframe_path(path, journal->dir, seqs[i]) == 0 && stat(path, &st) == 0)
			bytes += (uint64_t)st.st_size;
	}
	free(seqs);
	journal->counters.bytes += bytes - journal->keyframe_bytes;
	journal->keyframe_bytes = bytes;
}

int journal_keyframe_commit(struct journal_keyframe *keyframe)
{
	struct journal *journal = keyframe->journal;
	bool sync = journal->options.fsync_every > 0;
	char path[PATH_MAX];
	int rc = journal_keyframe_append(keyframe, NULL, 0);

	TESTPOINT(keyframe_ended);
	/* Its record as well, which counts with it; a segment that is full was synced at its end. */
	if (!rc && sync && journal->fd >= 0 && fdatasync(journal->fd) < 0)
		rc = -errno;
	if (!rc && sync && fdatasync(keyframe->fd) < 0)
		rc = -errno;
	if (!rc)
		rc = keyframe_path(path, journal->dir, keyframe->mark.seq);
	if (!rc && rename(keyframe->path, path) < 0)
		rc = -errno;
	if (rc < 0)
		return rc;
	TESTPOINT(keyframe_named);
	if (sync)
		(void)keyframe_dir_sync(journal); /* until then the one before it stands */
	keyframes_drop(journal, keyframe->mark.seq);
	keyframes_count(journal);
	close(keyframe->fd);
	free(keyframe);
	return 0;
}

void journal_keyframe_abandon(struct journal_keyframe *keyframe)
{
	if (!keyframe)
		return;
	if (keyframe->fd >= 0) {
		close(keyframe->fd);
		unlink(keyframe->path);
	}
	free(keyframe);
}

void journal_keyframes_open(struct journal *journal)
{
	char path[PATH_MAX];

	if (keyframe_new_path(path, journal->dir) == 0)
		(void)unlink(path);
	keyframes_count(journal);
}

void journal_keyframes_remove(struct journal *journal, uint64_t from, uint64_t to)
{
	char path[PATH_MAX];
	uint64_t *seqs;
	size_t count;

	if (journal_keyframe_list(journal->dir, &seqs, &count) < 0)
		return;
	for (size_t i = 0; i < count; i++)
		if (seqs[i] >= from && seqs[i] <= to &&
		    keyframe_path(path, journal->dir, seqs[i]) == 0)
			(void)unlink(path);
	free(seqs);
	keyframes_count(journal);
}

/* ---- reading ------------------------------------------------------------------------------------- */

/* 1: a piece; 0: the end that was written as such; -EPROTO: something else, or nothing, is there. */
static int keyframe_next(struct journal_cursor *cursor, const struct journal_mark *mark,
			 struct journal_record *piece)
{
	int rc = journal_cursor_next(cursor, piece);

	if (rc < 0)
		return rc;
	if (!rc || piece->seq != mark->seq || piece->wire_size)
		return -EPROTO;
	return piece->local_size > 0;
}

int journal_keyframe_read(const char *dir, const struct journal_mark *mark, journal_piece_fn fn,
			  void *arg)
{
	_cleanup_(fd_closep) int fd = -1;
	struct journal_cursor cursor = {.offset = JOURNAL_HEADER_BYTES};
	struct journal_record piece;
	struct journal_header header;
	char path[PATH_MAX];
	int rc = keyframe_path(path, dir, mark->seq);

	if (rc < 0)
		return rc;
	fd = journal_file_open(path, O_RDONLY, JOURNAL_FILE_KEYFRAME, &header);
	if (fd < 0)
		return fd;
	if (header.epoch != mark->epoch || header.first_seq != mark->seq || header.crc != mark->crc)
		return -EPROTO;
	cursor.fd = fd;
	while ((rc = keyframe_next(&cursor, mark, &piece)) > 0) {
		rc = fn ? fn(arg, piece.local, piece.local_size) : 0;
		if (rc)
			break;
	}
	journal_cursor_deinit(&cursor);
	return rc;
}

int journal_keyframe_refuse(const char *dir, uint64_t seq, struct diag *d)
{
	char path[PATH_MAX];

	return journal_version_refuse(keyframe_path(path, dir, seq) < 0 ? dir : path, d);
}

int journal_keyframe_list(const char *dir, uint64_t **seqs, size_t *count)
{
	return journal_list_of(dir, JOURNAL_KEYFRAME, seqs, count);
}
