/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The programs of those who have no tracepoints of socket calls: every system call is seen as it
 * returns, and those that may have moved bytes lead by their descriptor to a socket. What is known
 * about its connection lies in a table, by the socket's address: tracked.h. What they do to a
 * connection is in http_io.h. Kernel side.
 *
 * Compiled twice, for tracepoints that vouch for what they hand over (tier B) and for raw ones
 * (tier C). Who includes this says first by which: SEES(name of a tracepoint).
 */
#ifndef VOW_BPF_HTTP_CALLS_H
#define VOW_BPF_HTTP_CALLS_H

#define SOCKETS_FOUND
#include "bpf/http_io.h"
#include "bpf/kernel.h"
#include "bpf/socket_find.h"
#include "bpf/tracked.h"
#ifndef KERNEL_UNTYPED
#include "bpf/uring_asked.h"
#include "bpf/uring_calls.h"
#endif

/* ---- socket calls ----------------------------------------------------------------------------- */

static __noinline int socket_failed(struct sock *sk)
{
	struct tracked *t = tracked_find(sk);

	if (t)
		conn_reset(&t->conn, sk);
	return 0;
}

/* With the registers of the call, or NULL and where its bytes are. */
static __always_inline int socket_moved(struct sock *sk, const struct pt_regs *regs,
					const struct payload_source *from, int moved, bool received)
{
	struct tracked_key key = {.address = (__u64)sk};
	struct tracked *t = bpf_map_lookup_elem(&conns, &key);
	struct socket_call call = {
		.sk = sk,
		.queue_ns = HTTP_QUEUE_UNKNOWN,
		.moved = moved,
		.received = received,
	};

	if (!t || !tracked_is_of(t, sk)) {
		if (!socket_wanted(sk))
			return 0;
		t = tracked_get(sk);
	}
	if (from) {
		call.from = *from;
	} else {
		/* Read anew: numbers that the verifier knows already would multiply its work. */
		asm volatile("" : "+r"(regs));
		payload_call_of(&call.from.call, regs);
	}
	if (t) {
		call.c = &t->conn;
		conn_moved(&call);
		if (!sweep_wanted && !t->conn.ignored)
			sweep_wanted = 1;
	} else {
		conn_missing(&call);
	}
	return 0;
}

static __always_inline void call_returned(const struct moving_call *call,
					  const struct pt_regs *regs, long ret)
{
	struct sock *sk = NULL;
	bool received = false;

	if (call->sends != NO_DESCRIPTOR)
		sk = socket_find(call->sends);
	if (!sk && call->receives != NO_DESCRIPTOR) {
		sk = socket_find(call->receives);
		received = true;
	}
	if (!sk)
		return;
	if (ret < 0)
		socket_failed(sk);
	else
		socket_moved(sk, regs, NULL, ret, received);
}

/* All other system calls pass the first lines, uncounted: it would take half as much again. */
SEES("sys_exit")
int BPF_PROG(http_called, struct pt_regs *regs, long ret)
{
	struct moving_call call;
	__u64 began;

	if ((ret <= 0 && !is_broken(ret)) || !call_moves(&call, regs) || !capturing ||
	    !call_is_native(regs) || call.flags & (MSG_PEEK | MSG_ERRQUEUE))
		return 0;
	began = cost_begin(HTTP_COST_CALLED);
	call_returned(&call, regs, ret);
	if (began)
		cost_end(HTTP_COST_CALLED, began);
	return 0;
}

/* ---- io_uring --------------------------------------------------------------------------------- */

#ifndef KERNEL_UNTYPED

static __always_inline int uring_completed(struct uring_result *r)
{
	struct payload_source from = {0};
	struct sock *sk;

	if (!uring_result_find(r))
		return 0;
	sk = (struct sock *)uring_socket(r->request);
	if (!sk || uring_peeks(r))
		return 0;
	if (r->moved < 0)
		return socket_failed(sk);
	uring_payload(&from, r->request, r->opcode, r->moved, true);
	/* When the process is on its way out the kernel's own threads tell, without its memory. */
	if (kernel_task()->flags & PF_KTHREAD)
		from.call.number = NR_NONE;
	return socket_moved(sk, NULL, &from, r->moved, uring_receives(r->opcode));
}

SEES("io_uring_complete")
int http_uring_done(__u64 *arguments)
{
	struct uring_result r = {0};
	__u64 began;

	if (!uring_followed || !capturing || !uring_result_of(&r, arguments) ||
	    (r.moved <= 0 && !is_broken(r.moved)))
		return 0;
	began = cost_begin(HTTP_COST_URING_DONE);
	uring_completed(&r);
	if (began)
		cost_end(HTTP_COST_URING_DONE, began);
	return 0;
}

#endif

/* ---- arrival, end, silence -------------------------------------------------------------------- */

/* Whether a segment that TCP has not taken apart yet has data behind its head. */
static __always_inline bool segment_has_data(const struct sk_buff *segment)
{
	__u8 words = 0; /* of the head, in the upper half */

	/* Longer than any head. */
	if (kernel_field(segment, len) > 60)
		return true;
	bpf_probe_read_kernel(&words, 1, kernel_field(segment, data) + 12);
	return kernel_field(segment, len) > (words >> 4) * 4U;
}

/* A segment of an established connection; TCP's own clock is not set for it yet. */
static __always_inline void segment_arrived(struct sock *sk, struct sk_buff *segment)
{
	struct tracked *t;

	if (!capturing || !segment_has_data(segment))
		return;
	t = tracked_get(sk);
	if (t && !t->conn.ignored)
		conn_arrived(&t->conn, sk, bpf_ktime_get_ns());
}

SEES("tcp_probe")
int BPF_PROG(http_arrived, struct sock *sk, struct sk_buff *segment)
{
	__u64 began = cost_begin(HTTP_COST_ARRIVED);

	segment_arrived(sk, segment);
	if (began)
		cost_end(HTTP_COST_ARRIVED, began);
	return 0;
}

SEES("inet_sock_set_state")
int BPF_PROG(http_state, struct sock *sk, int old_state, int new_state)
{
	struct tracked *t;

	if (new_state == TCP_ESTABLISHED || new_state == TCP_SYN_SENT)
		socket_identify(sk);
	if (!state_matters(old_state, new_state) || !capturing)
		return 0;
	t = new_state == TCP_SYN_SENT ? tracked_get(sk) : tracked_find(sk);
	if (!t)
		return 0;
	conn_state(&t->conn, sk, old_state, new_state);
	/* A socket that came to its end may connect once more. */
	t->closed = new_state == TCP_CLOSE;
	return 0;
}

#endif
