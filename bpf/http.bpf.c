/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Latency of HTTP/1 requests, seen at the sockets of every process, server and client side.
 *
 * Two tracepoints see every socket call that moved bytes, whatever the system call was; a third
 * sees the first byte arrive, a fourth the connection end, and an iterator that user space runs
 * sees connections that have gone quiet. What is known about a connection lives in the socket's
 * own storage: it needs no table of descriptors, and goes when the socket goes.
 *
 * What they do to a connection is in http_io.h.
 */
#include "bpf/http_io.h"
#include "bpf/kernel.h"
#include "bpf/uring_asked.h"
#include "bpf/uring_waiting.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct http_conn);
} conns SEC(".maps");

/* A call that failed for good; the end of the connection may have been left to it. */
static __noinline int socket_failed(struct sock *sk, int err)
{
	struct http_conn *c;

	if (!is_broken(err) || !capturing || !socket_wanted(sk))
		return 0;
	c = bpf_sk_storage_get(&conns, sk, 0, 0);
	if (c)
		conn_reset(c, sk);
	return 0;
}

/* Where the bytes of the call are, if it is none that the running task made by a system call. */
static __always_inline void call_source(struct socket_call *call)
{
	if (payload_in_call())
		return;
	call->from.known = true;
	call->from.call.number = NR_NONE;
	if (uring_followed && !(bpf_get_current_task_btf()->flags & PF_KTHREAD))
		uring_find(call);
}

static __always_inline void socket_moved(struct sock *sk, int moved, bool received)
{
	struct socket_call call = {
		.sk = sk,
		.queue_ns = HTTP_QUEUE_UNKNOWN,
		.moved = moved,
		.received = received,
	};

	if (moved <= 0) {
		socket_failed(sk, moved);
		return;
	}
	if (!capturing || !socket_wanted(sk))
		return;
	call.c = bpf_sk_storage_get(&conns, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	/* Of those that are passed over bytes are looked at only for what is within TLS. */
	if (!call.c || !call.c->ignored || tls_traced)
		call_source(&call);
	if (call.c)
		conn_moved(&call);
	else
		conn_missing(&call);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(http_received, struct sock *sk, int ret, int flags)
{
	__u64 began = cost_begin(HTTP_COST_RECEIVED);

	if (!(flags & (MSG_PEEK | MSG_ERRQUEUE)))
		socket_moved(sk, ret, true);
	if (began)
		cost_end(HTTP_COST_RECEIVED, began);
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(http_sent, struct sock *sk, int ret, int flags)
{
	__u64 began = cost_begin(HTTP_COST_SENT);

	socket_moved(sk, ret, false);
	if (began)
		cost_end(HTTP_COST_SENT, began);
	return 0;
}

/* Requests of io_uring, for which sockets are called behind no system call of their own; uring_asked.h. */
SEC("tp_btf/io_uring_complete")
int BPF_PROG(http_uring_done, void *ring, void *request)
{
	__u64 began;
	__u8 opcode;

	if (!uring_followed || !request)
		return 0;
	opcode = kernel_at(io_kiocb, request)->opcode;
	if (!uring_moves(opcode) || !capturing)
		return 0;
	began = cost_begin(HTTP_COST_URING_DONE);
	uring_take_off((__u64)request, opcode);
	if (began)
		cost_end(HTTP_COST_URING_DONE, began);
	return 0;
}

static __always_inline void socket_arrived(struct sock *sk)
{
	struct http_conn *c;
	__u64 now;

	/*
	 * Listening sockets come by here as well. One that has ended its sending half, or just got the
	 * FIN of its peer in the segment of these bytes, is established no longer.
	 */
	if (!capturing || !socket_wanted(sk) || sk->__sk_common.skc_state == TCP_LISTEN)
		return;
	c = bpf_sk_storage_get(&conns, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!c || c->ignored)
		return;
	now = socket_clock(sk);
	conn_arrived(c, sk, now ? now : bpf_ktime_get_ns());
}

SEC("tp_btf/sk_data_ready")
int BPF_PROG(http_arrived, struct sock *sk)
{
	__u64 began = cost_begin(HTTP_COST_ARRIVED);

	socket_arrived(sk);
	if (began)
		cost_end(HTTP_COST_ARRIVED, began);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(http_state, struct sock *sk, int old_state, int new_state)
{
	struct http_conn *c;

	/* Of requests whose completion found no room, as many do when a process is killed, nobody tells. */
	if (uring_followed && new_state == TCP_CLOSE)
		uring_forget_all((__u64)sk);
	if (!state_matters(old_state, new_state) || !capturing)
		return 0;
	c = bpf_sk_storage_get(&conns, sk, 0,
			       new_state == TCP_SYN_SENT ? BPF_SK_STORAGE_GET_F_CREATE : 0);
	if (c)
		conn_state(c, sk, old_state, new_state);
	return 0;
}

SEC("iter/bpf_sk_storage_map")
int http_sweep(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	/* Loaded once: the verifier trusts the very pointer that was looked at. */
	struct http_conn *c = ctx->value;
	struct sock *sk = ctx->sk;

	if (!sk || !c)
		return 0;
	sweep_kept++;
	conn_sweep(c, sk);
	return 0;
}
