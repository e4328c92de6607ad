/* SPDX-License-Identifier: Apache-2.0 */
/* How it stands with the keeper, in words: why there is none, what is wrong with it, what was lost. */
#include <stdio.h>
#include <string.h>

#include "collectors/lanes/keeping_state.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

void keeping_say_wrong(struct keeping *keeping, const struct diag *d)
{
	char text[sizeof(keeping->wrong)];

	diag_format(d, text, sizeof(text));
	if (strcmp(text, keeping->wrong) != 0)
		log_warn("keeper: %s", text);
	memcpy(keeping->wrong, text, sizeof(text));
}

/*
 * A keeper cannot know whether anything unread was in what it let go of. Those that it could not hold
 * may run, and are then found again.
 */
static void keeping_format_losses(const struct keeper_note *note, char *text, size_t size)
{
	bool one = note->ended == 1;
	size_t length = 0;

	text[0] = '\0';
	if (note->ended)
		length = (size_t)snprintf(
			text, size,
			"%llu application%s ended while no vowd ran and %s let go of with what "
			"was unread: no vowd came within capture.keep, or the keeper was told to "
			"end",
			note->ended, one ? "" : "s", one ? "was" : "were");
	if (note->refused && length < size)
		length += (size_t)snprintf(text + length, size - length,
					   "%s%llu could not be held: lost if ended since",
					   length ? "; " : "", note->refused);
	if (note->cut && length < size)
		snprintf(text + length, size - length,
			 "%skeep.told was cut short, by a full disk perhaps: there were more",
			 length ? "; " : "");
}

const char *keeping_problem(struct keeping *keeping)
{
	if (!keeping)
		return "";
	char *text = keeping->problem;

	keeping_format_losses(&keeping->lost, text, sizeof(keeping->problem));
	if (text[0])
		return text;
	if (keeping->fd >= 0 && !keeping->greeted &&
	    clock_mono() - keeping->began_at > KEEPING_PATIENCE)
		snprintf(text, sizeof(keeping->problem),
			 "the keeper, pid %d, has said nothing since it was started: was it "
			 "stopped? without it a vowd that is killed loses what is unread of those "
			 "that end",
			 keeping->pid);
	else if (keeping->doubted)
		snprintf(text, sizeof(keeping->problem),
			 "the keeper, pid %d, does not take what applications hand over: was it "
			 "stopped?",
			 keeping->pid);
	else if (keeping->refused)
		snprintf(text, sizeof(keeping->problem),
			 "the keeper could not hold %u segments: they would be lost with a vowd "
			 "that is killed",
			 keeping->refused);
	else if (keeping->fd < 0 && keeping->wrong[0])
		snprintf(text, sizeof(keeping->problem), "no keeper: %s", keeping->wrong);
	return text;
}

void keeping_read_losses(struct keeping *keeping)
{
	struct keeper_note note;
	char text[sizeof(keeping->problem)];

	if (!keeping || !keeper_note_take(keeping->dir, &note))
		return;
	keeping_format_losses(&note, text, sizeof(text));
	if (text[0])
		log_warn("keeper: %s", text);
	keeping->lost.ended += note.ended;
	keeping->lost.refused += note.refused;
	keeping->lost.cut |= note.cut;
}
