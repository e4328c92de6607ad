/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/channel.h"

int rpc_channel_open(const struct rpc_client_options *options, grpc_channel **channel,
		     struct diag *d)
{
	const struct rpc_tls tls = {options->tls_ca, options->tls_certificate, options->tls_key};
	size_t message_max =
		options->message_max_bytes ? options->message_max_bytes : RPC_MESSAGE_MAX_BYTES;
	grpc_channel_credentials *credentials;
	int rc = rpc_client_credentials(&tls, &credentials, d);
	grpc_arg args[] = {
		RPC_ARG(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)message_max),
		/* A connection of its own, so that its waiting after failures is nobody else's. */
		RPC_ARG(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
		/* How long connecting may take; gRPC's own reconnecting is never come to. */
		RPC_ARG(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000),
		/* A hub that vanished without a word is noticed within 30 s. */
		RPC_ARG(GRPC_ARG_KEEPALIVE_TIME_MS, 20000),
		RPC_ARG(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000),
		/* The journal is what repeats; gRPC would keep copies of messages for it. */
		RPC_ARG(GRPC_ARG_ENABLE_RETRIES, 0),
		/* http_proxy of some environment is not meant for this. */
		RPC_ARG(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
		RPC_ARG(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1),
		RPC_ARG(GRPC_ARG_ENABLE_CHANNELZ, 0),
	};
	grpc_channel_args all = {ARRAY_LEN(args), args};

	if (rc)
		return rc;
	*channel = grpc_channel_create(options->target, credentials, &all);
	grpc_channel_credentials_release(credentials);
	return 0;
}
