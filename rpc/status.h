/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a call ended, in gRPC's numbers. Those that vow gives a meaning of its own say it.
 */
#ifndef VOW_RPC_STATUS_H
#define VOW_RPC_STATUS_H

enum rpc_status {
	RPC_OK = 0,
	RPC_CANCELLED = 1,
	RPC_INVALID_ARGUMENT = 3, /* the peer sent what is no message of ours */
	RPC_DEADLINE_EXCEEDED = 4,
	RPC_PERMISSION_DENIED = 7, /* the certificate is not this agent's */
	RPC_RESOURCE_EXHAUSTED = 8, /* more streams than the hub takes */
	RPC_FAILED_PRECONDITION = 9, /* another protocol version; an identity that is taken */
	RPC_UNIMPLEMENTED = 12, /* no such method: another program or version listens there */
	RPC_INTERNAL = 13,
	RPC_UNAVAILABLE = 14, /* nobody listens, or the hub is going down */
	RPC_UNAUTHENTICATED = 16,
};

#endif
