/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vow-fleet: carries questions of vow to a hub. Apart from vow, so that asking this host starts
 * without the libraries that talk to networks. Questions and answers are frames on stdin, which is
 * a socket of vow's (see cli/ask.h); an answer that does not come is one that says why.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/ask.h"
#include "deliver/post.h"
#include "lib/base/opts.h"
#include "proto/stream.h"
#include "rpc/client.h"

struct fleet {
	const char *hub; /* HOST:PORT */
	bool speaks_http; /* found out by the first question */
};

static int fleet_ask_grpc(const struct fleet *fleet, const uint8_t *question, size_t size,
			  uint8_t **answer, size_t *answer_size, struct diag *d)
{
	struct rpc_client_options options = {
		.target = fleet->hub,
		.message_max_bytes = ASK_ANSWER_MAX,
	};
	uint8_t *sealed, *sealed_answer;
	size_t sealed_size, sealed_answer_size;
	int rc = stream_envelope_pack(question, size, &sealed, &sealed_size);

	if (rc)
		return diag_errno(d, rc, fleet->hub, NULL, "cannot ask");
	rc = rpc_query(&options, sealed, sealed_size, ASK_TIMEOUT, &sealed_answer,
		       &sealed_answer_size, d);
	free(sealed);
	if (rc)
		return rc;
	rc = stream_envelope_unpack(sealed_answer, sealed_answer_size, answer, answer_size, d);
	free(sealed_answer);
	return rc;
}

static int fleet_ask_http(const struct fleet *fleet, const uint8_t *question, size_t size,
			  uint8_t **answer, size_t *answer_size, struct diag *d)
{
	char url[512];
	struct post post = {
		.url = url,
		.content_type = "application/x-protobuf",
		.body = question,
		.size = size,
		.answer_max = ASK_ANSWER_MAX,
		.timeout = ASK_TIMEOUT,
	};

	snprintf(url, sizeof(url), "http://%s/api/v1/query", fleet->hub);
	return post_send(&post, answer, answer_size, d);
}

/* The hub's two ports both answer: what does not speak gRPC is asked by HTTP. */
static int fleet_ask(struct fleet *fleet, const uint8_t *question, size_t size, uint8_t **answer,
		     size_t *answer_size, struct diag *d)
{
	struct diag http;
	int rc = -EPROTO;

	if (!fleet->speaks_http)
		rc = fleet_ask_grpc(fleet, question, size, answer, answer_size, d);
	if (rc != -EPROTO)
		return rc;
	rc = fleet_ask_http(fleet, question, size, answer, answer_size, &http);
	if (rc == 0)
		fleet->speaks_http = true;
	else if (fleet->speaks_http)
		*d = http;
	else
		rc = diag_set(
			d, -EPROTO, fleet->hub, "give the address of vow-hub's --listen or --http",
			"this is no hub: it speaks neither gRPC nor vow's HTTP (%s)", http.what);
	return rc;
}

/* One frame in, one frame out. Negative errno when vow has gone. */
static int fleet_serve(struct fleet *fleet)
{
	uint8_t *question, *answer = NULL;
	size_t size, answer_size;
	struct diag d;
	int rc = ask_receive(STDIN_FILENO, ASK_QUESTION_MAX, 0, &question, &size);

	if (rc)
		return rc;
	rc = fleet_ask(fleet, question, size, &answer, &answer_size, &d);
	free(question);
	if (rc)
		rc = view_encode_error(&d, &answer, &answer_size);
	rc = rc ? rc : ask_send(STDIN_FILENO, answer, answer_size);
	free(answer);
	return rc;
}

int main(int argc, char **argv)
{
	static const struct opts_program program = {
		.name = "vow-fleet",
		.purpose = "helper of vow: carries its questions to a hub",
		.usage = "HOST:PORT",
		.about = "Not for people: vow --hub HOST:PORT COMMAND starts it.",
		.section = 8,
	};
	int status = opts_begin(&program, &argc, argv, NULL);
	struct fleet fleet = {.hub = argv[1]};
	struct stat input;

	if (status >= 0)
		return status;
	if (argc != 2 || fstat(STDIN_FILENO, &input) || !S_ISSOCK(input.st_mode)) {
		fprintf(stderr, "vow-fleet: started by vow only; see vow --help\n");
		return 2;
	}
	while (!fleet_serve(&fleet))
		;
	return 0;
}
