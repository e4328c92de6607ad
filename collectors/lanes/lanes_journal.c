/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes in the journal: a version, then for each segment its id, its inode, the size of what
 * follows, and lane_segment_describe().
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/lanes/lanes.h"

#define LANES_VERSION 1

/* ---- journal sections that wait for their segment ---------------------------------------------- */

void lanes_redo_drop(struct lanes *lanes, unsigned i)
{
	free(lanes->redo[i].bytes);
	lanes->redo[i] = lanes->redo[--lanes->redo_count];
}

int lanes_redo_find(const struct lanes *lanes, uint64_t id, uint64_t inode)
{
	for (unsigned i = 0; i < lanes->redo_count; i++)
		if (lanes->redo[i].id == id && lanes->redo[i].inode == inode)
			return (int)i;
	return -1;
}

/* Keeps a section; a later one of the same segment stands for the earlier. */
static int lanes_redo_keep(struct lanes *lanes, uint64_t id, uint64_t inode, const uint8_t *bytes,
			   size_t size)
{
	int known = lanes_redo_find(lanes, id, inode);
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, bytes, size);
	if (known >= 0) {
		free(lanes->redo[known].bytes);
	} else {
		void *grown = realloc(lanes->redo, (lanes->redo_count + 1) * sizeof(*lanes->redo));

		if (!grown) {
			free(copy);
			return -ENOMEM;
		}
		lanes->redo = grown;
		known = (int)lanes->redo_count++;
	}
	lanes->redo[known] = (struct lanes_redo){id, inode, copy, size};
	return 0;
}

int lanes_restore(void *state, const uint8_t *local, size_t size)
{
	struct lanes *lanes = state;
	const uint8_t *end = local + size;
	int rc = 0;

	if (size < 1 || *local++ != LANES_VERSION)
		return -EPROTO;
	while (rc == 0 && local < end) {
		uint64_t id, inode;
		uint32_t length;

		if (end - local < LANES_HEAD)
			return -EPROTO;
		memcpy(&id, local, 8);
		memcpy(&inode, local + 8, 8);
		memcpy(&length, local + 16, 4);
		local += LANES_HEAD;
		if ((size_t)(end - local) < length)
			return -EPROTO;
		rc = lanes_redo_keep(lanes, id, inode, local, length);
		local += length;
	}
	return rc;
}

/* ---- what was taken ---------------------------------------------------------------------------- */

static uint8_t *lanes_section(uint8_t *p, uint64_t id, uint64_t inode, uint32_t size)
{
	memcpy(p, &id, 8);
	memcpy(p + 8, &inode, 8);
	memcpy(p + 16, &size, 4);
	return p + LANES_HEAD;
}

static uint8_t *lanes_describe_apps(const struct lanes *lanes, uint8_t *p, const uint8_t *end)
{
	for (unsigned i = 0; i < lanes->app_count && p; i++) {
		const struct lane_segment *segment = &lanes->apps[i]->segment;

		if (!lane_segment_changed(segment))
			continue;
		if (end - p < LANES_HEAD)
			return NULL;
		uint8_t *body = p + LANES_HEAD;
		uint8_t *after = lane_segment_describe(segment, body, end);
		if (after)
			lanes_section(p, segment->segment.id, segment->segment.inode,
				      (uint32_t)(after - body));
		p = after;
	}
	return p;
}

size_t lanes_prepare(void *state, uint8_t *local, size_t cap)
{
	struct lanes *lanes = state;

	if (cap < LANES_LOCAL_MAX)
		return 0;
	local[0] = LANES_VERSION;
	const uint8_t *end = lanes_describe_apps(lanes, local + 1, local + cap);
	return end && end > local + 1 ? (size_t)(end - local) : 0;
}

/*
 * The segments hold their own state, so all that an earlier record could still be needed for is
 * what waits for a segment not found yet.
 */
size_t lanes_checkpoint(void *state, uint8_t *local, size_t cap)
{
	struct lanes *lanes = state;
	size_t size = lanes_prepare(state, local, cap);

	if (size == 0)
		local[size++] = LANES_VERSION;
	for (unsigned i = 0; i < lanes->redo_count; i++) {
		const struct lanes_redo *redo = &lanes->redo[i];

		if (cap - size < LANES_HEAD + redo->size)
			break;
		memcpy(lanes_section(local + size, redo->id, redo->inode, (uint32_t)redo->size),
		       redo->bytes, redo->size);
		size += LANES_HEAD + redo->size;
	}
	return size > 1 ? size : 0;
}
