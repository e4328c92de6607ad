/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "rpc/channel.h"
#include "rpc/server.h"
#include "tests/unit/check.h"

#define PATIENCE (300 * NS_PER_S) /* ends what hangs, and judges no speed */

/* ---- a hub that echoes ----------------------------------------------------------------------- */

struct hub {
	struct rpc_server *server;
	pthread_t thread;
	char address[64];
	unsigned opened, closed, messages, drained, ticks;
	char peer[64];
	const char *refuse; /* finishes each stream with this text */
	unsigned burst; /* answers to each message */
};

static void hub_opened(void *arg, struct rpc_stream *stream, const char *peer, const char *identity)
{
	struct hub *hub = arg;

	hub->opened++;
	snprintf(hub->peer, sizeof(hub->peer), "%s%s", peer, identity);
	rpc_stream_set(stream, hub);
	if (hub->refuse)
		rpc_stream_finish(stream, RPC_FAILED_PRECONDITION, hub->refuse);
}

static void hub_message(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t size)
{
	struct hub *hub = arg;

	CHECK(rpc_stream_get(stream) == hub);
	hub->messages++;
	for (unsigned i = 0; i < hub->burst; i++) {
		unsigned char number[2] = {(unsigned char)(i >> 8), (unsigned char)i};

		CHECK_OK(rpc_stream_send(stream, number, sizeof(number)));
	}
	if (!hub->burst)
		CHECK_OK(rpc_stream_send(stream, bytes, size));
}

static void hub_closed(void *arg, struct rpc_stream *stream)
{
	struct hub *hub = arg;

	CHECK(rpc_stream_get(stream) == hub);
	CHECK_RC(rpc_stream_send(stream, (const uint8_t *)"x", 1), -EPIPE);
	hub->closed++;
}

static int hub_query(void *arg, const uint8_t *bytes, size_t size, uint8_t **answer,
		     size_t *answer_size)
{
	(void)arg;
	if (size == 3 && memcmp(bytes, "bad", 3) == 0)
		return -EIO;
	*answer = malloc(size + 1);
	memcpy(*answer, bytes, size);
	(*answer)[size] = '!';
	*answer_size = size + 1;
	return 0;
}

static void hub_drained(void *arg)
{
	((struct hub *)arg)->drained++;
}

static void hub_tick(void *arg)
{
	((struct hub *)arg)->ticks++;
}

static void *hub_run(void *arg)
{
	struct hub *hub = arg;

	CHECK_OK(rpc_server_run(hub->server));
	return NULL;
}

static void hub_start(struct hub *hub, const char *listen)
{
	const struct rpc_server_options options = {
		.listen = listen, .streams_max = 2, .tick_every = NS_PER_MS};
	const struct rpc_server_handlers handlers = {
		.opened = hub_opened,
		.message = hub_message,
		.closed = hub_closed,
		.query = hub_query,
		.drained = hub_drained,
		.tick = hub_tick,
		.arg = hub,
	};
	struct diag d = {0};

	if (rpc_server_open(&options, &handlers, &hub->server, &d))
		CHECK_FAIL("%s: %s", d.where, d.what);
	if (strncmp(listen, "unix:", 5) == 0)
		snprintf(hub->address, sizeof(hub->address), "%s", listen);
	else
		snprintf(hub->address, sizeof(hub->address), "127.0.0.1:%u",
			 rpc_server_port(hub->server));
	CHECK_OK(pthread_create(&hub->thread, NULL, hub_run, hub));
}

/* The counters of the hub may be read after this. */
static void hub_stop(struct hub *hub)
{
	rpc_server_stop(hub->server);
	CHECK_OK(pthread_join(hub->thread, NULL));
	CHECK_EQ_U64(rpc_server_counters(hub->server).streams, 0);
	rpc_server_close(hub->server);
	CHECK_EQ_U64(hub->closed, hub->opened);
}

/* ---- an agent -------------------------------------------------------------------------------- */

struct agent {
	struct loop *loop;
	struct loop_timer *limit;
	struct rpc_client *client;
	unsigned opened, messages, writable, closed;
	unsigned send, sent; /* messages to send in all, and so far */
	unsigned expected; /* messages after which the loop ends */
	bool late;
	char last[64];
	size_t last_size;
	enum rpc_status status;
	char text[512];
};

static void agent_send(struct agent *agent)
{
	char text[32];

	while (agent->sent < agent->send) {
		int length = snprintf(text, sizeof(text), "message %u", agent->sent);
		int rc = rpc_client_send(agent->client, (const uint8_t *)text, (size_t)length);

		if (rc == -EAGAIN)
			return;
		CHECK_OK(rc);
		agent->sent++;
	}
}

static void agent_opened(void *arg)
{
	struct agent *agent = arg;

	agent->opened++;
	agent_send(agent);
}

static void agent_message(void *arg, const uint8_t *bytes, size_t size)
{
	struct agent *agent = arg;

	agent->messages++;
	agent->last_size = size < sizeof(agent->last) ? size : sizeof(agent->last);
	memcpy(agent->last, bytes, agent->last_size);
	if (agent->messages == agent->expected)
		loop_stop(agent->loop);
}

static void agent_writable(void *arg)
{
	struct agent *agent = arg;

	agent->writable++;
	agent_send(agent);
}

static void agent_closed(void *arg, enum rpc_status status, const char *text)
{
	struct agent *agent = arg;

	agent->closed++;
	agent->status = status;
	snprintf(agent->text, sizeof(agent->text), "%s", text);
	loop_stop(agent->loop);
}

static void agent_late(void *arg)
{
	struct agent *agent = arg;

	agent->late = true;
	loop_stop(agent->loop);
}

static void agent_start(struct agent *agent, const char *target)
{
	const struct rpc_client_options options = {.target = target};
	const struct rpc_client_handlers handlers = {agent_opened, agent_message, agent_writable,
						     agent_closed, agent};
	struct diag d;

	agent->loop = loop_new();
	agent->limit = loop_timer_start(agent->loop, PATIENCE, 0, agent_late, agent);
	CHECK_OK(rpc_client_new(agent->loop, &options, &handlers, &agent->client, &d));
	rpc_client_connect(agent->client);
}

static void agent_run(struct agent *agent)
{
	loop_run(agent->loop);
	CHECK(!agent->late);
}

static void agent_end(struct agent *agent)
{
	rpc_client_free(agent->client);
	loop_timer_stop(agent->limit);
	loop_free(agent->loop);
}

/* ---- streams --------------------------------------------------------------------------------- */

CHECK_TEST(test_messages_come_back_in_order_over_tcp)
{
	struct hub hub = {0};
	struct agent agent = {.send = 200};

	/* The newest answer may replace one that waits, so only the last is sure to come. */
	hub_start(&hub, "127.0.0.1:0");
	agent_start(&agent, hub.address);
	while (agent.last_size != 11 || memcmp(agent.last, "message 199", 11) != 0) {
		agent.expected = agent.messages + 1;
		agent_run(&agent);
	}
	CHECK_EQ_U64(agent.opened, 1);
	CHECK_EQ_U64(agent.closed, 0);
	agent_end(&agent);
	hub_stop(&hub);
	CHECK_EQ_U64(hub.messages, 200);
	CHECK_EQ_U64(hub.opened, 1);
	CHECK_STR_HAS(hub.peer, "ipv4:127.0.0.1:");
	CHECK_GE_U64(hub.drained, 1);
}

CHECK_TEST(test_answers_coalesce_to_the_newest)
{
	struct hub hub = {.burst = 1000};
	struct agent agent = {.send = 1};

	hub_start(&hub, "127.0.0.1:0");
	agent_start(&agent, hub.address);
	while (agent.last_size != 2 || memcmp(agent.last, "\x03\xe7", 2) != 0) {
		agent.expected = agent.messages + 1;
		agent_run(&agent);
	}
	/* The first goes at once, the last because nothing replaced it, and nothing else can. */
	CHECK_EQ_U64(agent.messages, 2);
	agent_end(&agent);
	hub_stop(&hub);
}

CHECK_TEST(test_streams_work_over_a_unix_socket)
{
	struct hub hub = {0};
	struct agent agent = {.send = 1, .expected = 1};
	char listen[400];

	snprintf(listen, sizeof(listen), "unix:%s/hub.sock", check_dir());
	hub_start(&hub, listen);
	agent_start(&agent, listen);
	agent_run(&agent);
	CHECK_MEM(agent.last, "message 0", 9);
	agent_end(&agent);
	hub_stop(&hub);
}

CHECK_TEST(test_hub_that_ends_says_so_and_a_new_one_is_reached_by_the_same_client)
{
	struct hub hub = {0}, next = {0};
	struct agent agent = {.send = 1, .expected = 1};
	char listen[64];

	hub_start(&hub, "127.0.0.1:0");
	snprintf(listen, sizeof(listen), "%s", hub.address);
	agent_start(&agent, listen);
	agent_run(&agent);
	hub_stop(&hub);
	agent_run(&agent);
	CHECK_EQ_U64(agent.closed, 1);
	CHECK_EQ_I64(agent.status, RPC_UNAVAILABLE);
	CHECK_STR_HAS(agent.text, "going down");

	hub_start(&next, listen);
	agent.expected = 2;
	agent.send = 2;
	rpc_client_connect(agent.client);
	agent_run(&agent);
	CHECK_EQ_U64(agent.opened, 2);
	CHECK_MEM(agent.last, "message 1", 9);
	agent_end(&agent);
	hub_stop(&next);
}

CHECK_TEST(test_refused_connection_closes_without_having_opened)
{
	struct agent agent = {0};

	agent_start(&agent, "127.0.0.1:1");
	agent_run(&agent);
	CHECK_EQ_U64(agent.closed, 1);
	CHECK_EQ_U64(agent.opened, 0);
	CHECK_EQ_I64(agent.status, RPC_UNAVAILABLE);
	CHECK_RC(rpc_client_send(agent.client, (const uint8_t *)"x", 1), -ENOTCONN);
	agent_end(&agent);
}

CHECK_TEST(test_refusal_carries_its_status_and_text)
{
	struct hub hub = {.refuse = "this hub speaks protocol 2"};
	struct agent agent = {.send = 1};

	hub_start(&hub, "127.0.0.1:0");
	agent_start(&agent, hub.address);
	agent_run(&agent);
	CHECK_EQ_I64(agent.status, RPC_FAILED_PRECONDITION);
	CHECK_STR(agent.text, "this hub speaks protocol 2");
	agent_end(&agent);
	hub_stop(&hub);
	CHECK_EQ_U64(hub.messages, 0);
}

CHECK_TEST(test_disconnect_closes_as_cancelled)
{
	struct hub hub = {0};
	struct agent agent = {.send = 1, .expected = 1};

	hub_start(&hub, "127.0.0.1:0");
	agent_start(&agent, hub.address);
	agent_run(&agent);
	rpc_client_disconnect(agent.client);
	agent_run(&agent);
	CHECK_EQ_I64(agent.status, RPC_CANCELLED);
	agent_end(&agent);
	hub_stop(&hub);
}

CHECK_TEST(test_streams_beyond_the_limit_are_refused)
{
	struct hub hub = {0};
	struct agent agents[3] = {{.send = 1, .expected = 1}, {.send = 1, .expected = 1}};

	hub_start(&hub, "127.0.0.1:0"); /* takes two */
	for (unsigned i = 0; i < 3; i++) {
		agent_start(&agents[i], hub.address);
		agent_run(&agents[i]);
	}
	CHECK_EQ_U64(agents[1].messages, 1);
	CHECK_EQ_U64(agents[2].closed, 1);
	CHECK_EQ_I64(agents[2].status, RPC_RESOURCE_EXHAUSTED);
	for (unsigned i = 0; i < 3; i++)
		agent_end(&agents[i]);
	hub_stop(&hub);
	CHECK_EQ_U64(hub.opened, 2);
}

/* ---- questions ------------------------------------------------------------------------------- */

static int ask(const char *target, const char *text, dur_ns timeout, char answer[64],
	       struct diag *d)
{
	const struct rpc_client_options options = {.target = target};
	uint8_t *bytes = NULL;
	size_t size = 0;
	int rc =
		rpc_query(&options, (const uint8_t *)text, strlen(text), timeout, &bytes, &size, d);

	if (!rc)
		snprintf(answer, 64, "%.*s", (int)size, (const char *)bytes);
	free(bytes);
	return rc;
}

CHECK_TEST(test_question_is_answered)
{
	struct hub hub = {0};
	struct diag d;
	char answer[64];

	hub_start(&hub, "127.0.0.1:0");
	for (unsigned i = 0; i < 20; i++) { /* more than are armed at once */
		CHECK_OK(ask(hub.address, "well", PATIENCE, answer, &d));
		CHECK_STR(answer, "well!");
	}
	CHECK_RC(ask(hub.address, "bad", PATIENCE, answer, &d), -EIO);
	CHECK_STR_HAS(d.what, "log");
	hub_stop(&hub);
}

CHECK_TEST(test_question_to_nobody_is_refused)
{
	struct diag d;
	char answer[64];

	CHECK_RC(ask("127.0.0.1:1", "x", PATIENCE, answer, &d), -ECONNREFUSED);
	CHECK_STR_HAS(d.fix, "vow-hub");
	CHECK_RC(ask("nonsense", "x", PATIENCE, answer, &d), -EINVAL);
	CHECK_STR_HAS(d.fix, "HOST:PORT");
	CHECK_RC(ask("::1:7412", "x", PATIENCE, answer, &d), -EINVAL);
	CHECK_RC(ask("host:99999", "x", PATIENCE, answer, &d), -EINVAL);
}

/* A TCP listener of this test; accepts in the kernel, says nothing. */
static int listener(char address[64])
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK_OK(bind(fd, (struct sockaddr *)&in, sizeof(in)));
	CHECK_OK(listen(fd, 8));
	CHECK_OK(getsockname(fd, (struct sockaddr *)&in, &size));
	snprintf(address, 64, "127.0.0.1:%u", ntohs(in.sin_port));
	return fd;
}

static void *answer_http1(void *arg)
{
	static const char text[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
	int fd = accept(*(int *)arg, NULL, NULL);

	CHECK(fd >= 0);
	CHECK_EQ_I64(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	return NULL;
}

CHECK_TEST(test_question_to_another_protocol_says_so)
{
	pthread_t thread;
	char address[64], answer[64];
	struct diag d;
	int fd = listener(address);

	CHECK_OK(pthread_create(&thread, NULL, answer_http1, &fd));
	CHECK_RC(ask(address, "x", PATIENCE, answer, &d), -EPROTO);
	CHECK_STR_HAS(d.what, "does not speak gRPC");
	CHECK_OK(pthread_join(thread, NULL));
	close(fd);
}

CHECK_TEST(test_question_to_a_silent_port_times_out)
{
	char address[64], answer[64];
	struct diag d;
	int fd = listener(address);

	CHECK_RC(ask(address, "x", 50 * NS_PER_MS, answer, &d), -ETIMEDOUT);
	close(fd);
}

/* ---- the port -------------------------------------------------------------------------------- */

CHECK_TEST(test_second_server_on_an_address_is_told_what_to_do)
{
	const struct rpc_server_handlers none = {0};
	struct rpc_server_options options = {0};
	struct rpc_server *second;
	struct hub hub = {0}, local = {0};
	struct diag d;
	char path[400];

	hub_start(&hub, "127.0.0.1:0");
	options.listen = hub.address;
	CHECK_RC(rpc_server_open(&options, &none, &second, &d), -EADDRINUSE);
	CHECK_STR(d.where, hub.address);
	CHECK_STR_HAS(d.fix, "another port");

	snprintf(path, sizeof(path), "unix:%s/hub.sock", check_dir());
	hub_start(&local, path);
	options.listen = path;
	CHECK_RC(rpc_server_open(&options, &none, &second, &d), -EADDRINUSE);
	hub_stop(&local);

	options.listen = "7412";
	CHECK_RC(rpc_server_open(&options, &none, &second, &d), -EINVAL);
	options.listen = "203.0.113.1:0";
	CHECK_RC(rpc_server_open(&options, &none, &second, &d), -EADDRNOTAVAIL);
	options.listen = "127.0.0.1:0";
	options.tls_ca = "/nonexistent";
	CHECK_RC(rpc_server_open(&options, &none, &second, &d), -EINVAL);
	options.tls_certificate = options.tls_key = options.tls_ca;
	CHECK_RC(rpc_server_open(&options, &none, &second, &d), -ENOENT);
	hub_stop(&hub);
}

CHECK_TEST(test_garbage_on_the_port_harms_nobody)
{
	struct hub hub = {0};
	struct agent agent = {.send = 1, .expected = 1};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	uint32_t random = 1;

	hub_start(&hub, "127.0.0.1:0");
	in.sin_port = htons((uint16_t)rpc_server_port(hub.server));
	for (unsigned i = 0; i < 20; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		uint8_t garbage[512];

		for (size_t n = 0; n < sizeof(garbage); n++)
			garbage[n] = (uint8_t)((random = random * 1664525 + 1013904223) >> 24);
		if (i % 2) /* half of them say hello like HTTP/2 first */
			memcpy(garbage, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
		CHECK_OK(connect(fd, (struct sockaddr *)&in, sizeof(in)));
		CHECK_EQ_I64(send(fd, garbage, sizeof(garbage), MSG_NOSIGNAL), sizeof(garbage));
		close(fd);
	}
	agent_start(&agent, hub.address);
	agent_run(&agent);
	CHECK_MEM(agent.last, "message 0", 9);
	agent_end(&agent);
	hub_stop(&hub);
	CHECK_EQ_U64(hub.opened, 1);
}

/* Takes every descriptor that this process may have; returns how many. */
static unsigned take_all(int fds[256])
{
	unsigned count = 0;

	while (count < 256 && (fds[count] = dup(STDERR_FILENO)) >= 0)
		count++;
	CHECK_EQ_I64(errno, EMFILE);
	return count;
}

CHECK_TEST(test_port_answers_again_after_descriptors_ran_out)
{
	struct hub hub = {0};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct rlimit before, few;
	int waiting[8], taken[256];
	unsigned count, shed = 0;
	char answer[64], byte;
	struct diag d;

	hub_start(&hub, "127.0.0.1:0");
	CHECK_OK(ask(hub.address, "well", PATIENCE, answer, &d));
	in.sin_port = htons((uint16_t)rpc_server_port(hub.server));
	for (size_t i = 0; i < ARRAY_LEN(waiting); i++)
		waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK_OK(getrlimit(RLIMIT_NOFILE, &before));
	few = (struct rlimit){.rlim_cur = 128, .rlim_max = before.rlim_max};
	CHECK_OK(setrlimit(RLIMIT_NOFILE, &few));
	count = take_all(taken);
	/* Nobody is left waiting: greeted while a descriptor comes free, else hung up on. */
	for (size_t i = 0; i < ARRAY_LEN(waiting); i++) {
		CHECK_OK(connect(waiting[i], (struct sockaddr *)&in, sizeof(in)));
		shed += read(waiting[i], &byte, 1) == 0;
	}
	CHECK_GE_U64(shed, ARRAY_LEN(waiting) / 2);
	CHECK_EQ_U64(rpc_server_counters(hub.server).shed_total, shed);
	for (size_t i = 0; i < ARRAY_LEN(waiting); i++)
		close(waiting[i]);
	while (count > 0)
		close(taken[--count]);
	CHECK_OK(setrlimit(RLIMIT_NOFILE, &before));
	CHECK_OK(ask(hub.address, "again", PATIENCE, answer, &d));
	CHECK_STR(answer, "again!");
	hub_stop(&hub);
}

CHECK_TEST(test_unknown_method_is_answered_with_a_text)
{
	struct hub hub = {0};
	struct rpc_client_options options = {.target = hub.address};
	grpc_completion_queue *queue;
	grpc_channel *channel;
	grpc_call *call;
	grpc_metadata_array header, trailer;
	grpc_status_code status;
	grpc_slice text = grpc_empty_slice();
	/* The status comes only to who asks for the head as well. */
	grpc_op ops[4] = {{.op = GRPC_OP_SEND_INITIAL_METADATA},
			  {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
			  {.op = GRPC_OP_RECV_INITIAL_METADATA},
			  {.op = GRPC_OP_RECV_STATUS_ON_CLIENT}};
	char shown[512];

	hub_start(&hub, "127.0.0.1:0");
	rpc_runtime_start();
	CHECK_OK(rpc_channel_open(&options, &channel, NULL));
	queue = grpc_completion_queue_create_for_pluck(NULL);
	grpc_metadata_array_init(&header);
	grpc_metadata_array_init(&trailer);
	call = grpc_channel_create_call(channel, NULL, GRPC_PROPAGATE_DEFAULTS, queue,
					grpc_slice_from_static_string("/vow.v2.Other/Thing"), NULL,
					rpc_deadline(PATIENCE), NULL);
	ops[2].data.recv_initial_metadata.recv_initial_metadata = &header;
	ops[3].data.recv_status_on_client.trailing_metadata = &trailer;
	ops[3].data.recv_status_on_client.status = &status;
	ops[3].data.recv_status_on_client.status_details = &text;
	CHECK_EQ_I64(grpc_call_start_batch(call, ops, 4, queue, NULL), GRPC_CALL_OK);
	grpc_completion_queue_pluck(queue, queue, rpc_deadline(PATIENCE), NULL);
	snprintf(shown, sizeof(shown), "%.*s", (int)GRPC_SLICE_LENGTH(text),
		 (const char *)GRPC_SLICE_START_PTR(text));
	CHECK_EQ_I64(status, RPC_UNIMPLEMENTED);
	CHECK_STR_HAS(shown, "no method /vow.v2.Other/Thing");
	grpc_call_unref(call);
	grpc_slice_unref(text);
	grpc_metadata_array_destroy(&header);
	grpc_metadata_array_destroy(&trailer);
	grpc_completion_queue_shutdown(queue);
	grpc_completion_queue_destroy(queue);
	grpc_channel_destroy(channel);
	rpc_runtime_stop();
	hub_stop(&hub);
}

CHECK_TEST(test_server_never_run_can_be_closed)
{
	const struct rpc_server_options options = {.listen = "127.0.0.1:0"};
	const struct rpc_server_handlers none = {0};
	struct rpc_server *server;
	struct diag d;

	CHECK_OK(rpc_server_open(&options, &none, &server, &d));
	CHECK_GE_U64(rpc_server_port(server), 1);
	rpc_server_close(server);
}

CHECK_MAIN("rpc", test_messages_come_back_in_order_over_tcp, test_answers_coalesce_to_the_newest,
	   test_streams_work_over_a_unix_socket,
	   test_hub_that_ends_says_so_and_a_new_one_is_reached_by_the_same_client,
	   test_refused_connection_closes_without_having_opened,
	   test_refusal_carries_its_status_and_text, test_disconnect_closes_as_cancelled,
	   test_streams_beyond_the_limit_are_refused, test_question_is_answered,
	   test_question_to_nobody_is_refused, test_question_to_another_protocol_says_so,
	   test_question_to_a_silent_port_times_out,
	   test_second_server_on_an_address_is_told_what_to_do,
	   test_garbage_on_the_port_harms_nobody, test_port_answers_again_after_descriptors_ran_out,
	   test_unknown_method_is_answered_with_a_text, test_server_never_run_can_be_closed)
