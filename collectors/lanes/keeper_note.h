/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The note in which keepers say what they let go of while no agent ran: a line for each, in a file of the
 * runtime folder. Any thread; reads a file.
 */
#ifndef VOW_COLLECTORS_KEEPER_NOTE_H
#define VOW_COLLECTORS_KEEPER_NOTE_H

#include <stdbool.h>

struct keeper_note {
	/* Applications: those that had ended, and those that were too many to be held. */
	unsigned long long ended, refused;
	bool cut; /* a line could not be written, or read: there were more */
};

/*
 * Adds up the lines of dir's note and removes it. False: there is none, or none that can be removed,
 * which would be told again and again.
 */
bool keeper_note_take(const char *dir, struct keeper_note *note);

#endif
