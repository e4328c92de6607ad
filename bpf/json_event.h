/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Finds the type of an event in a JSON text: the value of one of http_headers.fields, if the text
 * is an object which has it itself, and not an object within it. Kernel side; it compiles for
 * programs as well, whose tests hold it against a parser. Who includes it has declared `headers`
 * before.
 *
 * Strings and brackets are followed, and no more: whether the rest is JSON is the receiver's matter.
 * Nothing but the value is told of what was looked at, and that only if it is a word.
 */
#ifndef VOW_BPF_JSON_EVENT_H
#define VOW_BPF_JSON_EVENT_H

#include "bpf/json_text.h"
#include "bpf/words.h"

#define JSON_STEPS  16 /* at a time: the verifier goes through them once, see kernel.h */
#define JSON_SPACES 8 /* on each side of a colon */
/* A key, its value and what is between them, which are looked at as a whole; it may be a step off. */
#define JSON_WHOLE (8 + HTTP_FIELD_NAME + 2 + 2 * JSON_SPACES + 1 + HTTP_EVENT_MAX + 2)

/*
 * The verifier wants to see the bound of an offset; the compiler would drop a mask that it proves
 * useless.
 */
#ifdef __bpf__
#define JSON_BOUND(offset) asm volatile("%0 &= 1023" : "+r"(offset))
#define JSON_PART	   __attribute__((noinline))
#else
#define JSON_BOUND(offset) ((offset) &= 2 * JSON_WINDOW - 1)
#define JSON_PART	   static inline
#endif

static __always_inline __u64 json_word(const struct json_text *t, __u32 offset)
{
	__u64 word;

	JSON_BOUND(offset);
	__builtin_memcpy(&word, (const char *)t->words + offset, sizeof(word));
	return word;
}

/* Bit 7 of each byte that is a letter, a digit, or one of "._-/:". */
static __always_inline __u64 json_allowed(__u64 word)
{
	__u64 low = word & BYTES(0x7f);

	return ~word & BYTES(0x80) &
	       (bytes_within(low, 'a', 'z') | bytes_within(low, 'A', 'Z') |
		bytes_within(low, '-', ':') | bytes_within(low, '_', '_'));
}

/*
 * Takes the string that begins at `at`, behind its quote. Returns whether it is a word of less than
 * HTTP_EVENT_MAX bytes; else nothing of it is kept.
 */
static __always_inline int json_take(struct json_text *t, __u32 at)
{
	__u64 mask = ~0ULL, allowed = BYTES(0x80), first = 0;

#ifdef __bpf__
#pragma clang loop unroll(disable)
#endif
	for (__u32 i = 0; i < HTTP_EVENT_MAX / 8; i++) {
		__u64 word = json_word(t, at + 8 * i);
		__u64 quote = mask ? bytes_equal(word, '"') : 0;

		if (quote)
			mask = ((quote & -quote) >> 7) - 1;
		word &= mask;
		allowed &= json_allowed(word | (BYTES('a') & ~mask));
		t->value[i] = word;
		first |= word;
		if (quote)
			mask = 0;
	}
	if (!mask && first && allowed == BYTES(0x80))
		return 1;
	__builtin_memset(t->value, 0, sizeof(t->value));
	return 0;
}

/* The offset of what is behind white space. */
static __always_inline __u32 json_skip_spaces(const struct json_text *t, __u32 at)
{
#ifdef __bpf__
#pragma clang loop unroll(disable)
#endif
	for (int i = 0; i < JSON_SPACES; i++) {
		__u8 byte = json_word(t, at);

		if (byte != ' ' && byte != '\n' && byte != '\r' && byte != '\t')
			break;
		at++;
	}
	return at;
}

/* Whether the text at `at` is this name and the quote behind it. */
static __always_inline int json_is(const struct json_text *t, const volatile struct http_field *f,
				   __u32 at)
{
	return !((json_word(t, at) ^ f->name[0]) & f->mask[0]) &&
	       !((json_word(t, at + 8) ^ f->name[1]) & f->mask[1]) &&
	       !((json_word(t, at + 16) ^ f->name[2]) & f->mask[2]);
}

/* Takes the value of the key whose text begins at `at` if both are what is looked for. */
JSON_PART int json_key(struct json_text *t, __u32 at)
{
	__u32 behind = 0;

	if (!t)
		return 0;
#ifdef __bpf__
#pragma clang loop unroll(disable)
#endif
	for (__u32 i = 0; i < HTTP_FIELDS_MAX; i++) {
		const volatile struct http_field *f = &headers.fields[i];

		if (i >= headers.field_count)
			break;
		if (json_is(t, f, at))
			behind = at + f->length;
	}
	if (!behind)
		return 0;
	at = json_skip_spaces(t, behind);
	if ((__u8)json_word(t, at) != ':')
		return 0;
	at = json_skip_spaces(t, at + 1);
	if ((__u8)json_word(t, at) != '"')
		return 0;
	t->found = json_take(t, at + 1);
	return t->found;
}

/* Within a string, of which all that matters is where it ends. */
static __always_inline void json_step_quoted(struct json_text *t, __u32 at)
{
	__u64 word = json_word(t, at);
	__u64 quote = bytes_equal(word, '"'), hit = quote | bytes_equal(word, '\\');

	if (!hit) {
		t->at = at + 8;
		return;
	}
	at += byte_index(hit);
	if (hit & -hit & quote) {
		t->quoted = 0;
		t->at = at + 1;
	} else {
		t->at = at + 2;
	}
}

/* Before the object only white space may come, and the size of a chunk. */
static __always_inline int json_step_before(struct json_text *t, __u32 at)
{
	__u8 byte = json_word(t, at);
	__u8 small = byte | 0x20;

	t->at = at + 1;
	if (byte == '{') {
		t->depth = 1;
		t->key = 1;
		return 1;
	}
	return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t' ||
	       (byte >= '0' && byte <= '9') || (small >= 'a' && small <= 'f');
}

/* Goes to the next quote, comma or bracket, but at most eight bytes. Returns whether to go on. */
static __always_inline int json_step(struct json_text *t, __u32 at)
{
	__u64 word = json_word(t, at);
	/* Brackets of both kinds become one byte, as do letters, which do not matter below. */
	__u64 hit = bytes_equal(word, '"') | bytes_equal(word, ',') |
		    bytes_equal(word | BYTES(0x26), 0x7f);

	if (!hit) {
		t->at = at + 8;
		return 1;
	}
	at += byte_index(hit);
	t->at = at + 1;
	/* Behind the text lies what was there before. */
	if (at >= t->length)
		return 0;
	switch ((__u8)json_word(t, at)) {
	case '"':
		if (t->key && json_key(t, at + 1))
			return 0;
		t->key = 0;
		t->quoted = 1;
		return 1;
	case ',':
		t->key = t->depth == 1;
		return 1;
	case '{':
	case '[':
		t->depth++;
		t->key = 0;
		return 1;
	case '}':
	case ']':
		return --t->depth != 0;
	}
	return 1;
}

/* So many steps, or fewer. Returns whether there is more to look at in this window. */
JSON_PART int json_steps(struct json_text *t)
{
	__u32 end;

	if (!t)
		return 0;
	end = t->length;
	if (!t->last)
		end = end > JSON_WHOLE ? end - JSON_WHOLE : 0;
#ifdef __bpf__
#pragma clang loop unroll(disable)
#endif
	for (int i = 0; i < JSON_STEPS; i++) {
		__u32 at = t->at;
		int on = 1;

		if (at >= end)
			return 0;
		if (t->quoted)
			json_step_quoted(t, at);
		else if (t->depth)
			on = json_step(t, at);
		else
			on = json_step_before(t, at);
		if (!on) {
			t->last = 1;
			return 0;
		}
	}
	return 1;
}

/*
 * Looks through the window from t->at on. Returns whether to look further, in one that begins with
 * the byte that is now at t->at, which lies in the window or a few bytes behind it; else t->found
 * says whether there is a value. All of *t but words, length and last is 0 at first.
 */
JSON_PART int json_look(struct json_text *t)
{
	if (!t)
		return 0;
#ifdef __bpf__
#pragma clang loop unroll(disable)
#endif
	for (int i = 0; i < JSON_WINDOW / JSON_STEPS; i++)
		if (!json_steps(t))
			break;
	return !t->last;
}

#endif
