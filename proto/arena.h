/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for reading one message from outside. Decoding can blow bytes up (two bytes of wire make
 * an empty sub-message of a hundred), so everything is taken from an arena with a limit, and goes
 * at once. One thread; only the codecs of proto/ use it.
 */
#ifndef VOW_PROTO_ARENA_H
#define VOW_PROTO_ARENA_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Bytes that a message of `size` bytes may become. The densest honest small message is a tick of
 * nothing but totals: eight bytes on the wire become 135 of structure and of the decoder's own list
 * of fields, 17 times as many; 32 leaves room to nearly double that. A large one is a tick of many
 * series, which become up to 13 times as many (with the shortest names, and four thresholds each);
 * so behind the first MiB there is room for 16, and the largest message, of 33 MiB, may take 544
 * MiB. The constant serves messages of a few bytes.
 */
#define ARENA_DENSE_BYTES (1u << 20)
static inline size_t arena_limit(size_t size)
{
	size_t dense = size < ARENA_DENSE_BYTES ? size : ARENA_DENSE_BYTES;

	return 16384 + 32 * dense + 16 * (size - dense);
}

struct arena_chunk;

struct arena { /* the caller's; { .limit = ... } is a fresh one */
	size_t limit; /* bytes of all chunks together */
	size_t used;
	struct arena_chunk *newest;
	size_t room; /* bytes left in it */
	bool limited; /* a request was refused because of the limit */
	bool starved; /* a request was refused because malloc() failed */
};

/* Aligned for anything; NULL at the limit or when memory lacks (see the flags). */
void *arena_take(struct arena *arena, size_t size);
/* Frees all that was taken; the arena is fresh again. */
void arena_release(struct arena *arena);

#endif
