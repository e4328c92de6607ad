/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http/http_names.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "config/config.h"
#include "lib/base/types.h"

#define WILD_BEFORE_MAX 8 /* what struct http_header has words for */
#define WILD_BEHIND_MAX 22
#define LETTERS		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define PRESENCE	"-signature" /* of such a header only that it is there is told */

_Static_assert(HEADER_NAME_MAX == HTTP_HEADER_NAME, "a header's name that is configured fits");
_Static_assert(EVENT_FIELD_MAX == HTTP_FIELD_NAME && EVENT_FIELDS == HTTP_FIELDS_MAX,
	       "so do the fields of bodies");
_Static_assert(2 * HEADER_NAMES + 2 <= HTTP_HEADERS_MAX, "config/config.h says which these are");

/* ---- names -------------------------------------------------------------------------------------- */

/* A word to compare with, and its mask, of at most eight characters from the byte `at` on. */
static void word_set(const char *text, size_t length, size_t at, __u64 *word, __u64 *mask)
{
	uint8_t bytes[8] = {0}, masks[8] = {0};

	for (size_t i = 0; i < length && at + i < 8; i++) {
		bool letter = text[i] && strchr(LETTERS, text[i]);

		bytes[at + i] = (uint8_t)text[i];
		masks[at + i] = letter ? 0xdf : 0xff;
	}
	memcpy(word, bytes, sizeof(bytes));
	memcpy(mask, masks, sizeof(masks));
}

/* The words that end with the last character of text, the last one first. */
static void words_set_last(const char *text, size_t length, struct http_header *h)
{
	for (unsigned i = 0; i < ARRAY_LEN(h->last); i++) {
		size_t n = length < 8 ? length : 8;

		length -= n;
		word_set(text + length, n, 8 - n, &h->last[i], &h->last_mask[i]);
	}
}

/* Whether a request of this sort is looked through for headers of this kind. */
static bool is_asked(enum http_header_asked asked, enum http_header_kind kind)
{
	switch (kind) {
	case HTTP_HEADER_TRACE:
		return true;
	case HTTP_HEADER_EVENT:
	case HTTP_HEADER_PRESENCE:
	case HTTP_HEADER_CONTENT:
		return asked == HTTP_ASKED_POST_RECEIVED || asked == HTTP_ASKED_POST_SENT;
	case HTTP_HEADER_DELIVERY:
	case HTTP_HEADER_HOST:
		break;
	}
	return asked == HTTP_ASKED_POST_SENT ||
	       (kind == HTTP_HEADER_HOST && asked == HTTP_ASKED_FIRST_SENT);
}

static bool name_valid(const char *name)
{
	/* Less than HTTP allows in one, and all that is there in practice. */
	static const char allowed[] = LETTERS "0123456789-_.";
	size_t before = strspn(name, allowed);
	bool wild = name[before] == '*';
	const char *rest = name + before + wild;

	return before >= 2 && !rest[strspn(rest, allowed)] && strlen(name) <= HTTP_HEADER_NAME &&
	       (!wild || (before <= WILD_BEFORE_MAX && strlen(rest) <= WILD_BEHIND_MAX));
}

bool http_names_add(struct http_headers *headers, const char *name, enum http_header_kind kind)
{
	struct http_header *h = &headers->list[headers->count];
	const char *star = strchr(name, '*');
	char line[HTTP_HEADER_NAME + 2];
	size_t length, before;

	if (headers->count == HTTP_HEADERS_MAX || !name_valid(name))
		return false;
	length = (size_t)snprintf(line, sizeof(line), "%s:", name);
	before = star ? (size_t)(star - name) : length;
	memset(h, 0, sizeof(*h));
	word_set(line, before, 0, &h->first, &h->first_mask);
	if (star)
		words_set_last(line + before + 1, length - before - 1, h);
	else
		words_set_last(line, length, h);
	h->wild = star != NULL;
	h->length = (uint8_t)(length - (star != NULL));
	h->kind = (uint8_t)kind;
	for (unsigned asked = 0; asked < HTTP_ASKED; asked++)
		if (is_asked(asked, kind)) {
			h->asked |= (uint8_t)(1u << asked);
			headers->filter[asked] |= UINT64_C(1) << http_header_bit(h->first);
		}
	headers->count++;
	return true;
}

bool http_names_add_field(struct http_headers *headers, const char *name)
{
	struct http_field *f = &headers->fields[headers->field_count];
	size_t length = strlen(name);
	uint8_t bytes[sizeof(f->name)] = {0}, mask[sizeof(f->mask)] = {0};

	if (headers->field_count == HTTP_FIELDS_MAX || !length || length > HTTP_FIELD_NAME ||
	    name[strspn(name, LETTERS "0123456789-_.")])
		return false;
	memcpy(bytes, name, length);
	bytes[length] = '"';
	memset(mask, 0xff, length + 1);
	memcpy(f->name, bytes, sizeof(f->name));
	memcpy(f->mask, mask, sizeof(f->mask));
	f->length = length + 1;
	headers->field_count++;
	return true;
}

/* A header that names the type of an event, or whose presence does; or a field of bodies. */
static void event_add(struct http_headers *headers, const char *name)
{
	size_t length = strlen(name), rest = strlen(PRESENCE);
	char label[sizeof(headers->list[0].label)] = "";

	if (strncmp(name, EVENT_FIELD, strlen(EVENT_FIELD)) == 0) {
		http_names_add_field(headers, name + strlen(EVENT_FIELD));
		return;
	}
	if (length <= rest || strcasecmp(name + length - rest, PRESENCE) != 0) {
		http_names_add(headers, name, HTTP_HEADER_EVENT);
		return;
	}
	for (size_t i = 0; i < length - rest && i < sizeof(label) - 1; i++)
		label[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 0x20 : name[i]);
	if (http_names_add(headers, name, HTTP_HEADER_PRESENCE))
		memcpy(headers->list[headers->count - 1].label, label, sizeof(label));
}

void http_names_of_config(struct http_headers *headers, const struct vow_config *config)
{
	memset(headers, 0, sizeof(*headers));
	if (config->capture_traces)
		http_names_add(headers, "traceparent", HTTP_HEADER_TRACE);
	for (unsigned i = 0; i < config->delivery_ids.count; i++)
		http_names_add(headers, config->delivery_ids.names[i], HTTP_HEADER_DELIVERY);
	headers->peer_names = config->capture_peer_names;
	if (config->delivery_ids.count || config->capture_peer_names)
		http_names_add(headers, "host", HTTP_HEADER_HOST);
	for (unsigned i = 0; i < config->event_types.count; i++)
		event_add(headers, config->event_types.names[i]);
	if (headers->field_count)
		http_names_add(headers, "content-type", HTTP_HEADER_CONTENT);
	/* Without randomness the key is zero: ids could then be guessed from hashes, no more. */
	if (getrandom(headers->key, sizeof(headers->key), 0) != (ssize_t)sizeof(headers->key))
		memset(headers->key, 0, sizeof(headers->key));
}

/* ---- what was found ----------------------------------------------------------------------------- */

static bool has(const struct http_record *record, enum http_header_kind kind)
{
	return (record->flags & HTTP_NOTED) && (record->notes.has & kind);
}

bool http_names_trace(const struct http_record *record, char text[HTTP_TRACE_TEXT + 1])
{
	static const char digits[] = "0123456789abcdef";

	if (!has(record, HTTP_HEADER_TRACE))
		return false;
	for (unsigned i = 0; i < sizeof(record->notes.trace); i++) {
		text[2 * i] = digits[record->notes.trace[i] >> 4];
		text[2 * i + 1] = digits[record->notes.trace[i] & 15];
	}
	text[HTTP_TRACE_TEXT] = '\0';
	return true;
}

/* A word that may become a name; others are somebody's text. */
static bool is_word(const char *text)
{
	return text[0] && !text[strspn(text, LETTERS "0123456789._-/:")];
}

bool http_names_event(const struct http_record *record, char text[HTTP_EVENT_MAX + 1])
{
	size_t length;

	if (!has(record, HTTP_HEADER_EVENT))
		return false;
	memcpy(text, record->notes.event, HTTP_EVENT_MAX);
	text[HTTP_EVENT_MAX] = '\0';
	for (length = strlen(text); length && strchr(" \t", text[length - 1]); length--)
		text[length - 1] = '\0';
	return is_word(text);
}
