/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/message.h"
#include "vow/v1/hub.pb-c.h"

static int stream_pack(const ProtobufCMessage *message, uint8_t **bytes, size_t *size)
{
	size_t need = protobuf_c_message_get_packed_size(message);
	uint8_t *packed = malloc(need ? need : 1);

	if (!packed)
		return -ENOMEM;
	*size = protobuf_c_message_pack(message, packed);
	*bytes = packed;
	return 0;
}

/* ---- agent to hub ------------------------------------------------------------------------------ */

int stream_hello_encode(const struct stream_hello *hello, uint8_t **bytes, size_t *size)
{
	Vow__V1__Hello inner = VOW__V1__HELLO__INIT;
	Vow__V1__FromAgent outer = VOW__V1__FROM_AGENT__INIT;

	inner.protocol = hello->protocol;
	inner.agent_id.data = (uint8_t *)hello->agent_id;
	inner.agent_id.len = STREAM_ID_SIZE;
	inner.host = (char *)hello->host;
	inner.version = (char *)hello->version;
	inner.epoch = hello->epoch;
	inner.first_seq = hello->first_seq;
	outer.what_case = VOW__V1__FROM_AGENT__WHAT_HELLO;
	outer.hello = &inner;
	return stream_pack(&outer.base, bytes, size);
}

int stream_batch_encode(const struct stream_batch *batch, uint8_t **bytes, size_t *size)
{
	Vow__V1__Batch inner = VOW__V1__BATCH__INIT;
	Vow__V1__FromAgent outer = VOW__V1__FROM_AGENT__INIT;
	size_t n = batch->record_count;
	Vow__V1__Record *records = calloc(n ? n : 1, sizeof(*records));
	Vow__V1__Record **list = calloc(n ? n : 1, sizeof(*list));
	int rc = -ENOMEM;

	if (!records || !list)
		goto out;
	for (size_t i = 0; i < n; i++) {
		vow__v1__record__init(&records[i]);
		records[i].seq = batch->records[i].seq;
		records[i].tick.data = (uint8_t *)batch->records[i].tick;
		records[i].tick.len = batch->records[i].tick_size;
		list[i] = &records[i];
	}
	inner.records = list;
	inner.n_records = n;
	inner.gone_before = batch->gone_before;
	inner.sent_unix_ns = batch->sent;
	outer.what_case = VOW__V1__FROM_AGENT__WHAT_BATCH;
	outer.batch = &inner;
	rc = stream_pack(&outer.base, bytes, size);
out:
	free(list);
	free(records);
	return rc;
}

/* What decoding owns: the unpacked message and the plain records that point into it. */
struct stream_owned {
	struct arena arena;
	struct stream_record records[];
};

static int stream_hello_take(const Vow__V1__Hello *from, struct stream_hello *hello, struct diag *d)
{
	if (from->agent_id.len != STREAM_ID_SIZE)
		return diag_set(d, -EPROTO, "stream", "restore the agent's state folder",
				"an agent's id has %d bytes, this one has %zu", STREAM_ID_SIZE,
				from->agent_id.len);
	hello->protocol = from->protocol;
	hello->epoch = from->epoch;
	hello->first_seq = from->first_seq;
	memcpy(hello->agent_id, from->agent_id.data, STREAM_ID_SIZE);
	series_text_set(hello->host, sizeof(hello->host), from->host, strlen(from->host));
	series_text_set(hello->version, sizeof(hello->version), from->version,
			strlen(from->version));
	return 0;
}

static void stream_batch_take(const Vow__V1__Batch *from, struct stream_record *records,
			      struct stream_batch *batch)
{
	for (size_t i = 0; i < from->n_records; i++) {
		records[i].seq = from->records[i]->seq;
		records[i].tick = from->records[i]->tick.data;
		records[i].tick_size = from->records[i]->tick.len;
	}
	batch->records = records;
	batch->record_count = from->n_records;
	batch->gone_before = from->gone_before;
	batch->sent = from->sent_unix_ns;
}

static int stream_from_agent_take(const Vow__V1__FromAgent *from, struct arena *arena,
				  struct stream_from_agent *message, struct diag *d)
{
	size_t n = from->what_case == VOW__V1__FROM_AGENT__WHAT_BATCH ? from->batch->n_records : 0;
	struct stream_owned *owned = malloc(sizeof(*owned) + n * sizeof(owned->records[0]));
	int rc = 0;

	if (!owned)
		return diag_set(d, -ENOMEM, "stream", NULL, "no memory for %zu records", n);
	switch (from->what_case) {
	case VOW__V1__FROM_AGENT__WHAT_HELLO:
		message->what = STREAM_HELLO;
		rc = stream_hello_take(from->hello, &message->hello, d);
		break;
	case VOW__V1__FROM_AGENT__WHAT_BATCH:
		message->what = STREAM_BATCH;
		stream_batch_take(from->batch, owned->records, &message->batch);
		break;
	case VOW__V1__FROM_AGENT__WHAT__NOT_SET:
	default: /* the decoder's number, so from outside */
		rc = diag_set(d, -EPROTO, "stream", NULL,
			      "a message is neither hello nor a batch of records");
	}
	if (rc) {
		free(owned);
		return rc;
	}
	owned->arena = *arena;
	message->owned = owned;
	return 0;
}

int stream_from_agent_decode(const uint8_t *bytes, size_t size, struct stream_from_agent *message,
			     struct diag *d)
{
	struct arena arena = {0};
	ProtobufCMessage *unpacked;
	int rc = message_unpack(&vow__v1__from_agent__descriptor, "stream", bytes, size, &arena,
				&unpacked, d);

	if (!rc)
		rc = stream_from_agent_take((const Vow__V1__FromAgent *)unpacked, &arena, message,
					    d);
	if (rc)
		arena_release(&arena);
	return rc;
}

void stream_from_agent_free(struct stream_from_agent *message)
{
	struct stream_owned *owned = message->owned;

	if (!owned)
		return;
	arena_release(&owned->arena);
	free(owned);
	message->owned = NULL;
}

/* ---- hub to agent ------------------------------------------------------------------------------ */

size_t stream_from_hub_encode(const struct stream_from_hub *message,
			      uint8_t buf[STREAM_FROM_HUB_MAX])
{
	Vow__V1__FromHub packed = VOW__V1__FROM_HUB__INIT;

	/* At most 1 + 10, 1 + 1 and 1 + 5 bytes. */
	packed.committed_seq = message->committed_seq;
	packed.from_segment_start = message->from_segment_start;
	packed.credits = message->credits;
	return vow__v1__from_hub__pack(&packed, buf);
}

int stream_from_hub_decode(const uint8_t *bytes, size_t size, struct stream_from_hub *message,
			   struct diag *d)
{
	struct arena arena = {0};
	ProtobufCMessage *unpacked;
	int rc = message_unpack(&vow__v1__from_hub__descriptor, "stream", bytes, size, &arena,
				&unpacked, d);

	if (!rc) {
		const Vow__V1__FromHub *from = (const Vow__V1__FromHub *)unpacked;

		message->committed_seq = from->committed_seq;
		message->from_segment_start = from->from_segment_start;
		message->credits = from->credits;
	}
	arena_release(&arena);
	return rc;
}

/* ---- questions --------------------------------------------------------------------------------- */

int stream_envelope_pack(const uint8_t *inner, size_t inner_size, uint8_t **bytes, size_t *size)
{
	Vow__V1__Control control = VOW__V1__CONTROL__INIT;

	control.message.data = (uint8_t *)inner;
	control.message.len = inner_size;
	return stream_pack(&control.base, bytes, size);
}

int stream_envelope_unpack(const uint8_t *bytes, size_t size, uint8_t **inner, size_t *inner_size,
			   struct diag *d)
{
	struct arena arena = {0};
	ProtobufCMessage *message;
	const Vow__V1__Control *control;
	uint8_t *copy;
	int rc = message_unpack(&vow__v1__control__descriptor, "query", bytes, size, &arena,
				&message, d);

	if (rc) {
		arena_release(&arena);
		return rc;
	}
	control = (const Vow__V1__Control *)message;
	copy = malloc(control->message.len ? control->message.len : 1);
	if (copy && control->message.len)
		memcpy(copy, control->message.data, control->message.len);
	if (copy) {
		*inner = copy;
		*inner_size = control->message.len;
	}
	arena_release(&arena);
	return copy ? 0 : diag_set(d, -ENOMEM, "query", NULL, "no memory to read it");
}
