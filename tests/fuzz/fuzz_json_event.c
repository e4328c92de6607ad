/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search for types of events in bodies, as the BPF programs have it, against a parser of JSON:
 * what is found is a word of the text; where the parser takes the text for an object, it is the value
 * that the object has, and none is missed. The first byte says how large windows are.
 */
#include <jansson.h>

#include "collectors/http/http_names.h"
#include "tests/fuzz/fuzz.h"

static struct http_headers headers;

/* It wants headers declared. */
#include "bpf/json_event.h"

static size_t window_next(struct json_text *t, const uint8_t *text, size_t length, size_t most)
{
	size_t n = length < most ? length : most;

	memset(t->words, '"', sizeof(t->words));
	memcpy(t->words, text, n);
	((char *)t->words)[n] = '\0';
	t->length = (__u32)n;
	t->last = n == length;
	t->at = 0;
	return n;
}

static bool is_word(const char *text, size_t length)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:";

	return length > 0 && length < HTTP_EVENT_MAX && strspn(text, allowed) == length;
}

/* Against the parser, which wants no size of a chunk, and knows escapes that are not looked at here. */
static void check_value(const char *value, const uint8_t *text, size_t length)
{
	json_t *object = json_loadb((const char *)text, length, JSON_REJECT_DUPLICATES, NULL);
	json_t *type = json_is_object(object) ? json_object_get(object, "type") : NULL;
	bool wanted =
		json_is_string(type) && is_word(json_string_value(type), json_string_length(type));

	if (json_is_object(object)) {
		if (value[0])
			FUZZ_CHECK(wanted && strcmp(value, json_string_value(type)) == 0);
		else if (wanted)
			FUZZ_CHECK(memchr(text, '\\', length) ||
				   memmem(text, length, "         ", 9) ||
				   memchr(text, '\t', length) || memchr(text, '\n', length) ||
				   memchr(text, '\r', length));
	}
	json_decref(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fuzz_input input = {bytes, bytes + size};
	size_t most = JSON_WHOLE + 1 + 2 * (size_t)fuzz_number(&input, 1), at = 0;
	const size_t length = fuzz_left(&input);
	char value[HTTP_EVENT_MAX + 1] = "";
	struct json_text t;

	if (!headers.field_count)
		FUZZ_CHECK(http_names_add_field(&headers, "type"));
	most = most < JSON_WINDOW ? most : JSON_WINDOW;
	memset(&t, 0, sizeof(t));
	for (int on = 1; on && at < length; at += t.at) {
		size_t n = window_next(&t, input.at + at, length - at, most);

		on = json_look(&t);
		FUZZ_CHECK(!on || (t.at > 0 && t.at <= n));
	}
	memcpy(value, t.value, HTTP_EVENT_MAX);
	FUZZ_CHECK(t.found == (value[0] != '\0'));
	if (t.found) {
		FUZZ_CHECK(is_word(value, strlen(value)));
		FUZZ_CHECK(memmem(input.at, length, value, strlen(value)));
	}
	check_value(value, input.at, length);
	return 0;
}
