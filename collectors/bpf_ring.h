/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a BPF ring buffer. libbpf's own reader maps the data twice, which doubles what the process
 * is seen to occupy, and takes no bound on how long it drains; this one maps once and stops.
 * One thread; the kernel is the only writer.
 */
#ifndef VOW_COLLECTORS_BPF_RING_H
#define VOW_COLLECTORS_BPF_RING_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/diag.h"

struct bpf_ring;

/*
 * Maps the ring of map_fd, which stays the caller's and may be closed afterwards. size_bytes is
 * the map's max_entries. record_max: largest record in bytes; longer ones are passed over and
 * counted. 0, or a negative errno with d filled.
 */
int bpf_ring_open(struct bpf_ring **ring, int map_fd, size_t size_bytes, size_t record_max,
		  struct diag *d);
void bpf_ring_close(struct bpf_ring *ring); /* NULL is allowed */

/*
 * The record is the caller's until fn returns; it is a copy or lies in the ring, aligned to 8
 * bytes.
 */
typedef void (*bpf_ring_fn)(void *arg, const void *record, size_t size);

/* Hands over at most `max` records, oldest first; returns how many. Does not block. */
unsigned bpf_ring_drain(struct bpf_ring *ring, unsigned max, bpf_ring_fn fn, void *arg);

/* Records longer than record_max since the ring was opened. */
uint64_t bpf_ring_oversized(const struct bpf_ring *ring);

#endif
