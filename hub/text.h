/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A text that grows: what HTTP answers are built in. A lack of memory is remembered and makes the
 * whole text void, so that only its end needs a check. One thread.
 */
#ifndef VOW_HUB_TEXT_H
#define VOW_HUB_TEXT_H

#include <stdbool.h>

#include "hub/http.h"

struct text { /* zero is empty */
	char *bytes;
	size_t size, room;
	bool failed;
};

void text_put(struct text *text, const char *more);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* As a JSON string with its quotes; bytes that are not UTF-8 must not be in it. */
void text_put_json(struct text *text, const char *string);
/* A number, or null when it is not finite. */
void text_put_number(struct text *text, double value);
/* Takes over a malloc'ed string (NULL: it could not be made) and frees it. */
void text_take(struct text *text, char *more);

void text_deinit(struct text *text);
/* What was built as an answer's text, NULL when memory lacked; text is empty again. */
struct http_text *text_finish(struct text *text);

#endif
