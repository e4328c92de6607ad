/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Finds the headers of TLS records among the bytes of a socket call: five bytes that say type and
 * length, in whatever pieces they come. Kernel side.
 *
 * The search works on memory of a map, so that the verifier has nothing to remember from turn to
 * turn of the loop of who calls it.
 */
#ifndef VOW_BPF_TLS_SCAN_H
#define VOW_BPF_TLS_SCAN_H

#include "bpf/payload.h"

#define TLS_HEADER     5
#define TLS_RECORD_MAX (16384 + 2048) /* bytes behind a header: TLS 1.2 allows the most */
#define TLS_SCAN_STEPS 24 /* stretches of memory, and pieces of a header, up to the next one */
#define TLS_SCAN_MAX   96 /* records in one call: those of 64 KiB are seldom shorter than 1.3 KB */

/* Where in its records one direction of a connection is. */
struct tls_place {
	__u64 header; /* bytes of the header that is being read */
	__u32 left; /* bytes of the record that are still to come */
	__u32 have; /* bytes in header */
};

struct tls_scan {
	struct payload_walk walk;
	struct tls_place place;
	__u32 hello; /* stop at the bytes of the record that is under way */
};

/* [0] for sends, [1] for receives, as the room for heads. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct tls_scan);
} scans SEC(".maps");

#define TLS_SCAN_END   0 /* with bytes left in the walk: they are no records, or cannot be read */
#define TLS_SCAN_HELLO 1 /* the record's bytes lie at walk.at, place.left of them */

/* Begins the search in the bytes of a call, at the place that one of its directions has come to. */
__checked_once int tls_scan_begin(__u32 direction, const struct payload_source *from, __u32 moved)
{
	struct tls_scan *scan = bpf_map_lookup_elem(&scans, &direction);

	if (scan && from)
		payload_walk_begin(&scan->walk, from, moved);
	return 0;
}

/* Reads as much of a header as the stretch has. False when it cannot be read. */
static __always_inline bool tls_scan_header(struct tls_scan *scan)
{
	struct tls_place *place = &scan->place;
	__u32 n = TLS_HEADER - place->have;
	__u64 bytes = 0;

	if (n > scan->walk.length)
		n = scan->walk.length;
	asm volatile("%0 &= 7" : "+r"(n));
	if (bpf_probe_read_user(&bytes, n, (const void *)scan->walk.at))
		return false;
	place->header |= bytes << (8 * place->have & 63);
	place->have += n;
	payload_walk_skip(&scan->walk, n);
	return true;
}

/* The type of the next record that begins, with its length in place.left; or TLS_SCAN_. */
__checked_once int tls_scan_next(__u32 direction)
{
	struct tls_scan *scan = bpf_map_lookup_elem(&scans, &direction);
	struct tls_place *place;
	__u64 header;

	if (!scan)
		return TLS_SCAN_END;
	place = &scan->place;
#pragma clang loop unroll(disable)
	for (int i = 0; i < TLS_SCAN_STEPS && place->have < TLS_HEADER; i++) {
		__u32 n = place->left;

		if (!scan->walk.length && !payload_walk_next(&scan->walk))
			return TLS_SCAN_END;
		if (!n) {
			if (!tls_scan_header(scan))
				return TLS_SCAN_END;
			continue;
		}
		if (scan->hello) {
			scan->hello = false;
			/* Of a message in several pieces the first one must do. */
			return TLS_SCAN_HELLO;
		}
		if (n > scan->walk.length)
			n = scan->walk.length;
		place->left -= n;
		payload_walk_skip(&scan->walk, n);
	}
	if (place->have < TLS_HEADER)
		return TLS_SCAN_END;
	header = place->header;
	place->header = 0;
	place->have = 0;
	place->left = __builtin_bswap16(header >> 24);
	/* Change of cipher, alert, handshake, data, heartbeat, of a version 3.x. */
	if ((header & 0xff) < 20 || (header & 0xff) > 24 || (header >> 8 & 0xff) != 3 ||
	    place->left > TLS_RECORD_MAX) {
		scan->walk.left |= 1;
		return TLS_SCAN_END;
	}
	return header & 0xff;
}

/*
 * Goes to the end of the call; what is left of the walk afterwards could not be followed. Returns
 * the number of records that begin there.
 */
__checked_once int tls_scan_rest(__u32 direction)
{
	int i;

#pragma clang loop unroll(disable)
	for (i = 0; i < TLS_SCAN_MAX; i++)
		if (tls_scan_next(direction) == TLS_SCAN_END)
			break;
	return i;
}

#endif
