/* SPDX-License-Identifier: Apache-2.0 */
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
#include "lib/base/testpoint.h"
#include "lib/data/journal_compact.h"
#include "lib/data/journal_keyframe.h"
#include "lib/data/journal_writer.h"

#define SEGMENT_BYTES_DEFAULT (UINT64_C(8) << 20)
#define BUDGET_BYTES_DEFAULT  (UINT64_C(256) << 20)
/*
 * Numbers left out after a restart of the machine. Records not yet on disk may have been sent; theirs
 * must not come again. The kernel writes back within 35 s (dirty_expire and a round of its writer),
 * and while lanes fill the agent appends eleven a second: 385.
 */
#define CRASH_SKIP 512
#define DIR_MODE   0770 /* readers of the group write their positions */

static struct journal_segment *journal_newest(const struct journal *journal)
{
	return &journal->segments[journal->count - 1];
}

static int journal_segments_add(struct journal *journal, struct journal_segment segment)
{
	if (journal->count == journal->cap) {
		size_t cap = journal->cap ? 2 * journal->cap : 64;
		struct journal_segment *grown = realloc(journal->segments, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		journal->segments = grown;
		journal->cap = cap;
	}
	journal->segments[journal->count++] = segment;
	journal->counters.segments++;
	journal->counters.bytes += segment.bytes;
	return 0;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* The id of this run of the machine, as bytes; zeros where /proc does not tell. 0 or -ENOMEM. */
static int journal_boot_id_read(uint8_t id[16])
{
	char *text;
	size_t size, n = 0;
	int rc;

	memset(id, 0, 16);
	rc = fd_read_file("/proc/sys/kernel/random/boot_id", 64, &text, &size, NULL);
	if (rc < 0)
		return rc == -ENOMEM ? rc : 0;
	for (const char *p = text; *p && n < 32; p++) {
		const char *digits = "0123456789abcdef", *digit = strchr(digits, *p);

		if (digit) {
			id[n / 2] = (uint8_t)(id[n / 2] << 4 | (digit - digits));
			n++;
		}
	}
	free(text);
	return 0;
}

/* The epoch of the newest segment whose header is whole; 0: there is none. */
static int journal_epoch_find(const char *dir, const uint64_t *seqs, size_t count, uint64_t *epoch,
			      struct diag *d)
{
	*epoch = 0;
	for (size_t i = count; i-- > 0 && !*epoch;) {
		struct journal_header header;
		char path[PATH_MAX];
		int fd = journal_path(path, dir, seqs[i], "");

		if (!fd)
			fd = journal_segment_open(path, O_RDONLY, &header);
		if (fd == -EPROTONOSUPPORT)
			return journal_version_refuse(path, d);
		/* One that cannot be looked at now is not broken: it must not be set aside. */
		if (fd < 0 && fd != -EPROTO)
			return diag_errno(d, fd, path, NULL, "cannot open");
		if (fd < 0)
			continue;
		close(fd);
		if (header.first_seq == seqs[i])
			*epoch = header.epoch;
	}
	return 0;
}

static int journal_epoch_new(uint64_t *epoch)
{
	do {
		if (getrandom(epoch, sizeof(*epoch), 0) != sizeof(*epoch))
			return -errno;
	} while (!*epoch);
	return 0;
}

/* Files whose epoch no one knows any more cannot be sent: all are set aside. */
static int journal_set_all_aside(struct journal *journal, const uint64_t *seqs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char path[PATH_MAX], aside[PATH_MAX];
		int rc = journal_path(path, journal->dir, seqs[i], "");

		if (!rc)
			rc = journal_path(aside, journal->dir, seqs[i], ".quarantined");
		if (!rc && rename(path, aside) < 0)
			rc = -errno;
		if (rc < 0)
			return rc;
		journal->counters.quarantined_total++;
	}
	return 0;
}

/* When a segment that was found was last written to. */
static wall_ns journal_segment_written(const struct journal *journal, uint64_t first_seq)
{
	char path[PATH_MAX];
	struct stat st;

	if (journal_path(path, journal->dir, first_seq, "") < 0 || stat(path, &st) < 0)
		return clock_wall();
	return (wall_ns)st.st_mtim.tv_sec * NS_PER_S + (wall_ns)st.st_mtim.tv_nsec;
}

static int journal_segment_take(struct journal *journal, uint64_t first_seq, uint64_t limit_seq,
				uint8_t boot_id[16], struct diag *d)
{
	struct journal_repair repair = {
		.first_seq = first_seq, .limit_seq = limit_seq, .header = journal->header};
	char path[PATH_MAX];
	int rc;

	if (limit_seq && limit_seq - first_seq > JOURNAL_AHEAD_MAX)
		return diag_set(d, -EPROTO, journal->dir, "remove the segment that is not vow's",
				"no journal goes from record %" PRIu64 " to %" PRIu64, first_seq,
				limit_seq);
	rc = journal_repair_segment(journal->dir, &repair, d);
	if (rc < 0)
		return rc;
	journal->counters.torn_total += repair.torn;
	journal->counters.quarantined_total += repair.quarantined;
	journal->counters.lost_records_total += repair.lost_records;
	journal->last_seq = repair.last_seq;
	memcpy(boot_id, repair.header.boot_id, 16);
	if (repair.last_seq >= first_seq)
		return journal_segments_add(
			journal, (struct journal_segment){
					 .first_seq = first_seq,
					 .last_seq = repair.last_seq,
					 .bytes = repair.bytes,
					 .newest = journal_segment_written(journal, first_seq)});
	/* A crash between making it and its first record; its name will be needed. */
	if (journal_path(path, journal->dir, first_seq, "") == 0 && unlink(path) < 0)
		return diag_errno(d, -errno, path, NULL, "cannot remove an empty segment");
	return 0;
}

/* Whether records are gone that were there before: numbers behind the last one may have been used. */
static bool journal_has_lost(const struct journal *journal, const uint8_t boot_id[16])
{
	return memcmp(boot_id, journal->header.boot_id, 16) != 0 || journal->counters.torn_total ||
	       journal->counters.quarantined_total;
}

/*
 * After a restart of the machine, or when something was broken: numbers that may have been used for
 * records that the disk never got, or has no more, are given to empty ones.
 */
static int journal_skip_used(struct journal *journal, const uint8_t boot_id[16], struct diag *d)
{
	_cleanup_(fd_closep) int fd = -1;
	struct journal_places places = journal_places_read(journal->dir, journal->header.epoch);
	uint64_t until = journal->last_seq, used = places.most;
	char path[PATH_MAX];
	int rc;

	if (!journal->count)
		return 0;
	if (memcmp(boot_id, journal->header.boot_id, 16) != 0)
		until += CRASH_SKIP;
	/* What was claimed may have been sent; an unreadable claim says more than any record. */
	if (journal_has_lost(journal, boot_id) && places.claim > used && places.claim != UINT64_MAX)
		used = places.claim;
	if (used > until && used - until < JOURNAL_AHEAD_MAX)
		until = used;
	if (until == journal->last_seq)
		return 0;
	rc = journal_path(path, journal->dir, journal_newest(journal)->first_seq, "");
	if (!rc && (fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW)) < 0)
		rc = -errno;
	if (!rc)
		rc = journal_write_empty(fd, journal->last_seq + 1, until, clock_wall());
	if (!rc && fsync(fd) < 0)
		rc = -errno;
	if (rc < 0) {
		if (fd >= 0)
			(void)!ftruncate(fd, (off_t)journal_newest(journal)->bytes);
		return diag_errno(d, rc, path, NULL, "cannot write");
	}
	journal_newest(journal)->bytes += (until - journal->last_seq) * JOURNAL_HEAD_BYTES;
	journal->counters.bytes += (until - journal->last_seq) * JOURNAL_HEAD_BYTES;
	journal_newest(journal)->last_seq = until;
	journal->last_seq = until;
	return 0;
}

static int journal_segments_take(struct journal *journal, struct diag *d)
{
	uint8_t boot_id[16] = {0};
	uint64_t *seqs;
	size_t count;
	int rc = journal_list(journal->dir, &seqs, &count);

	if (rc < 0)
		return diag_errno(d, rc, journal->dir, NULL, "cannot list the journal");
	rc = journal_epoch_find(journal->dir, seqs, count, &journal->header.epoch, d);
	if (!rc && !journal->header.epoch) {
		rc = journal_set_all_aside(journal, seqs, count);
		if (!rc)
			rc = journal_epoch_new(&journal->header.epoch);
		if (rc < 0)
			diag_errno(d, rc, journal->dir, NULL, "cannot begin a journal");
		count = 0;
	}
	for (size_t i = 0; i < count && !rc; i++)
		rc = journal_segment_take(journal, seqs[i], i + 1 < count ? seqs[i + 1] - 1 : 0,
					  boot_id, d);
	free(seqs);
	journal_keyframes_open(journal);
	return rc < 0 ? rc : journal_skip_used(journal, boot_id, d);
}

static int journal_begin(struct journal *journal, const char *dir, struct diag *d)
{
	char path[PATH_MAX];
	int rc;

	journal->dir = strdup(dir);
	if (!journal->dir)
		return diag_errno(d, -ENOMEM, dir, NULL, "cannot open the journal");
	rc = fd_make_dirs(dir, DIR_MODE, d);
	if (rc < 0)
		return rc;
	if ((size_t)snprintf(path, sizeof(path), "%s/lock", dir) >= sizeof(path))
		return diag_errno(d, -ENAMETOOLONG, dir, NULL, "cannot open the journal");
	journal->lock_fd = fd_lock(path, d);
	if (journal->lock_fd < 0)
		return journal->lock_fd;
	rc = journal_boot_id_read(journal->header.boot_id);
	if (!rc && journal->options.merge)
		rc = journal_compact_prepare(dir);
	if (rc < 0)
		return diag_errno(d, rc, dir, NULL, "cannot open the journal");
	return journal_segments_take(journal, d);
}

int journal_open(const char *dir, const struct journal_options *options, struct journal **journal,
		 struct diag *d)
{
	struct journal *j = calloc(1, sizeof(*j));
	int rc;

	if (!j)
		return diag_errno(d, -ENOMEM, dir, NULL, "cannot open the journal");
	if (options)
		j->options = *options;
	if (!j->options.segment_bytes)
		j->options.segment_bytes = SEGMENT_BYTES_DEFAULT;
	if (!j->options.budget_bytes)
		j->options.budget_bytes = BUDGET_BYTES_DEFAULT;
	j->fd = j->lock_fd = -1;
	rc = journal_begin(j, dir, d);
	if (rc < 0) {
		journal_close(j);
		return rc;
	}
	*journal = j;
	return 0;
}

int journal_close(struct journal *journal)
{
	int rc = 0;

	if (!journal)
		return 0;
	journal_compact_abandon(journal->compact);
	if (journal->fd >= 0) {
		if (fdatasync(journal->fd) < 0)
			rc = -errno;
		close(journal->fd);
	}
	if (journal->lock_fd >= 0)
		close(journal->lock_fd);
	free(journal->segments);
	free(journal->dir);
	free(journal);
	return rc;
}

/* ---- appending ------------------------------------------------------------------------------- */

/* What a sync came to. A refusal does not stop the journal: who reads it has what was appended. */
static void journal_synced(struct journal *journal, int rc)
{
	journal->counters.sync_err = rc < 0 ? -errno : 0;
	journal->counters.sync_failures_total += rc < 0;
}

static void journal_dir_sync(struct journal *journal)
{
	_cleanup_(fd_closep) int fd = open(journal->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	journal_synced(journal, fd < 0 ? fd : fsync(fd));
}

/*
 * Takes what has the name of the next segment out of its way. No record has that number: it is what
 * a file system that had just become read-only did not let this journal remove. With more in it than
 * a header it is set aside all the same, for people to look at.
 */
static int journal_segment_clear(struct journal *journal, const char *path)
{
	char aside[PATH_MAX];
	struct stat st;
	int rc;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISREG(st.st_mode) && st.st_size <= JOURNAL_HEADER_BYTES)
		return unlink(path) < 0 ? -errno : 0;
	rc = journal_path(aside, journal->dir, journal->last_seq + 1, ".quarantined");
	if (!rc && rename(path, aside) < 0)
		rc = -errno;
	if (!rc)
		journal->counters.quarantined_total++;
	return rc;
}

static int journal_segment_create(struct journal *journal, const char *path)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC;
	int fd = open(path, flags, JOURNAL_MODE);
	int rc = fd < 0 ? -errno : 0;

	if (rc != -EEXIST)
		return rc ? rc : fd;
	rc = journal_segment_clear(journal, path);
	if (rc < 0)
		return rc;
	fd = open(path, flags, JOURNAL_MODE);
	return fd < 0 ? -errno : fd;
}

/* Begins the segment of the next record. On failure nothing of it is left, if the disk lets it go. */
static int journal_segment_begin(struct journal *journal, char path[PATH_MAX])
{
	uint8_t bytes[JOURNAL_HEADER_BYTES];
	struct journal_segment segment = {.first_seq = journal->last_seq + 1,
					  .last_seq = journal->last_seq,
					  .bytes = JOURNAL_HEADER_BYTES};
	int fd, rc = journal_path(path, journal->dir, segment.first_seq, "");

	if (!rc)
		rc = fd_make_dirs(journal->dir, DIR_MODE, NULL);
	if (rc < 0)
		return rc;
	journal->header.first_seq = segment.first_seq;
	journal->header.begun_at = clock_wall();
	journal_header_encode(&journal->header, JOURNAL_FILE_SEGMENT, bytes);
	fd = journal_segment_create(journal, path);
	if (fd < 0)
		return fd;
	TESTPOINT(segment_created);
	rc = fd_write_full(fd, bytes, sizeof(bytes));
	TESTPOINT(segment_begun);
	if (!rc)
		rc = journal_segments_add(journal, segment);
	if (rc < 0) {
		close(fd);
		unlink(path);
		return rc;
	}
	journal->fd = fd;
	if (journal->options.fsync_every)
		journal_dir_sync(journal);
	return 0;
}

/* Takes the newest segment, which holds no record, away again. */
static void journal_segment_undo(struct journal *journal, const char *path)
{
	close(journal->fd);
	unlink(path);
	journal->fd = -1;
	journal->count--;
	journal->counters.segments--;
	journal->counters.bytes -= JOURNAL_HEADER_BYTES;
	journal->dirty = false;
}

/* writev(2) of all or nothing: what a full disk left of it is cut off. */
static int journal_write_whole(struct journal *journal, struct iovec *parts, int count, size_t size)
{
	ssize_t n = writev(journal->fd, parts, count);
	TESTPOINT(record_written);
	int rc;

	if (n == (ssize_t)size)
		return 0;
	/* A short write says nothing of why; a full disk or a limit is what it can be. */
	rc = n < 0 ? -errno : -ENOSPC;
	if (n > 0)
		journal->dirty = ftruncate(journal->fd, (off_t)journal_newest(journal)->bytes) < 0;
	return rc;
}

/* What an earlier failure left behind the last record. */
static int journal_tail_clean(struct journal *journal)
{
	if (!journal->dirty)
		return 0;
	if (ftruncate(journal->fd, (off_t)journal_newest(journal)->bytes) < 0)
		return -errno;
	journal->dirty = false;
	return 0;
}

static void journal_segment_end(struct journal *journal)
{
	if (journal->options.fsync_every)
		journal_synced(journal, fdatasync(journal->fd));
	close(journal->fd);
	journal->fd = -1;
}

static void journal_sync_when_due(struct journal *journal)
{
	mono_ns now;

	if (!journal->options.fsync_every)
		return;
	now = clock_mono();
	if (now - journal->synced_at < journal->options.fsync_every)
		return;
	journal_synced(journal, fdatasync(journal->fd));
	journal->synced_at = now;
}

/*
 * Someone removed the folder, or the segment in it: what is appended there nobody will ever read.
 * The next segment begins in a folder made anew.
 */
static int journal_segment_left(struct journal *journal)
{
	struct stat st;

	if (fstat(journal->fd, &st) < 0 || st.st_nlink > 0)
		return 0;
	journal_segment_end(journal);
	return -ESTALE;
}

static const char *journal_append_fix(int rc)
{
	if (rc == -ENOSPC)
		return "free some space; nothing recorded is lost";
	return rc == -ESTALE ? "its newest segment was removed: leave that to vowd" : NULL;
}

static int journal_record_write(struct journal *journal, const struct journal_record *record,
				char path[PATH_MAX])
{
	uint8_t head[JOURNAL_HEAD_BYTES];
	struct iovec parts[] = {{head, sizeof(head)},
				{(void *)record->wire, record->wire_size},
				{(void *)record->local, record->local_size}};
	size_t size = JOURNAL_HEAD_BYTES + record->wire_size + record->local_size;
	bool begun = journal->fd < 0;
	int rc = begun ? journal_segment_begin(journal, path) : journal_segment_left(journal);

	if (!rc && !begun)
		rc = journal_tail_clean(journal);
	if (rc < 0)
		return rc;
	journal_head_encode(head, record);
	rc = journal_write_whole(journal, parts, ARRAY_LEN(parts), size);
	if (rc < 0) {
		if (begun)
			journal_segment_undo(journal, path);
		return rc;
	}
	journal_newest(journal)->bytes += size;
	if (begun)
		journal->begun_bytes = journal_newest(journal)->bytes;
	journal_newest(journal)->last_seq = record->seq;
	journal_newest(journal)->newest = record->wall;
	journal->last_crc = journal_head_crc(head);
	journal->counters.bytes += size;
	return 0;
}

int journal_append(struct journal *journal, wall_ns wall, const void *wire, size_t wire_size,
		   const void *local, size_t local_size, uint64_t *seq, struct diag *d)
{
	const struct journal_record record = {.seq = journal->last_seq + 1,
					      .wall = wall,
					      .wire = wire,
					      .local = local,
					      .wire_size = wire_size,
					      .local_size = local_size};
	char path[PATH_MAX];
	int rc;

	if (wire_size > JOURNAL_RECORD_MAX || local_size > JOURNAL_RECORD_MAX - wire_size)
		return diag_set(d, -EMSGSIZE, journal->dir, NULL,
				"a record of %zu bytes is too large", wire_size + local_size);
	rc = journal_record_write(journal, &record, path);
	if (rc < 0)
		return diag_errno(d, rc, journal->dir, journal_append_fix(rc),
				  "cannot append to the journal");
	journal->last_seq = record.seq;
	journal_sync_when_due(journal);
	/* The first record stands for all before it and may be large: it must not be every one. */
	if (journal_newest(journal)->bytes - journal->begun_bytes >= journal->options.segment_bytes)
		journal_segment_end(journal);
	if (seq)
		*seq = record.seq;
	return 0;
}

/* ---- what is known --------------------------------------------------------------------------- */

uint64_t journal_epoch(const struct journal *journal)
{
	return journal->header.epoch;
}

uint64_t journal_last_seq(const struct journal *journal)
{
	return journal->last_seq;
}

bool journal_at_segment_start(const struct journal *journal)
{
	return journal->fd < 0;
}

struct journal_counters journal_counters(const struct journal *journal)
{
	return journal->counters;
}

int journal_sync_diag(const struct journal *journal, struct diag *d)
{
	int err = journal->counters.sync_err;

	return err < 0 ? diag_errno(d, err, journal->dir,
				    "look for errors of the disk in the kernel's log (dmesg)",
				    "the disk does not store what was appended to the journal")
		       : 0;
}
