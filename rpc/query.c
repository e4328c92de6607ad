/* SPDX-License-Identifier: Apache-2.0 */
/* One question to a hub, asked and answered on the caller's thread. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/address.h"
#include "rpc/channel.h"

struct question {
	grpc_completion_queue *queue;
	grpc_channel *channel;
	grpc_call *call;
	grpc_metadata_array greeting, trailer;
	grpc_byte_buffer *out, *in;
	grpc_status_code status;
	grpc_slice status_text;
};

static void question_ask(struct question *q, const uint8_t *bytes, size_t size, dur_ns timeout)
{
	grpc_op ops[6] = {
		{.op = GRPC_OP_SEND_INITIAL_METADATA},	{.op = GRPC_OP_SEND_MESSAGE},
		{.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT}, {.op = GRPC_OP_RECV_INITIAL_METADATA},
		{.op = GRPC_OP_RECV_MESSAGE},		{.op = GRPC_OP_RECV_STATUS_ON_CLIENT},
	};

	q->queue = grpc_completion_queue_create_for_pluck(NULL);
	grpc_metadata_array_init(&q->greeting);
	grpc_metadata_array_init(&q->trailer);
	q->status_text = grpc_empty_slice();
	q->out = rpc_buffer_new(bytes, size);
	q->call = grpc_channel_create_call(q->channel, NULL, GRPC_PROPAGATE_DEFAULTS, q->queue,
					   grpc_slice_from_static_string(RPC_METHOD_QUERY), NULL,
					   rpc_deadline(timeout), NULL);
	ops[1].data.send_message.send_message = q->out;
	ops[3].data.recv_initial_metadata.recv_initial_metadata = &q->greeting;
	ops[4].data.recv_message.recv_message = &q->in;
	ops[5].data.recv_status_on_client.trailing_metadata = &q->trailer;
	ops[5].data.recv_status_on_client.status = &q->status;
	ops[5].data.recv_status_on_client.status_details = &q->status_text;
	grpc_call_start_batch(q->call, ops, ARRAY_LEN(ops), q, NULL);
	/* Ends without a time limit of its own: the call has one. */
	grpc_completion_queue_pluck(q->queue, q, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
}

static void question_end(struct question *q)
{
	if (q->call) {
		grpc_call_unref(q->call);
		grpc_metadata_array_destroy(&q->greeting);
		grpc_metadata_array_destroy(&q->trailer);
		grpc_slice_unref(q->status_text);
		grpc_byte_buffer_destroy(q->out);
		grpc_completion_queue_shutdown(q->queue);
		grpc_completion_queue_destroy(q->queue);
	}
	if (q->in)
		grpc_byte_buffer_destroy(q->in);
	if (q->channel)
		grpc_channel_destroy(q->channel);
}

static int question_failed(const struct question *q, const char *target, dur_ns timeout,
			   struct diag *d)
{
	const char *text = (const char *)GRPC_SLICE_START_PTR(q->status_text);
	int length = (int)GRPC_SLICE_LENGTH(q->status_text);

	switch ((enum rpc_status)q->status) {
	case RPC_DEADLINE_EXCEEDED:
		return diag_set(d, -ETIMEDOUT, target, "try again, or see whether the hub is busy",
				"no answer within %.1f s", (double)timeout / (double)NS_PER_S);
	case RPC_UNAVAILABLE:
		/* gRPC says the same of a refused connection and of one that talks nonsense. */
		if (!rpc_address_accepts(target, NS_PER_S))
			return diag_set(d, -ECONNREFUSED, target,
					"start vow-hub there, or give another --hub",
					"no hub answers: %.*s", length, text);
		return diag_set(d, -EPROTO, target, "give the port of vow-hub's --listen",
				"something listens there but does not speak gRPC: %.*s", length,
				text);
	case RPC_INTERNAL:
		return diag_set(d, -EIO, target, "see the hub's log", "%.*s", length, text);
	default:
		return diag_set(d, -EPROTO, target, "give the port of vow-hub's --listen",
				"refused with status %d: %.*s", (int)q->status, length, text);
	}
}

static int question_answered(const struct question *q, const char *target, uint8_t **answer,
			     size_t *answer_size, struct diag *d)
{
	grpc_slice message;
	uint8_t *copy;

	if (!q->in || rpc_buffer_read(q->in, &message))
		return diag_set(d, -EPROTO, target, NULL, "an answer without a message");
	copy = malloc(GRPC_SLICE_LENGTH(message) + 1);
	if (copy) {
		memcpy(copy, GRPC_SLICE_START_PTR(message), GRPC_SLICE_LENGTH(message));
		*answer = copy;
		*answer_size = GRPC_SLICE_LENGTH(message);
	}
	grpc_slice_unref(message);
	return copy ? 0 : diag_errno(d, -ENOMEM, target, NULL, "cannot take the answer");
}

int rpc_query(const struct rpc_client_options *options, const uint8_t *bytes, size_t size,
	      dur_ns timeout, uint8_t **answer, size_t *answer_size, struct diag *d)
{
	struct question q = {0};
	int rc = rpc_address_check(options->target, d);

	if (rc)
		return rc;
	rpc_runtime_start();
	rc = rpc_channel_open(options, &q.channel, d);
	if (!rc) {
		question_ask(&q, bytes, size, timeout);
		rc = q.status == GRPC_STATUS_OK
			     ? question_answered(&q, options->target, answer, answer_size, d)
			     : question_failed(&q, options->target, timeout, d);
	}
	question_end(&q);
	rpc_runtime_stop();
	return rc;
}
