/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cell.h"

#include "cli/figure.h"

void cell_dur(struct table *table, enum table_style style, bool known, dur_ns dur)
{
	char figure[STR_FIGURE_SIZE];

	table_cell(table, known ? style : TABLE_DIM, "%s",
		   known ? str_format_dur(figure, sizeof(figure), dur) : "");
}

void cell_count(struct table *table, enum table_style style, uint64_t count)
{
	char figure[STR_FIGURE_SIZE];

	table_cell(table, style, "%s", str_format_count(figure, sizeof(figure), count));
}

void cell_share(struct table *table, enum table_style style, double ratio)
{
	char figure[STR_FIGURE_SIZE];

	table_cell(table, style, "%s", figure_share(figure, sizeof(figure), ratio));
}

void cell_rate(struct table *table, uint64_t count, double window_s)
{
	char figure[STR_FIGURE_SIZE];

	table_cell(table, TABLE_PLAIN, "%s", figure_rate(figure, sizeof(figure), count, window_s));
}
