/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/data/journal_compact.h"
#include "lib/data/journal_keyframe.h"
#include "lib/data/journal_writer.h"

/* Deletes the oldest segment: 0, or a negative errno with nothing changed. */
static int journal_oldest_delete(struct journal *journal)
{
	const struct journal_segment *oldest = &journal->segments[0];
	char path[PATH_MAX];
	int rc = journal_path(path, journal->dir, oldest->first_seq, "");

	if (rc < 0)
		return rc;
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	if (journal->compact &&
	    journal_compact_result(journal->compact).first_seq == oldest->first_seq) {
		journal_compact_abandon(journal->compact);
		journal->compact = NULL;
	}
	journal->counters.segments--;
	journal->counters.bytes -= oldest->bytes;
	journal->count--;
	memmove(journal->segments, journal->segments + 1,
		journal->count * sizeof(*journal->segments));
	return 0;
}

/* Bytes that the journal may have: its budget, less what lacks of the disk's free space. */
static uint64_t journal_bytes_allowed(const struct journal *journal)
{
	uint64_t allowed = journal->options.budget_bytes, bytes = journal->counters.bytes, free;
	struct statvfs disk;

	if (!journal->options.free_bytes || statvfs(journal->dir, &disk) < 0)
		return allowed;
	free = (uint64_t)disk.f_bavail * disk.f_frsize;
	if (free >= journal->options.free_bytes)
		return allowed;
	free = journal->options.free_bytes - free;
	bytes = bytes > free ? bytes - free : 0;
	return bytes < allowed ? bytes : allowed;
}

static bool journal_too_old(const struct journal *journal, const struct journal_segment *segment)
{
	return journal->options.age && clock_wall() > segment->newest &&
	       clock_wall() - segment->newest > journal->options.age;
}

/* The segment to merge next: all are made coarser by one step before any by two. NULL: none. */
static struct journal_segment *journal_segment_to_merge(const struct journal *journal,
							uint64_t keep_from, uint64_t claim)
{
	struct journal_segment *next = NULL;

	for (size_t i = 0; i + 1 < journal->count; i++) {
		struct journal_segment *segment = &journal->segments[i];

		if (segment->last_seq >= keep_from)
			break;
		if (segment->last_seq <= claim || segment->merged == JOURNAL_MERGED_OUT)
			continue;
		if (!next || segment->merged < next->merged)
			next = segment;
	}
	return next;
}

static struct journal_segment *journal_segment_find(const struct journal *journal,
						    uint64_t first_seq)
{
	for (size_t i = 0; i < journal->count; i++)
		if (journal->segments[i].first_seq == first_seq)
			return &journal->segments[i];
	return NULL;
}

static void journal_compact_end(struct journal *journal, int rc)
{
	struct journal_compact_result result = journal_compact_result(journal->compact);
	struct journal_segment *segment = journal_segment_find(journal, result.first_seq);

	journal_compact_abandon(journal->compact);
	journal->compact = NULL;
	/* A reader claimed some of it meanwhile: it is done again from there. */
	if (!segment || rc == -ESTALE)
		return;
	/* One that cannot be rewritten is not tried again before the next start. */
	segment->merged =
		rc < 0 || !result.merged_records ? JOURNAL_MERGED_OUT : segment->merged + 1;
	if (rc < 0)
		return;
	journal->counters.bytes -= segment->bytes - result.bytes;
	segment->bytes = result.bytes;
	journal->counters.merged_records_total += result.merged_records;
}

/* One step of merging. False when there is nothing to merge. */
static bool journal_segments_merge(struct journal *journal, uint64_t keep_from, uint64_t claim)
{
	struct journal_segment *segment;
	int rc;

	if (!journal->options.merge)
		return false;
	if (!journal->compact) {
		segment = journal_segment_to_merge(journal, keep_from, claim);
		if (!segment)
			return false;
		rc = journal_compact_begin(journal->dir, segment->first_seq, claim,
					   &journal->compact);
		if (rc < 0)
			segment->merged = JOURNAL_MERGED_OUT;
		if (rc < 0)
			return true;
	}
	rc = journal_compact_step(journal->compact, journal->options.merge,
				  journal->options.merge_arg);
	if (rc == 0)
		return true;
	if (rc > 0) {
		segment = journal_segment_find(journal,
					       journal_compact_result(journal->compact).first_seq);
		if (segment)
			journal_keyframes_remove(journal, segment->first_seq, segment->last_seq);
		rc = journal_compact_commit(journal->compact, journal->dir, journal->header.epoch);
	}
	if (rc != -EBUSY)
		journal_compact_end(journal, rc);
	return true;
}

/* Deletes the oldest segment and counts what nobody read of it. */
static int journal_oldest_drop(struct journal *journal, uint64_t read)
{
	struct journal_segment oldest = journal->segments[0];
	int rc = journal_oldest_delete(journal);

	if (!rc && read != UINT64_MAX && oldest.last_seq > read)
		journal->counters.dropped_records_total +=
			oldest.last_seq - (read >= oldest.first_seq ? read : oldest.first_seq - 1);
	return rc;
}

/* Whether the oldest segment goes without harm, or because of its age. */
static bool journal_oldest_may_go(const struct journal *journal, uint64_t read, uint64_t allowed)
{
	const struct journal_segment *oldest = &journal->segments[0];
	bool over = journal->counters.bytes > allowed;

	if (journal_too_old(journal, oldest))
		return true;
	/* Without any reader the budget is a memory, for who comes later or looks back. */
	if (read == UINT64_MAX)
		return over;
	return oldest->last_seq <= read && (over || !journal->options.keep_sent);
}

void journal_trim(struct journal *journal, uint64_t keep_from)
{
	uint64_t allowed;
	struct journal_places places;

	if (journal->count < 2)
		return;
	keep_from = journal_keyframe_stands(journal, keep_from);
	places = journal_places_read(journal->dir, journal->header.epoch);
	allowed = journal_bytes_allowed(journal);
	while (journal->count > 1 && journal->segments[0].last_seq < keep_from &&
	       journal_oldest_may_go(journal, places.least, allowed))
		if (journal_oldest_drop(journal, places.least) < 0)
			return;
	if (journal->counters.bytes <= allowed / 4 * 3 || journal->count < 2 ||
	    journal->segments[0].last_seq <= places.least)
		return;
	(void)journal_segments_merge(journal, keep_from, places.claim);
	while (journal->count > 1 && journal->segments[0].last_seq < keep_from &&
	       journal->counters.bytes > allowed)
		if (journal_oldest_drop(journal, places.least) < 0)
			return;
}
