/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text on a terminal, measured in columns and not in bytes. Characters are those of UTF-8 in a
 * locale that has it; what is no UTF-8, or cannot be printed, counts one column a byte. Any thread.
 */
#ifndef VOW_CLI_COLUMNS_H
#define VOW_CLI_COLUMNS_H

#include <stddef.h>

/* Columns that text takes. */
unsigned columns_of(const char *text);
/* Bytes of the character that text begins with, and the columns it takes. */
size_t columns_next(const char *text, unsigned *columns);
/* Bytes of text that fit into so many columns. */
size_t columns_fit(const char *text, unsigned room);
/*
 * Bytes of the line that text begins with, when lines have at most so many columns (at least 1)
 * and end between words, not behind a number if they need not; a word that is longer is cut.
 * *next is where the next line begins in text, its length when there is none.
 */
size_t columns_wrap(const char *text, unsigned columns, size_t *next);

#endif
