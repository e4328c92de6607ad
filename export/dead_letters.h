/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of dead letters: messages that were given up, one JSON line each, oldest first. It is
 * bounded: a full one becomes "<path>.1", in the place of the one before. Blocks on the disk.
 */
#ifndef VOW_EXPORT_DEAD_LETTERS_H
#define VOW_EXPORT_DEAD_LETTERS_H

#include "deliver/body.h"

/* Of one file. A letter has 1 to 3 KB: some 4000 in the file and as many in the one before. */
#define DEAD_LETTERS_BYTES (8u << 20)

/*
 * Appends one and syncs it. A negative errno when it is not in the file; what a crash or a full disk
 * left of an earlier one stays a line of its own.
 */
int dead_letters_add(const char *path, const struct body_dead_letter *letter);

#endif
