/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `vow top` in two files: top.c asks and obeys keys, top_page.c draws what is there. Inside them
 * only. One thread.
 */
#ifndef VOW_CLI_TOP_H
#define VOW_CLI_TOP_H

#include "cli/ask.h"
#include "cli/options.h"
#include "cli/screen.h"

enum top_sort { TOP_BY_RATE, TOP_BY_P95, TOP_BY_P99, TOP_BY_ERRORS, TOP_BY_NAME, TOP_SORTS };
enum top_part { TOP_STATUS, TOP_ROUTES, TOP_DELIVERIES, TOP_ALERTS, TOP_PARTS };

struct top {
	const struct cli_options *options;
	struct ask ask;
	bool connected, paused;
	enum series_window window;
	enum top_sort sort;
	size_t scroll; /* routes above the first that is shown */
	struct view *parts[TOP_PARTS]; /* NULL before the first answer */
	struct diag lost; /* why there are no newer figures, while !connected */
};

/* The whole screen; when memory lacks, it stays as it is. */
void top_draw(const struct top *top, const struct screen *screen, bool colour);
/* The tables alone, all rows, on stdout. */
void top_print(const struct top *top);

static inline size_t top_least(size_t a, size_t b)
{
	return a < b ? a : b;
}

#endif
