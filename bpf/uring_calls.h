/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Requests of io_uring by their completion, for programs that do not see the calls of sockets
 * themselves. Kernel side. The kernel tells a completion on a thread of the process that asked,
 * before that can see it, so that the bytes are where the request says.
 *
 * A request that is answered more than once is not told with its answers but for the last: those
 * lead by what the application calls it to the request, as it was noted when it was submitted. Its
 * address is a claim, looked at before it is believed.
 */
#ifndef VOW_BPF_URING_CALLS_H
#define VOW_BPF_URING_CALLS_H

#include "bpf/uring.h"

#define URING_MULTISHOTS 16384 /* at once; what comes by further ones is not seen */

struct uring_name {
	__u64 ring;
	__u64 user_data;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, URING_MULTISHOTS);
	__type(key, struct uring_name);
	__type(value, __u64); /* address of the request */
} uring_requests SEC(".maps");

/* How the tracepoint of completions tells the result: by a pointer to it. Set by user space. */
const volatile bool uring_result_pointed;

struct uring_result {
	__u64 ring;
	__u64 request; /* its address; 0: of one that is answered more than once */
	__u64 user_data;
	int moved; /* bytes, or a negative errno */
	__u8 opcode;
};

/* Whether the arguments of the tracepoint tell of a request that moves bytes, and what of it. */
static __always_inline bool uring_result_of(struct uring_result *r, const __u64 *arguments)
{
	const struct io_uring_cqe *cqe;

	r->ring = arguments[0];
	r->request = arguments[1];
	if (r->request) {
		r->opcode = socket_field(kernel_at(io_kiocb, r->request), opcode);
		if (!uring_moves(r->opcode))
			return false;
	}
	if (uring_result_pointed) {
		cqe = (const struct io_uring_cqe *)arguments[2];
		r->user_data = cqe->user_data;
		r->moved = cqe->res;
	} else {
		r->user_data = arguments[2];
		r->moved = arguments[3];
	}
	return true;
}

/* Notes a request that may be answered more than once. */
static __noinline void uring_note(__u64 request, __u8 opcode)
{
	const struct io_kiocb *req = kernel_at(io_kiocb, request);
	struct uring_name name = {
		.ring = (__u64)socket_field(req, ctx),
		.user_data = socket_field(req, cqe.user_data),
	};

	if (uring_is_multishot(request, opcode))
		bpf_map_update_elem(&uring_requests, &name, &request, BPF_ANY);
}

/* Finds the request of an answer that is not its last, and forgets one with its last. */
static __noinline bool uring_result_find(struct uring_result *r)
{
	struct uring_name name = {.ring = r->ring, .user_data = r->user_data};
	const struct io_kiocb *req;
	__u64 *request;

	if (r->request) {
		if (uring_is_multishot(r->request, r->opcode))
			bpf_map_delete_elem(&uring_requests, &name);
		return true;
	}
	request = bpf_map_lookup_elem(&uring_requests, &name);
	if (!request)
		return false;
	r->request = *request;
	req = kernel_at(io_kiocb, r->request);
	r->opcode = socket_field(req, opcode);
	return uring_moves(r->opcode) && uring_is_multishot(r->request, r->opcode) &&
	       (__u64)socket_field(req, ctx) == r->ring &&
	       socket_field(req, cqe.user_data) == r->user_data;
}

/* Bytes that were only looked at are read again by another call. */
static __always_inline bool uring_peeks(const struct uring_result *r)
{
	const struct io_sr_msg *sr = kernel_at(io_sr_msg, r->request);

	return (r->opcode == IORING_OP_RECV || r->opcode == IORING_OP_RECVMSG) &&
	       socket_field(sr, msg_flags) & (MSG_PEEK | MSG_ERRQUEUE);
}

#endif
