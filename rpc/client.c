/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads: everything runs on the loop's thread, starting operations on gRPC's call included. A
 * courier thread does nothing but carry finished operations from the completion queue to the
 * loop's mailbox. One session at a time with each operation in flight at most once: a mailbox with
 * a place for each never is full.
 *
 * A session is one attempt at a stream, from connecting to its end. It is freed when none of its
 * operations is in flight any more; only then is the caller told that it closed.
 */
#include "rpc/client.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mailbox.h"
#include "rpc/address.h"
#include "rpc/channel.h"

enum step {
	STEP_OPEN, /* our initial metadata went out */
	STEP_GREETED, /* the server's came */
	STEP_RECEIVED,
	STEP_SENT,
	STEP_STATUS, /* the call is over */
	STEP_COUNT
};

struct operation { /* a tag of the completion queue */
	enum step step;
	bool success;
	struct session *session; /* NULL: connecting was refused before gRPC was asked */
};

struct session {
	struct rpc_client *client;
	grpc_channel *channel;
	grpc_call *call;
	grpc_metadata_array greeting, trailer;
	grpc_status_code status;
	grpc_slice status_text;
	grpc_byte_buffer *in, *out;
	bool open; /* opened() was called and the end is not known yet */
	bool over; /* the status came */
	unsigned in_flight;
	struct operation operations[STEP_COUNT];
};

struct rpc_client {
	struct rpc_client_options options; /* its texts are ours */
	struct rpc_client_handlers handlers;
	struct mailbox *mailbox; /* of finished operations */
	grpc_completion_queue *queue;
	pthread_t courier;
	bool courier_runs;
	struct session *session; /* NULL while nothing is tried */
	struct diag refusal; /* err is set: connecting was refused */
	struct operation refused;
};

/* ---- the courier ------------------------------------------------------------------------------ */

static void *courier_run(void *arg)
{
	struct rpc_client *client = arg;

	for (;;) {
		grpc_event event = grpc_completion_queue_next(
			client->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
		struct operation *operation = event.tag;

		if (event.type == GRPC_QUEUE_SHUTDOWN)
			return NULL;
		operation->success = event.success;
		mailbox_push(client->mailbox, operation);
	}
}

static int courier_start(struct rpc_client *client)
{
	sigset_t all, before;
	int err;

	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&client->courier, NULL, courier_run, client);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	client->courier_runs = !err;
	return -err;
}

/* ---- a session -------------------------------------------------------------------------------- */

static void session_batch(struct session *session, const grpc_op *ops, size_t count, enum step step)
{
	grpc_call_error error;

	session->in_flight++;
	error = grpc_call_start_batch(session->call, ops, count, &session->operations[step], NULL);
	assert(error == GRPC_CALL_OK); /* anything else is a misuse of the interface */
	(void)error;
}

static void session_receive(struct session *session)
{
	grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};

	op.data.recv_message.recv_message = &session->in;
	session_batch(session, &op, 1, STEP_RECEIVED);
}

static void session_start(struct session *session)
{
	grpc_op greet = {.op = GRPC_OP_SEND_INITIAL_METADATA};
	grpc_op greeted = {.op = GRPC_OP_RECV_INITIAL_METADATA};
	grpc_op status = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT};

	greeted.data.recv_initial_metadata.recv_initial_metadata = &session->greeting;
	status.data.recv_status_on_client.trailing_metadata = &session->trailer;
	status.data.recv_status_on_client.status = &session->status;
	status.data.recv_status_on_client.status_details = &session->status_text;
	session_batch(session, &status, 1, STEP_STATUS);
	session_batch(session, &greet, 1, STEP_OPEN);
	session_batch(session, &greeted, 1, STEP_GREETED);
	session_receive(session);
}

static int session_new(struct rpc_client *client, struct session **out, struct diag *d)
{
	struct session *session = calloc(1, sizeof(*session));
	int rc;

	if (!session)
		return diag_errno(d, -ENOMEM, client->options.target, NULL, "cannot connect");
	rc = rpc_channel_open(&client->options, &session->channel, d);
	if (rc) {
		free(session);
		return rc;
	}
	session->client = client;
	session->status_text = grpc_empty_slice();
	grpc_metadata_array_init(&session->greeting);
	grpc_metadata_array_init(&session->trailer);
	for (unsigned i = 0; i < STEP_COUNT; i++)
		session->operations[i] =
			(struct operation){.step = (enum step)i, .session = session};
	session->call = grpc_channel_create_call(session->channel, NULL, GRPC_PROPAGATE_DEFAULTS,
						 client->queue,
						 grpc_slice_from_static_string(RPC_METHOD_STREAM),
						 NULL, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
	*out = session;
	return 0;
}

static void session_free(struct session *session)
{
	if (!session)
		return;
	if (session->in)
		grpc_byte_buffer_destroy(session->in);
	if (session->out)
		grpc_byte_buffer_destroy(session->out);
	grpc_metadata_array_destroy(&session->greeting);
	grpc_metadata_array_destroy(&session->trailer);
	grpc_slice_unref(session->status_text);
	grpc_call_unref(session->call);
	grpc_channel_destroy(session->channel);
	free(session);
}

/* ---- what came of operations ------------------------------------------------------------------ */

static void on_greeted(struct session *session, bool success)
{
	struct rpc_client *client = session->client;

	if (!success || session->over)
		return;
	session->open = true;
	if (client->handlers.opened)
		client->handlers.opened(client->handlers.arg);
}

static void on_received(struct session *session, bool success)
{
	struct rpc_client *client = session->client;
	grpc_slice message;

	if (!success || !session->in)
		return; /* the status follows */
	if (session->open && rpc_buffer_read(session->in, &message) == 0) {
		client->handlers.message(client->handlers.arg, GRPC_SLICE_START_PTR(message),
					 GRPC_SLICE_LENGTH(message));
		grpc_slice_unref(message);
	}
	grpc_byte_buffer_destroy(session->in);
	session->in = NULL;
	session_receive(session);
}

static void on_sent(struct session *session, bool success)
{
	struct rpc_client *client = session->client;

	grpc_byte_buffer_destroy(session->out);
	session->out = NULL;
	if (success && session->open)
		client->handlers.writable(client->handlers.arg);
}

static void session_closed(struct session *session)
{
	struct rpc_client *client = session->client;
	enum rpc_status status = (enum rpc_status)session->status;
	char text[512];

	snprintf(text, sizeof(text), "%.*s", (int)GRPC_SLICE_LENGTH(session->status_text),
		 (const char *)GRPC_SLICE_START_PTR(session->status_text));
	client->session = NULL;
	session_free(session);
	client->handlers.closed(client->handlers.arg, status, text);
}

static void client_refused(struct rpc_client *client)
{
	char text[sizeof(struct diag)];

	diag_format(&client->refusal, text, sizeof(text));
	client->refusal.err = 0;
	client->handlers.closed(client->handlers.arg, RPC_UNAUTHENTICATED, text);
}

static void operation_arrived(void *arg, void *message)
{
	const struct operation *operation = message;
	struct session *session = operation->session;

	if (!session) {
		client_refused(arg);
		return;
	}

	session->in_flight--;
	switch (operation->step) {
	case STEP_GREETED:
		on_greeted(session, operation->success);
		break;
	case STEP_RECEIVED:
		on_received(session, operation->success);
		break;
	case STEP_SENT:
		on_sent(session, operation->success);
		break;
	case STEP_STATUS:
		session->open = false;
		session->over = true;
		break;
	case STEP_OPEN:
	case STEP_COUNT:
		break;
	}
	if (session->in_flight == 0)
		session_closed(session);
}

/* ---- the client ------------------------------------------------------------------------------- */

static char *copy(const char *text, bool *failed)
{
	char *made = text && text[0] ? strdup(text) : NULL;

	*failed |= text && text[0] && !made;
	return made;
}

static int options_copy(struct rpc_client_options *to, const struct rpc_client_options *from)
{
	bool failed = false;

	*to = (struct rpc_client_options){
		.target = copy(from->target, &failed),
		.tls_ca = copy(from->tls_ca, &failed),
		.tls_certificate = copy(from->tls_certificate, &failed),
		.tls_key = copy(from->tls_key, &failed),
		.message_max_bytes = from->message_max_bytes,
	};
	return failed ? -ENOMEM : 0;
}

/* The target and the TLS files are looked at now, so that a wrong setting is an error at start. */
static int options_check(const struct rpc_client_options *options, struct diag *d)
{
	const struct rpc_tls tls = {options->tls_ca, options->tls_certificate, options->tls_key};
	grpc_channel_credentials *credentials;
	int rc = rpc_address_check(options->target, d);

	if (rc)
		return rc;
	rc = rpc_client_credentials(&tls, &credentials, d);
	if (!rc)
		grpc_channel_credentials_release(credentials);
	return rc;
}

static int client_start(struct rpc_client *client, struct loop *loop, struct diag *d)
{
	int rc = options_check(&client->options, d);

	if (rc)
		return rc;
	client->mailbox = mailbox_new(loop, STEP_COUNT + 1, operation_arrived, client);
	if (!client->mailbox)
		return diag_errno(d, -ENOMEM, client->options.target, NULL, "cannot connect");
	rc = courier_start(client);
	return rc ? diag_errno(d, rc, client->options.target, NULL, "cannot make a thread") : 0;
}

int rpc_client_new(struct loop *loop, const struct rpc_client_options *options,
		   const struct rpc_client_handlers *handlers, struct rpc_client **client,
		   struct diag *d)
{
	struct rpc_client *made = calloc(1, sizeof(*made));
	int rc;

	if (!made)
		return diag_errno(d, -ENOMEM, options->target, NULL, "cannot connect");
	made->handlers = *handlers;
	rpc_runtime_start();
	made->queue = grpc_completion_queue_create_for_next(NULL);
	rc = options_copy(&made->options, options);
	if (rc)
		diag_errno(d, rc, options->target, NULL, "cannot connect");
	else
		rc = client_start(made, loop, d);
	if (rc)
		rpc_client_free(made);
	else
		*client = made;
	return rc;
}

void rpc_client_connect(struct rpc_client *client)
{
	struct diag d;

	if (client->session || client->refusal.err)
		return;
	if (session_new(client, &client->session, &d) == 0) {
		session_start(client->session);
		return;
	}
	client->refusal = d;
	mailbox_push(client->mailbox, &client->refused); /* closed() never comes from in here */
}

void rpc_client_disconnect(struct rpc_client *client)
{
	if (client->session)
		grpc_call_cancel(client->session->call, NULL);
}

int rpc_client_send(struct rpc_client *client, const uint8_t *bytes, size_t size)
{
	struct session *session = client->session;
	grpc_op op = {.op = GRPC_OP_SEND_MESSAGE};

	if (!session || !session->open)
		return -ENOTCONN;
	if (session->out)
		return -EAGAIN;
	session->out = rpc_buffer_new(bytes, size);
	op.data.send_message.send_message = session->out;
	session_batch(session, &op, 1, STEP_SENT);
	return 0;
}

void rpc_client_free(struct rpc_client *client)
{
	if (!client)
		return;
	rpc_client_disconnect(client);
	/* The queue is shut down once every operation came back; the courier ends with it. */
	grpc_completion_queue_shutdown(client->queue);
	if (client->courier_runs)
		pthread_join(client->courier, NULL);
	else
		grpc_completion_queue_next(client->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
	session_free(client->session);
	grpc_completion_queue_destroy(client->queue);
	mailbox_free(client->mailbox, NULL);
	rpc_runtime_stop();
	free((char *)client->options.target);
	free((char *)client->options.tls_ca);
	free((char *)client->options.tls_certificate);
	free((char *)client->options.tls_key);
	free(client);
}
