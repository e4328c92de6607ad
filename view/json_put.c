/* SPDX-License-Identifier: Apache-2.0 */
#include "view/json_put.h"

#include <math.h>
#include <string.h>

#include "lib/data/series.h"

void json_put(struct json *json, json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value))
		json->failed = true;
}

json_t *json_row(struct json *json, json_t *array)
{
	json_t *row = json_object();

	if (json_array_append_new(array, row)) {
		json->failed = true;
		return NULL;
	}
	return row;
}

json_t *json_list(struct json *json, json_t *object, const char *key)
{
	json_t *list = json_array();

	json_put(json, object, key, list);
	return list;
}

void json_text(struct json *json, json_t *object, const char *key, const char *text)
{
	char clean[512];
	json_t *value = json_string(text);

	if (!value) { /* not UTF-8: a collector's own words, say */
		series_text_set(clean, sizeof(clean), text, strlen(text));
		value = json_string(clean);
	}
	json_put(json, object, key, value);
}

void json_text_or_null(struct json *json, json_t *object, const char *key, const char *text)
{
	if (text[0])
		json_text(json, object, key, text);
	else
		json_put(json, object, key, json_null());
}

void json_count(struct json *json, json_t *object, const char *key, uint64_t value)
{
	json_put(json, object, key,
		 json_integer(value < INT64_MAX ? (json_int_t)value : INT64_MAX));
}

void json_count_or_null(struct json *json, json_t *object, const char *key, bool known,
			uint64_t value)
{
	if (known)
		json_count(json, object, key, value);
	else
		json_put(json, object, key, json_null());
}

void json_number_or_null(struct json *json, json_t *object, const char *key, bool known,
			 double value)
{
	json_put(json, object, key, known && isfinite(value) ? json_real(value) : json_null());
}

void json_number(struct json *json, json_t *object, const char *key, double value)
{
	json_number_or_null(json, object, key, true, value);
}

void json_flag(struct json *json, json_t *object, const char *key, bool value)
{
	json_put(json, object, key, json_boolean(value));
}

/* 12 digits: more than any measurement has, and 0.00271 stays 0.00271. */
char *json_print(const struct json *json, json_t *root, bool indented)
{
	size_t flags = JSON_ENCODE_ANY | JSON_REAL_PRECISION(12) |
		       (indented ? JSON_INDENT(2) : JSON_COMPACT);
	char *text = root && !json->failed ? json_dumps(root, flags) : NULL;

	json_decref(root);
	return text;
}
