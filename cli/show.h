/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Views as text for people. Every name that came from outside is escaped. Prints to a stream, so
 * that commands write to stdout and `vow top` to its own page. One thread.
 */
#ifndef VOW_CLI_SHOW_H
#define VOW_CLI_SHOW_H

#include <stdio.h>

#include "view/view.h"

struct show {
	FILE *to;
	unsigned width; /* columns of the screen; 0: as wide as it takes */
	bool colour;
	const char *line_end; /* "\n" */
	bool all; /* gauges of 0 as well */
};

/* What view->query.what asks for, whole. */
void show_view(const struct show *show, const struct view *view);

/* Parts, for a page made of several; rows at most, 0: all. */
void show_routes(const struct show *show, const struct view *view, size_t rows);
void show_deliveries(const struct show *show, const struct view *view, size_t rows);
void show_objectives(const struct show *show, const struct board *board, size_t rows);

/* Checks of a host or a configuration, one a line with what to do below. */
void show_checks(const struct show *show, const struct view_check *checks, size_t count);

/* A remark on what was shown above it: where and what, and below what to do. */
void show_remark(const struct show *show, const struct diag *remark);

/* Text from outside, escaped, at most 1 KiB of it. */
void show_foreign(const struct show *show, const char *text);
/*
 * The same at column `indent`, where the cursor is: as many lines as the screen's width asks for,
 * all indented like the first, and the end of the last. show_wrapped_lines() tells how many.
 */
void show_wrapped(const struct show *show, unsigned indent, const char *text);
unsigned show_wrapped_lines(const struct show *show, unsigned indent, const char *text);

#endif
