/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes what the HTTP programs counted when their rings were full (bpf/http_overflow.h): sums of
 * pairs that have the same process, port or peer, role, method, outcome and class of status. One
 * thread; the programs are the only writers. No call blocks.
 */
#ifndef VOW_COLLECTORS_HTTP_OVERFLOW_H
#define VOW_COLLECTORS_HTTP_OVERFLOW_H

#include "bpf/http_overflow.h"
#include "lib/base/diag.h"
#include "lib/data/hist.h"

struct http_overflow_sum {
	/*
	 * What its pairs have in common; no path, no times, the status a whole hundred. pid 0: of
	 * processes for which there was no place.
	 */
	struct http_record record;
	uint64_t count; /* pairs */
	/*
	 * Of complete ones, empty else. Their sums are exact. All latencies of a cell are told as
	 * their mean, rounded down or up: in their own slot as long as the scale was 7, else off by
	 * at most 2.2 % (scale 5), 9.1 % (3), 41.5 % (1). max_ns is the mean of the highest cell.
	 */
	const struct hist *latency;
	const struct hist *queue; /* waits in the socket, of those of whom they are known */
};

struct http_overflow_reader;

/*
 * Reads map_fd, whose only value is a struct http_overflow, and maps the whole of it only while
 * there is something to take; the descriptor stays the caller's and open until the reader is closed.
 * 0, or a negative errno with d filled.
 */
int http_overflow_open(struct http_overflow_reader **reader, int map_fd, struct diag *d);
void http_overflow_close(struct http_overflow_reader *reader); /* NULL is allowed */

/* The sum and what it points to are fn's to read. */
typedef void (*http_overflow_fn)(void *arg, const struct http_overflow_sum *sum);

/*
 * Hands over what was added since the last call, unless a program is adding at this very instant:
 * then the next call does. Returns how many pairs. 60 ns when there is nothing, 50 us and more for a
 * bank, 3 ms at worst.
 */
uint64_t http_overflow_drain(struct http_overflow_reader *reader, http_overflow_fn fn, void *arg);

#endif
