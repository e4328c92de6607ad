/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An agent of another version, for tests: says hello to a hub in this version of the protocol and
 * prints what becomes of it: "taken, to go on behind record N", or "refused: " and the hub's text.
 * Ends by itself after that.
 *
 *	other_agent HOST:PORT PROTOCOL
 */
#include <stdio.h>
#include <stdlib.h>

#include "proto/stream.h"
#include "rpc/client.h"

struct other {
	struct loop *loop;
	struct rpc_client *client;
	uint32_t protocol;
};

static void say_hello(void *arg)
{
	struct other *other = arg;
	const struct stream_hello hello = {
		.protocol = other->protocol,
		.agent_id = "other agent",
		.host = "other-host",
		.version = "9.9.9",
		.epoch = 1,
		.first_seq = 1,
	};
	uint8_t *bytes;
	size_t size;

	if (stream_hello_encode(&hello, &bytes, &size) == 0) {
		rpc_client_send(other->client, bytes, size);
		free(bytes);
	}
}

static void on_answer(void *arg, const uint8_t *bytes, size_t size)
{
	struct other *other = arg;
	struct stream_from_hub answer;

	if (stream_from_hub_decode(bytes, size, &answer, NULL) == 0)
		printf("taken, to go on behind record %llu\n",
		       (unsigned long long)answer.committed_seq);
	loop_stop(other->loop);
}

static void on_writable(void *arg)
{
	(void)arg;
}

static void on_closed(void *arg, enum rpc_status status, const char *text)
{
	struct other *other = arg;

	printf("%s: %s\n", status == RPC_FAILED_PRECONDITION ? "refused" : "closed", text);
	loop_stop(other->loop);
}

int main(int argc, char **argv)
{
	struct other other = {.loop = loop_new()};
	const struct rpc_client_handlers handlers = {say_hello, on_answer, on_writable, on_closed,
						     &other};
	struct rpc_client_options options = {.target = argv[1]};
	struct diag d;

	if (argc != 3 || !other.loop)
		return 2;
	other.protocol = (uint32_t)strtoul(argv[2], NULL, 10);
	if (rpc_client_new(other.loop, &options, &handlers, &other.client, &d)) {
		fprintf(stderr, "other_agent: %s\n", d.what);
		return 1;
	}
	rpc_client_connect(other.client);
	loop_run(other.loop);
	rpc_client_free(other.client);
	loop_free(other.loop);
	return 0;
}
