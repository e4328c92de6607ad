/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/lanes/keeper_note.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/data/keep_wire.h"

#define KEEPER_NOTE_BYTES (64 << 10)

static void keeper_note_add(struct keeper_note *note, const char *line)
{
	unsigned ended, segments, refused;
	unsigned long long bytes;
	int length = 0;

	if (sscanf(line, "%u of %u ended, %llu bytes, %u refused%n", &ended, &segments, &bytes,
		   &refused, &length) != 4 ||
	    !length) {
		note->cut = true;
		return;
	}
	note->ended += ended;
	note->refused += refused;
}

bool keeper_note_take(const char *dir, struct keeper_note *note)
{
	char path[PATH_MAX + sizeof(KEEP_TOLD) + 1], *text = NULL, *line;
	size_t size;

	snprintf(path, sizeof(path), "%s/" KEEP_TOLD, dir);
	if (access(path, F_OK) != 0)
		return false;
	*note = (struct keeper_note){0};
	/* A keeper makes the file first: on a disk that is full its line is missing, or has no end. */
	note->cut = fd_read_file(path, KEEPER_NOTE_BYTES, &text, &size, NULL) < 0 || size == 0 ||
		    text[size - 1] != '\n';
	for (char *rest = text; rest && (line = strsep(&rest, "\n"));)
		if (line[0])
			keeper_note_add(note, line);
	free(text);
	return unlink(path) == 0;
}
