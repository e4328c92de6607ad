/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables on a terminal or in a pipe. Columns are as wide as their widest cell; a column without any
 * text is left out; when the table is wider than the screen, the least important columns are left
 * out until the others fit, those that may shrink cut with an ellipsis. Widths are in columns of a terminal,
 * not in bytes. Texts are printed as they are: what comes from outside goes through
 * table_foreign(). Allocates; a table whose memory lacked prints a note instead. One thread.
 */
#ifndef VOW_CLI_TABLE_H
#define VOW_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum table_align { TABLE_LEFT, TABLE_RIGHT };
enum table_style { TABLE_PLAIN, TABLE_DIM, TABLE_GOOD, TABLE_WARN, TABLE_BAD, TABLE_BOLD };

struct table_column {
	const char *head;
	enum table_align align;
	unsigned shrinks_to; /* narrowest in columns; 0: never cut */
	unsigned importance; /* smaller goes first; 0: never left out */
};

struct table;

/* Columns are kept by reference. NULL when memory lacks; all below accept NULL. */
struct table *table_new(const struct table_column *columns, size_t count);
void table_free(struct table *table);

/* The next cell, from left to right and top to bottom. */
void table_cell(struct table *table, enum table_style style, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same for text from outside: escaped, cut after 1 KiB. */
void table_foreign(struct table *table, enum table_style style, const char *text);
size_t table_rows(const struct table *table);

struct table_print {
	unsigned width; /* of the screen; 0: as wide as it takes */
	size_t rows; /* at most so many; 0: all */
	bool colour;
	const char *line_end; /* NULL: "\n" */
};
/* Head and rows; nothing for a table without rows. */
void table_print(const struct table *table, const struct table_print *how, FILE *to);

/* Escape sequence that begins a style, "" without colour; table_style_end() ends it. */
const char *table_style_begin(enum table_style style, bool colour);
const char *table_style_end(enum table_style style, bool colour);

#endif
