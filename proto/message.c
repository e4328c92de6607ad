/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/message.h"

#include <errno.h>
#include <stdlib.h>

int message_buffer_reserve(struct message_buffer *buffer, size_t more)
{
	size_t room = buffer->room ? buffer->room : 4096;
	uint8_t *bytes;

	if (more > SIZE_MAX / 4 - buffer->size)
		return -ENOMEM;
	while (room - buffer->size < more)
		room *= 2;
	if (room == buffer->room)
		return 0;
	bytes = realloc(buffer->bytes, room);
	if (!bytes)
		return -ENOMEM;
	buffer->bytes = bytes;
	buffer->room = room;
	return 0;
}

int message_append(struct message_buffer *buffer, const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	int rc = message_buffer_reserve(buffer, size);

	if (rc)
		return rc;
	buffer->size += protobuf_c_message_pack(message, buffer->bytes + buffer->size);
	return 0;
}

void message_buffer_free(struct message_buffer *buffer)
{
	free(buffer->bytes);
	*buffer = (struct message_buffer){0};
}

static void *message_alloc(void *arena, size_t size)
{
	return arena_take(arena, size);
}

static void message_dealloc(void *arena, void *block)
{
	(void)arena;
	(void)block;
}

int message_unpack(const ProtobufCMessageDescriptor *type, const char *name, const uint8_t *bytes,
		   size_t size, struct arena *arena, ProtobufCMessage **message, struct diag *d)
{
	ProtobufCAllocator allocator = {message_alloc, message_dealloc, arena};
	ProtobufCMessage *unpacked;

	arena->limit = arena_limit(size);
	unpacked = protobuf_c_message_unpack(type, &allocator, size, bytes);
	if (unpacked) {
		*message = unpacked;
		return 0;
	}
	if (arena->starved)
		return diag_errno(d, -ENOMEM, name, NULL, "cannot read the message");
	return diag_set(d, -EPROTO, name, "check that both sides are vow programs of one version",
			arena->limited ? "a message of %zu bytes has more parts than any real one"
				       : "%zu bytes are not a message of vow",
			size);
}
