/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/local.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void local_free(struct local *local)
{
	free(local->bytes);
	*local = (struct local){0};
}

int local_reserve(struct local *local, size_t room)
{
	size_t need = local->size + room, cap = local->cap + local->cap / 2;

	if (need <= local->cap)
		return 0;
	cap = cap > need ? cap : need;
	uint8_t *grown = realloc(local->bytes, cap);
	if (!grown)
		return -ENOMEM;
	local->bytes = grown;
	local->cap = cap;
	return 0;
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
