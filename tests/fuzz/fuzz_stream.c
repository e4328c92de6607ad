/* SPDX-License-Identifier: Apache-2.0 */
/* Both ways of the stream and its envelope: what decodes, encodes to what decodes to the same. */
#include "proto/stream.h"
#include "tests/fuzz/fuzz.h"

static void check_hello(const struct stream_hello *hello)
{
	struct stream_from_agent again;
	uint8_t *bytes;
	size_t size;

	fuzz_check_text(hello->host, sizeof(hello->host));
	FUZZ_CHECK(memchr(hello->version, '\0', sizeof(hello->version)));
	if (stream_hello_encode(hello, &bytes, &size) < 0)
		return;
	FUZZ_CHECK(stream_from_agent_decode(bytes, size, &again, NULL) == 0);
	FUZZ_CHECK(again.what == STREAM_HELLO);
	FUZZ_CHECK(strcmp(again.hello.host, hello->host) == 0);
	FUZZ_CHECK(memcmp(again.hello.agent_id, hello->agent_id, STREAM_ID_SIZE) == 0);
	FUZZ_CHECK(again.hello.epoch == hello->epoch);
	stream_from_agent_free(&again);
	free(bytes);
}

static void check_batch(const struct stream_batch *batch)
{
	struct stream_from_agent again;
	uint8_t *bytes, sum = 0;
	size_t size;

	for (size_t i = 0; i < batch->record_count; i++)
		for (size_t k = 0; k < batch->records[i].tick_size; k++)
			sum ^= batch->records[i].tick[k];
	if (stream_batch_encode(batch, &bytes, &size) < 0)
		return;
	FUZZ_CHECK(stream_from_agent_decode(bytes, size, &again, NULL) == 0);
	FUZZ_CHECK(again.what == STREAM_BATCH && again.batch.record_count == batch->record_count);
	FUZZ_CHECK(again.batch.gone_before == batch->gone_before);
	for (size_t i = 0; i < again.batch.record_count; i++)
		for (size_t k = 0; k < again.batch.records[i].tick_size; k++)
			sum ^= again.batch.records[i].tick[k];
	FUZZ_CHECK(sum == 0);
	stream_from_agent_free(&again);
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct stream_from_agent message;
	struct stream_from_hub answer;
	uint8_t *inner;
	size_t inner_size;

	if (stream_from_agent_decode(bytes, size, &message, NULL) == 0) {
		if (message.what == STREAM_HELLO)
			check_hello(&message.hello);
		else
			check_batch(&message.batch);
		stream_from_agent_free(&message);
	}
	if (stream_from_hub_decode(bytes, size, &answer, NULL) == 0) {
		struct stream_from_hub again;
		uint8_t buf[STREAM_FROM_HUB_MAX];

		size_t length = stream_from_hub_encode(&answer, buf);
		FUZZ_CHECK(length <= sizeof(buf));
		FUZZ_CHECK(stream_from_hub_decode(buf, length, &again, NULL) == 0);
		FUZZ_CHECK(again.committed_seq == answer.committed_seq &&
			   again.credits == answer.credits);
	}
	if (stream_envelope_unpack(bytes, size, &inner, &inner_size, NULL) == 0)
		free(inner);
	return 0;
}
