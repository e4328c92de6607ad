/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The next cell of a table, holding a figure for people as lib/base/str.h and cli/figure.h write
 * them. As table_cell(): one thread, table may be NULL.
 */
#ifndef VOW_CLI_CELL_H
#define VOW_CLI_CELL_H

#include <stdbool.h>

#include "cli/table.h"
#include "lib/base/types.h"

/* Empty when it is not known. */
void cell_dur(struct table *table, enum table_style style, bool known, dur_ns dur);
void cell_count(struct table *table, enum table_style style, uint64_t count);
void cell_share(struct table *table, enum table_style style, double ratio);
/* Events a second. */
void cell_rate(struct table *table, uint64_t count, double window_s);

#endif
