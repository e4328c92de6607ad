/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/local.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define LOCAL_RESERVE ((size_t)160 << 20) /* bytes; a record takes a fifth of it at most */
#define LOCAL_KEPT    ((size_t)256 << 10) /* bytes that stay resident from record to record */

void local_free(struct local *local)
{
	if (local->bytes)
		munmap(local->bytes, LOCAL_RESERVE);
	*local = (struct local){0};
}

/* Address space for the largest record, once; pages come when they are written. */
static int local_map(struct local *local)
{
	void *bytes = mmap(NULL, LOCAL_RESERVE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (bytes == MAP_FAILED)
		return -errno;
	local->bytes = bytes;
	local->used = 0;
	return 0;
}

/* What was large once is rare: its pages are given back with the next record. */
static void local_shrink(struct local *local)
{
	if (local->used <= LOCAL_KEPT)
		return;
	madvise(local->bytes + LOCAL_KEPT, local->used - LOCAL_KEPT, MADV_DONTNEED);
	local->used = LOCAL_KEPT;
}

int local_reserve(struct local *local, size_t room)
{
	if (!local->bytes && local_map(local))
		return -ENOMEM;
	if (!local->size)
		local_shrink(local);
	return room > LOCAL_RESERVE - local->size ? -ENOMEM : 0;
}

uint8_t *local_open(struct local *local, const char *name, size_t room)
{
	if (local_reserve(local, LOCAL_HEADER + room))
		return NULL;
	uint8_t *header = local->bytes + local->size;
	memset(header, 0, LOCAL_HEADER);
	memcpy(header, name, strnlen(name, LOCAL_NAME - 1));
	return header + LOCAL_HEADER;
}

void local_close(struct local *local, size_t written)
{
	uint32_t size = htole32((uint32_t)written);

	if (!written)
		return;
	memcpy(local->bytes + local->size + LOCAL_NAME, &size, sizeof(size));
	local->size += LOCAL_HEADER + written;
	if (local->size > local->used)
		local->used = local->size;
}

int local_next(const uint8_t *bytes, size_t size, size_t *at, struct local_section *section)
{
	uint32_t length;

	if (*at == size)
		return 0;
	if (size - *at < LOCAL_HEADER)
		return -EPROTO;
	const uint8_t *header = bytes + *at;
	memcpy(&length, header + LOCAL_NAME, sizeof(length));
	length = le32toh(length);
	if (length > size - *at - LOCAL_HEADER)
		return -EPROTO;
	memcpy(section->name, header, LOCAL_NAME);
	section->name[LOCAL_NAME] = '\0';
	section->bytes = header + LOCAL_HEADER;
	section->size = length;
	*at += LOCAL_HEADER + length;
	return 1;
}
