/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which socket a TLS connection goes by, for processes whose calls of a TLS library are probed
 * (tls_calls.bpf.c). Kernel side.
 *
 * A library that reads and writes the socket itself does so within the call that is probed: the
 * thread then says which SSL it is in. Programs that move the encrypted bytes on their own (Node,
 * asyncio) send them right behind the call that made them: then the next bytes that the thread
 * sends are those, if they look like it.
 *
 * Turns (tls_turns.h) count what goes by a socket until a request is read or written in the clear
 * within its SSL; from then on that one's pairs count, and the turn that began with it is dropped,
 * unseen. So each request is counted once, and what never speaks HTTP/1 keeps its turns.
 */
#ifndef VOW_BPF_TLS_LINK_H
#define VOW_BPF_TLS_LINK_H

#include "bpf/http_message.h"
#include "bpf/socket.h"
#include "bpf/tls_turns.h"

#define TLS_CONNS_MAX 16384 /* at once; further ones keep their turns */
#define LINK_BESIDE   1024 /* bytes that may go with those of a call: heads of records, tickets */

/* What a thread does with TLS. */
struct tls_thread {
	struct tls_key key; /* the SSL that it is in, or was in last; ssl 0: none */
	__u64 buffer; /* arguments of that call */
	__u64 count_at; /* where it will say how many bytes it moved; 0: it returns them */
	__u32 made; /* bytes that the last call wrote into the SSL, which was not seen to send them */
	__u8 call; /* enum tls_call of collectors/tls/tls_sites.h */
	__u8 within; /* it is in that call */
	__u8 pending; /* what that call made may be what the thread sends next */
};

/* A TLS connection of a process. Written by who calls for it; the socket's end and the sweep end it. */
struct tls_conn {
	__u64 socket; /* its address */
	__u64 received_at; /* when bytes were received that were not read in the clear yet; 0: none */
	__u64 queue_ns; /* how long those had been in the socket */
	__u32 over; /* enum tls_over */
	__u8 taken; /* its pairs count, turns do not */
	__u8 broken; /* the peer has reset it */
	struct http_conn conn;
};

enum tls_over {
	TLS_LIVES,
	TLS_OVER, /* its SSL or its socket is no more */
	TLS_SWEPT, /* the sweep saw that */
	TLS_FORGOTTEN, /* user space was told to delete it */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct tls_thread);
} tls_threads SEC(".maps");

/* User space leaves it tiny where nobody may ask for probes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, TLS_CONNS_MAX);
	__type(key, struct tls_key);
	__type(value, struct tls_conn);
} tls_conns SEC(".maps");

__u32 tls_traced; /* set by user space: somebody's calls are probed */

static const struct tls_conn nothing_within;

/* What goes by a socket, NULL when nobody knows. */
static __always_inline struct tls_conn *link_find(const struct http_conn *c, const struct sock *sk)
{
	struct tls_conn *tc;

	if (!c->ssl.ssl)
		return NULL;
	tc = bpf_map_lookup_elem(&tls_conns, &c->ssl);
	return tc && tc->socket == (__u64)sk ? tc : NULL;
}

/* ---- making links ----------------------------------------------------------------------------- */

/* Makes the entry of an SSL that had another socket one of this; false when it is being deleted. */
static __noinline bool link_renew(struct tls_conn *tc)
{
	__u32 over = tc->over, phase = tc->conn.phase;

	if (over == TLS_FORGOTTEN ||
	    __sync_val_compare_and_swap(&tc->over, over, TLS_LIVES) != over)
		return false;
	if (phase == PHASE_REQUEST || phase == PHASE_RESPONSE)
		conn_finish(&tc->conn, phase, HTTP_NO_RESPONSE);
	tc->received_at = 0;
	tc->taken = false;
	tc->broken = false;
	__builtin_memset(&tc->conn, 0, sizeof(tc->conn));
	return true;
}

static __noinline void link_make(struct socket_call *call, const struct tls_thread *thread)
{
	struct tls_conn *tc = bpf_map_lookup_elem(&tls_conns, &thread->key);
	__u64 socket = (__u64)call->sk;

	if (!tc) {
		bpf_map_update_elem(&tls_conns, &thread->key, &nothing_within, BPF_NOEXIST);
		tc = bpf_map_lookup_elem(&tls_conns, &thread->key);
	} else if (tc->over == TLS_LIVES && tc->socket != socket && !thread->within) {
		return;
	} else if ((tc->over != TLS_LIVES || tc->socket != socket) && !link_renew(tc)) {
		return;
	}
	if (!tc)
		return;
	tc->socket = socket;
	record_peer(&tc->conn.record, call->sk);
	/* Of the first request, whoever counts it. */
	tc->conn.record.opening_ns = call->c->record.opening_ns;
	call->c->ssl = thread->key;
}

/* Whether the bytes that are sent may be those that the last call of the thread has made. */
static __always_inline bool link_fits(const struct socket_call *call,
				      const struct tls_thread *thread)
{
	const __u8 handshake = call->c->tls.state;
	struct payload p;
	__u32 first = 0;

	if (call->received)
		return false;
	if (!thread->made)
		return handshake == TLS_ASKED || handshake == TLS_ANSWERED;
	if (call->moved < thread->made + TLS_TAG ||
	    call->moved > thread->made + thread->made / 8 + LINK_BESIDE)
		return false;
	payload_first(&p, &call->from, call->moved);
	return p.length >= TLS_HEADER && !bpf_probe_read_user(&first, 3, (const void *)p.at) &&
	       (first >> 8 & 0xff) == 3 && (__u8)first >= 20 && (__u8)first <= TLS_DATA;
}

/* Looks whether the thread that made this call is, or just was, in a call of a TLS library. */
static __noinline void link_look(struct socket_call *call)
{
	struct tls_thread *thread =
		bpf_task_storage_get(&tls_threads, bpf_get_current_task_btf(), 0, 0);

	if (!thread || !thread->key.ssl ||
	    socket_field(call->sk, __sk_common.skc_family) == AF_UNIX)
		return;
	if (!thread->within) {
		bool fits = thread->pending && link_fits(call, thread);

		thread->pending = false;
		thread->made = 0;
		if (!fits)
			return;
	}
	link_make(call, thread);
}

/* ---- who counts ------------------------------------------------------------------------------- */

/* A request was seen in the clear: the turn that began with it goes, the one before it has ended. */
static __always_inline void link_turns_end(struct http_conn *c)
{
	__u32 phase = c->phase;

	c->tls.state = TLS_TAKEN;
	if (phase == PHASE_RESPONSE)
		conn_finish(c, phase, HTTP_COMPLETE);
	else if (phase == PHASE_REQUEST)
		__sync_val_compare_and_swap(&c->phase, phase, PHASE_IDLE);
}

/* Whether what ends, or was broken, within this socket's TLS is told elsewhere. */
static __noinline bool link_taken(struct http_conn *c, struct sock *sk, bool broken)
{
	struct tls_conn *tc = link_find(c, sk);

	if (tc && broken)
		tc->broken = true;
	if (tc && tc->taken)
		link_turns_end(c);
	return c->tls.state == TLS_TAKEN;
}

/*
 * Bytes moved on a connection that speaks TLS: looks what goes by it. Returns whether turns are to
 * see them.
 */
static __noinline bool link_turns(struct http_conn *c, struct socket_call *call)
{
	struct tls_conn *tc;

	if (!c->ssl.ssl && tls_traced)
		link_look(call);
	tc = link_find(c, call->sk);
	if (tc && tc->taken && c->tls.state != TLS_TAKEN)
		link_turns_end(c);
	return c->tls.state < TLS_LOST;
}

/* Notes when bytes came that are to be read within; the turn that they begin knows when it began. */
static __noinline void link_received(const struct http_conn *c, const struct socket_call *call)
{
	struct tls_conn *tc = link_find(c, call->sk);

	if (!tc)
		return;
	if (!tc->taken && c->phase == PHASE_REQUEST) {
		tc->received_at = c->record.started_at;
		tc->queue_ns = c->record.queue_ns;
	} else if (!tc->received_at) {
		tc->received_at = call->now;
		tc->queue_ns = call->queue_ns;
	}
}

/*
 * A connection that was given up may be one of TLS that is older than vowd. Returns whether it is
 * known by now what goes by it.
 */
static __noinline bool link_ignored(struct socket_call *call)
{
	struct http_conn *c = call->c;

	if (!tls_traced || bpf_get_current_pid_tgid() >> 32 == own_tgid)
		return false;
	link_look(call);
	if (!c->ssl.ssl)
		return false;
	c->ignored = false;
	c->phase = PHASE_IDLE;
	c->tls.state = TLS_LOST;
	return true;
}

#endif
