/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http/http_ring.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SLOTS_MIN 16

struct http_ring_reader {
	struct http_ring_shape shape;
	uint8_t *rings;
	unsigned next; /* the ring that the next drain begins with */
};

/* The largest power of two that is not above n, which is at least 1. */
static unsigned power_of_two(size_t n)
{
	return 1u << (63 - __builtin_clzll(n));
}

struct http_ring_shape http_ring_shape_of(size_t bytes, unsigned processors)
{
	struct http_ring_shape shape = {
		.rings = power_of_two(processors < HTTP_RINGS_MAX ? processors : HTTP_RINGS_MAX),
		.slots = SLOTS_MIN,
	};
	size_t slots = bytes / shape.rings / sizeof(struct http_slot);

	if (slots > SLOTS_MIN)
		shape.slots = power_of_two(slots);
	return shape;
}

size_t http_ring_bytes(const struct http_ring_shape *shape)
{
	return sizeof(struct http_ring) + shape->slots * sizeof(struct http_slot);
}

dur_ns http_ring_patience(const struct http_ring_shape *shape)
{
	return shape->slots * 20 * NS_PER_US;
}

int http_ring_open(struct http_ring_reader **out, int map_fd, const struct http_ring_shape *shape,
		   struct diag *d)
{
	struct http_ring_reader *reader = calloc(1, sizeof(*reader));
	void *rings;

	if (!reader)
		return diag_errno(d, -ENOMEM, "BPF ring", NULL, "no memory");
	rings = mmap(NULL, shape->rings * http_ring_bytes(shape), PROT_READ | PROT_WRITE,
		     MAP_SHARED, map_fd, 0);
	if (rings == MAP_FAILED) {
		int err = -errno;

		free(reader);
		return diag_errno(d, err, "BPF ring", NULL, "cannot map");
	}
	reader->shape = *shape;
	reader->rings = rings;
	*out = reader;
	return 0;
}

void http_ring_close(struct http_ring_reader *reader)
{
	if (!reader)
		return;
	munmap(reader->rings, reader->shape.rings * http_ring_bytes(&reader->shape));
	free(reader);
}

/* The lines of the next record, which another processor wrote, come while this one is handled. */
static void prefetch(const struct http_slot *slot)
{
	for (size_t at = 0; at < sizeof(*slot); at += 64)
		__builtin_prefetch((const char *)slot + at);
}

/* A record of these slots, the second of which only counts if it has a name. */
static void record_hand(const struct http_slot *slot, const struct http_slot *second,
			http_ring_fn fn, void *arg)
{
	size_t words = ((const struct http_record *)slot->words)->path_words;
	struct http_record whole;

	/* More words than there are would be a bug of our own programs, not input. */
	if (words > HTTP_PATH_MAX / 8)
		words = 0;
	memcpy(&whole, slot->words, 8 * (HTTP_SLOT_FIXED + words));
	memset(whole.path + words, 0, sizeof(whole) - 8 * (HTTP_SLOT_FIXED + words));
	if (whole.flags & HTTP_NOTED) {
		memcpy(&whole.notes, slot->words + HTTP_SLOT_NOTES, sizeof(whole.notes));
		if (words > HTTP_SLOT_PATH) {
			memset(whole.notes.event, 0, sizeof(whole.notes.event));
			whole.notes.has &= ~(__u32)HTTP_HEADER_EVENT;
		}
	}
	if (whole.flags & HTTP_NAMED)
		memcpy(&whole.peer, second->words, sizeof(whole.peer));
	fn(arg, &whole);
}

static unsigned ring_drain(struct http_ring *ring, unsigned slots, unsigned max, http_ring_fn fn,
			   void *arg)
{
	const struct http_slot *slot = (const struct http_slot *)(ring + 1);
	uint64_t taken = ring->taken;
	unsigned count = 0;

	while (count < max) {
		const struct http_slot *at = &slot[taken & (slots - 1)], *next;

		/* Pairs with the full barrier of the writer, record_send() in bpf/http_conn.h. */
		if (__atomic_load_n(&at->stamp, __ATOMIC_ACQUIRE) != taken + 1)
			break;
		next = &slot[(taken + 1) & (slots - 1)];
		prefetch(next);
		taken += ((const struct http_record *)at->words)->flags & HTTP_NAMED ? 2 : 1;
		record_hand(at, next, fn, arg);
		count++;
	}
	/* Gives the slots back; a writer looks at it before it takes one, by an atomic step. */
	__atomic_store_n(&ring->taken, taken, __ATOMIC_RELEASE);
	return count;
}

unsigned http_ring_drain(struct http_ring_reader *reader, unsigned max, http_ring_fn fn, void *arg)
{
	const struct http_ring_shape *shape = &reader->shape;
	unsigned count = 0;

	for (unsigned i = 0; i < shape->rings && count < max; i++) {
		unsigned which = (reader->next + i) & (shape->rings - 1);
		uint8_t *ring = reader->rings + which * http_ring_bytes(shape);

		count += ring_drain((struct http_ring *)ring, shape->slots, max - count, fn, arg);
	}
	reader->next++;
	return count;
}
