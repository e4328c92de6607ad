/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hub that cannot read one record, for tests: a message in which that has content ends its stream,
 * as one does that is no message; all others are acknowledged once each. SIGTERM ends it, and it
 * prints "took LAST EMPTY REPEATED REFUSED": the last record's number, how many came without
 * content, how many came again, and how many messages were refused.
 *
 *	picky_hub HOST:PORT RECORD
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/stream.h"
#include "rpc/server.h"

static struct rpc_server *server;

static struct {
	uint64_t unreadable, last, empty, repeated, refused;
} picky;

static void on_signal(int signum)
{
	(void)signum;
	rpc_server_stop(server);
}

static void acknowledge(struct rpc_stream *stream, bool from_segment_start)
{
	const struct stream_from_hub answer = {picky.last, from_segment_start, 256};
	uint8_t buf[STREAM_FROM_HUB_MAX];

	rpc_stream_send(stream, buf, stream_from_hub_encode(&answer, buf));
}

static bool is_readable(const struct stream_batch *batch)
{
	for (size_t i = 0; i < batch->record_count; i++)
		if (batch->records[i].seq == picky.unreadable && batch->records[i].tick_size)
			return false;
	return true;
}

static void take(struct rpc_stream *stream, const struct stream_batch *batch)
{
	if (!is_readable(batch)) {
		picky.refused++;
		rpc_stream_finish(stream, RPC_INVALID_ARGUMENT, "that is not a message of vow");
		return;
	}
	for (size_t i = 0; i < batch->record_count; i++) {
		const struct stream_record *record = &batch->records[i];

		if (record->seq > picky.last + 1) {
			rpc_stream_finish(stream, RPC_UNAVAILABLE, "a record is missing");
			return;
		}
		picky.repeated += record->seq <= picky.last;
		picky.empty += record->seq > picky.last && !record->tick_size;
		if (record->seq > picky.last)
			picky.last = record->seq;
	}
	acknowledge(stream, false);
}

static void hear(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t size)
{
	struct stream_from_agent message = {0};

	(void)arg;
	if (stream_from_agent_decode(bytes, size, &message, NULL))
		abort();
	if (message.what == STREAM_HELLO)
		acknowledge(stream, picky.last == 0);
	else
		take(stream, &message.batch);
	stream_from_agent_free(&message);
}

int main(int argc, char **argv)
{
	struct rpc_server_options options = {.listen = argv[1]};
	const struct rpc_server_handlers handlers = {.message = hear};
	struct diag d;
	char text[sizeof(d) + 16];

	if (argc != 3)
		return 2;
	picky.unreadable = strtoull(argv[2], NULL, 10);
	if (rpc_server_open(&options, &handlers, &server, &d)) {
		fprintf(stderr, "picky_hub: %s\n", diag_format(&d, text, sizeof(text)));
		return 1;
	}
	signal(SIGTERM, on_signal);
	rpc_server_run(server);
	printf("took %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", picky.last, picky.empty,
	       picky.repeated, picky.refused);
	rpc_server_close(server);
	return 0;
}
