/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dead letters: messages that were given up, one JSON line each, oldest first, in a file that is
 * bounded: a full one becomes "<path>.1", in the place of the one before. A letter that the disk
 * refuses waits here until it is taken. Thread of the loop; blocks on the disk; logs when the disk
 * refuses and when it takes again.
 */
#ifndef VOW_EXPORT_DEAD_LETTERS_H
#define VOW_EXPORT_DEAD_LETTERS_H

#include <stdint.h>

#include "deliver/body.h"

/* Of one file. A letter has 1 to 3 KB: some 4000 in the file and as many in the one before. */
#define DEAD_LETTERS_BYTES (8u << 20)

struct dead_letters;

/* Called for each letter once it is synced; may come from within each function below. */
typedef void (*dead_letters_kept_fn)(void *arg, uint64_t cookie);

/* path is kept by reference. NULL when memory lacks. */
struct dead_letters *dead_letters_new(const char *path, dead_letters_kept_fn kept, void *arg);
/* Tries once more; what the disk still refuses is forgotten here. NULL is allowed. */
void dead_letters_free(struct dead_letters *letters);

/*
 * Appends one and syncs it, or keeps it waiting: 0. -ENOMEM: it is lost. What a crash left of an
 * earlier one stays a line of its own.
 */
int dead_letters_add(struct dead_letters *letters, const struct body_dead_letter *letter,
		     uint64_t cookie);
/* Writes what waits, oldest first, up to the first that is refused. */
void dead_letters_write(struct dead_letters *letters);

#endif
