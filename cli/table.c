/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/columns.h"
#include "lib/base/str.h"

#define TABLE_COLUMNS_MAX 24
#define TABLE_GAP	  2 /* columns between columns */
#define TABLE_CELL_MAX	  1024

struct table_cell {
	char *text;
	enum table_style style;
	unsigned width;
};

struct table {
	const struct table_column *columns;
	size_t column_count;
	struct table_cell *cells;
	size_t count, room;
	bool starved; /* memory lacked: what is there is not the whole */
};

struct table *table_new(const struct table_column *columns, size_t count)
{
	struct table *table = count <= TABLE_COLUMNS_MAX ? calloc(1, sizeof(*table)) : NULL;

	if (table) {
		table->columns = columns;
		table->column_count = count;
	}
	return table;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i].text);
	free(table->cells);
	free(table);
}

/* Takes over text, which may be NULL. */
static void table_add(struct table *table, enum table_style style, char *text)
{
	if (text && table->count == table->room) {
		size_t room = table->room ? 2 * table->room : 64;
		struct table_cell *cells = realloc(table->cells, room * sizeof(*cells));

		if (cells) {
			table->cells = cells;
			table->room = room;
		}
	}
	if (!text || table->count == table->room) {
		free(text);
		table->starved = true;
		return;
	}
	table->cells[table->count++] = (struct table_cell){text, style, columns_of(text)};
}

void table_cell(struct table *table, enum table_style style, const char *format, ...)
{
	char text[TABLE_CELL_MAX];
	va_list args;

	if (!table)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	table_add(table, style, strdup(text));
}

void table_foreign(struct table *table, enum table_style style, const char *text)
{
	char clean[TABLE_CELL_MAX];
	struct str s;

	if (!table)
		return;
	str_init(&s, clean, sizeof(clean));
	str_put_escaped(&s, text, strlen(text));
	table_add(table, style, strdup(clean));
}

size_t table_rows(const struct table *table)
{
	return table ? table->count / table->column_count : 0;
}

const char *table_style_begin(enum table_style style, bool colour)
{
	static const char *const begins[] = {
		[TABLE_PLAIN] = "",	   [TABLE_DIM] = "\033[2m",  [TABLE_GOOD] = "\033[32m",
		[TABLE_WARN] = "\033[33m", [TABLE_BAD] = "\033[31m", [TABLE_BOLD] = "\033[1m",
	};

	return colour ? begins[style] : "";
}

const char *table_style_end(enum table_style style, bool colour)
{
	return colour && style != TABLE_PLAIN ? "\033[0m" : "";
}

/* ---- layout ------------------------------------------------------------------------------------ */

struct table_layout {
	unsigned width[TABLE_COLUMNS_MAX]; /* 0: left out */
	size_t rows, last; /* last: rightmost column shown, whose padding is not printed */
};

static const struct table_cell *table_at(const struct table *table, size_t row, size_t column)
{
	return &table->cells[row * table->column_count + column];
}

static unsigned table_total(const struct table *table, const struct table_layout *layout)
{
	unsigned total = 0;

	for (size_t c = 0; c < table->column_count; c++)
		if (layout->width[c])
			total += layout->width[c] + (total ? TABLE_GAP : 0);
	return total;
}

/* Cuts one column off the widest that still may shrink; false when there is none. */
static bool table_shrink(const struct table *table, struct table_layout *layout)
{
	size_t widest = table->column_count;

	for (size_t c = 0; c < table->column_count; c++) {
		unsigned least = table->columns[c].shrinks_to;

		if (least && layout->width[c] > least &&
		    (widest == table->column_count || layout->width[c] > layout->width[widest]))
			widest = c;
	}
	if (widest == table->column_count)
		return false;
	layout->width[widest]--;
	return true;
}

/* Leaves out the least important column; false when all that stand must stay. */
static bool table_leave_out(const struct table *table, struct table_layout *layout)
{
	size_t least = table->column_count;

	for (size_t c = 0; c < table->column_count; c++) {
		unsigned importance = table->columns[c].importance;

		if (importance && layout->width[c] &&
		    (least == table->column_count || importance < table->columns[least].importance))
			least = c;
	}
	if (least == table->column_count)
		return false;
	layout->width[least] = 0;
	return true;
}

static void table_measure(const struct table *table, struct table_layout *layout)
{
	for (size_t c = 0; c < table->column_count; c++) {
		unsigned width = 0;

		for (size_t r = 0; r < layout->rows; r++)
			if (table_at(table, r, c)->width > width)
				width = table_at(table, r, c)->width;
		if (width && columns_of(table->columns[c].head) > width)
			width = columns_of(table->columns[c].head);
		layout->width[c] = width;
	}
}

/* Leaves out columns until the narrowest form fits, then cuts only as much as is needed. */
static void table_fit(const struct table *table, struct table_layout *layout, unsigned width)
{
	unsigned total = table_total(table, layout);

	while (total > width) {
		struct table_layout narrow = *layout;

		for (size_t c = 0; c < table->column_count; c++)
			if (table->columns[c].shrinks_to &&
			    narrow.width[c] > table->columns[c].shrinks_to)
				narrow.width[c] = table->columns[c].shrinks_to;
		if (table_total(table, &narrow) <= width || !table_leave_out(table, layout))
			break;
		total = table_total(table, layout);
	}
	while (total > width && table_shrink(table, layout))
		total = table_total(table, layout);
}

/* ---- printing ---------------------------------------------------------------------------------- */

/* Columns of the first `bytes` bytes. */
static unsigned table_bytes_width(const char *text, size_t bytes)
{
	return columns_of(text) - columns_of(text + bytes);
}

static void table_print_cell(const char *text, unsigned text_width, unsigned width,
			     enum table_align align, bool last, FILE *to)
{
	bool cut = text_width > width;
	size_t bytes = cut ? columns_fit(text, width - 1) : strlen(text);
	/* Before a wide character that does not fit, one column more stays empty. */
	unsigned pad = width - (cut ? table_bytes_width(text, bytes) + 1 : text_width);

	if (last && !text[0])
		return;
	fprintf(to, "%*s%.*s%s%*s", align == TABLE_RIGHT ? (int)pad : 0, "", (int)bytes, text,
		cut ? "…" : "", align == TABLE_LEFT && !last ? (int)pad : 0, "");
}

static void table_print_head(const struct table *table, const struct table_layout *layout,
			     bool colour, FILE *to)
{
	bool first = true;

	fputs(table_style_begin(TABLE_DIM, colour), to);
	for (size_t c = 0; c < table->column_count; c++) {
		const char *head = table->columns[c].head;

		if (!layout->width[c])
			continue;
		fputs(first ? "" : "  ", to);
		table_print_cell(head, columns_of(head), layout->width[c], table->columns[c].align,
				 c == layout->last, to);
		first = false;
	}
	fputs(table_style_end(TABLE_DIM, colour), to);
}

static void table_print_row(const struct table *table, const struct table_layout *layout,
			    size_t row, bool colour, FILE *to)
{
	bool first = true;

	for (size_t c = 0; c < table->column_count; c++) {
		const struct table_cell *cell = table_at(table, row, c);

		if (!layout->width[c])
			continue;
		fprintf(to, "%s%s", first ? "" : "  ", table_style_begin(cell->style, colour));
		table_print_cell(cell->text, cell->width, layout->width[c], table->columns[c].align,
				 c == layout->last, to);
		fputs(table_style_end(cell->style, colour), to);
		first = false;
	}
}

void table_print(const struct table *table, const struct table_print *how, FILE *to)
{
	const char *end = how->line_end ? how->line_end : "\n";
	struct table_layout layout = {.rows = table_rows(table)};

	if (!table || table->starved) {
		fprintf(to, "(not enough memory for this table)%s", end);
		return;
	}
	if (!layout.rows)
		return;
	if (how->rows && how->rows < layout.rows)
		layout.rows = how->rows;
	table_measure(table, &layout);
	if (how->width)
		table_fit(table, &layout, how->width);
	for (size_t c = 0; c < table->column_count; c++)
		if (layout.width[c])
			layout.last = c;
	table_print_head(table, &layout, how->colour, to);
	fputs(end, to);
	for (size_t row = 0; row < layout.rows; row++) {
		table_print_row(table, &layout, row, how->colour, to);
		fputs(end, to);
	}
}
