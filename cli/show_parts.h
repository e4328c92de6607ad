/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of cli/show.h share: pieces of lines, and the views that each file shows whole.
 * Inside cli/show*.c only.
 */
#ifndef VOW_CLI_SHOW_PARTS_H
#define VOW_CLI_SHOW_PARTS_H

#include "cli/show.h"
#include "cli/table.h"

#define SHOW_TEXT_MAX 1024 /* bytes of a text; what is longer is cut */

/* Text from outside in a style. */
void show_styled(const struct show *show, enum table_style style, const char *text);
/* Ends the line. */
void show_end(const struct show *show);
/* A line that says why there are no others. */
void show_nothing(const struct show *show, const char *text);
/* Prints at most so many rows (0: all) and frees the table; nothing when it has none. */
void show_table(const struct show *show, struct table *table, size_t rows);

void show_exemplars(const struct show *show, const struct view *view);

/* Each needs the view's board. */
void show_alerts(const struct show *show, const struct view *view);
void show_scale(const struct show *show, const struct view *view);
void show_status(const struct show *show, const struct view *view);
void show_hosts(const struct show *show, const struct view *view);
void show_traced(const struct show *show, const struct view *view);
void show_collectors(const struct show *show, const struct board *board);

#endif
