/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hub of another version, for tests: takes every stream and ends it with FAILED_PRECONDITION and
 * a text. SIGTERM ends it.
 *
 *	other_hub HOST:PORT TEXT
 */
#include <signal.h>
#include <stdio.h>

#include "rpc/server.h"

static struct rpc_server *server;

static void on_signal(int signum)
{
	(void)signum;
	rpc_server_stop(server);
}

static void refuse(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t size)
{
	(void)bytes;
	(void)size;
	rpc_stream_finish(stream, RPC_FAILED_PRECONDITION, arg);
}

int main(int argc, char **argv)
{
	struct rpc_server_options options = {.listen = argv[1]};
	struct rpc_server_handlers handlers = {.message = refuse};
	struct diag d;
	char text[sizeof(d) + 16];

	if (argc != 3)
		return 2;
	handlers.arg = argv[2];
	if (rpc_server_open(&options, &handlers, &server, &d)) {
		fprintf(stderr, "other_hub: %s\n", diag_format(&d, text, sizeof(text)));
		return 1;
	}
	signal(SIGTERM, on_signal);
	rpc_server_run(server);
	rpc_server_close(server);
	return 0;
}
