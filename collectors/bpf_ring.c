/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/bpf_ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * The layout is the kernel's: a page with our position, a page with the writer's, the data.
 * Positions only grow; a record is a header of 8 bytes and the data, rounded up to 8.
 */
struct bpf_ring {
	unsigned long *taken; /* ours to write; the kernel reads it before it reserves */
	const unsigned long *written; /* the kernel's */
	const uint8_t *data;
	size_t size;
	size_t page;
	size_t record_max;
	uint64_t oversized;
	uint64_t copy[]; /* record_max bytes, for the record that wraps around */
};

int bpf_ring_open(struct bpf_ring **out, int map_fd, size_t size_bytes, size_t record_max,
		  struct diag *d)
{
	struct bpf_ring *ring = calloc(1, sizeof(*ring) + record_max + 8);
	void *taken, *written;
	int err;

	if (!ring)
		return diag_errno(d, -ENOMEM, "BPF ring", NULL, "no memory");
	ring->page = (size_t)sysconf(_SC_PAGESIZE);
	ring->size = size_bytes;
	ring->record_max = record_max;
	taken = mmap(NULL, ring->page, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
	if (taken == MAP_FAILED)
		goto failed;
	ring->taken = taken;
	written = mmap(NULL, ring->page + size_bytes, PROT_READ, MAP_SHARED, map_fd,
		       (off_t)ring->page);
	if (written == MAP_FAILED)
		goto failed;
	ring->written = written;
	ring->data = (const uint8_t *)written + ring->page;
	*out = ring;
	return 0;
failed:
	err = -errno;
	bpf_ring_close(ring);
	return diag_errno(d, err, "BPF ring", NULL, "cannot map");
}

void bpf_ring_close(struct bpf_ring *ring)
{
	if (!ring)
		return;
	if (ring->written)
		munmap((void *)(uintptr_t)ring->written, ring->page + ring->size);
	if (ring->taken)
		munmap(ring->taken, ring->page);
	free(ring);
}

/* The record's bytes in one piece. */
static const void *record_at(struct bpf_ring *ring, size_t offset, size_t size)
{
	size_t first = ring->size - offset;

	if (size <= first)
		return ring->data + offset;
	memcpy(ring->copy, ring->data + offset, first);
	memcpy((uint8_t *)ring->copy + first, ring->data, size - first);
	return ring->copy;
}

unsigned bpf_ring_drain(struct bpf_ring *ring, unsigned max, bpf_ring_fn fn, void *arg)
{
	unsigned long taken = *ring->taken;
	/* Pairs with the kernel's release of the position after it wrote a header. */
	unsigned long written = __atomic_load_n(ring->written, __ATOMIC_ACQUIRE);
	unsigned count = 0;

	while (count < max && taken < written) {
		size_t mask = ring->size - 1;
		const uint32_t *header = (const uint32_t *)(ring->data + (taken & mask));
		/* Pairs with the kernel's clearing of the busy bit once the data is written. */
		uint32_t length = __atomic_load_n(header, __ATOMIC_ACQUIRE);
		uint32_t size = length & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

		if (length & BPF_RINGBUF_BUSY_BIT)
			break;
		if (length & BPF_RINGBUF_DISCARD_BIT) {
			/* Given back by the program: nothing to hand over. */
		} else if (size > ring->record_max) {
			ring->oversized++;
		} else {
			fn(arg, record_at(ring, (taken + BPF_RINGBUF_HDR_SZ) & mask, size), size);
			count++;
		}
		taken += (size + BPF_RINGBUF_HDR_SZ + 7) & ~7UL;
	}
	/* Gives the room back; pairs with the kernel's acquire before it reserves. */
	__atomic_store_n(ring->taken, taken, __ATOMIC_RELEASE);
	return count;
}

uint64_t bpf_ring_oversized(const struct bpf_ring *ring)
{
	return ring->oversized;
}
