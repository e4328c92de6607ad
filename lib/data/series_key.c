/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/data/series_key.h"

#include <errno.h>
#include <string.h>

#include "lib/base/str.h"

static const char *const class_names[CLASS_COUNT] = {"ok",  "1xx", "2xx",   "3xx",
						     "4xx", "5xx", "error", "unknown"};
static const char *const kind_names[SERIES_KINDS] = {"http", "app", "delivery", "attempt",
						     "job",  "tls", "user",	"connection"};
static const char *const role_names[SERIES_ROLES] = {"server", "client"};

static const struct {
	const char *name;
	dur_ns length;
} windows[WINDOW_COUNT] = {
	[WINDOW_10S] = {"10s", 10 * NS_PER_S},	[WINDOW_1M] = {"1m", NS_PER_MIN},
	[WINDOW_5M] = {"5m", 5 * NS_PER_MIN},	[WINDOW_30M] = {"30m", 30 * NS_PER_MIN},
	[WINDOW_1H] = {"1h", NS_PER_H},		[WINDOW_6H] = {"6h", 6 * NS_PER_H},
	[WINDOW_1D] = {"1d", 24 * NS_PER_H},	[WINDOW_3D] = {"3d", 72 * NS_PER_H},
	[WINDOW_30D] = {"30d", 720 * NS_PER_H}, [SERIES_TOTAL] = {"total", 0},
};

enum series_class series_class_of(uint16_t status)
{
	if (status == 0)
		return CLASS_OK;
	if (status < 100 || status > 599)
		return CLASS_ERROR;
	return (enum series_class)(CLASS_1XX + status / 100 - 1);
}

bool series_class_is_error(enum series_role role, enum series_class status_class)
{
	return status_class == CLASS_5XX || status_class == CLASS_ERROR ||
	       (status_class == CLASS_4XX && role == SERIES_CLIENT);
}

const char *series_class_name(enum series_class status_class)
{
	return status_class < CLASS_COUNT ? class_names[status_class] : "?";
}

const char *series_kind_name(enum series_kind kind)
{
	return kind < SERIES_KINDS ? kind_names[kind] : "?";
}

const char *series_role_name(enum series_role role)
{
	return role < SERIES_ROLES ? role_names[role] : "?";
}

dur_ns series_window_length(enum series_window window)
{
	return window < WINDOW_COUNT ? windows[window].length : 0;
}

const char *series_window_name(enum series_window window)
{
	return window < WINDOW_COUNT ? windows[window].name : "?";
}

int series_window_parse(const char *text, enum series_window *window)
{
	for (unsigned i = 0; i < WINDOW_COUNT; i++)
		if (strcmp(text, windows[i].name) == 0) {
			*window = (enum series_window)i;
			return 0;
		}
	return -EINVAL;
}

/* ---- text from outside ----------------------------------------------------------------------- */

/* Length of the character at text; 0 for control characters, C1 included, and what is none. */
static size_t series_text_character(const char *text, size_t left)
{
	uint32_t number;
	size_t length = str_utf8(text, left, &number);

	return length && (number < 0x20 || (number >= 0x7f && number < 0xa0)) ? 0 : length;
}

void series_text_set(char *field, size_t room, const char *text, size_t length)
{
	size_t used = 0;

	memset(field, 0, room);
	for (size_t at = 0; at < length;) {
		size_t n = series_text_character(text + at, length - at);

		/* Cut between characters, not within one. */
		if (used + (n ? n : 1) >= room)
			return;
		if (n)
			memcpy(field + used, text + at, n);
		else
			field[used] = '?';
		n = n ? n : 1;
		used += n;
		at += n;
	}
}

/* ---- keys ------------------------------------------------------------------------------------ */

#define field_copy(to, from) memcpy((to), (from), strnlen((from), sizeof(to) - 1))

void series_key_copy(struct series_key *to, const struct series_key *from)
{
	memset(to, 0, sizeof(*to));
	field_copy(to->host, from->host);
	field_copy(to->service, from->service);
	field_copy(to->method, from->method);
	field_copy(to->route, from->route);
	field_copy(to->peer, from->peer);
	to->kind = from->kind;
	to->role = from->role;
	to->status_class = from->status_class;
}

/* The product of two 64-bit words has 128 bits; both halves together depend on every bit. */
static uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Folds a field word by word up to its end; its length goes in, so that fields stay apart. */
static uint64_t field_hash(uint64_t hash, const char *field, size_t size)
{
	size_t length = strnlen(field, size);

	for (size_t at = 0; at < length; at += sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, field + at, sizeof(word));
		hash = mix(hash ^ word, UINT64_C(0x9e3779b97f4a7c15));
	}
	return mix(hash ^ length, UINT64_C(0xd6e8feb86659fd93));
}

uint64_t series_key_hash(const struct series_key *key, uint64_t seed)
{
	uint64_t hash = seed ^ (uint64_t)(key->kind << 16 | key->role << 8 | key->status_class);

	hash = field_hash(hash, key->host, sizeof(key->host));
	hash = field_hash(hash, key->service, sizeof(key->service));
	hash = field_hash(hash, key->method, sizeof(key->method));
	hash = field_hash(hash, key->route, sizeof(key->route));
	return field_hash(hash, key->peer, sizeof(key->peer));
}

bool series_key_equal(const struct series_key *a, const struct series_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}
