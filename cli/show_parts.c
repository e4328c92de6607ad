/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show_parts.h"

#include <string.h>

#include "cli/columns.h"
#include "lib/base/str.h"

#define SHOW_WRAP_LEAST 20 /* columns; where fewer are left, the terminal may break the line */

static void show_escape(char clean[SHOW_TEXT_MAX], const char *text)
{
	struct str s;

	str_init(&s, clean, SHOW_TEXT_MAX);
	str_put_escaped(&s, text, strlen(text));
}

void show_foreign(const struct show *show, const char *text)
{
	char clean[SHOW_TEXT_MAX];

	show_escape(clean, text);
	fputs(clean, show->to);
}

void show_styled(const struct show *show, enum table_style style, const char *text)
{
	fputs(table_style_begin(style, show->colour), show->to);
	show_foreign(show, text);
	fputs(table_style_end(style, show->colour), show->to);
}

void show_end(const struct show *show)
{
	fputs(show->line_end, show->to);
}

void show_nothing(const struct show *show, const char *text)
{
	show_styled(show, TABLE_DIM, text);
	show_end(show);
}

/* Bytes of the line that clean begins with, and in *next where the next one does. */
static size_t show_line(const struct show *show, unsigned indent, const char *clean, size_t *next)
{
	if (show->width >= indent + SHOW_WRAP_LEAST)
		return columns_wrap(clean, show->width - indent, next);
	*next = strlen(clean);
	return *next;
}

void show_wrapped(const struct show *show, unsigned indent, const char *text)
{
	char clean[SHOW_TEXT_MAX];
	const char *at = clean;
	size_t next;

	show_escape(clean, text);
	do {
		if (at != clean)
			fprintf(show->to, "%*s", (int)indent, "");
		fwrite(at, 1, show_line(show, indent, at, &next), show->to);
		show_end(show);
		at += next;
	} while (*at);
}

unsigned show_wrapped_lines(const struct show *show, unsigned indent, const char *text)
{
	char clean[SHOW_TEXT_MAX];
	const char *at = clean;
	unsigned lines = 0;
	size_t next;

	show_escape(clean, text);
	do {
		show_line(show, indent, at, &next);
		at += next;
		lines++;
	} while (*at);
	return lines;
}

void show_table(const struct show *show, struct table *table, size_t rows)
{
	struct table_print how = {
		.width = show->width,
		.rows = rows,
		.colour = show->colour,
		.line_end = show->line_end,
	};

	table_print(table, &how, show->to);
	table_free(table);
}
