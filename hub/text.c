/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *text_reserve(struct text *text, size_t more)
{
	size_t room = text->room ? text->room : 1024;
	char *bytes;

	if (text->failed)
		return NULL;
	while (room - text->size < more)
		room *= 2;
	if (room != text->room) {
		bytes = realloc(text->bytes, room);
		if (!bytes) {
			text->failed = true;
			return NULL;
		}
		text->bytes = bytes;
		text->room = room;
	}
	return text->bytes + text->size;
}

static void text_put_bytes(struct text *text, const char *bytes, size_t size)
{
	char *at = text_reserve(text, size);

	if (!at)
		return;
	memcpy(at, bytes, size);
	text->size += size;
}

void text_put(struct text *text, const char *more)
{
	text_put_bytes(text, more, strlen(more));
}

void text_printf(struct text *text, const char *format, ...)
{
	char line[512];
	va_list arguments;
	int size;

	va_start(arguments, format);
	size = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (size < 0 || (size_t)size >= sizeof(line))
		text->failed = true;
	else
		text_put_bytes(text, line, (size_t)size);
}

void text_put_json(struct text *text, const char *string)
{
	text_put(text, "\"");
	for (const char *c = string; *c; c++) {
		if (*c == '"' || *c == '\\')
			text_printf(text, "\\%c", *c);
		else if ((unsigned char)*c < 0x20)
			text_printf(text, "\\u%04x", (unsigned)*c);
		else
			text_put_bytes(text, c, 1);
	}
	text_put(text, "\"");
}

void text_put_number(struct text *text, double value)
{
	if (isfinite(value))
		text_printf(text, "%.9g", value);
	else
		text_put(text, "null");
}

void text_take(struct text *text, char *more)
{
	if (more)
		text_put(text, more);
	else
		text->failed = true;
	free(more);
}

void text_deinit(struct text *text)
{
	free(text->bytes);
	*text = (struct text){0};
}

struct http_text *text_finish(struct text *text)
{
	struct http_text *done = text->failed ? NULL : http_text_new(text->size);

	if (done && text->size)
		memcpy(done->bytes, text->bytes, text->size);
	text_deinit(text);
	return done;
}
