/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The same as http.bpf.c for kernels without the tracepoints of socket calls: every system call is
 * seen as it returns, and those that may have moved bytes lead by their descriptor to a socket.
 * What is known about its connection lies in a table, by the socket's address.
 *
 * Addresses are used again. An entry is of the socket that it says when both have the same
 * identity: the cookie of an Internet socket, given to it here as it connects, or the number of an
 * AF_UNIX socket's inode; sockets older than the programs have no cookie, and are told apart by
 * their end. Entries are never taken from under a program that uses them: of a socket that has
 * gone the sweep ends what was open, and at its next turn, when no program from before still runs,
 * user space deletes the entry. A new socket at that address takes it over instead.
 *
 * What they do to a connection is in http_io.h.
 */
#define SOCKETS_FOUND
#include "bpf/http_io.h"
#include "bpf/kernel.h"
#include "bpf/socket_find.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define TRACKED_MAX 65536 /* sockets at once; further ones count as storage_failed */

enum life {
	LIFE_ON,
	LIFE_OVER, /* the sweep found that the socket has gone */
	LIFE_DELETED, /* user space was told to delete it */
};

struct tracked {
	__u64 identity;
	__u32 life; /* enum life */
	__u8 local; /* an AF_UNIX socket */
	__u8 closed; /* came to TCP_CLOSE; what it has is perhaps still being read */
	struct http_conn conn;
};

/* Not made in advance: memory of deleted entries must not be another one's while it is in use. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, TRACKED_MAX);
	__type(key, __u64);
	__type(value, struct tracked);
} conns SEC(".maps");

static const struct tracked nothing;

/* ---- entries ---------------------------------------------------------------------------------- */

/* The socket of a connection is no more, and nobody told. */
static __noinline void conn_gone(struct http_conn *c)
{
	__u32 phase = c->phase;

	if (phase == PHASE_REQUEST || phase == PHASE_RESPONSE)
		conn_finish(c, phase, outcome_at_end(c, NULL, phase, false, false));
}

static __always_inline __u64 socket_identity(struct sock *sk, bool local)
{
	struct socket_alloc *socket;

	if (!local)
		return socket_field(sk, __sk_common.skc_cookie.counter);
	socket = (struct socket_alloc *)socket_field(sk, sk_socket);
	return socket ? BPF_CORE_READ(socket, vfs_inode.i_ino) : 0;
}

/* Whether the entry is of the socket that is at its address now. */
static __always_inline bool tracked_is_of(struct tracked *t, struct sock *sk)
{
	__u64 identity = socket_identity(sk, t->local);

	if (t->life != LIFE_ON)
		return false;
	if (t->identity != identity) {
		/* Others ask for cookies too: then an old socket gets one while it lives. */
		if (t->identity || t->local)
			return false;
		t->identity = identity;
	}
	return !t->closed || socket_field(sk, __sk_common.skc_state) == TCP_CLOSE;
}

/* Makes an entry that was of another socket one of this; false when it is being deleted. */
static __noinline bool tracked_renew(struct tracked *t, struct sock *sk)
{
	__u32 life = t->life;

	if (life == LIFE_DELETED || __sync_val_compare_and_swap(&t->life, life, LIFE_ON) != life)
		return false;
	conn_gone(&t->conn);
	t->local = socket_field(sk, __sk_common.skc_family) == AF_UNIX;
	t->closed = false;
	t->identity = socket_identity(sk, t->local);
	__builtin_memset(&t->conn, 0, sizeof(t->conn));
	return true;
}

/* The entry of a socket, NULL when there is none. */
static __always_inline struct tracked *tracked_find(struct sock *sk)
{
	__u64 key = (__u64)sk;
	struct tracked *t = bpf_map_lookup_elem(&conns, &key);

	return t && tracked_is_of(t, sk) ? t : NULL;
}

/* A new entry; NULL when there is no room. */
static __noinline struct tracked *tracked_new(struct sock *sk)
{
	__u64 key = (__u64)sk;
	struct tracked *t;

	bpf_map_update_elem(&conns, &key, &nothing, BPF_NOEXIST);
	t = bpf_map_lookup_elem(&conns, &key);
	if (t) {
		t->local = socket_field(sk, __sk_common.skc_family) == AF_UNIX;
		t->identity = socket_identity(sk, t->local);
	}
	return t;
}

/* The entry of a socket that is wanted, new or not; NULL when there is no room. */
static __noinline struct tracked *tracked_get(struct sock *sk)
{
	__u64 key = (__u64)sk;
	struct tracked *t = bpf_map_lookup_elem(&conns, &key);

	if (!t)
		return tracked_new(sk);
	return tracked_is_of(t, sk) || tracked_renew(t, sk) ? t : NULL;
}

/* ---- socket calls ----------------------------------------------------------------------------- */

static __noinline int socket_failed(struct sock *sk)
{
	struct tracked *t = tracked_find(sk);

	if (t)
		conn_reset(&t->conn, sk);
	return 0;
}

static __always_inline int socket_moved(struct sock *sk, const struct pt_regs *regs, int moved,
					bool received)
{
	__u64 key = (__u64)sk;
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
		if (!t)
			t = tracked_new(sk);
		else if (!tracked_renew(t, sk))
			t = NULL;
	}
	/* Read anew: numbers that the verifier knows already would multiply its work. */
	asm volatile("" : "+r"(regs));
	payload_call_of(&call.from.call, regs);
	if (t) {
		call.c = &t->conn;
		conn_moved(&call);
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
		socket_moved(sk, regs, ret, received);
}

/* All other system calls pass the first lines, uncounted: it would take half as much again. */
SEC("tp_btf/sys_exit")
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

/* ---- arrival, end, silence -------------------------------------------------------------------- */

/* Whether a segment that TCP has not taken apart yet has data behind its head. */
static __always_inline bool segment_has_data(const struct sk_buff *segment)
{
	__u8 words = 0; /* of the head, in the upper half */

	/* Longer than any head. */
	if (segment->len > 60)
		return true;
	bpf_probe_read_kernel(&words, 1, segment->data + 12);
	return segment->len > (words >> 4) * 4U;
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

SEC("tp_btf/tcp_probe")
int BPF_PROG(http_arrived, struct sock *sk, struct sk_buff *segment)
{
	__u64 began = cost_begin(HTTP_COST_ARRIVED);

	segment_arrived(sk, segment);
	if (began)
		cost_end(HTTP_COST_ARRIVED, began);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(http_state, struct sock *sk, int old_state, int new_state)
{
	struct tracked *t;

	if (new_state == TCP_ESTABLISHED || new_state == TCP_SYN_SENT)
		bpf_get_socket_cookie(sk);
	if (!state_matters(old_state, new_state) || !capturing)
		return 0;
	t = new_state == TCP_SYN_SENT ? tracked_get(sk) : tracked_find(sk);
	if (!t)
		return 0;
	conn_state(&t->conn, sk, old_state, new_state);
	if (new_state == TCP_CLOSE)
		t->closed = true;
	return 0;
}

/* Whether the socket of an entry has gone, or is about to: nobody has it, and it is closed. */
static __always_inline bool tracked_is_over(struct tracked *t, struct sock *sk)
{
	if (!tracked_is_of(t, sk))
		return true;
	return !t->local && !socket_field(sk, sk_socket) &&
	       (t->closed || socket_field(sk, __sk_common.skc_state) == TCP_CLOSE);
}

/* Writes the keys of entries that user space is to delete. */
SEC("iter/bpf_map_elem")
int http_sweep(struct bpf_iter__bpf_map_elem *ctx)
{
	struct tracked *t = ctx->value;
	__u64 *at = ctx->key, key;
	struct sock *sk;

	if (!t || !at)
		return 0;
	key = *at;
	sk = (struct sock *)key;
	sweep_kept++;
	if (t->life == LIFE_OVER)
		__sync_val_compare_and_swap(&t->life, LIFE_OVER, LIFE_DELETED);
	if (t->life == LIFE_DELETED) {
		bpf_seq_write(ctx->meta->seq, &key, sizeof(key));
	} else if (tracked_is_over(t, sk)) {
		conn_gone(&t->conn);
		__sync_val_compare_and_swap(&t->life, LIFE_ON, LIFE_OVER);
	} else {
		conn_sweep(&t->conn, sk);
	}
	return 0;
}
