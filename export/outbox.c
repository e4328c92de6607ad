/* SPDX-License-Identifier: Apache-2.0 */
#include "export/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/stream.h"
#include "proto/tick.h"

struct outbox {
	struct tick_writer *bare; /* ticks of merged records: a time and nothing else */
	uint8_t *bytes;
	size_t size, room;
	size_t count;
	struct stream_record records[OUTBOX_RECORDS_MAX]; /* tick is set when they are encoded */
};

struct outbox *outbox_new(void)
{
	struct outbox *outbox = calloc(1, sizeof(*outbox));

	if (!outbox)
		return NULL;
	outbox->bare = tick_writer_new();
	if (!outbox->bare) {
		free(outbox);
		return NULL;
	}
	return outbox;
}

void outbox_free(struct outbox *outbox)
{
	if (!outbox)
		return;
	tick_writer_free(outbox->bare);
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
	const uint8_t *wire = record->wire;
	size_t wire_size = record->wire_size, size;
	int rc;

	/* Without a byte the hub would take it for a lost one. */
	if (journal_record_merged(record)) {
		tick_begin(outbox->bare, record->wall, 0);
		rc = tick_end(outbox->bare, &wire, &wire_size);
		if (rc)
			return rc;
	}
	size = outbox->size + wire_size;

	if (size > outbox->room) {
		size_t room = size < OUTBOX_BYTES_MAX ? OUTBOX_BYTES_MAX : size;
		uint8_t *bytes = realloc(outbox->bytes, room);

		if (!bytes)
			return -ENOMEM;
		outbox->bytes = bytes;
		outbox->room = room;
	}
	if (wire_size)
		memcpy(outbox->bytes + outbox->size, wire, wire_size);
	outbox->records[outbox->count++] = (struct stream_record){
		.seq = record->seq,
		.tick_size = wire_size,
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
