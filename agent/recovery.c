/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/recovery.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "agent/keyframe.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/testpoint.h"
#include "lib/data/journal_format.h"

struct replay {
	struct agent *agent;
	struct series **by_id; /* series of the record's numbers */
	size_t size;
	wall_ns now; /* exemplars older than they are kept are left out */
	mono_ns steady; /* the agent's clock as of the last record */
	uint64_t
		ahead; /* ns of that clock over the time of day in records; wraps when it is behind */
	dur_ns duration; /* of the record's tick */
	wall_ns due; /* when that would have ended, had nobody set the time of day; 0: there is none */
	uint64_t records, skipped, deltas_skipped;
};

static int replay_begin(void *arg, wall_ns wall, dur_ns duration)
{
	struct replay *replay = arg;

	replay->duration = duration;
	replay->due = wall + duration;
	return 0;
}

/*
 * What the agent's clock said when the record was made. The record's tick says how much time had
 * passed: where the time of day came further, or less far, it was set meanwhile. Less than a second is
 * none of that (it may be slewed); nor is time between two ticks, when no agent ran.
 */
static mono_ns replay_steady(struct replay *replay, wall_ns wall)
{
	const uint64_t set = replay->due ? wall - replay->due : 0;
	mono_ns at;

	if (set + NS_PER_S > 2 * NS_PER_S) /* either way: it wraps */
		replay->ahead -= set;
	at = wall + replay->ahead;
	if (at < replay->steady) {
		at = replay->steady + replay->duration;
		replay->ahead = at - wall;
	}
	replay->steady = at;
	return at;
}

/* The keyframe says which second its own tick was. */
static void replay_clock(struct replay *replay, wall_ns wall)
{
	const struct series_clock clock = series_clock(replay->agent->series);
	mono_ns at;

	if (!clock.second)
		return;
	at = clock.first_tick + (clock.second - 1) * NS_PER_S;
	if (at > wall + NS_PER_S || at + NS_PER_S < wall)
		replay->ahead = at - wall;
}

static int replay_series(void *arg, series_id id, const struct series_key *key)
{
	struct replay *replay = arg;

	if (id >= replay->size) {
		size_t size = (size_t)id + 256;
		struct series **grown = realloc(replay->by_id, size * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		memset(grown + replay->size, 0, (size - replay->size) * sizeof(*grown));
		replay->by_id = grown;
		replay->size = size;
	}
	replay->by_id[id] = series_get(replay->agent->series, key);
	return replay->by_id[id] ? 0 : -ENOMEM;
}

/* One that cannot be understood (its series was named in what is broken) keeps no other out. */
static int replay_delta(void *arg, const struct series_delta *delta)
{
	struct replay *replay = arg;

	if (delta->id >= replay->size || !replay->by_id[delta->id]) {
		replay->deltas_skipped++;
		return 0;
	}
	struct series *s = replay->by_id[delta->id];
	struct series_counts counts = keyframe_counts(s, delta);
	int rc = series_merge_packed(s, delta->hist, delta->hist_size, delta->queue,
				     delta->queue_size, &counts);
	if (rc == -ENOMEM)
		return rc;
	replay->deltas_skipped += rc != 0;
	return 0;
}

static int replay_action(void *arg, const struct action *action)
{
	struct replay *replay = arg;

	board_history_add(replay->agent->history, "", action);
	judge_recall(replay->agent->judge, action);
	return 0;
}

static int replay_exemplar(void *arg, series_id id, const struct exemplar *exemplar)
{
	struct replay *replay = arg;

	if (id < replay->size && replay->by_id[id])
		exemplars_add(replay->agent->exemplars, series_id_of(replay->by_id[id]), exemplar,
			      replay->now);
	return 0;
}

static void replay_judge(void *arg, const struct series_delta *delta)
{
	judge_delta(((struct replay *)arg)->agent->judge, delta);
}

static int replay_collectors(struct agent *agent, const struct journal_record *record)
{
	struct local_section section;
	size_t at = 0;

	while (local_next(record->local, record->local_size, &at, &section) > 0)
		for (size_t i = 0; i < agent->source_count; i++) {
			const struct source *source = &agent->sources[i];
			if (source->state && source->ops->restore &&
			    !strcmp(source->ops->name, section.name) &&
			    source->ops->restore(source->state, section.bytes, section.size) ==
				    -ENOMEM)
				return -ENOMEM;
		}
	return 0;
}

/*
 * The same inputs in the same order as when the record was made. What the judge decides again is
 * dropped: it recalls what the record says it decided then, which has been delivered from there.
 * -ENOMEM; what else is wrong with a record costs that record alone.
 */
static int replay_record(struct replay *replay, const struct journal_record *record)
{
	const struct tick_visitor visitor = {.begin = replay_begin,
					     .series = replay_series,
					     .delta = replay_delta,
					     .action = replay_action,
					     .exemplar = replay_exemplar};
	struct agent *agent = replay->agent;
	replay->due = 0;
	int rc = tick_read(record->wire, record->wire_size, &visitor, replay, NULL);
	const mono_ns steady = replay_steady(replay, record->wall);

	replay->records++;
	replay->skipped += rc != 0;
	series_tick(agent->series, steady, replay_judge, replay);
	judge_step(agent->judge, steady, record->wall, NULL, NULL, NULL);
	return rc == -ENOMEM ? rc : replay_collectors(agent, record);
}

/* ---- the keyframe --------------------------------------------------------------------------------- */

/* The newest state that can be taken up, and the record it stands behind. */
struct found {
	const char *dir;
	struct journal_mark mark; /* seq 0: there is none */
	uint64_t passed; /* the newest one that cannot be, 0: none */
	bool in_record; /* as version 1 of the journal had it: the record carries it itself */
};

static int keyframe_piece(void *arg, const uint8_t *bytes, size_t size)
{
	return keyframe_read(arg, bytes, size);
}

/* A keyframe stands for all before it; its own tick is in it already, but for names and actions. */
static int replay_keyframe(struct replay *replay, const struct journal_record *record,
			   const struct found *found)
{
	const struct tick_visitor visitor = {.series = replay_series, .action = replay_action};
	struct keyframe_reading reading = {.agent = replay->agent, .now = replay->now};
	int rc = 0;

	if (found->in_record)
		rc = keyframe_read(&reading, record->local, record->local_size);
	else
		rc = journal_keyframe_read(found->dir, &found->mark, keyframe_piece, &reading);
	replay->by_id = reading.by_id; /* later records of the segment need not name them again */
	replay->size = reading.size;
	if (rc)
		return rc;
	if (reading.skipped)
		log_warn("journal: %u parts of the state at record %llu could not be taken up",
			 reading.skipped, (unsigned long long)record->seq);
	if (tick_read(record->wire, record->wire_size, &visitor, replay, NULL) == -ENOMEM)
		return -ENOMEM;
	replay_clock(replay, record->wall);
	series_tick(replay->agent->series, replay_steady(replay, record->wall), NULL, NULL);
	replay->agent->keyframe_seq = record->seq;
	replay->records++;
	return 0;
}

/* The record with this number: 1; 0 when there is none that is whole; what the disk or memory says. */
static int record_at(struct journal_reader *reader, uint64_t seq, struct journal_record *record)
{
	int rc = journal_reader_seek(reader, seq);

	if (!rc)
		rc = journal_reader_next(reader, record, NULL);
	if (rc == -EPROTO || rc == -ENOENT)
		return 0;
	return rc > 0 ? record->seq == seq : rc;
}

/* Whether the keyframe of this number is whole, and of the record that the journal has. As above. */
static int file_at(const struct found *found, struct journal_reader *reader, uint64_t seq,
		   struct journal_mark *mark)
{
	struct journal_record record;
	int rc = record_at(reader, seq, &record);

	if (rc <= 0)
		return rc;
	*mark = journal_mark_of(journal_reader_epoch(reader), &record);
	rc = journal_keyframe_read(found->dir, mark, NULL, NULL);
	if (rc == -EPROTO || rc == -ENOENT)
		return 0;
	return rc ? rc : 1;
}

/*
 * The newest keyframe that is whole and whose record is in the journal; else the one before it. What
 * the disk refuses to show is no reason to go on without: its records may be gone. Nor is what another
 * version of vow wrote, which that one can take up.
 */
static int find_file(struct found *found, struct journal_reader *reader, struct diag *d)
{
	uint64_t *seqs = NULL;
	size_t count;
	int rc = journal_keyframe_list(found->dir, &seqs, &count);

	while (!rc && count-- > 0) {
		struct journal_mark mark;

		rc = file_at(found, reader, seqs[count], &mark);
		if (rc > 0)
			found->mark = mark;
		else if (!rc && !found->passed)
			found->passed = seqs[count];
		else if (rc == -EPROTONOSUPPORT)
			journal_keyframe_refuse(found->dir, seqs[count], d);
	}
	free(seqs);
	if (rc < 0 && rc != -EPROTONOSUPPORT)
		diag_errno(d, rc, found->dir, NULL, "cannot look for the state that was saved");
	return rc < 0 ? rc : 0;
}

/* The newest of those that stand in the first record of a segment. */
static int find_record(struct found *found, struct journal_reader *reader, struct diag *d)
{
	uint64_t *seqs = NULL;
	size_t count;
	int rc = journal_list(found->dir, &seqs, &count);

	while (!rc && !found->mark.seq && count-- > 0) {
		struct journal_record record;

		rc = record_at(reader, seqs[count], &record);
		found->in_record = rc > 0 && keyframe_found(record.local, record.local_size);
		if (found->in_record)
			found->mark.seq = record.seq;
		rc = rc < 0 ? rc : 0;
	}
	free(seqs);
	return rc ? diag_errno(d, rc, found->dir, NULL, "cannot look for the state that was saved")
		  : 0;
}

static int find(struct found *found, struct journal_reader *reader, struct diag *d)
{
	int rc = find_file(found, reader, d);

	if (!rc && !found->mark.seq)
		rc = find_record(found, reader, d);
	if (!rc && found->passed && found->mark.seq)
		log_warn("journal: the state at record %llu cannot be taken up; going on from "
			 "record %llu",
			 (unsigned long long)found->passed, (unsigned long long)found->mark.seq);
	else if (!rc && found->passed)
		log_warn("journal: the state at record %llu cannot be taken up, nor one before; "
			 "totals begin with the oldest record",
			 (unsigned long long)found->passed);
	return rc;
}

/* ---- records ---------------------------------------------------------------------------------------- */

/*
 * From the keyframe (0: from the first record) to the end. What is broken is passed over; an error of
 * the disk ends it, since going on with half of the state would count anew what is counted already.
 */
static int replay_from(struct replay *replay, struct journal_reader *reader,
		       const struct found *found, struct diag *d)
{
	struct journal_record record;
	int rc = journal_reader_seek(reader, found->mark.seq ? found->mark.seq : 1);

	if (rc)
		return diag_errno(d, rc, "journal", NULL, "cannot take up where it ends");
	while ((rc = journal_reader_next(reader, &record, d)) != 0) {
		if (rc < 0 && rc != -EPROTO)
			return rc;
		if (rc < 0)
			continue;
		rc = record.seq == found->mark.seq ? replay_keyframe(replay, &record, found)
						   : replay_record(replay, &record);
		if (rc)
			return diag_errno(d, rc, "journal", NULL, "cannot take it up");
	}
	return 0;
}

int recovery_run(struct agent *agent, struct diag *d)
{
	char dir[DIRS_PATH_MAX];
	struct journal_reader *reader = NULL;
	int rc = dirs_path(dir, agent->dirs.state, "journal");

	if (rc)
		return diag_errno(d, rc, agent->dirs.state, NULL, "path of the journal");
	if (!journal_last_seq(agent->journal))
		return 0;
	rc = journal_reader_open(dir, NULL, 1, &reader, d);
	if (rc == -ENOENT)
		return 0;
	if (rc)
		return rc;
	struct replay replay = {.agent = agent, .now = clock_wall()};
	struct found found = {.dir = dir};
	rc = find(&found, reader, d);
	TESTPOINT(keyframe_found);
	if (!rc)
		rc = replay_from(&replay, reader, &found, d);
	exemplars_settle(agent->exemplars); /* the journal has them */
	TESTPOINT(journal_replayed);
	free(replay.by_id);
	journal_reader_close(reader);
	if (rc)
		return rc;
	/* What cannot be taken up must not be kept in the place of what can. */
	if (found.passed)
		journal_keyframes_remove(agent->journal, found.mark.seq + 1, UINT64_MAX);
	agent->steady_offset += replay.ahead;
	/* Reading a month's windows takes twice what they take, in pieces between them. */
	malloc_trim(0);
	log_info("took up %llu records of the journal from %llu on",
		 (unsigned long long)replay.records, (unsigned long long)found.mark.seq);
	if (replay.skipped || replay.deltas_skipped)
		log_warn("journal: %llu records and %llu counts of a series were not understood",
			 (unsigned long long)replay.skipped,
			 (unsigned long long)replay.deltas_skipped);
	return 0;
}
