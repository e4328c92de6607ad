/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/base/types.h"

#define CHUNK_BYTES (16u << 10) /* most messages of a quiet host fit in one */

struct arena_chunk {
	struct arena_chunk *older;
	alignas(max_align_t) uint8_t bytes[];
};

static bool arena_grow(struct arena *arena, size_t size)
{
	size_t left = arena->limit - arena->used;
	size_t bytes = size > CHUNK_BYTES ? size : CHUNK_BYTES;
	struct arena_chunk *chunk;

	if (bytes > left)
		bytes = left;
	if (size > bytes) {
		arena->limited = true;
		return false;
	}
	chunk = malloc(sizeof(*chunk) + bytes);
	if (!chunk) {
		arena->starved = true;
		return false;
	}
	chunk->older = arena->newest;
	arena->newest = chunk;
	arena->room = bytes;
	arena->used += bytes;
	return true;
}

void *arena_take(struct arena *arena, size_t size)
{
	size_t align = alignof(max_align_t);

	if (size > SIZE_MAX - align) {
		arena->limited = true;
		return NULL;
	}
	size = (size + align - 1) / align * align;
	if (size > arena->room && !arena_grow(arena, size))
		return NULL;
	/* From the end towards the start: both stay aligned as long as the sizes are. */
	arena->room -= size;
	return arena->newest->bytes + arena->room;
}

void arena_release(struct arena *arena)
{
	while (arena->newest) {
		struct arena_chunk *chunk = arena->newest;

		arena->newest = chunk->older;
		free(chunk);
	}
	*arena = (struct arena){.limit = arena->limit};
}
