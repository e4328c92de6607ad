/* SPDX-License-Identifier: Apache-2.0 */
#include "export/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/stream.h"

struct outbox {
	uint8_t *bytes;
	size_t size, room;
	size_t count;
	struct stream_record records[OUTBOX_RECORDS_MAX]; /* tick is set when they are encoded */
};

struct outbox *outbox_new(void)
{
	return calloc(1, sizeof(struct outbox));
}

void outbox_free(struct outbox *outbox)
{
	if (!outbox)
		return;
	free(outbox->bytes);
	free(outbox);
}

void outbox_clear(struct outbox *outbox)
{
	outbox->size = 0;
	outbox->count = 0;
}

bool outbox_full(const struct outbox *outbox)
{
	return outbox->count == OUTBOX_RECORDS_MAX || outbox->size >= OUTBOX_BYTES_MAX;
}

size_t outbox_count(const struct outbox *outbox)
{
	return outbox->count;
}

int outbox_add(struct outbox *outbox, const struct journal_record *record)
{
	size_t size = outbox->size + record->wire_size;

	if (size > outbox->room) {
		size_t room = size < OUTBOX_BYTES_MAX ? OUTBOX_BYTES_MAX : size;
		uint8_t *bytes = realloc(outbox->bytes, room);

		if (!bytes)
			return -ENOMEM;
		outbox->bytes = bytes;
		outbox->room = room;
	}
	if (record->wire_size)
		memcpy(outbox->bytes + outbox->size, record->wire, record->wire_size);
	outbox->records[outbox->count++] = (struct stream_record){
		.seq = record->seq,
		.tick_size = record->wire_size,
	};
	outbox->size = size;
	return 0;
}

int outbox_encode(struct outbox *outbox, uint64_t gone_before, wall_ns sent, uint8_t **bytes,
		  size_t *size)
{
	const struct stream_batch batch = {
		.records = outbox->records,
		.record_count = outbox->count,
		.gone_before = gone_before,
		.sent = sent,
	};
	const uint8_t *tick = outbox->bytes;

	for (size_t i = 0; i < outbox->count; i++) {
		outbox->records[i].tick = tick;
		tick += outbox->records[i].tick_size;
	}
	return stream_batch_encode(&batch, bytes, size);
}
