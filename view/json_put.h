/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building JSON of views: each call puts one value into an object. An allocation that fails leaves
 * the object incomplete and is noted in struct json; then json_print() makes no text, and what was
 * put meanwhile does no harm. Inside view/json*.c only. One thread.
 */
#ifndef VOW_VIEW_JSON_PUT_H
#define VOW_VIEW_JSON_PUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct json { /* zero to begin with */
	bool failed;
};

/* Takes value over, also when it fails. */
void json_put(struct json *json, json_t *object, const char *key, json_t *value);
/* Adds a new object to the array and returns it; borrowed, NULL when memory lacks. */
json_t *json_row(struct json *json, json_t *array);
/* Puts a new array and returns it; borrowed. */
json_t *json_list(struct json *json, json_t *object, const char *key);

/* What is no UTF-8 in a text becomes '?'. */
void json_text(struct json *json, json_t *object, const char *key, const char *text);
void json_text_or_null(struct json *json, json_t *object, const char *key, const char *text);
/* JSON integers end at 2^63 - 1 here: 292 years in ns. */
void json_count(struct json *json, json_t *object, const char *key, uint64_t value);
void json_count_or_null(struct json *json, json_t *object, const char *key, bool known,
			uint64_t value);
/* What is not finite is null. */
void json_number(struct json *json, json_t *object, const char *key, double value);
void json_number_or_null(struct json *json, json_t *object, const char *key, bool known,
			 double value);
void json_flag(struct json *json, json_t *object, const char *key, bool value);

/* Takes over root. The text is malloc'ed; NULL when memory lacked, now or before. */
char *json_print(const struct json *json, json_t *root, bool indented);

#endif
