/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which requests of io_uring wait for a socket, so that a call of the socket that no system call of
 * the task made is known by the request that it is for. Kernel side, of programs that see socket
 * calls themselves.
 *
 * A request is noted as it is submitted, and taken off once its bytes have moved or it is completed.
 * The calls for a socket in one direction come in the order of its requests: an application that
 * has several of them at once links them, since the bytes would be mixed up. What is noted is a
 * claim, looked at before it is believed; writers need no lock, and at worst the bytes of a call
 * are not found.
 */
#ifndef VOW_BPF_URING_WAITING_H
#define VOW_BPF_URING_WAITING_H

#include "bpf/http_message.h"
#include "bpf/uring.h"

#define URING_SOCKETS 16384 /* with requests that wait; those of further ones are not found */
#define URING_QUEUE   4 /* requests of a socket at once in one direction: a power of two */

struct uring_queue {
	__u64 requests[URING_QUEUE]; /* their addresses, 0: none */
	__u64 next; /* place of the next one, modulo URING_QUEUE; before it lies the latest */
};

struct uring_waiting {
	struct uring_queue ways[2]; /* that send, that receive */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, URING_SOCKETS);
	__type(key, __u64); /* the socket's address */
	__type(value, struct uring_waiting);
} uring_requests SEC(".maps");

static const struct uring_waiting nothing_waits;

static __always_inline struct uring_queue *uring_way(struct uring_waiting *w, __u32 received)
{
	/* Of a bool the compiler knows that, the verifier does not. */
	asm volatile("%0 &= 1" : "+r"(received));
	return &w->ways[received];
}

static __always_inline bool uring_queue_empty(const struct uring_queue *q)
{
	return !(q->requests[0] | q->requests[1] | q->requests[2] | q->requests[3]);
}

/* Forgets a socket for which no request waits any more. */
static __always_inline void uring_forget(__u64 socket, const struct uring_waiting *w)
{
	if (uring_queue_empty(&w->ways[0]) && uring_queue_empty(&w->ways[1]))
		bpf_map_delete_elem(&uring_requests, &socket);
}

/* The same for one that has come to its end, whatever is noted for it. */
static __always_inline void uring_forget_all(__u64 socket)
{
	bpf_map_delete_elem(&uring_requests, &socket);
}

/* A request was submitted. */
static __noinline void uring_note(__u64 request, __u8 opcode)
{
	__u64 socket = uring_socket_asked(request);
	struct uring_waiting *w;
	struct uring_queue *q;

	if (!socket)
		return;
	w = bpf_map_lookup_elem(&uring_requests, &socket);
	if (!w) {
		bpf_map_update_elem(&uring_requests, &socket, &nothing_waits, BPF_NOEXIST);
		w = bpf_map_lookup_elem(&uring_requests, &socket);
		if (!w)
			return;
	}
	q = uring_way(w, uring_receives(opcode));
	q->requests[__sync_fetch_and_add(&q->next, 1) & (URING_QUEUE - 1)] = request;
}

/* A request was completed: no call is for it any more. */
static __noinline void uring_take_off(__u64 request, __u8 opcode)
{
	__u64 socket = uring_socket(request);
	struct uring_waiting *w;
	struct uring_queue *q;

	if (!socket)
		return;
	w = bpf_map_lookup_elem(&uring_requests, &socket);
	if (!w)
		return;
	q = uring_way(w, uring_receives(opcode));
#pragma clang loop unroll(full)
	for (int i = 0; i < URING_QUEUE; i++)
		if (q->requests[i] == request)
			q->requests[i] = 0;
	uring_forget(socket, w);
}

/* Whether more calls for this request may follow one that moved so many bytes. */
static __always_inline bool uring_goes_on(__u64 request, __u8 opcode, __u32 moved)
{
	const struct io_sr_msg *sr = kernel_at(io_sr_msg, request);

	if (uring_is_multishot(request, opcode))
		return true;
	if (opcode != IORING_OP_SEND && opcode != IORING_OP_RECV && opcode != IORING_OP_SEND_ZC)
		return false;
	return sr->msg_flags & MSG_WAITALL && moved < sr->len;
}

/* Whether a request is for calls of this socket in this direction, and of which kind. */
static __always_inline bool uring_is_for(__u64 request, const struct socket_call *call,
					 __u8 *opcode)
{
	const struct io_kiocb *req = kernel_at(io_kiocb, request);

	*opcode = req->opcode;
	return uring_moves(*opcode) && uring_receives(*opcode) == call->received &&
	       uring_socket(request) == (__u64)call->sk;
}

/* Says of a call that io_uring made where its bytes are, if that is to be found. */
static __noinline void uring_find(struct socket_call *call)
{
	__u64 socket = (__u64)call->sk, next, request;
	struct uring_waiting *w = bpf_map_lookup_elem(&uring_requests, &socket);
	struct uring_queue *q;
	__u8 opcode;

	if (!w)
		return;
	q = uring_way(w, call->received);
	next = q->next;
#pragma clang loop unroll(disable)
	for (int i = 0; i < URING_QUEUE; i++) {
		__u64 *place = &q->requests[(next + i) & (URING_QUEUE - 1)];

		request = *place;
		if (!request || !uring_is_for(request, call, &opcode))
			continue;
		uring_payload(&call->from, request, opcode, call->moved, false);
		if (uring_goes_on(request, opcode, call->moved))
			return;
		*place = 0;
		uring_forget(socket, w);
		return;
	}
}

#endif
