/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the rings that the HTTP programs write their records into (bpf/http_ring.h). One thread;
 * the programs are the only writers. No call blocks.
 */
#ifndef VOW_COLLECTORS_HTTP_RING_H
#define VOW_COLLECTORS_HTTP_RING_H

#include "bpf/http_ring.h"
#include "lib/base/diag.h"
#include "lib/base/types.h"

/* What the rings are to be, chosen before the programs are loaded. */
struct http_ring_shape {
	unsigned rings; /* a power of two, 1 .. HTTP_RINGS_MAX: no more than processors */
	unsigned slots; /* in each; a power of two, at least 16 */
};

/* The most that fits into `bytes`, on a host of so many processors (at least 1). */
struct http_ring_shape http_ring_shape_of(size_t bytes, unsigned processors);

/* Bytes of one ring. */
size_t http_ring_bytes(const struct http_ring_shape *shape);

/*
 * How long a ring takes to fill when all processors that write to it, one or few, do nothing but
 * answer small requests: 20 us each, where nginx was seen to take 36 for a tiny file. A burst that is
 * faster still, out of stillness, has some of its first requests counted without their routes.
 */
dur_ns http_ring_patience(const struct http_ring_shape *shape);

struct http_ring_reader;

/*
 * Maps the rings of map_fd, an array of shape->rings values of http_ring_bytes(); the descriptor
 * stays the caller's and may be closed afterwards. 0, or a negative errno with d filled.
 */
int http_ring_open(struct http_ring_reader **reader, int map_fd,
		   const struct http_ring_shape *shape, struct diag *d);
void http_ring_close(struct http_ring_reader *reader); /* NULL is allowed */

/* The record is a copy, its path filled up with zeros; the caller's until fn returns. */
typedef void (*http_ring_fn)(void *arg, const struct http_record *record);

/*
 * Hands over at most `max` records; returns how many. Those of one ring come oldest first; calls
 * that find more than `max` begin at another ring each, so that all get their share.
 */
unsigned http_ring_drain(struct http_ring_reader *reader, unsigned max, http_ring_fn fn, void *arg);

#endif
