/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every codec of proto/ shares: packing into a buffer that grows, and unpacking from outside
 * within an arena. With proto/action.h the only header with protobuf-c's types; codecs (here and in
 * view/) include it, nobody else. A buffer or an arena belongs to one thread.
 */
#ifndef VOW_PROTO_MESSAGE_H
#define VOW_PROTO_MESSAGE_H

#include <protobuf-c/protobuf-c.h>

#include "lib/base/diag.h"
#include "lib/base/types.h"
#include "proto/arena.h"

struct message_buffer { /* zero is empty; grows, never shrinks */
	uint8_t *bytes;
	size_t size, room;
};

/* Room for `more` bytes behind size. -ENOMEM leaves the buffer as it was. */
int message_buffer_reserve(struct message_buffer *buffer, size_t more);
/* Appends the packed message. -ENOMEM leaves the buffer as it was. */
int message_append(struct message_buffer *buffer, const ProtobufCMessage *message);
void message_buffer_free(struct message_buffer *buffer);

/*
 * Unpacks into *arena, which the caller inits by {0} and releases when it is done with the message.
 * -EPROTO with d filled (name is the `where`) when the bytes are no such message or would take
 * more than arena_limit(size); -ENOMEM.
 */
int message_unpack(const ProtobufCMessageDescriptor *type, const char *name, const uint8_t *bytes,
		   size_t size, struct arena *arena, ProtobufCMessage **message, struct diag *d);

#endif
