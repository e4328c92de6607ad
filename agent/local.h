/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local part of a journal record, which never leaves the host, or a piece of a keyframe: a list of
 * sections, each a 16-byte name padded with NUL, a u32 size (little endian) and that many bytes.
 * "lanes" and other names of collectors hold what a collector prepared; "@clock", "@judge", "@totals",
 * "@exemplars", "@slots7" to "@slots0" and "@" + a collector's name are parts of a keyframe.
 */
#ifndef VOW_AGENT_LOCAL_H
#define VOW_AGENT_LOCAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOCAL_NAME   16
#define LOCAL_HEADER (LOCAL_NAME + 4)

/*
 * A buffer that grows; sections are written in place. Zero is an empty one; setting size to 0 begins
 * the next record. Address space is reserved at the first section, and only what is written becomes
 * resident.
 */
struct local {
	uint8_t *bytes;
	size_t size;
	size_t used; /* bytes that were written since pages were last given back */
};

void local_free(struct local *local);
/* Makes room for so many bytes behind what is there. -ENOMEM. */
int local_reserve(struct local *local, size_t room);
/*
 * Opens room of at least `room` bytes for a section of this name (at most 15 characters) and
 * returns where its content goes; NULL when memory lacks. local_close() says how many bytes were
 * written there; 0 drops the section again.
 */
uint8_t *local_open(struct local *local, const char *name, size_t room);
void local_close(struct local *local, size_t written);

/* One section of bytes that came from disk. */
struct local_section {
	char name[LOCAL_NAME + 1];
	const uint8_t *bytes;
	size_t size;
};

/*
 * Moves *at from section to section, beginning with 0: 1 filled, 0 the end, -EPROTO when the bytes
 * are no such list.
 */
int local_next(const uint8_t *bytes, size_t size, size_t *at, struct local_section *section);

#endif
