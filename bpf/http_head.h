/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Reading the heads of HTTP/1 messages, eight bytes at a step since a byte at a time costs too
 * much in here. Kernel side; little-endian machines only, as all that run BPF in the field are.
 */
#ifndef VOW_BPF_HTTP_HEAD_H
#define VOW_BPF_HTTP_HEAD_H

#include "bpf/http_record.h"
#include "bpf/json_text.h"
#include "bpf/kernel.h"
#include "bpf/payload.h"
#include "bpf/words.h"

#define HEAD_MAX   1024 /* bytes of a response head that are searched for its length */
#define HEAD_STEP  128 /* bytes in which lines are looked for at a time */
#define HEAD_LINES 16 /* lines of a request head that are looked at closely */
#define HELD_MAX   128 /* bytes of an earlier read that may stand in front */
#define HEAD_ROOM  (HEAD_MAX + HELD_MAX + 32) /* words may be loaded a little behind the end */

/* A body, window by window; see http_body.h. */
struct body_text {
	struct json_text json;
	struct payload_walk walk; /* from the first byte of the window on */
	struct payload_walk ahead; /* behind the last one */
};

/* A piece of a message, and what was found in it. One for each program and processor. */
struct head_text {
	union {
		__u64 words[HEAD_ROOM / 8];
		struct body_text body; /* once the head is done with */
	};
	__u32 length; /* bytes in words */
	__u32 held; /* of these, from an earlier call */
	__u32 end; /* offset behind the blank line, 0: not seen */
	__u32 length_at; /* offset of the digits of Content-Length, 0: none */
	__u32 lengths; /* how many of these there are */
	__u32 chunked;
	/* Of a request that is searched for headers, see http_find.h: offsets, 0: none. */
	__u32 line_count;
	__u32 lines[HEAD_LINES];
	__u32 trace_at, delivery_at, host_at, event_at;
	__u32 content_at;
	__u32 present; /* place of the header that tells an event by its being there, + 1 */
	__u32 body_at; /* bytes of the call in front of a body that is looked through */
	struct http_notes notes;
};

static __always_inline __u64 head_word(const struct head_text *t, __u32 offset)
{
	/* The verifier wants to see the bound; the compiler would drop a mask it proves useless. */
	asm volatile("%0 &= 1023" : "+r"(offset));
	return *(const __u64 *)((const char *)t->words + offset);
}

/* The method that a message begins with, and the offset of the path; HTTP_METHOD_NONE if none. */
static __always_inline enum http_method head_method(__u64 first, __u32 *path_at)
{
	__u32 four = first;
	__u32 next = first >> 32;

	switch (four) {
	case WORD4('G', 'E', 'T', ' '):
		*path_at = 4;
		return HTTP_GET;
	case WORD4('P', 'U', 'T', ' '):
		*path_at = 4;
		return HTTP_PUT;
	case WORD4('P', 'O', 'S', 'T'):
		*path_at = 5;
		return (next & 0xff) == ' ' ? HTTP_POST : HTTP_METHOD_NONE;
	case WORD4('H', 'E', 'A', 'D'):
		*path_at = 5;
		return (next & 0xff) == ' ' ? HTTP_HEAD : HTTP_METHOD_NONE;
	case WORD4('D', 'E', 'L', 'E'):
		*path_at = 7;
		return (next & 0xffffff) == WORD4('T', 'E', ' ', 0) ? HTTP_DELETE
								    : HTTP_METHOD_NONE;
	case WORD4('P', 'A', 'T', 'C'):
		*path_at = 6;
		return (next & 0xffff) == WORD4('H', ' ', 0, 0) ? HTTP_PATCH : HTTP_METHOD_NONE;
	case WORD4('O', 'P', 'T', 'I'):
		*path_at = 8;
		return next == WORD4('O', 'N', 'S', ' ') ? HTTP_OPTIONS : HTTP_METHOD_NONE;
	case WORD4('C', 'O', 'N', 'N'):
		*path_at = 8;
		return next == WORD4('E', 'C', 'T', ' ') ? HTTP_CONNECT : HTTP_METHOD_NONE;
	}
	return HTTP_METHOD_NONE;
}

/* Whether `length` bytes (1..7) could be the beginning of a method: split heads are waited for. */
static __always_inline bool head_may_begin(__u64 first, __u32 length)
{
	__u64 mask = length >= 8 ? ~0ULL : (1ULL << (8 * length)) - 1;

	return !((first ^ WORD('G', 'E', 'T', ' ', 0, 0, 0, 0)) & mask & 0xffffffffULL) ||
	       !((first ^ WORD('P', 'U', 'T', ' ', 0, 0, 0, 0)) & mask & 0xffffffffULL) ||
	       !((first ^ WORD('P', 'O', 'S', 'T', ' ', 0, 0, 0)) & mask & 0xffffffffffULL) ||
	       !((first ^ WORD('H', 'E', 'A', 'D', ' ', 0, 0, 0)) & mask & 0xffffffffffULL) ||
	       !((first ^ WORD('P', 'A', 'T', 'C', 'H', ' ', 0, 0)) & mask & 0xffffffffffffULL) ||
	       !((first ^ WORD('D', 'E', 'L', 'E', 'T', 'E', ' ', 0)) & mask &
		 0xffffffffffffffULL) ||
	       !((first ^ WORD('O', 'P', 'T', 'I', 'O', 'N', 'S', ' ')) & mask) ||
	       !((first ^ WORD('C', 'O', 'N', 'N', 'E', 'C', 'T', ' ')) & mask);
}

/*
 * Status of a message that begins "HTTP/1.x NNN", 0 for anything else. The words are its first
 * sixteen bytes.
 */
static __always_inline __u16 head_status(__u64 first, __u64 second)
{
	__u32 a, b, c;

	if ((first & 0x00ffffffffffffffULL) != WORD('H', 'T', 'T', 'P', '/', '1', '.', 0))
		return 0;
	a = ((second >> 8) & 0xff) - '0';
	b = ((second >> 16) & 0xff) - '0';
	c = ((second >> 24) & 0xff) - '0';
	if ((second & 0xff) != ' ' || a - 1 > 4 || b > 9 || c > 9)
		return 0;
	return a * 100 + b * 10 + c;
}

/*
 * Copies a path up to its first space, '?' or line end into `to`; zeros fill its last word. Returns
 * false when the text, which a zero byte ends, went on to neither: the path is cut, or goes on in
 * the next read. words: how many of `to` the path takes.
 */
static __always_inline bool head_path_copy(__u64 to[HTTP_PATH_MAX / 8], const char *from,
					   __u8 *words)
{
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < HTTP_PATH_MAX / 8; i++) {
		__u64 word = *(const __u64 *)(from + 8 * i);
		__u64 none = bytes_equal(word, '\0');
		__u64 hit = bytes_equal(word, ' ') | bytes_equal(word, '?') |
			    bytes_equal(word, '\r') | none;

		if (hit) {
			__u64 mask = ((hit & -hit) >> 7) - 1;

			to[i] = word & mask;
			*words = i + (mask != 0);
			return (hit & -hit) != (none & -none);
		}
		to[i] = word;
	}
	*words = HTTP_PATH_MAX / 8;
	return false;
}

/* What the line that begins at offset says; returns true when it is the blank one. */
static __always_inline bool head_line(struct head_text *t, __u32 at)
{
	__u64 word = head_word(t, at);
	__u64 lower = word | BYTES(0x20);

	if ((word & 0xffff) == WORD4('\r', '\n', 0, 0)) {
		t->end = at + 2;
		return true;
	}
	if (lower == WORD('c', 'o', 'n', 't', 'e', 'n', 't', '-')) {
		lower = head_word(t, at + 8) | BYTES(0x20);
		if ((lower & 0x00ffffffffffffffULL) == WORD('l', 'e', 'n', 'g', 't', 'h', ':', 0)) {
			t->length_at = at + 15;
			t->lengths++;
		}
	} else if (lower == WORD('t', 'r', 'a', 'n', 's', 'f', 'e', 'r')) {
		lower = head_word(t, at + 8) | BYTES(0x20);
		if (lower == WORD('-', 'e', 'n', 'c', 'o', 'd', 'i', 'n'))
			t->chunked = 1;
	}
	return false;
}

/* Looks at the lines that begin behind these HEAD_STEP bytes. Returns whether to look further. */
__checked_once int head_lines(struct head_text *t, __u32 from)
{
	__u32 length;

	if (!t)
		return 0;
	length = t->length;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < HEAD_STEP; i += 8) {
		__u32 at = from + i;
		__u64 hit;

		if (at >= length)
			return 0;
		hit = bytes_equal(head_word(t, at), '\n');
		if (!hit)
			continue;
		if (head_line(t, at + byte_index(hit) + 1))
			return 0;
		hit &= hit - 1;
		if (hit && head_line(t, at + byte_index(hit) + 1))
			return 0;
	}
	return 1;
}

/* Searches a response head for its end, Content-Length and Transfer-Encoding. */
static __noinline void head_scan(struct head_text *t)
{
	t->end = 0;
	t->length_at = 0;
	t->lengths = 0;
	t->chunked = 0;
	/* The status line takes the first 16 bytes. */
#pragma clang loop unroll(disable)
	for (__u32 from = 16; from < HEAD_MAX; from += HEAD_STEP)
		if (!head_lines(t, from))
			break;
	if (t->end > t->length)
		t->end = 0;
}

/*
 * The number at length_at, at most 15 digits; false when that line says none, or anything beside: a
 * length that is believed has all up to it taken for the body, further responses too.
 */
static __always_inline bool head_length(const struct head_text *t, __u64 *value)
{
	__u32 at = t->length_at;
	__u64 n = 0;

	if ((head_word(t, at) & 0xff) == ' ')
		at++;
	for (int i = 0; i < 16; i++) {
		__u32 c = head_word(t, at + i) & 0xff;

		if (c - '0' > 9) {
			*value = n;
			if (c == ' ' || c == '\t')
				c = head_word(t, at + i + 1) & 0xff;
			return i && (c == '\r' || c == '\n');
		}
		n = n * 10 + c - '0';
	}
	return false;
}

/* Whether the two bytes that end at `end` and the two before them are a blank line. */
static __always_inline bool head_ends_at(const struct head_text *t, __u64 end)
{
	return end >= 20 && end <= t->length &&
	       (__u32)head_word(t, end - 4) == WORD4('\r', '\n', '\r', '\n');
}

/*
 * Finds Content-Length where the last response of the connection had it, and the end of the head
 * where it must be if the call moved the head alone or the whole response: most do, and none of
 * them needs a search. moved: bytes of the whole call. False: search.
 */
static __always_inline bool head_hint(struct head_text *t, __u32 at, __u32 moved, __u64 *body)
{
	__u64 name, rest;

	if (at < 32 || at >= t->length)
		return false;
	name = head_word(t, at - 15) | BYTES(0x20);
	rest = head_word(t, at - 7) | BYTES(0x20);
	if ((head_word(t, at - 16) & 0xff) != '\n' ||
	    name != WORD('c', 'o', 'n', 't', 'e', 'n', 't', '-') ||
	    (rest & 0x00ffffffffffffffULL) != WORD('l', 'e', 'n', 'g', 't', 'h', ':', 0))
		return false;
	t->length_at = at;
	if (!head_length(t, body))
		return false;
	if (head_ends_at(t, t->length))
		t->end = t->length;
	else if (*body < moved && head_ends_at(t, moved - *body))
		t->end = moved - *body;
	else
		return false;
	return true;
}

#endif
