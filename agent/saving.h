/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saves the agent's state beside the journal while the agent goes on: a keyframe behind the record
 * that begins a segment, written a bounded piece at a time by the polls that follow. Recovery takes it
 * up once it is whole, and the journal may let older segments go; until then both hold on to the one
 * before. Main thread.
 */
#ifndef VOW_AGENT_SAVING_H
#define VOW_AGENT_SAVING_H

#include "agent/local.h"
#include "lib/data/journal_keyframe.h"

struct agent;

/* One that could not be made for lack of memory or disk is tried again so much later. */
#define SAVING_AGAIN_NS NS_PER_MIN

struct saving { /* zero: nothing is due */
	bool due;
	mono_ns again; /* not before then */
	bool refused; /* it could not be made, and that was logged; so was that it lacks windows */
	bool short_told;
	struct keyframe *keyframe; /* in the making; NULL: none */
	struct journal_mark mark; /* of its record; seq 0: that is being made */
	struct journal_keyframe *file; /* NULL: the first piece was not written yet */
	bool filled; /* all pieces are */
	struct local piece;
};

/*
 * A turn's part: when one is due, begins it after the collectors' prepare() and before the record is
 * appended; and hears whether it was. A refused record takes what was begun behind it along.
 */
void saving_begin(struct agent *agent, mono_ns mono);
void saving_recorded(struct agent *agent);
void saving_refused(struct agent *agent);

/* Does one step of what was begun, some 2 ms. False when there is nothing more to do for now. */
bool saving_step(struct agent *agent, mono_ns mono);

/* Gives up what is unfinished; before journal and series table go. */
void saving_end(struct agent *agent);

#endif
