/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A window of a JSON text that json_event.h looks through, and how far it came. It compiles for
 * programs as well.
 */
#ifndef VOW_BPF_JSON_TEXT_H
#define VOW_BPF_JSON_TEXT_H

#include "bpf/http_header.h"

#define JSON_WINDOW 512 /* bytes of the text at a time, a power of two */
#define JSON_ROOM   (2 * JSON_WINDOW + 8) /* words are loaded behind the end, and from any 10 bits */

struct json_text {
	__u64 words[JSON_ROOM / 8]; /* a zero byte behind the text, whatever else follows */
	__u64 value[HTTP_EVENT_MAX / 8]; /* once it was found: a word, zeros behind */
	__u32 length; /* bytes in words, at most JSON_WINDOW */
	__u32 at; /* the next one to look at */
	__u32 depth; /* of objects and arrays around it; 0: before the first */
	__u8 quoted; /* it is within a string */
	__u8 key; /* the next string is a key of the object that the text is */
	__u8 last; /* nothing follows the window */
	__u8 found;
};

#endif
