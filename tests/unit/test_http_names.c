/* SPDX-License-Identifier: Apache-2.0 */
/* Names of headers as the words that the BPF programs compare lines with, and what they found. */
#include <stdio.h>
#include <string.h>

#include "collectors/http/http_names.h"
#include "config/config.h"
#include "tests/unit/check.h"

/* As find_name() in bpf/http_find.h: the place of the header that a line has, -1: none. */
static int place_of(const struct http_headers *headers, enum http_header_asked asked,
		    const char *line)
{
	char room[24 + 128 + 8] = {0};
	const char *at = room + 24, *colon = strchr(line, ':');
	size_t until = colon ? (size_t)(colon - line) + 1 : 0;
	uint64_t first, last[3];

	memcpy(room + 24, line, strlen(line));
	memcpy(&first, at, 8);
	if (!(headers->filter[asked] >> http_header_bit(first) & 1))
		return -1;
	for (unsigned i = 0; i < headers->count; i++) {
		const struct http_header *h = &headers->list[i];
		bool same = !((first ^ h->first) & h->first_mask) && (h->asked >> asked & 1);

		size_t length = h->wild ? until : h->length;

		for (unsigned k = 0; k < 3; k++) {
			memcpy(&last[k], at + length - 8 * (k + 1), 8);
			same = same && !((last[k] ^ h->last[k]) & h->last_mask[k]);
		}
		if (same && length >= h->length)
			return (int)i;
	}
	return -1;
}

static int kind_of(const struct http_headers *headers, enum http_header_asked asked,
		   const char *line)
{
	int place = place_of(headers, asked, line);

	return place < 0 ? 0 : headers->list[place].kind;
}

static struct http_headers defaults(void)
{
	struct http_headers headers;
	struct vow_config *config;

	CHECK_OK(config_load(NULL, &config, NULL));
	http_names_of_config(&headers, config);
	config_free(config);
	return headers;
}

CHECK_TEST(test_default_names_are_found_in_any_case)
{
	static const struct {
		const char *line;
		int kind;
	} lines[] = {
		{"traceparent: 00", HTTP_HEADER_TRACE},
		{"TraceParent:00", HTTP_HEADER_TRACE},
		{"WEBHOOK-ID: a", HTTP_HEADER_DELIVERY},
		{"idempotency-key: a", HTTP_HEADER_DELIVERY},
		{"X-GitHub-Delivery: a", HTTP_HEADER_DELIVERY},
		{"x-gogs-delivery: a", HTTP_HEADER_DELIVERY},
		{"X-a-long-and-winding-way-delivery: a", HTTP_HEADER_DELIVERY},
		{"Host: a", HTTP_HEADER_HOST},
		{"x-github-event: push", HTTP_HEADER_EVENT},
		{"stripe-signature: t=1", HTTP_HEADER_PRESENCE},
		{"tracestate: a=b", 0},
		{"traceparent", 0},
		{"traceparents: a", 0},
		{"x-delivery: a", 0},
		{"x-github-delivery-id: a", 0},
		{"x-github-delivers: a", 0},
		{"hosts: a", 0},
		{"host\r\n: a", 0},
		{"webhook\rid: a", 0},
		{"webhook=id: a", 0},
		{"authorization: Bearer x-any-delivery:", 0},
		{"cookie: traceparent:", 0},
	};
	struct http_headers headers = defaults();

	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		CHECK_EQ_I64(kind_of(&headers, HTTP_ASKED_POST_SENT, lines[i].line), lines[i].kind);
		CHECK_EQ_I64(kind_of(&headers, HTTP_ASKED_ANY, lines[i].line),
			     lines[i].kind & HTTP_HEADER_TRACE);
		CHECK_EQ_I64(kind_of(&headers, HTTP_ASKED_POST_RECEIVED, lines[i].line),
			     lines[i].kind & (HTTP_HEADER_TRACE | HTTP_HEADER_EVENT |
					      HTTP_HEADER_PRESENCE));
		CHECK_EQ_I64(kind_of(&headers, HTTP_ASKED_FIRST_SENT, lines[i].line),
			     lines[i].kind & (HTTP_HEADER_TRACE | HTTP_HEADER_HOST));
	}
}

CHECK_TEST(test_names_of_all_lengths_are_found_whole)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz-0123";
	struct http_headers headers;
	char name[HTTP_HEADER_NAME + 2], line[64];

	for (unsigned length = 0; length <= HTTP_HEADER_NAME + 1; length++) {
		memset(&headers, 0, sizeof(headers));
		snprintf(name, sizeof(name), "%.*s", (int)length, letters);
		if (length == HTTP_HEADER_NAME + 1)
			strcat(name, "x");
		CHECK_EQ_U64(http_names_add(&headers, name, HTTP_HEADER_TRACE),
			     length >= 2 && length <= HTTP_HEADER_NAME);
		if (!headers.count)
			continue;
		snprintf(line, sizeof(line), "%s: x", name);
		CHECK_EQ_I64(place_of(&headers, HTTP_ASKED_ANY, line), 0);
		/* Each character counts. */
		for (unsigned i = 0; i < length; i++) {
			line[i] ^= 1;
			CHECK_EQ_I64(place_of(&headers, HTTP_ASKED_ANY, line), -1);
			line[i] ^= 1;
		}
	}
}

CHECK_TEST(test_names_that_are_none_are_refused)
{
	static const char *const none[] = {
		"",
		"a",
		"*",
		"*-id",
		"x*",
		"x y",
		"x:y",
		"a\rb",
		"x-*-*",
		"x-**",
		"\xc3\xa4",
		"123456789*a",
		"x-*-1234567890123456789012",
		"x-12345678901234567890123456789012",
	};
	struct http_headers headers = {.count = 0};

	for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		CHECK(!http_names_add(&headers, none[i], HTTP_HEADER_TRACE));
	CHECK(http_names_add(&headers, "x-*-123456789012345678901", HTTP_HEADER_TRACE));
	CHECK(http_names_add(&headers, "12345678*", HTTP_HEADER_TRACE));
	for (unsigned i = headers.count; i < HTTP_HEADERS_MAX; i++)
		CHECK(http_names_add(&headers, "ab", HTTP_HEADER_TRACE));
	CHECK(!http_names_add(&headers, "ab", HTTP_HEADER_TRACE));
}

CHECK_TEST(test_nothing_asked_for_is_nothing_on_the_list)
{
	struct vow_config config = {0};
	struct http_headers headers;

	http_names_of_config(&headers, &config);
	CHECK_EQ_U64(headers.count, 0);
	config.capture_traces = true;
	http_names_of_config(&headers, &config);
	CHECK_EQ_U64(headers.count, 1);
	CHECK(headers.key[0] | headers.key[1]);
	CHECK(!headers.peer_names);
	config = (struct vow_config){.capture_peer_names = true};
	http_names_of_config(&headers, &config);
	CHECK(headers.peer_names);
	CHECK_EQ_I64(kind_of(&headers, HTTP_ASKED_FIRST_SENT, "Host: a"), HTTP_HEADER_HOST);
	CHECK_EQ_U64(headers.count, 1);
}

CHECK_TEST(test_fields_of_bodies_are_apart_from_headers)
{
	struct vow_config config = {.event_types = {{"json:type", "X-Event", "json:a.b"}, 3}};
	struct http_headers headers;

	http_names_of_config(&headers, &config);
	CHECK_EQ_U64(headers.field_count, 2);
	CHECK_MEM(headers.fields[0].name, "type\"\0\0\0\0", 9);
	CHECK_EQ_U64(headers.fields[0].length, 5);
	CHECK_EQ_U64(headers.fields[0].mask[0], 0xffffffffffULL);
	CHECK_EQ_U64(headers.fields[0].mask[1], 0);
	CHECK_MEM(headers.fields[1].name, "a.b\"", 5);
	CHECK_EQ_U64(headers.count, 2);
	CHECK_EQ_I64(kind_of(&headers, HTTP_ASKED_POST_SENT, "x-event: a"), HTTP_HEADER_EVENT);
	CHECK_EQ_I64(kind_of(&headers, HTTP_ASKED_POST_RECEIVED, "Content-Type: a"),
		     HTTP_HEADER_CONTENT);
	CHECK_EQ_I64(kind_of(&headers, HTTP_ASKED_ANY, "Content-Type: a"), 0);
	CHECK_EQ_I64(kind_of(&headers, HTTP_ASKED_POST_SENT, "json:type: a"), 0);
	CHECK(!http_names_add_field(&headers, ""));
	CHECK(!http_names_add_field(&headers, "a\"b"));
	CHECK(!http_names_add_field(&headers, "a-name.of_24-characters_"));
	CHECK(http_names_add_field(&headers, "a-name.of_23-characters"));
	CHECK(http_names_add_field(&headers, "x"));
	CHECK(!http_names_add_field(&headers, "y"));
}

/* The most that a configuration can ask for. */
CHECK_TEST(test_fields_leave_room_for_the_type_of_the_body)
{
	struct vow_config config = {
		.capture_traces = true,
		.capture_peer_names = true,
		.delivery_ids = {{"aa", "bb", "cc", "dd", "ee", "ff", "gg"}, HEADER_NAMES},
		.event_types = {{"hh", "ii", "jj", "kk", "ll", "mm", "json:n"}, HEADER_NAMES},
	};
	struct http_headers headers;

	http_names_of_config(&headers, &config);
	CHECK_EQ_U64(headers.count, HTTP_HEADERS_MAX);
	CHECK_EQ_I64(kind_of(&headers, HTTP_ASKED_POST_SENT, "content-type: a"),
		     HTTP_HEADER_CONTENT);
	CHECK_EQ_I64(kind_of(&headers, HTTP_ASKED_POST_SENT, "mm: a"), HTTP_HEADER_EVENT);
}

CHECK_TEST(test_what_was_found_is_told_as_text)
{
	struct http_record r = {.flags = HTTP_NOTED};
	char trace[HTTP_TRACE_TEXT + 1], event[HTTP_EVENT_MAX + 1];

	CHECK(!http_names_trace(&r, trace) && !http_names_event(&r, event));
	r.notes.has = HTTP_HEADER_TRACE | HTTP_HEADER_EVENT;
	for (unsigned i = 0; i < 16; i++)
		r.notes.trace[i] = (uint8_t)(i * 17);
	memcpy(r.notes.event, "invoice.paid  ", 14);
	CHECK(http_names_trace(&r, trace) && http_names_event(&r, event));
	CHECK_STR(trace, "00112233445566778899aabbccddeeff");
	CHECK_STR(event, "invoice.paid");
	memcpy(r.notes.event, "a secret text!", 14);
	CHECK(!http_names_event(&r, event));
	memset(r.notes.event, 'e', sizeof(r.notes.event));
	CHECK(http_names_event(&r, event));
	CHECK_EQ_U64(strlen(event), HTTP_EVENT_MAX);
	r.flags = 0;
	CHECK(!http_names_trace(&r, trace) && !http_names_event(&r, event));
}

CHECK_MAIN("http_names", test_default_names_are_found_in_any_case,
	   test_names_of_all_lengths_are_found_whole, test_names_that_are_none_are_refused,
	   test_nothing_asked_for_is_nothing_on_the_list,
	   test_fields_of_bodies_are_apart_from_headers,
	   test_fields_leave_room_for_the_type_of_the_body, test_what_was_found_is_told_as_text)
