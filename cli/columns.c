/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/columns.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>

/* Code point at text in *wide and its bytes; a byte that is no UTF-8 stands for itself. */
static size_t columns_point(const char *text, wchar_t *wide)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t more = s[0] >= 0xf0 ? 3 : s[0] >= 0xe0 ? 2 : s[0] >= 0xc0 ? 1 : 0;
	uint32_t point = more ? s[0] & (0x3fu >> more) : s[0];

	for (size_t i = 1; i <= more; i++) {
		if ((s[i] & 0xc0) != 0x80) {
			*wide = '?';
			return 1;
		}
		point = point << 6 | (s[i] & 0x3fu);
	}
	*wide = (wchar_t)point;
	return more + 1;
}

static unsigned columns_of_point(wchar_t wide)
{
	/* -1 in a locale without UTF-8, and for what cannot be printed. */
	int width = wide < 0x80 ? 1 : wcwidth(wide);

	return width < 0 ? 1 : (unsigned)width;
}

unsigned columns_of(const char *text)
{
	unsigned width = 0;
	wchar_t wide;

	while (*text) {
		text += columns_point(text, &wide);
		width += columns_of_point(wide);
	}
	return width;
}

size_t columns_next(const char *text, unsigned *width)
{
	wchar_t wide;
	size_t bytes = columns_point(text, &wide);

	*width = columns_of_point(wide);
	return bytes;
}

size_t columns_fit(const char *text, unsigned width)
{
	const char *at = text;
	wchar_t wide;

	while (*at) {
		size_t bytes = columns_point(at, &wide);
		unsigned columns = columns_of_point(wide);

		if (columns > width)
			break;
		width -= columns;
		at += bytes;
	}
	return (size_t)(at - text);
}

/* The last space at or before `at`, one behind a number only on demand; 0 when there is none. */
static size_t columns_space(const char *text, size_t at, bool after_number)
{
	for (; at; at--)
		if (text[at] == ' ' && (after_number || text[at - 1] < '0' || text[at - 1] > '9'))
			return at;
	return 0;
}

size_t columns_wrap(const char *text, unsigned columns, size_t *next)
{
	size_t room = columns_fit(text, columns), end = room;
	unsigned wide;

	if (text[room]) {
		end = columns_space(text, room, false);
		end = end ? end : columns_space(text, room, true);
		/* One word fills the line, or a wide character has no room at all. */
		end = end ? end : room ? room : columns_next(text, &wide);
	}
	*next = end + strspn(text + end, " ");
	while (end && text[end - 1] == ' ')
		end--;
	return end;
}
