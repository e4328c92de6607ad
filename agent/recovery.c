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
	uint64_t records, skipped, deltas_skipped;
};

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

/* One that cannot be taken up (its series was named in what is broken) keeps no other out. */
static int replay_delta(void *arg, const struct series_delta *delta)
{
	struct replay *replay = arg;

	if (delta->id >= replay->size || !replay->by_id[delta->id]) {
		replay->deltas_skipped++;
		return 0;
	}
	struct series *s = replay->by_id[delta->id];
	struct series_counts counts = keyframe_counts(s, delta);
	if (series_merge_packed(s, delta->hist, delta->hist_size, delta->queue, delta->queue_size,
				&counts))
		replay->deltas_skipped++;
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

static void replay_collectors(struct agent *agent, const struct journal_record *record)
{
	struct local_section section;
	size_t at = 0;

	while (local_next(record->local, record->local_size, &at, &section) > 0)
		for (size_t i = 0; i < agent->source_count; i++) {
			const struct source *source = &agent->sources[i];
			if (source->state && source->ops->restore &&
			    !strcmp(source->ops->name, section.name))
				source->ops->restore(source->state, section.bytes, section.size);
		}
}

/*
 * The same inputs in the same order as when the record was made. What the judge decides again is
 * dropped: it recalls what the record says it decided then, which has been delivered from there.
 * -ENOMEM; what else is wrong with a record costs that record alone.
 */
static int replay_record(struct replay *replay, const struct journal_record *record)
{
	const struct tick_visitor visitor = {.series = replay_series,
					     .delta = replay_delta,
					     .action = replay_action,
					     .exemplar = replay_exemplar};
	struct agent *agent = replay->agent;
	int rc = tick_read(record->wire, record->wire_size, &visitor, replay, NULL);

	replay->records++;
	replay->skipped += rc != 0;
	series_tick(agent->series, record->wall, replay_judge, replay);
	judge_step(agent->judge, record->wall, record->wall, NULL, NULL, NULL);
	replay_collectors(agent, record);
	return rc == -ENOMEM ? rc : 0;
}

/* A keyframe stands for all before it; its own tick is in it already, but for names and actions. */
static void replay_keyframe(struct replay *replay, const struct journal_record *record)
{
	const struct tick_visitor visitor = {.series = replay_series, .action = replay_action};
	unsigned skipped = keyframe_read(replay->agent, record->local, record->local_size);

	if (skipped)
		log_warn("journal: %u parts of the state at record %llu could not be taken up",
			 skipped, (unsigned long long)record->seq);
	tick_read(record->wire, record->wire_size, &visitor, replay, NULL);
	series_tick(replay->agent->series, record->wall, NULL, NULL);
	replay->agent->keyframe_seq = record->seq;
	replay->records++;
}

/* Number of the segment's first record when that carries a keyframe; else 0. */
static uint64_t keyframe_of(struct journal_reader *reader, uint64_t first_seq)
{
	struct journal_record record;

	if (journal_reader_seek(reader, first_seq) ||
	    journal_reader_next(reader, &record, NULL) <= 0 ||
	    !keyframe_found(record.local, record.local_size))
		return 0;
	return record.seq;
}

/*
 * Sequence number of the newest record that carries a keyframe; 0 when there is none. They stand
 * where segments begin, so that a journal full of what was sent long ago need not be read.
 */
static int find_keyframe(const char *dir, struct journal_reader *reader, uint64_t *found)
{
	uint64_t *seqs;
	size_t count;
	int rc = journal_list(dir, &seqs, &count);

	*found = 0;
	if (rc)
		return rc;
	while (!*found && count-- > 0)
		*found = keyframe_of(reader, seqs[count]);
	free(seqs);
	return 0;
}

/*
 * From the keyframe (0: from the first record) to the end. What is broken is passed over; an error of
 * the disk ends it, since going on with half of the state would count anew what is counted already.
 */
static int replay_from(struct replay *replay, struct journal_reader *reader, uint64_t keyframe,
		       struct diag *d)
{
	struct journal_record record;
	int rc = journal_reader_seek(reader, keyframe ? keyframe : 1);

	if (rc)
		return diag_errno(d, rc, "journal", NULL, "cannot take up where it ends");
	while ((rc = journal_reader_next(reader, &record, d)) != 0) {
		if (rc < 0 && rc != -EPROTO)
			return rc;
		if (rc < 0)
			continue;
		rc = 0;
		if (record.seq == keyframe)
			replay_keyframe(replay, &record);
		else
			rc = replay_record(replay, &record);
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
	uint64_t keyframe;
	rc = find_keyframe(dir, reader, &keyframe);
	if (rc)
		diag_errno(d, rc, dir, NULL, "cannot list the journal");
	TESTPOINT(keyframe_found);
	if (!rc)
		rc = replay_from(&replay, reader, keyframe, d);
	exemplars_settle(agent->exemplars); /* the journal has them */
	TESTPOINT(journal_replayed);
	free(replay.by_id);
	journal_reader_close(reader);
	if (rc)
		return rc;
	/* Reading a month's windows takes twice what they take, in pieces between them. */
	malloc_trim(0);
	log_info("took up %llu records of the journal from %llu on",
		 (unsigned long long)replay.records, (unsigned long long)keyframe);
	if (replay.skipped || replay.deltas_skipped)
		log_warn("journal: %llu records and %llu counts of a series were not understood",
			 (unsigned long long)replay.skipped,
			 (unsigned long long)replay.deltas_skipped);
	return 0;
}
