/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Latency of HTTP/1 requests, seen at the sockets of every process, server and client side.
 *
 * Two tracepoints see every socket call that moved bytes, whatever the system call was; a third
 * sees the first byte arrive, a fourth the connection end, and an iterator that user space runs
 * sees connections that have gone quiet. What is known about a connection lives in the socket's
 * own storage: it needs no table of descriptors, and goes when the socket goes.
 *
 * The life of a connection is a small machine, told in http_conn.h. A pair of request and
 * response ends by its promised length, by the next request, by the end of the connection, or by
 * silence; whoever takes the connection from PHASE_RESPONSE (or PHASE_REQUEST) to PHASE_IDLE
 * reports it, once.
 */
#include "bpf/http_conn.h"
#include "bpf/http_message.h"
#include "bpf/http_record.h"
#include "bpf/kernel.h"
#include "bpf/payload.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 own_tgid; /* the agent itself is not measured */

/*
 * Set by user space once every program is attached, so that no request is seen only in half, and
 * taken back before the last drain.
 */
__u32 capturing;

/* Filled by one run of the sweep; user space sets them to 0 before. */
__u64 sweep_open; /* connections that speak HTTP */
__u64 sweep_in_flight; /* requests without the end of a response */
__u64 sweep_oldest_at; /* when the oldest of them began, 0 none */

/* The TCP part of a socket, NULL when it has none. The cast costs nothing, unlike a helper. */
static __always_inline const struct tcp_sock *tcp_of(struct sock *sk)
{
	if (sk->sk_protocol != IPPROTO_TCP || sk->__sk_common.skc_family == AF_UNIX)
		return NULL;
	return bpf_rdonly_cast(sk, bpf_core_type_id_kernel(struct tcp_sock));
}

/*
 * When TCP last handled a packet of this socket, asking the clock itself; to ask it again would
 * take 36 ns, a third of http_arrived. 0 for other sockets, or if the kernel keeps no such time.
 */
static __always_inline __u64 socket_clock(struct sock *sk)
{
	const struct tcp_sock *tcp = tcp_of(sk);

	return tcp && bpf_core_field_exists(tcp->tcp_clock_cache) ? tcp->tcp_clock_cache : 0;
}

/* Bytes handed to the socket that the peer has not acknowledged. */
static __always_inline bool socket_outstanding(struct sock *sk)
{
	const struct tcp_sock *tcp = tcp_of(sk);

	return tcp && tcp->write_seq != tcp->snd_una;
}

/* What became of an open pair when its connection ended; reset: the peer broke it off. */
static __always_inline __u8 outcome_at_end(const struct http_conn *c, struct sock *sk, __u32 phase,
					   bool reset, bool peer_closed)
{
	bool gone = c->record.role == HTTP_SERVER && (reset || peer_closed);

	if (phase == PHASE_REQUEST)
		return gone ? HTTP_CLIENT_GONE : HTTP_NO_RESPONSE;
	if (c->left != LEFT_UNKNOWN)
		return gone ? HTTP_CLIENT_GONE : HTTP_TRUNCATED;
	if (c->record.role == HTTP_SERVER && reset && (c->chunked == 1 || socket_outstanding(sk)))
		return HTTP_CLIENT_GONE;
	return HTTP_COMPLETE;
}

/* The peer has broken the connection: what is open now will never end. */
static __noinline void conn_reset(struct http_conn *c, struct sock *sk)
{
	__u32 phase = c->phase;

	if (phase == PHASE_REQUEST || phase == PHASE_RESPONSE)
		conn_finish(c, phase, outcome_at_end(c, sk, phase, true, false));
}

/* ---- socket calls ----------------------------------------------------------------------------- */

/* Whether there are bytes that the process has not read. */
static __always_inline bool socket_unread(struct sock *sk)
{
	const struct tcp_sock *tcp = tcp_of(sk);

	return tcp ? tcp->rcv_nxt != tcp->copied_seq : sk->sk_receive_queue.qlen != 0;
}

/* How long the first of the bytes just read had been in the socket. */
static __always_inline __u64 queue_take(struct http_conn *c, struct sock *sk, __u64 now)
{
	/* Taken first, looked for rest after: an arrival in between is stamped by itself. */
	__u64 ready = __sync_lock_test_and_set(&c->ready_at, 0);

	if (socket_unread(sk) && !c->ready_at)
		c->ready_at = c->ready_last;
	return ready && ready <= now ? now - ready : HTTP_QUEUE_UNKNOWN;
}

/* The state of a socket could not be had: was it a request that is lost? */
static __noinline void conn_missing(__u32 moved, __u32 direction)
{
	struct head_text *t = bpf_map_lookup_elem(&texts, &direction);
	struct payload p;
	__u32 path_at;

	payload_first(&p, bpf_get_current_task_btf(), moved);
	if (t && text_read(t, &p, 0, 16) && head_method(t->words[0], &path_at) != HTTP_METHOD_NONE)
		count_lost(HTTP_STORAGE_FAILED);
}

/* Bytes of the asking side, or of an unknown one, that begin no request. */
static __noinline void conn_no_request(struct socket_call *call)
{
	struct http_conn *c = call->c;
	const struct head_text *t = call->t;

	if (c->phase == PHASE_NEW) {
		if (!call->p.length) {
			counter_add(HTTP_NO_PAYLOAD, 1);
		} else if (t->length >= 16 && head_status(t->words[0], t->words[1])) {
			/* Older than our attachment; what follows can be followed. */
			count_lost(HTTP_UNCLASSIFIED);
			c->record.role = call->received ? HTTP_CLIENT : HTTP_SERVER;
			c->phase = PHASE_IDLE;
			c->asked_at = call->now;
			return;
		}
		conn_fail(c, call->moved);
	} else if (c->phase == PHASE_IDLE) {
		/*
		 * The middle of requests that came behind one another, or the rest of a body that
		 * was answered before it was read. A connection that speaks HTTP/1 no longer is
		 * given up for what goes the other way.
		 */
		c->asked_at = call->now;
	}
}

/* A call that failed for good; the end of the connection may have been left to it, see below. */
static __noinline int socket_failed(struct sock *sk, int err)
{
	struct http_conn *c;

	if ((err != -EPIPE && err != -ECONNRESET) || !capturing || !socket_wanted(sk))
		return 0;
	c = bpf_sk_storage_get(&conns, sk, 0, 0);
	if (c)
		conn_reset(c, sk);
	return 0;
}

/* Bytes that say what they are by where they come: no look at them is needed. */
static __always_inline bool conn_moved_blind(const struct socket_call *call)
{
	struct http_conn *c = call->c;

	if (c->phase == PHASE_NEW)
		return false;
	if ((c->record.role == HTTP_SERVER) != call->received) {
		if (!response_goes_on(c))
			return false;
		response_more(c, call->now, call->moved);
		return true;
	}
	if (c->phase == PHASE_REQUEST) {
		/* The rest of its head, its body, or a pipelined one. */
		c->asked_at = call->now;
		c->record.request_bytes += call->moved;
		return !c->path_open;
	}
	if (c->phase == PHASE_RESPONSE && c->left != LEFT_UNKNOWN) {
		/* Asked before this response has ended. */
		c->asked_at = call->now;
		return true;
	}
	return false;
}

/* Bytes that only a look at them tells apart. */
static __always_inline void conn_look(struct socket_call *call)
{
	struct http_conn *c = call->c;
	__u32 direction = call->received;

	call->t = bpf_map_lookup_elem(&texts, &direction);
	if (!call->t)
		return;
	call->task = bpf_get_current_task_btf();
	payload_first(&call->p, call->task, call->moved);
	if (c->phase != PHASE_NEW && (c->record.role == HTTP_SERVER) != call->received) {
		if (!response_seen(call))
			conn_fail(c, call->moved);
	} else if (c->phase == PHASE_REQUEST) {
		request_path_more(c, call->t, &call->p);
	} else if (!request_seen(call)) {
		conn_no_request(call);
	}
}

/* Whether all that the process handed over has left. */
static __always_inline bool socket_sent_all(struct sock *sk)
{
	const struct tcp_sock *tcp = tcp_of(sk);

	return tcp && tcp->snd_nxt == tcp->write_seq;
}

/*
 * When a socket call ended; for a client's request, when its last packet left within that call,
 * which is nearer to its first byte. Not for a response: on loopback its end would be early by
 * what the receiver does within the call, 6 to 26 us.
 */
static __always_inline __u64 socket_moved_at(struct sock *sk, const struct http_conn *c,
					     bool received)
{
	__u64 at = 0;

	if (!received && c->phase == PHASE_IDLE && c->record.role == HTTP_CLIENT &&
	    socket_sent_all(sk))
		at = socket_clock(sk);
	return at ? at : bpf_ktime_get_ns();
}

static __always_inline int socket_moved(struct sock *sk, int moved, bool received)
{
	struct socket_call call = {
		.sk = sk,
		.queue_ns = HTTP_QUEUE_UNKNOWN,
		.moved = moved,
		.received = received,
	};
	struct http_conn *c;

	if (moved <= 0)
		return socket_failed(sk, moved);
	if (!capturing || !socket_wanted(sk))
		return 0;
	c = bpf_sk_storage_get(&conns, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!c) {
		conn_missing(moved, received);
		return 0;
	}
	if (c->ignored)
		return 0;
	if (c->phase == PHASE_NEW && bpf_get_current_pid_tgid() >> 32 == own_tgid) {
		c->ignored = true;
		return 0;
	}
	call.c = c;
	call.now = socket_moved_at(sk, c, received);
	if (received)
		call.queue_ns = queue_take(c, sk, call.now);
	if (!conn_moved_blind(&call))
		conn_look(&call);
	if (sk->__sk_common.skc_state == TCP_CLOSE &&
	    (c->record.role == HTTP_SERVER || !socket_unread(sk)))
		conn_reset(c, sk);
	return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(http_received, struct sock *sk, int ret, int flags)
{
	if (flags & (MSG_PEEK | MSG_ERRQUEUE))
		return 0;
	return socket_moved(sk, ret, true);
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(http_sent, struct sock *sk, int ret, int flags)
{
	return socket_moved(sk, ret, false);
}

/* ---- arrival, end, silence -------------------------------------------------------------------- */

SEC("tp_btf/sk_data_ready")
int BPF_PROG(http_arrived, struct sock *sk)
{
	struct http_conn *c;
	__u64 now;

	/* Listening sockets come by here as well. */
	if (!capturing || !socket_wanted(sk) || sk->__sk_common.skc_state != TCP_ESTABLISHED)
		return 0;
	c = bpf_sk_storage_get(&conns, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!c || c->ignored)
		return 0;
	now = socket_clock(sk);
	if (!now)
		now = bpf_ktime_get_ns();
	c->ready_last = now;
	if (!c->ready_at)
		c->ready_at = now;
	return 0;
}

static __always_inline bool is_reset(int err)
{
	return err == ECONNRESET || err == EPIPE || err == ETIMEDOUT;
}

/*
 * A client may end its sending half and go on reading; even when both halves have ended, what
 * lies in the socket is still to be read, or is being read right now.
 */
static __always_inline bool still_reading(struct sock *sk, int old_state, int new_state)
{
	if (new_state != TCP_CLOSE)
		return !(sk->sk_shutdown & RCV_SHUTDOWN);
	if (sk->sk_err || old_state == TCP_ESTABLISHED || old_state == TCP_CLOSE_WAIT)
		return false;
	return sk->sk_lock.owned || socket_unread(sk);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(http_state, struct sock *sk, int old_state, int new_state)
{
	bool own = sk->sk_shutdown & SEND_SHUTDOWN;
	bool reset = new_state == TCP_CLOSE && is_reset(sk->sk_err);
	struct http_conn *c;
	__u32 phase;

	/* The peer's FIN (to CLOSE_WAIT) ends nothing: it may still wait for the response. */
	if (new_state != TCP_FIN_WAIT1 && new_state != TCP_LAST_ACK && new_state != TCP_CLOSE &&
	    new_state != TCP_SYN_SENT)
		return 0;
	if (!capturing)
		return 0;
	c = bpf_sk_storage_get(&conns, sk, 0, 0);
	if (!c || c->ignored)
		return 0;
	if (new_state == TCP_SYN_SENT) {
		/* A socket that was connected before gets another peer. */
		c->record.family = 0;
		return 0;
	}
	phase = c->phase;
	if (phase != PHASE_REQUEST && phase != PHASE_RESPONSE)
		return 0;
	if (c->record.role == HTTP_CLIENT && still_reading(sk, old_state, new_state))
		return 0;
	/*
	 * A reset that comes to light inside a socket call may be the answer to the bytes which
	 * that very call sends: they are seen first when it returns, and it ends the pair.
	 */
	if (reset && !own && sk->sk_lock.owned)
		return 0;
	conn_finish(c, phase, outcome_at_end(c, sk, phase, reset, old_state == TCP_CLOSE_WAIT));
	if (reset)
		c->ignored = true;
	return 0;
}

/* Whether silence means that the response has ended. */
static __always_inline bool response_idle(const struct http_conn *c, struct sock *sk, __u64 now)
{
	if (c->left != LEFT_UNKNOWN || c->chunked == 1 || now - c->last_at < IDLE_NS)
		return false;
	return c->record.role == HTTP_CLIENT || !socket_outstanding(sk);
}

SEC("iter/bpf_sk_storage_map")
int http_sweep(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct http_conn *c = ctx->value;
	struct sock *sk = ctx->sk;
	__u64 now;

	if (!sk || !c || c->phase == PHASE_NEW || c->ignored)
		return 0;
	sweep_open++;
	if (c->phase == PHASE_IDLE)
		return 0;
	now = bpf_ktime_get_ns();
	if (c->phase == PHASE_RESPONSE && response_idle(c, sk, now)) {
		conn_finish(c, PHASE_RESPONSE, HTTP_COMPLETE);
		return 0;
	}
	sweep_in_flight++;
	if (!sweep_oldest_at || c->record.started_at < sweep_oldest_at)
		sweep_oldest_at = c->record.started_at;
	return 0;
}
