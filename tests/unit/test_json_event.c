/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search for types of events in JSON bodies: the BPF programs' own code, compiled for this
 * program. Memory behind the text, and what was in it before, must not matter.
 */
#include <stdlib.h>
#include <string.h>

#include "collectors/http/http_names.h"
#include "tests/unit/check.h"

static struct http_headers headers;

/* It wants headers declared. */
#include "bpf/json_event.h"

#define STALE "\"type\":\"stale\",{\"type\":\"stale\"}"

static void begin(void)
{
	memset(&headers, 0, sizeof(headers));
	CHECK(http_names_add_field(&headers, "type"));
	CHECK(http_names_add_field(&headers, "a-name.of_23-characters"));
}

/* The next window, at most `most` bytes of what is left, amid the bytes of others. */
static void window_set(struct json_text *t, const char *text, size_t length, size_t most)
{
	char *words = (char *)t->words;
	size_t n = length < most ? length : most;

	for (size_t i = 0; i < sizeof(t->words); i++)
		words[i] = i > n ? STALE[(i - n - 1) % strlen(STALE)] : '\0';
	memcpy(words, text, n);
	t->length = (__u32)n;
	t->last = n == length;
	t->at = 0;
}

/* What is found in a text in windows of so many bytes; "" when nothing is. */
static const char *found_in(const char *text, size_t length, size_t most)
{
	static char value[HTTP_EVENT_MAX + 1];
	struct json_text t;
	size_t at = 0;
	int on = 1;

	memset(&t, 0, sizeof(t));
	while (on && at < length) {
		window_set(&t, text + at, length - at, most);
		on = json_look(&t);
		CHECK(!on || t.at > 0);
		at += t.at;
	}
	memcpy(value, t.value, HTTP_EVENT_MAX);
	CHECK_EQ_U64(t.found, value[0] != 0);
	return value;
}

static void check_found(const char *text, const char *value)
{
	CHECK_STR(found_in(text, strlen(text), JSON_WINDOW), value);
}

CHECK_TEST(test_value_of_a_field_of_the_object_itself_is_found)
{
	begin();
	check_found("{\"type\":\"invoice.paid\"}", "invoice.paid");
	check_found("\t\r\n {\n  \"id\" : 5,\n  \"type\" : \"a/b:c_d-E.9\"\n}", "a/b:c_d-E.9");
	check_found("{\"data\":{\"type\":\"no\",\"x\":[{\"type\":\"no\"}]},\"type\":\"yes\"}",
		    "yes");
	check_found("{\"a\":\"\\\"type\\\":\\\"no\\\"\",\"b\":\"\\\\\",\"type\":\"yes\"}", "yes");
	check_found("{\"a\":[[[]],{}],\"type\":\"yes\",\"type\":\"later\"}", "yes");
	check_found("{\"type\":7,\"a-name.of_23-characters\":\"yes\"}", "yes");
	check_found("1a4\r\n{\"type\":\"chunk\"}\r\n0\r\n\r\n", "chunk");
	check_found("{\"type\":\"1234567890123456789012345678901\"}",
		    "1234567890123456789012345678901");
}

CHECK_TEST(test_what_is_no_word_or_no_such_field_is_not_found)
{
	static const char *const none[] = {
		"",
		"{",
		"{\"type\"",
		"{\"type\":",
		"{\"type\":\"",
		"{\"type\":\"cut",
		"{\"type\":\"\"}",
		"{\"type\":\"a b\"}",
		"{\"type\":\"a\\u0062\"}",
		"{\"type\":\"\xc3\xa4\"}",
		"{\"type\":\"a\x7f\"}",
		"{\"type\":12}",
		"{\"type\":null}",
		"{\"type\":{\"type\":\"no\"}}",
		"{\"type\" \"no\"}",
		"{\"type\":[\"no\"]}",
		"{\"Type\":\"no\"}",
		"{\"types\":\"no\",\"typ\":\"no\"}",
		"{\"x\":\"type\",\"y\":\"no\"}",
		"{\"x\":{\"type\":\"no\"}}",
		"{\"x\":{\"y\":0,\"type\":\"no\"}}",
		"{{\"type\":\"no\"}}",
		"{ ",
		"{\"x\":1,  ",
		"[\"type\",\"no\"]",
		"[{\"type\":\"no\"}]",
		"\"type\":\"no\"",
		"x{\"type\":\"no\"}",
		"{} {\"type\":\"no\"}",
		"type=no&x={\"y\":\"z\"}",
		"{\"type\":         \"nine spaces\"}",
		"{\"type\":\"12345678901234567890123456789012\"}",
	};

	begin();
	for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		check_found(none[i], "");
}

/* Each of the bytes may be the first of another window, and the last that there is. */
CHECK_TEST(test_windows_and_ends_of_texts_make_no_difference)
{
	static const char body[] =
		"{\"id\":\"evt\\\\_1\",\"a\":\"\\\"\",\"nested\":{\"type\":\"no\",\"l\":[1,2,\"]}"
		"\"]},"
		"\"padding\":\"................................................................\","
		"\"more\":[{\"type\":\"no\"},{\"type\":\"no\"},\"\\\\\",\"\\\"\",null,true,1e5],"
		"       \"a-name.of_23-characters\"        :        "
		"\"1234567890123456789012345678901\",\"last\":{}}";
	static const char value[] = "1234567890123456789012345678901";
	const size_t end = (size_t)(strstr(body, value) - body) + strlen(value) + 1;

	begin();
	for (size_t most = JSON_WHOLE + 1; most <= JSON_WINDOW; most++)
		CHECK_STR(found_in(body, strlen(body), most), value);
	for (size_t length = 0; length <= strlen(body); length++)
		CHECK_STR(found_in(body, length, JSON_WINDOW), length < end ? "" : value);
}

CHECK_TEST(test_dense_texts_are_looked_through_to_their_end)
{
	static char text[4096];

	begin();
	memset(text, '[', sizeof(text));
	memcpy(text, "{\"a\":", 5);
	memset(text + 5 + 2000, ']', 2000);
	strcpy(text + 5 + 4000, ",\"type\":\"yes\"}");
	check_found(text, "yes");
	memset(text, ' ', sizeof(text));
	strcpy(text + 4000, "{\"type\":\"yes\"}");
	check_found(text, "yes");
}

CHECK_MAIN("json_event", test_value_of_a_field_of_the_object_itself_is_found,
	   test_what_is_no_word_or_no_such_field_is_not_found,
	   test_windows_and_ends_of_texts_make_no_difference,
	   test_dense_texts_are_looked_through_to_their_end)
