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
 *
 * When a process is to be probed no longer, user space first takes it from tls_processes and sweeps:
 * that releases its links, which from then on neither side follows. Turns count again from the next
 * request of the socket. What was under way is unclear, and counted as that when the link is
 * forgotten: by then whatever still ran in a probe has ended.
 */
#ifndef VOW_BPF_TLS_LINK_H
#define VOW_BPF_TLS_LINK_H

#include "bpf/http_message.h"
#include "bpf/socket.h"
#include "bpf/tls_turns.h"

#define TLS_CONNS_MAX 16384 /* at once; further ones keep their turns */
#define TLS_PROCESSES_MAX \
	256 /* more than user space traces: those that go and those that come overlap */
#define LINK_BESIDE  1024 /* bytes that may go with those of a call: heads of records, tickets */
#define LINK_GONE_NS 250000000ULL /* how long nobody finds a link before it is forgotten */

/* What a thread does with TLS. */
struct tls_thread {
	struct tls_key key; /* the SSL that it is in, or was in last; ssl 0: none */
	__u64 buffer; /* arguments of that call */
	__u64 count_at; /* where it will say how many bytes it moved; 0: it returns them */
	__u64 turn; /* of tls_processes, in which it began */
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
	__u64 gone_at; /* when nobody found it any more */
	__u32 over; /* enum tls_over */
	__u32 taken; /* enum tls_taken */
	__u8 broken; /* the peer has reset it */
	__u8 asked; /* what went by the socket last came from the client */
	__u8 told; /* and that, or its beginning, was seen in the clear */
	struct http_conn conn;
};

enum tls_over {
	TLS_LIVES,
	TLS_OVER, /* its SSL or its socket is no more */
	TLS_SWEPT, /* the sweep saw that; from here on nobody finds it */
	TLS_RELEASED, /* the sweep saw that its process is probed no longer */
	TLS_FORGOTTEN, /* user space was told to delete it */
};

enum tls_taken {
	TLS_TURNS, /* turns count what goes by it */
	TLS_PAIRS, /* its pairs count; the socket has yet to drop the turn */
	TLS_PAIRS_TOLD, /* it has */
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

/*
 * The processes that are probed, by pid: which of all turns of probing this is. Written by user space,
 * once all probes are there and before the first one goes. What a thread noted in another turn says
 * nothing: calls may have returned unseen between both.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, TLS_PROCESSES_MAX);
	__type(key, __u64);
	__type(value, __u64);
} tls_processes SEC(".maps");

__u32 tls_traced; /* set by user space: somebody's calls are probed */

static const struct tls_conn nothing_within;

/* In which turn a process is probed; 0: it is not, or no longer. */
static __always_inline __u64 link_turn(__u64 pid)
{
	const __u64 *turn = bpf_map_lookup_elem(&tls_processes, &pid);

	return turn ? *turn : 0;
}

static __always_inline bool link_lives(const struct tls_conn *tc)
{
	return tc->over < TLS_SWEPT;
}

/* What goes by a socket, NULL when nobody knows. */
static __always_inline struct tls_conn *link_find(const struct http_conn *c, const struct sock *sk)
{
	struct tls_conn *tc;

	if (!c->ssl.ssl)
		return NULL;
	tc = bpf_map_lookup_elem(&tls_conns, &c->ssl);
	return tc && tc->socket == (__u64)sk && link_lives(tc) ? tc : NULL;
}

/* ---- releasing links --------------------------------------------------------------------------- */

/* Whether the response has ended, as far as anybody can know: only what follows would say so. */
static __always_inline bool link_answered(const struct http_conn *c)
{
	return c->left == LEFT_UNKNOWN &&
	       (c->chunked == 2 || response_bodyless(c, c->record.status));
}

/*
 * Accounts for what was under way within an SSL that was released: called once, by who ends the
 * entry. The client's request that was only on its way to the socket is the next turn there.
 */
static __always_inline void link_settle(struct tls_conn *tc)
{
	struct http_conn *c = &tc->conn;
	__u32 phase = c->phase;

	/* The socket did not come to know: its turn counts instead. */
	if (__sync_val_compare_and_swap(&tc->taken, TLS_PAIRS, TLS_TURNS) != TLS_PAIRS_TOLD)
		return;
	if (phase == PHASE_RESPONSE && link_answered(c)) {
		conn_finish(c, phase, HTTP_COMPLETE);
	} else if (phase == PHASE_REQUEST || phase == PHASE_RESPONSE) {
		c->phase = PHASE_IDLE;
		if (phase == PHASE_RESPONSE || c->record.role == HTTP_SERVER || tc->asked)
			count_lost(HTTP_TLS_UNCLEAR);
	} else if (tc->asked && !tc->told) {
		count_lost(HTTP_TLS_UNCLEAR);
	}
}

/* ---- making links ----------------------------------------------------------------------------- */

/* Makes the entry of an SSL that had another socket one of this; false when it is being deleted. */
static __always_inline bool link_renew(struct tls_conn *tc)
{
	__u32 over = tc->over, phase = tc->conn.phase;

	if (over == TLS_FORGOTTEN ||
	    __sync_val_compare_and_swap(&tc->over, over, TLS_LIVES) != over)
		return false;
	if (over == TLS_RELEASED)
		link_settle(tc);
	else if (phase == PHASE_REQUEST || phase == PHASE_RESPONSE)
		conn_finish(&tc->conn, phase, HTTP_NO_RESPONSE);
	tc->received_at = 0;
	tc->taken = TLS_TURNS;
	tc->broken = false;
	tc->asked = false;
	tc->told = false;
	__builtin_memset(&tc->conn, 0, sizeof(tc->conn));
	return true;
}

static __always_inline void link_make(struct socket_call *call, const struct tls_thread *thread)
{
	struct tls_conn *tc = bpf_map_lookup_elem(&tls_conns, &thread->key);
	__u64 socket = (__u64)call->sk, turn = link_turn(thread->key.pid);

	if (!turn || turn != thread->turn)
		return;
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
static __always_inline void link_turns_end(struct http_conn *c, const struct tls_conn *tc)
{
	__u32 phase = c->phase;

	c->tls.state = TLS_TAKEN;
	if (phase == PHASE_RESPONSE)
		conn_finish(c, phase, HTTP_COMPLETE);
	else if (phase == PHASE_REQUEST)
		__sync_val_compare_and_swap(&c->phase, phase, PHASE_IDLE);
	/* Of one that is older than vowd only this says who asks. */
	c->record.role = tc->conn.record.role;
	/* The first request within has it, so no later turn. */
	c->record.opening_ns = 0;
}

/* Lets the socket know, once, that a request was seen in the clear. */
static __always_inline void link_tell(struct http_conn *c, struct tls_conn *tc)
{
	if (tc->taken == TLS_TURNS || c->tls.state == TLS_TAKEN)
		return;
	if (__sync_val_compare_and_swap(&tc->taken, TLS_PAIRS, TLS_PAIRS_TOLD) != TLS_TURNS)
		link_turns_end(c, tc);
}

/* Whether what ends, or was broken, within this socket's TLS is told elsewhere. */
static __noinline bool link_taken(struct http_conn *c, struct sock *sk, bool broken)
{
	struct tls_conn *tc = link_find(c, sk);

	if (tc && broken)
		tc->broken = true;
	if (tc)
		link_tell(c, tc);
	return c->tls.state == TLS_TAKEN;
}

/* What goes by a socket; an SSL that went by it and is no more, or was released, is taken off it. */
static __always_inline struct tls_conn *link_renewed(struct http_conn *c, struct socket_call *call)
{
	struct tls_conn *tc = c->ssl.ssl ? bpf_map_lookup_elem(&tls_conns, &c->ssl) : NULL;

	if (tc && tc->socket != (__u64)call->sk)
		return NULL;
	if (tc && link_lives(tc))
		return tc;
	if (tc)
		link_tell(c, tc);
	if (c->ssl.ssl)
		c->ssl.ssl = 0;
	if (!tls_traced)
		return NULL;
	link_look(call);
	return link_find(c, call->sk);
}

/* Whether the call moved the beginning of a record of data. */
static __noinline bool link_data_begins(const struct socket_call *call)
{
	struct payload p;
	__u64 first = 0;

	payload_first(&p, &call->from, call->moved);
	return p.length >= TLS_HEADER &&
	       !bpf_probe_read_user(&first, TLS_HEADER, (const void *)p.at) &&
	       (first & 0xffffff) == (TLS_DATA | 3 << 8 | 3 << 16) &&
	       (__u16)(__builtin_bswap16(first >> 24) - 1) < TLS_RECORD_MAX;
}

/* Turns count again on a connection that nothing was open on, from the record that begins. */
static __always_inline void link_again(struct http_conn *c)
{
	c->phase = PHASE_IDLE;
	c->left = LEFT_UNKNOWN;
	c->doubtful = 0;
	c->tls.shared = false;
	c->tls.tickets = 0;
	c->tls.odd = false;
	c->tls.paused = false;
	__builtin_memset(&c->asks, 0, sizeof(c->asks));
	__builtin_memset(&c->answers, 0, sizeof(c->answers));
	c->tls.state = TLS_OPEN;
}

/*
 * Bytes moved on a connection that speaks TLS: looks what goes by it. Returns whether turns are to
 * see them.
 */
static __noinline bool link_turns(struct http_conn *c, struct socket_call *call)
{
	struct tls_conn *tc = link_renewed(c, call);
	bool asks, begins;

	if (tc)
		link_tell(c, tc);
	asks = (c->record.role == HTTP_SERVER) == call->received;
	begins = asks && !c->tls.asked;
	c->tls.asked = asks;
	if (tc) {
		tc->asked = asks;
		if (begins)
			tc->told = false;
	}
	/* What the client says behind an answer is a request, wherever its connection was left. */
	if (begins && c->tls.state == TLS_TAKEN && !(tc && tc->taken) && link_data_begins(call))
		link_again(c);
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
