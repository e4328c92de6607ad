/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Finds the headers of http_header.h in the head of a request, and notes what may leave the
 * kernel of them: an id as 16 bytes, a hash, a short text. Kernel side.
 *
 * First the beginnings of lines, eight bytes of the head at a step; of those, few pass the filter by
 * two characters, and are then compared with the names. Only whole lines within the text that was
 * read count: what lies beyond is absent, and counted as a head that was cut.
 */
#ifndef VOW_BPF_HTTP_FIND_H
#define VOW_BPF_HTTP_FIND_H

#include "bpf/http_conn.h"
#include "bpf/http_head.h"
#include "bpf/peer_name.h"

/*
 * Bytes that are read of a request when headers are looked for: with HELD_MAX in front they stay
 * below HEAD_MAX, which is as far as head_word() reaches.
 */
#define FIND_ROOM (HEAD_MAX - HELD_MAX - 8)

#define FIND_ID_WORDS 16 /* of an id that is hashed; longer ones are absent */
#define FIND_NAME_MAX 48 /* bytes in which a wild name has its colon */
#define FIND_SPACES   4 /* between colon and value */
#define FIND_TYPE_MAX 64 /* bytes of a media type */

const volatile struct http_headers headers; /* set by user space before loading */

/* ---- lines ------------------------------------------------------------------------------------ */

/* Bit 7 of each byte that is a line feed, exact for all of them. */
static __always_inline __u64 line_feeds(__u64 word)
{
	const __u64 low = BYTES(0x7f);
	__u64 x = word ^ BYTES('\n');

	return ~(((x & low) + low) | x | low);
}

/* Notes the line that begins at `at` if it passes the filter. Returns true at the blank one. */
static __always_inline bool find_line(struct head_text *t, __u64 filter, __u32 at)
{
	__u64 word = head_word(t, at);
	__u32 count = t->line_count;

	/* Of too many the last ones stay. */
	t->lines[count & (HEAD_LINES - 1)] = at;
	t->line_count = count + (filter >> http_header_bit(word) & 1);
	if ((__u8)word == '\r')
		word >>= 8;
	if ((__u8)word != '\n')
		return false;
	t->end = at;
	return true;
}

/*
 * Notes the lines that may be looked for, and the end of the head, if they begin behind these
 * HEAD_STEP bytes of the text of a direction. Returns whether to look further. In one loop over all
 * of the text the verifier runs out of patience.
 */
__checked_once int find_lines(__u32 direction, __u32 from, __u64 filter)
{
	struct head_text *t = text_room(direction);

	if (!t)
		return 0;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < HEAD_STEP; i += 8) {
		__u32 at = from + i;
		__u64 hit;

		if (at >= t->length)
			return 0;
		hit = line_feeds(head_word(t, at));
		if (!hit)
			continue;
		if (find_line(t, filter, at + byte_index(hit) + 1))
			return 0;
		hit &= hit - 1;
		/* Three ends of lines in eight bytes are none of a head that we know. */
		if (hit && (hit & (hit - 1) || find_line(t, filter, at + byte_index(hit) + 1)))
			return 0;
	}
	return 1;
}

/* ---- names ------------------------------------------------------------------------------------ */

/*
 * The offset behind the first colon of the line at `at`; 0: too far, or the line has none: what
 * follows it is another header, or the body.
 */
static __always_inline __u32 find_colon(const struct head_text *t, __u32 at)
{
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < FIND_NAME_MAX; i += 8) {
		__u64 word = head_word(t, at + i);
		__u64 colon = bytes_equal(word, ':');
		__u64 hit = colon | bytes_equal(word, '\n');

		if (hit)
			return hit & -hit & colon ? at + i + byte_index(hit) + 1 : 0;
	}
	return 0;
}

/* The offset behind the colon if the line at `at` has this name, 0 otherwise. */
static __always_inline __u32 find_value(const struct head_text *t,
					const volatile struct http_header *h, __u32 at)
{
	__u32 end = h->wild ? find_colon(t, at) : at + h->length;

	if (end < at + h->length || end >= t->length ||
	    ((head_word(t, end - 8) ^ h->last[0]) & h->last_mask[0]) ||
	    ((head_word(t, end - 16) ^ h->last[1]) & h->last_mask[1]) ||
	    ((head_word(t, end - 24) ^ h->last[2]) & h->last_mask[2]))
		return 0;
	return end;
}

/* Keeps where the value of a header stands. Of several of one kind the first counts. */
static __always_inline void find_keep(struct head_text *t, __u8 kind, __u32 place, __u32 at)
{
	switch (kind) {
	case HTTP_HEADER_TRACE:
		if (!t->trace_at)
			t->trace_at = at;
		break;
	case HTTP_HEADER_DELIVERY:
		if (!t->delivery_at)
			t->delivery_at = at;
		break;
	case HTTP_HEADER_HOST:
		if (!t->host_at)
			t->host_at = at;
		break;
	case HTTP_HEADER_EVENT:
		if (!t->event_at)
			t->event_at = at;
		break;
	case HTTP_HEADER_PRESENCE:
		if (!t->present)
			t->present = place + 1;
		break;
	case HTTP_HEADER_CONTENT:
		if (!t->content_at)
			t->content_at = at;
		break;
	}
}

/* Keeps the value of the line at `at`, which passed the filter, if its name is asked for. */
__checked_once int find_name(struct head_text *t, __u32 at, __u32 asked)
{
	__u64 first;

	if (!t)
		return 0;
	first = head_word(t, at);
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < HTTP_HEADERS_MAX; i++) {
		const volatile struct http_header *h = &headers.list[i];
		__u32 value;

		if (i >= headers.count)
			break;
		if (!(h->asked >> asked & 1) || (first ^ h->first) & h->first_mask)
			continue;
		value = find_value(t, h, at);
		if (value) {
			find_keep(t, h->kind, i, value);
			break;
		}
	}
	return 0;
}

/* ---- values ----------------------------------------------------------------------------------- */

/* Where what stands behind a colon begins. */
static __noinline __u32 find_begin(const struct head_text *t, __u32 at)
{
#pragma clang loop unroll(disable)
	for (int i = 0; i < FIND_SPACES; i++) {
		__u8 byte = head_word(t, at);

		if (byte != ' ' && byte != '\t')
			break;
		at++;
	}
	return at;
}

/*
 * Where the line ends among the eight bytes of a word: the lowest bit set is bit 7 of that byte; 0:
 * not here. *ended is false when a zero ends it, behind which there is no text.
 */
static __always_inline __u64 line_end(__u64 word, bool *ended)
{
	__u64 none = bytes_equal(word, '\0');
	__u64 hit = bytes_equal(word, '\r') | bytes_equal(word, '\n') | none;

	*ended = (hit & -hit) != (none & -none);
	return hit & -hit;
}

/* Eight hexadecimal digits as 4 bytes in the order of memory; false when they are none. */
static __always_inline bool hex_word(__u64 word, __u32 *to)
{
	__u64 n = (word & BYTES(0x0f)) + 9 * (word >> 6 & BYTES(1));
	__u64 letter = (n + BYTES(6)) >> 4 & BYTES(1);

	/* Capital letters are not allowed in a traceparent, hence one way back. */
	if (n & BYTES(0xf0) || n + BYTES('0') + letter * ('a' - '0' - 10) != word)
		return false;
	n = (n << 4 | n >> 8) & 0x00ff00ff00ff00ffULL;
	n = (n | n >> 8) & 0x0000ffff0000ffffULL;
	*to = n | n >> 16;
	return true;
}

/* Two of them, in the low bytes of a word. */
static __always_inline bool hex_pair(__u64 word, __u32 *to)
{
	return hex_word((word & 0xffff) | (BYTES('0') & ~0xffffULL), to);
}

/* The trace id of "00-(32 digits)-(16 digits)-(2 digits)", of later versions as well. */
static __noinline bool trace_read(const struct head_text *t, __u32 at, __u32 id[4])
{
	__u32 parent[2], version, flags;
	__u64 tail;

	if (at + 55 >= t->length)
		return false;
	tail = head_word(t, at + 52);
	if (!hex_pair(head_word(t, at), &version) || version == 0xff || (tail & 0xff) != '-' ||
	    !hex_pair(tail >> 8, &flags))
		return false;
	for (int i = 0; i < 4; i++)
		if (!hex_word(head_word(t, at + 3 + 8 * i), &id[i]))
			return false;
	for (int i = 0; i < 2; i++)
		if (!hex_word(head_word(t, at + 36 + 8 * i), &parent[i]))
			return false;
	if ((head_word(t, at + 2) & 0xff) != '-' || (head_word(t, at + 35) & 0xff) != '-' ||
	    !(id[0] | id[1] | id[2] | id[3]) || !(parent[0] | parent[1]))
		return false;
	tail = tail >> 24 & 0xff;
	return tail == '\r' || tail == '\n' || tail == ' ' || (version && tail == '-');
}

/* SipHash with one round a word and three at the end, over the values of lines. */
struct sip {
	__u64 v[4];
};

static __always_inline void sip_round(__u64 v[4])
{
	v[0] += v[1];
	v[1] = (v[1] << 13 | v[1] >> 51) ^ v[0];
	v[0] = v[0] << 32 | v[0] >> 32;
	v[2] += v[3];
	v[3] = (v[3] << 16 | v[3] >> 48) ^ v[2];
	v[0] += v[3];
	v[3] = (v[3] << 21 | v[3] >> 43) ^ v[0];
	v[2] += v[1];
	v[1] = (v[1] << 17 | v[1] >> 47) ^ v[2];
	v[2] = v[2] << 32 | v[2] >> 32;
}

static __always_inline void sip_word(struct sip *s, __u64 word)
{
	s->v[3] ^= word;
	sip_round(s->v);
	s->v[0] ^= word;
}

/* Takes the value at `at`, up to the end of its line; false when that is not in the text. */
static __noinline bool sip_value(struct sip *s, const struct head_text *t, __u32 at)
{
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < FIND_ID_WORDS; i++) {
		__u64 word = head_word(t, at + 8 * i);
		bool ended;
		__u64 end = line_end(word, &ended);

		if (end) {
			sip_word(s, word & ((end >> 7) - 1));
			/* With its length, so that two values are not taken for one. */
			sip_word(s, 8 * i + byte_index(end));
			return ended && 8 * i + byte_index(end) > 0;
		}
		sip_word(s, word);
	}
	return false;
}

/* The hash of a delivery's id and of the host it goes to; false when there is none. */
static __noinline bool delivery_hash(const struct head_text *t, __u64 *hash)
{
	__u64 k0 = headers.key[0], k1 = headers.key[1];
	struct sip s = {{k0 ^ 0x736f6d6570736575ULL, k1 ^ 0x646f72616e646f6dULL,
			 k0 ^ 0x6c7967656e657261ULL, k1 ^ 0x7465646279746573ULL}};

	if (!sip_value(&s, t, find_begin(t, t->delivery_at)) ||
	    (t->host_at && !sip_value(&s, t, find_begin(t, t->host_at))))
		return false;
	s.v[2] ^= 0xff;
	sip_round(s.v);
	sip_round(s.v);
	sip_round(s.v);
	*hash = s.v[0] ^ s.v[1] ^ s.v[2] ^ s.v[3];
	return true;
}

/* The short text at `at`; false when it is empty or does not end within its room. */
static __noinline bool line_read(const struct head_text *t, __u32 at, __u64 *to, __u32 words)
{
	bool ended = false;

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < words; i++) {
		__u64 word = ended ? 0 : head_word(t, at + 8 * i);
		bool here;
		__u64 end = line_end(word, &here);

		if (end) {
			if (!ended && !here)
				return false;
			ended = true;
			word &= (end >> 7) - 1;
		}
		to[i] = word;
	}
	return ended && to[0];
}

/* ---- the head --------------------------------------------------------------------------------- */

/*
 * What may leave of the values that were found; of one that turns out to be none not even the
 * beginning may, nor what was noted of another request.
 */
static __noinline void find_notes(struct head_text *t)
{
	struct http_notes *notes = &t->notes;
	__u32 present = t->present - 1;

	__builtin_memset(notes, 0, sizeof(*notes));
	if (t->trace_at) {
		if (trace_read(t, find_begin(t, t->trace_at), (__u32 *)notes->trace))
			notes->has |= HTTP_HEADER_TRACE;
		else
			__builtin_memset(notes->trace, 0, sizeof(notes->trace));
	}
	if (t->delivery_at && delivery_hash(t, &notes->delivery))
		notes->has |= HTTP_HEADER_DELIVERY;
	/* A text counts more than the presence of another header, but only a whole one is told. */
	if (t->event_at) {
		if (line_read(t, find_begin(t, t->event_at), notes->event, HTTP_EVENT_MAX / 8))
			notes->has |= HTTP_HEADER_EVENT;
		else
			__builtin_memset(notes->event, 0, sizeof(notes->event));
	} else if (present < HTTP_HEADERS_MAX) {
		notes->event[0] = headers.list[present].label[0];
		notes->event[1] = headers.list[present].label[1];
		notes->has |= HTTP_HEADER_EVENT;
	}
}

/*
 * Looks for headers in the text of a direction, and notes them there. Returns what it has, as
 * http_notes.has.
 */
__checked_once int find_headers(__u32 direction, __u32 asked)
{
	struct head_text *t = text_room(direction);

	if (!t || asked >= HTTP_ASKED || !headers.filter[asked])
		return 0;
	t->end = 0;
	t->line_count = 0;
	t->trace_at = 0;
	t->delivery_at = 0;
	t->host_at = 0;
	t->event_at = 0;
	t->content_at = 0;
	t->present = 0;
#pragma clang loop unroll(disable)
	for (__u32 from = 0; from < HEAD_MAX; from += HEAD_STEP)
		if (!find_lines(direction, from, headers.filter[asked]))
			break;
	if (!t->end)
		counter_add(HTTP_HEADS_CUT, 1);
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < HEAD_LINES; i++) {
		if (i >= t->line_count)
			break;
		find_name(t, t->lines[i], asked);
	}
	if (!(t->trace_at | t->delivery_at | t->event_at | t->present))
		return 0;
	find_notes(t);
	return t->notes.has;
}

/* Keeps the Host that find_headers() found in what was sent, if the connection has no name yet. */
__checked_once int find_host(struct http_record *r)
{
	const struct head_text *t = text_room(0); /* of what is sent */
	struct http_peer_name name = {};

	if (!r || !t || !t->host_at || r->peer.words[0])
		return 0;
	if (line_read(t, find_begin(t, t->host_at), name.words, HTTP_PEER_NAME / 8) &&
	    peer_name_valid(&name)) {
		r->peer = name;
		r->flags |= HTTP_NAMED;
	}
	return 0;
}

/* Whether the media type behind the colon at `at` is application/json, or ends with +json. */
static __noinline bool find_json(const struct head_text *t, __u32 at)
{
	const __u64 small = BYTES(0x20);

	at = find_begin(t, at);
	if ((head_word(t, at) | small) == WORD('a', 'p', 'p', 'l', 'i', 'c', 'a', 't') &&
	    (head_word(t, at + 8) | small) == WORD('i', 'o', 'n', '/', 'j', 's', 'o', 'n'))
		return true;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < FIND_TYPE_MAX; i += 8) {
		__u64 word = head_word(t, at + i);
		__u64 plus = bytes_equal(word, '+');
		__u64 hit = plus | bytes_equal(word, ';') | bytes_equal(word, '\r') |
			    bytes_equal(word, '\n');

		if (!hit)
			continue;
		word = head_word(t, at + i + byte_index(hit) + 1);
		return hit & -hit & plus && ((__u32)(word | small) == WORD4('j', 's', 'o', 'n'));
	}
	return false;
}

/*
 * Whether the body of the POST in t may tell the type of an event, which the text of a header does
 * not: then where it begins.
 */
static __noinline bool find_body(struct head_text *t)
{
	if (!t->end || t->event_at || !t->content_at || !find_json(t, t->content_at))
		return false;
	t->body_at = t->end - t->held + ((__u8)head_word(t, t->end) == '\r' ? 2 : 1);
	return true;
}

/*
 * Notes the headers of the request that begins in t, the text of `direction`; of the first one that
 * a client sends, how it calls its peer. Host of a request that is received goes nowhere.
 */
static __noinline void request_headers(struct http_conn *c, struct head_text *t, __u32 direction)
{
	bool first =
		headers.peer_names && !direction && !c->asked_host && c->record.family != AF_UNIX;
	__u32 asked = first ? HTTP_ASKED_FIRST_SENT : HTTP_ASKED_ANY;
	int has;

	if (c->record.method == HTTP_POST)
		asked = direction ? HTTP_ASKED_POST_RECEIVED : HTTP_ASKED_POST_SENT;
	has = find_headers(direction, asked);
	if (first) {
		c->asked_host = true;
		find_host(&c->record);
	}
	if (headers.field_count && c->record.method == HTTP_POST)
		c->body_wanted = find_body(t);
	if (!has)
		return;
	c->record.notes = t->notes;
	c->record.flags |= HTTP_NOTED;
}

#endif
