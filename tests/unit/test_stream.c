/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/stream.h"
#include "tests/unit/check.h"

CHECK_TEST(test_hello_comes_back_as_it_was)
{
	struct stream_hello hello = {.protocol = 7,
				     .host = "web-1",
				     .version = "0.1",
				     .epoch = UINT64_MAX - 1,
				     .first_seq = 42};
	struct stream_from_agent got = {0};
	uint8_t *bytes;
	size_t size;

	memset(hello.agent_id, 0xab, sizeof(hello.agent_id));
	CHECK_OK(stream_hello_encode(&hello, &bytes, &size));
	CHECK_OK(stream_from_agent_decode(bytes, size, &got, NULL));
	CHECK_EQ_U64(got.what, STREAM_HELLO);
	CHECK_EQ_U64(got.hello.protocol, 7);
	CHECK_EQ_U64(got.hello.epoch, UINT64_MAX - 1);
	CHECK_EQ_U64(got.hello.first_seq, 42);
	CHECK_STR(got.hello.host, "web-1");
	CHECK_STR(got.hello.version, "0.1");
	CHECK_MEM(got.hello.agent_id, hello.agent_id, STREAM_ID_SIZE);
	stream_from_agent_free(&got);
	free(bytes);
}

CHECK_TEST(test_batch_comes_back_as_it_was)
{
	const struct stream_record records[] = {{5, (const uint8_t *)"one", 3},
						{6, (const uint8_t *)"", 0},
						{7, (const uint8_t *)"\0\1", 2}};
	const struct stream_batch batch = {records, 3, 5, 1700000000123456789};
	struct stream_from_agent got = {0};
	uint8_t *bytes;
	size_t size;

	CHECK_OK(stream_batch_encode(&batch, &bytes, &size));
	CHECK_OK(stream_from_agent_decode(bytes, size, &got, NULL));
	CHECK_EQ_U64(got.what, STREAM_BATCH);
	CHECK_EQ_U64(got.batch.gone_before, 5);
	CHECK_EQ_U64(got.batch.sent, 1700000000123456789);
	CHECK_EQ_U64(got.batch.record_count, 3);
	for (size_t i = 0; i < 3; i++) {
		CHECK_EQ_U64(got.batch.records[i].seq, records[i].seq);
		CHECK_EQ_U64(got.batch.records[i].tick_size, records[i].tick_size);
		if (records[i].tick_size)
			CHECK_MEM(got.batch.records[i].tick, records[i].tick, records[i].tick_size);
	}
	stream_from_agent_free(&got);
	free(bytes);
}

CHECK_TEST(test_answer_comes_back_as_it_was)
{
	const struct stream_from_hub sent = {UINT64_MAX, true, UINT32_MAX};
	struct stream_from_hub got = {0};
	uint8_t buf[STREAM_FROM_HUB_MAX];
	size_t size = stream_from_hub_encode(&sent, buf);

	CHECK_LE_U64(size, sizeof(buf));
	CHECK_OK(stream_from_hub_decode(buf, size, &got, NULL));
	CHECK_EQ_U64(got.committed_seq, UINT64_MAX);
	CHECK(got.from_segment_start);
	CHECK_EQ_U64(got.credits, UINT32_MAX);
}

CHECK_TEST(test_foreign_bytes_are_refused)
{
	struct stream_from_agent got = {0};
	struct diag d = {0};
	/* A hello whose agent id is 3 bytes long. */
	const uint8_t short_id[] = {0x0a, 0x05, 0x12, 0x03, 1, 2, 3};

	CHECK_RC(stream_from_agent_decode((const uint8_t *)"GET / HTTP/1.1", 14, &got, &d),
		 -EPROTO);
	CHECK_RC(stream_from_agent_decode((const uint8_t *)"", 0, &got, &d), -EPROTO);
	CHECK_STR_HAS(d.what, "neither hello nor a batch");
	CHECK_RC(stream_from_agent_decode(short_id, sizeof(short_id), &got, &d), -EPROTO);
	CHECK_STR_HAS(d.what, "this one has 3");
}

CHECK_TEST(test_a_message_of_empty_parts_is_refused_before_it_costs_memory)
{
	/* 0x12 = batch, length as varint of three bytes; then n empty records of two bytes. */
	enum { N = 100000 };
	static uint8_t bytes[4 + 2 * N];
	struct stream_from_agent got = {0};
	struct diag d = {0};

	bytes[0] = 0x12;
	bytes[1] = (uint8_t)(0x80 | ((2 * N) & 0x7f));
	bytes[2] = (uint8_t)(0x80 | ((2 * N >> 7) & 0x7f));
	bytes[3] = (uint8_t)(2 * N >> 14);
	for (size_t i = 0; i < N; i++)
		bytes[4 + 2 * i] = 0x0a;
	CHECK_RC(stream_from_agent_decode(bytes, sizeof(bytes), &got, &d), -EPROTO);
	CHECK_STR_HAS(d.what, "more parts than any real one");
}

CHECK_TEST(test_every_cut_of_a_message_is_refused_or_whole)
{
	const struct stream_record record = {1, (const uint8_t *)"0123456789", 10};
	const struct stream_batch batch = {&record, 1, 0, 0};
	uint8_t *bytes;
	size_t size;

	CHECK_OK(stream_batch_encode(&batch, &bytes, &size));
	for (size_t cut = 0; cut < size; cut++) {
		struct stream_from_agent got = {0};

		CHECK_RC(stream_from_agent_decode(bytes, cut, &got, NULL), -EPROTO);
	}
	free(bytes);
}

CHECK_TEST(test_envelope_holds_the_bytes_of_a_question)
{
	uint8_t *bytes, *inner;
	size_t size, inner_size;

	CHECK_OK(stream_envelope_pack((const uint8_t *)"a\0b", 3, &bytes, &size));
	CHECK_OK(stream_envelope_unpack(bytes, size, &inner, &inner_size, NULL));
	CHECK_EQ_U64(inner_size, 3);
	CHECK_MEM(inner, "a\0b", 3);
	CHECK_RC(stream_envelope_unpack(bytes, size - 1, &inner, &inner_size, NULL), -EPROTO);
	free(inner);
	free(bytes);
}

CHECK_TEST(test_lack_of_memory_leaves_nothing_behind)
{
	const struct stream_record record = {1, (const uint8_t *)"x", 1};
	const struct stream_batch batch = {&record, 1, 0, 0};

	CHECK_ALLOC_LOOP(n)
	{
		struct stream_from_agent got = {0};
		uint8_t *bytes = NULL;
		size_t size;
		int rc = stream_batch_encode(&batch, &bytes, &size);

		if (!rc)
			rc = stream_from_agent_decode(bytes, size, &got, NULL);
		CHECK((rc == 0) == !check_alloc_failed());
		stream_from_agent_free(&got);
		free(bytes);
	}
}

CHECK_MAIN("stream", test_hello_comes_back_as_it_was, test_batch_comes_back_as_it_was,
	   test_answer_comes_back_as_it_was, test_foreign_bytes_are_refused,
	   test_a_message_of_empty_parts_is_refused_before_it_costs_memory,
	   test_every_cut_of_a_message_is_refused_or_whole,
	   test_envelope_holds_the_bytes_of_a_question, test_lack_of_memory_leaves_nothing_behind)
