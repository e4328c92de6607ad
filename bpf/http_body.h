/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Looks through the beginning of a request's body for the type of an event: the bytes of one call,
 * however many stretches of memory they are in, window by window. Kernel side.
 */
#ifndef VOW_BPF_HTTP_BODY_H
#define VOW_BPF_HTTP_BODY_H

#include "bpf/http_find.h"
#include "bpf/json_event.h"
#include "bpf/payload.h"

#define BODY_MAX       4096 /* bytes that are looked through */
#define BODY_STRETCHES 4 /* of memory that a window, or what is before the body, may lie in */
/* Each but the last one leaves less than JSON_WHOLE bytes to the next. */
#define BODY_WINDOWS (BODY_MAX / (JSON_WINDOW - JSON_WHOLE) + 1)

/* Leaves behind what was looked at. Returns whether something follows. */
__checked_once int body_skip(struct body_text *b)
{
	__u32 left;

	if (!b)
		return 0;
	left = b->json.at;
#pragma clang loop unroll(disable)
	for (int i = 0; i < BODY_STRETCHES; i++) {
		__u32 n;

		if (!b->walk.length && !payload_walk_next(&b->walk))
			return 0;
		n = b->walk.length < left ? b->walk.length : left;
		payload_walk_skip(&b->walk, n);
		left -= n;
		if (!left)
			return b->walk.left != 0;
	}
	return 0;
}

/* Reads the next window, a zero byte behind it. Returns whether anything could be read. */
__checked_once int body_read(struct body_text *b)
{
	__u32 had = 0;

	if (!b)
		return 0;
	b->ahead = b->walk;
	b->json.last = 1;
#pragma clang loop unroll(disable)
	for (int i = 0; i < BODY_STRETCHES; i++) {
		__u32 n;

		if (!b->ahead.length && !payload_walk_next(&b->ahead))
			break;
		n = b->ahead.length;
		if (n > JSON_WINDOW - had)
			n = JSON_WINDOW - had;
		if (bpf_probe_read_user((char *)b->json.words + had, n, (const void *)b->ahead.at))
			break;
		payload_walk_skip(&b->ahead, n);
		had += n;
		if (had >= JSON_WINDOW) {
			b->json.last = !b->ahead.left;
			break;
		}
	}
	*((char *)b->json.words + had) = 0;
	b->json.length = had;
	b->json.at = 0;
	return had;
}

/*
 * Goes to the body, which is `at` bytes behind the first of `moved` that a call moved, and ends for
 * us after BODY_MAX. Returns whether some of it is there.
 */
static __always_inline int body_begin(struct body_text *b, const struct payload_source *from,
				      __u32 moved, __u32 at)
{
	if (moved > at + BODY_MAX)
		moved = at + BODY_MAX;
	payload_walk_begin(&b->walk, from, moved);
	b->json.at = at;
	b->json.depth = 0;
	b->json.quoted = 0;
	b->json.key = 0;
	b->json.found = 0;
	return body_skip(b);
}

/* Whether there is the type of an event; then it is in json.value. */
__checked_once int body_event(struct body_text *b)
{
	if (!b)
		return 0;
#pragma clang loop unroll(disable)
	for (int i = 0; i < BODY_WINDOWS; i++)
		if (!body_read(b) || !json_look(&b->json) || !body_skip(b))
			break;
	return b->json.found;
}

#endif
