/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/columns.h"

#include <stdbool.h>
#include <string.h>
#include <wchar.h>

#include "lib/base/str.h"

#define CHARACTER_MAX 4 /* bytes of one in UTF-8 */

size_t columns_next(const char *text, unsigned *columns)
{
	uint32_t number;
	size_t bytes = str_utf8(text, strnlen(text, CHARACTER_MAX), &number);
	/* -1 in a locale without UTF-8, and for what cannot be printed. */
	int wide = bytes > 1 ? wcwidth((wchar_t)number) : 1;

	*columns = wide < 0 ? 1 : (unsigned)wide;
	return bytes ? bytes : 1;
}

unsigned columns_of(const char *text)
{
	unsigned total = 0, columns;

	while (*text) {
		text += columns_next(text, &columns);
		total += columns;
	}
	return total;
}

size_t columns_fit(const char *text, unsigned room)
{
	const char *at = text;
	unsigned columns;

	while (*at) {
		size_t bytes = columns_next(at, &columns);

		if (columns > room)
			break;
		room -= columns;
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
