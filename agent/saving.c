/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/saving.h"

#include <errno.h>
#include <malloc.h>

#include "agent/keyframe.h"
#include "lib/base/log.h"
#include "lib/base/testpoint.h"

/*
 * Share of the journal's budget that a keyframe's windows may take: 32 MiB by default, a month of some
 * 550 busy routes. Two keyframes stay, after several starts in a minute three: segments have three
 * quarters of the budget, or five eighths.
 */
#define BUDGET_SHARE 8

static void saving_drop(struct saving *saving)
{
	journal_keyframe_abandon(saving->file);
	keyframe_free(saving->keyframe);
	local_free(&saving->piece);
	saving->file = NULL;
	saving->keyframe = NULL;
	saving->mark = (struct journal_mark){0};
	saving->filled = false;
}

/* What it stands for is in the journal still: a start will take longer, and nothing is lost. */
static void saving_fail(struct saving *saving, int rc, mono_ns mono)
{
	struct diag d;

	saving_drop(saving);
	saving->due = true;
	saving->again = mono + SAVING_AGAIN_NS;
	if (saving->refused)
		return;
	saving->refused = true;
	diag_errno(&d, rc, "keyframe", rc == -ENOSPC ? "free some space" : NULL,
		   "cannot save the state beside the journal");
	log_diag(LOG_LEVEL_WARN, &d,
		 "trying again each minute; until then the journal keeps what it stands for");
}

void saving_begin(struct agent *agent, mono_ns mono)
{
	/* Another budget holds from the next start on: the journal has the first one until then. */
	const struct keyframe_options options = {.slots_max = agent->began->journal_budget_bytes /
							      BUDGET_SHARE};
	struct saving *saving = &agent->saving;
	int rc;

	if (!saving->due || saving->keyframe || mono < saving->again)
		return;
	saving->piece.size = 0;
	rc = keyframe_begin(agent, &options, &saving->piece, &saving->keyframe);
	TESTPOINT(keyframe_begun);
	if (rc)
		saving_fail(saving, rc, mono);
}

void saving_recorded(struct agent *agent)
{
	struct saving *saving = &agent->saving;

	if (!saving->keyframe || saving->mark.seq)
		return;
	saving->mark = journal_mark(agent->journal);
	saving->due = false;
}

void saving_refused(struct agent *agent)
{
	/* One whose record was removed stands behind nothing; the next record begins another. */
	if (!agent->saving.mark.seq || agent->uprooted)
		saving_drop(&agent->saving);
	if (agent->uprooted)
		agent->saving.again = 0;
}

static int saving_write(struct agent *agent)
{
	struct saving *saving = &agent->saving;
	int rc, more = 1;

	if (!saving->file) {
		rc = journal_keyframe_begin(agent->journal, &saving->mark, &saving->file);
		if (rc)
			return rc;
	} else {
		saving->piece.size = 0;
		more = keyframe_fill(saving->keyframe, &saving->piece);
		if (more < 0)
			return more;
	}
	saving->filled = !more;
	return saving->piece.size ? journal_keyframe_append(saving->file, saving->piece.bytes,
							    saving->piece.size)
				  : 0;
}

static void saving_tell_short(struct saving *saving, const struct agent *agent)
{
	unsigned finest = keyframe_finest(saving->keyframe);

	if (!finest || saving->short_told)
		return;
	saving->short_told = true;
	log_warn(
		"journal: windows of %zu series are more than a keyframe may take; after a restart "
		"%s. A larger journal budget has room for them",
		series_count(agent->series),
		finest < SERIES_TIERS ? "their newest part fills again with time"
				      : "they fill again with time");
}

static int saving_finish(struct agent *agent)
{
	struct saving *saving = &agent->saving;
	int rc = journal_keyframe_commit(saving->file);

	if (rc)
		return rc;
	saving->file = NULL;
	agent->keyframe_seq = saving->mark.seq;
	saving_tell_short(saving, agent);
	if (saving->refused)
		log_info("the state is saved beside the journal again");
	saving->refused = false;
	log_debug("keyframe behind record %llu", (unsigned long long)saving->mark.seq);
	saving_drop(saving);
	malloc_trim(0); /* the heap's free pages, once in a segment */
	return 0;
}

bool saving_step(struct agent *agent, mono_ns mono)
{
	struct saving *saving = &agent->saving;
	int rc;

	if (!saving->keyframe || !saving->mark.seq)
		return false;
	rc = saving->filled ? saving_finish(agent) : saving_write(agent);
	if (rc)
		saving_fail(saving, rc, mono);
	return saving->keyframe != NULL;
}

void saving_end(struct agent *agent)
{
	saving_drop(&agent->saving);
}
