/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which request headers the HTTP programs look for, and which fields of JSON bodies, as user space
 * tells them before they are loaded, and what leaves the kernel of those that are there. Of all other
 * headers, and of all else in a body, nothing does.
 */
#ifndef VOW_BPF_HTTP_HEADER_H
#define VOW_BPF_HTTP_HEADER_H

#include <linux/types.h>

#define HTTP_HEADERS_MAX 16 /* names on the list */
#define HTTP_HEADER_NAME 31 /* characters of a name */
#define HTTP_EVENT_MAX	 32 /* bytes of an event's type, a multiple of 8 */
#define HTTP_FIELDS_MAX	 4 /* fields of bodies */
#define HTTP_FIELD_NAME	 23 /* characters of such a name */

/* What a header is for; also which of them a request has, in http_notes.has. */
enum http_header_kind {
	HTTP_HEADER_TRACE = 1, /* traceparent: its trace id leaves */
	HTTP_HEADER_DELIVERY = 2, /* the id of a delivery: a keyed hash of it and of Host leaves */
	HTTP_HEADER_EVENT = 4, /* the type of an event: its text leaves */
	HTTP_HEADER_PRESENCE = 8, /* the type of an event is known by its being there */
	HTTP_HEADER_HOST = 16, /* goes into the hash of the id, and may name the peer of a client */
	HTTP_HEADER_CONTENT = 32, /* the type of the body, which is looked through if it is JSON */
};

/* Requests differ in what is looked for in them. */
enum http_header_asked {
	HTTP_ASKED_ANY, /* traces */
	HTTP_ASKED_POST_RECEIVED, /* and events */
	HTTP_ASKED_POST_SENT, /* and deliveries, and Host */
	HTTP_ASKED_FIRST_SENT, /* no POST: traces, and Host */
	HTTP_ASKED
};

/*
 * A name as words to compare with: a line has it where no bit of (line ^ word) & mask is set. The
 * masks leave out the bit in which small letters differ from capital ones.
 */
struct http_header {
	__u64 first, first_mask; /* the first eight bytes of the line */
	__u64 last[3], last_mask[3]; /* 24 bytes up to the colon */
	__u64 label[2]; /* HTTP_HEADER_PRESENCE: the type of event that it tells */
	__u8 length; /* with the colon; of a wild one at least */
	__u8 wild; /* its middle may be anything */
	__u8 kind; /* enum http_header_kind */
	__u8 asked; /* bits of enum http_header_asked */
	__u8 unused[4];
};

/* The name of a field of a JSON object that tells the type of an event, as words likewise. */
struct http_field {
	__u64 name[3], mask[3]; /* with the quote behind it; capital letters are not small ones */
	__u64 length; /* with that quote */
};

struct http_headers {
	struct http_header list[HTTP_HEADERS_MAX];
	struct http_field fields[HTTP_FIELDS_MAX];
	__u64 filter
		[HTTP_ASKED]; /* a bit for each http_header_bit() of a name asked for; 0: none */
	__u64 key[2]; /* of the hash; random */
	__u32 count; /* 0: nothing is looked for, and it costs nothing */
	__u32 peer_names; /* whether connections of clients are asked for the name of the peer */
	__u32 field_count; /* 0: no body is looked at, and it costs nothing */
	__u32 unused;
};

/* What a line's filter bit is: of its first two characters, small or capital. */
static inline __u32 http_header_bit(__u64 first)
{
	return (first & 31) ^ (first >> 7 & 62);
}

/* What was found. */
struct http_notes {
	__u64 event[HTTP_EVENT_MAX / 8]; /* zeros behind */
	__u8 trace[16]; /* as W3C's traceparent has it, not all zero */
	__u64 delivery; /* the same for the same id and Host, as long as vowd runs */
	__u32 has; /* of HTTP_HEADER_TRACE, _DELIVERY, _EVENT; 0: what stands above means nothing */
	__u32 unused;
};

#endif
