/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What happens to a connection, whatever way it was seen: bytes moved, bytes arrived, the socket
 * changed its state, time passed. Kernel side. The programs that include this know how such things
 * are seen, and where what is known of a socket's connection lies.
 *
 * A pair of request and response ends by its promised length, by the next request, by the end of
 * the connection, or by silence; whoever takes the connection from PHASE_RESPONSE (or
 * PHASE_REQUEST) to PHASE_IDLE reports it, once.
 */
#ifndef VOW_BPF_HTTP_IO_H
#define VOW_BPF_HTTP_IO_H

#include "bpf/http_conn.h"
#include "bpf/http_message.h"
#include "bpf/http_record.h"
#include "bpf/http_tally.h"
#include "bpf/payload.h"
#include "bpf/socket.h"
#include "bpf/tls_link.h"
#include "bpf/tls_turns.h"

/*
 * Those that see sockets look for what goes by them within TLS; probes see no sockets. What a thread
 * does is stored with the thread, which takes pointers that the kernel vouches for.
 */
#if defined(PROBED_CALLS) || defined(KERNEL_UNTYPED)
#define TLS_LINKS 0
#else
#define TLS_LINKS 1
#endif

/*
 * Set by user space once every program is attached, so that no request is seen only in half, and
 * taken back before the last drain.
 */
__u32 capturing;

/* Filled by one run of the sweep; user space sets them to 0 before. */
__u64 sweep_kept; /* sockets of which something is kept */
__u64 sweep_open; /* connections that speak HTTP */
__u64 sweep_in_flight; /* requests without the end of a response */
__u64 sweep_oldest_at; /* when the oldest of them began, 0 none */
__u64 sweep_waiting; /* connections that silence may end something on, or that are in flight */
struct http_tally sweep_table; /* what is in flight, by process */

/* Whether the peer lacks some of the response, apart from what follows it within TLS: an alert. */
static __always_inline bool response_outstanding(const struct http_conn *c, struct sock *sk)
{
	if (c->tls.state)
		return socket_outstanding_to(sk, c->tls.sent_to);
	return socket_outstanding(sk);
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
	if (c->record.role == HTTP_SERVER && reset &&
	    (c->chunked == 1 || response_outstanding(c, sk)))
		return HTTP_CLIENT_GONE;
	return HTTP_COMPLETE;
}

/* The peer has broken the connection: what is open now will never end. */
static __noinline void conn_reset(struct http_conn *c, struct sock *sk)
{
	__u32 phase = c->phase;

	if (TLS_LINKS && link_taken(c, sk, true))
		return;
	if (phase == PHASE_REQUEST || phase == PHASE_RESPONSE)
		conn_finish(c, phase, outcome_at_end(c, sk, phase, true, false));
}

/* ---- bytes moved ------------------------------------------------------------------------------ */

/* How long the first of the bytes just read had been in the socket. */
static __always_inline __u64 queue_take(struct http_conn *c, struct sock *sk, __u64 now)
{
	/* Taken first, looked for rest after: an arrival in between is stamped by itself. */
	__u64 ready = __sync_lock_test_and_set(&c->ready_at, 0);

	if (socket_unread(sk) && !c->ready_at)
		c->ready_at = c->ready_last;
	if (!ready || ready > now)
		return HTTP_QUEUE_UNKNOWN;
	if (c->unaccepted) {
		c->unaccepted = false;
		c->record.opening_ns = now - ready;
	}
	return now - ready;
}

/* Where the bytes of the call are. */
static __always_inline void socket_call_payload(struct socket_call *call)
{
	payload_first(&call->p, &call->from, call->moved);
}

/* The state of a socket could not be had: was it a request that is lost? */
static __noinline __attribute__((unused)) void conn_missing(struct socket_call *call)
{
	__u32 direction = call->received;
	struct head_text *t = text_room(direction);
	__u32 path_at;

	socket_call_payload(call);
	if (t && text_read(t, &call->p, 0, 16) &&
	    head_method(t->words[0], &path_at) != HTTP_METHOD_NONE)
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

/* Bytes that say what they are by where they come: no look at them is needed. */
static __always_inline bool conn_moved_blind(const struct socket_call *call)
{
	struct http_conn *c = call->c;

	if (c->phase == PHASE_NEW)
		return false;
	if ((c->record.role == HTTP_SERVER) != call->received) {
		if (!response_goes_on(c))
			return false;
		response_more(call, call->moved);
		return true;
	}
	if (c->phase == PHASE_REQUEST) {
		/* The rest of its head, its body, or a pipelined one. */
		c->asked_at = call->now;
		c->record.request_bytes += call->moved;
		return !c->path_open && !c->fails && !(headers.field_count && c->body_wanted);
	}
	if (c->phase == PHASE_RESPONSE && c->left != LEFT_UNKNOWN) {
		/* Asked before this response has ended. */
		c->asked_at = call->now;
		return true;
	}
	return false;
}

/* Bytes that only a look at them tells apart, with room for what is read of them in call->t. */
static __always_inline void conn_look_at(struct socket_call *call)
{
	struct http_conn *c = call->c;

	socket_call_payload(call);
	if (c->phase != PHASE_NEW && (c->record.role == HTTP_SERVER) != call->received) {
		if (!response_seen(call))
			conn_fail(c, call->moved);
	} else if (c->phase == PHASE_REQUEST && !request_unanswered(call)) {
		call->t->body_at = 0;
		if (c->path_open)
			request_path_more(c, call->t, &call->p);
	} else if (!request_seen(call)) {
		conn_no_request(call);
	}
	if (headers.field_count)
		request_body(call);
}

static __always_inline void conn_look(struct socket_call *call)
{
	call->t = text_room(call->received);
	if (call->t)
		conn_look_at(call);
}

/*
 * When a socket call ended; for a client's request, when its last packet left within that call,
 * which is nearer to its first byte. Not for a response: on loopback its end would be early by
 * what the receiver does within the call, 6 to 26 us.
 */
static __always_inline __u64 socket_moved_at(const struct socket_call *call)
{
	const struct http_conn *c = call->c;
	__u64 at = 0;

	if (!call->received && c->phase == PHASE_IDLE && c->record.role == HTTP_CLIENT &&
	    socket_sent_all(call->sk))
		at = socket_clock(call->sk);
	return at ? at : bpf_ktime_get_ns();
}

/* A call moved bytes on a connection that may speak HTTP; fills in the rest of `call`. */
static __always_inline void conn_moved(struct socket_call *call)
{
	struct http_conn *c = call->c;
	struct sock *sk = call->sk;

	if (c->ignored && !(TLS_LINKS && link_ignored(call)))
		return;
	if (c->phase == PHASE_NEW && bpf_get_current_pid_tgid() >> 32 == own_tgid) {
		c->ignored = true;
		return;
	}
	call->now = socket_moved_at(call);
	if (call->received)
		call->queue_ns = queue_take(c, sk, call->now);
	if (c->tls.state || (c->phase == PHASE_NEW && tls_begins(call))) {
		if (!TLS_LINKS || link_turns(c, call))
			tls_moved(c, call);
		if (TLS_LINKS && c->ssl.ssl && call->received)
			link_received(c, call);
	} else if (c->tunnel) {
		conn_ignore(c);
	} else if (!conn_moved_blind(call)) {
		conn_look(call);
	}
	if (socket_field(sk, __sk_common.skc_state) == TCP_CLOSE &&
	    (c->record.role == HTTP_SERVER || !socket_unread(sk)))
		conn_reset(c, sk);
}

/* Whether a call that failed so has found the connection broken. */
static __always_inline bool is_broken(int err)
{
	return err == -EPIPE || err == -ECONNRESET;
}

/* ---- arrival, end, silence -------------------------------------------------------------------- */

/* Bytes arrived, or the peer's FIN. */
static __always_inline void conn_arrived(struct http_conn *c, const struct sock *sk, __u64 now)
{
	c->ready_last = now;
	if (c->ready_at)
		return;
	if (!socket_field(sk, sk_socket))
		c->unaccepted = true;
	c->ready_at = now;
}

/* A socket that may have been connected before sends a SYN to another peer, or got its answer. */
static __always_inline void conn_connects(struct http_conn *c, int new_state)
{
	/* Its request may be under way: with the SYN. */
	if (c->phase == PHASE_REQUEST || c->phase == PHASE_RESPONSE)
		return;
	if (new_state == TCP_SYN_SENT) {
		c->record.family = 0;
		__builtin_memset(&c->record.peer, 0, sizeof(c->record.peer));
		c->record.flags &= ~HTTP_NAMED;
		c->asked_host = false;
		c->asked_at = bpf_ktime_get_ns();
	} else if (c->asked_at) {
		c->record.opening_ns = bpf_ktime_get_ns() - c->asked_at;
	}
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
		return !(socket_field(sk, sk_shutdown) & RCV_SHUTDOWN);
	if (socket_field(sk, sk_err) || old_state == TCP_ESTABLISHED || old_state == TCP_CLOSE_WAIT)
		return false;
	return socket_field(sk, sk_lock.owned) || socket_unread(sk);
}

/*
 * Whether a state that a TCP socket comes to says something of its connection. The peer's FIN (to
 * CLOSE_WAIT) does not: it may still wait for the response.
 */
static __always_inline bool state_matters(int old_state, int new_state)
{
	return new_state == TCP_FIN_WAIT1 || new_state == TCP_LAST_ACK || new_state == TCP_CLOSE ||
	       new_state == TCP_SYN_SENT || old_state == TCP_SYN_SENT;
}

/* What a state that matters means for what is open on a connection, or within it. */
static __always_inline void conn_comes_to(struct http_conn *c, struct sock *sk, int old_state,
					  int new_state)
{
	bool own = socket_field(sk, sk_shutdown) & SEND_SHUTDOWN;
	bool reset = new_state == TCP_CLOSE && is_reset(socket_field(sk, sk_err));
	__u32 phase = c->phase;

	if (c->ignored)
		return;
	if (new_state == TCP_SYN_SENT || new_state == TCP_ESTABLISHED) {
		conn_connects(c, new_state);
		return;
	}
	if (phase != PHASE_REQUEST && phase != PHASE_RESPONSE)
		return;
	if (TLS_LINKS && link_taken(c, sk, false))
		return;
	if (c->record.role == HTTP_CLIENT && still_reading(sk, old_state, new_state))
		return;
	/*
	 * A reset that comes to light inside a socket call may be the answer to the bytes which
	 * that very call sends: they are seen first when it returns, and it ends the pair.
	 */
	if (reset && !own && socket_field(sk, sk_lock.owned))
		return;
	conn_finish(c, phase, outcome_at_end(c, sk, phase, reset, old_state == TCP_CLOSE_WAIT));
	if (reset)
		c->ignored = true;
}

/* The same for what is read in the clear within it, which does not outlive its socket. */
static __noinline void conn_state_within(struct tls_conn *tc, struct sock *sk, int old_state,
					 int new_state)
{
	conn_comes_to(&tc->conn, sk, old_state, new_state);
	if (new_state == TCP_CLOSE)
		__sync_val_compare_and_swap(&tc->over, TLS_LIVES, TLS_OVER);
}

/* The socket of a connection came to a state that matters. */
static __always_inline void conn_state(struct http_conn *c, struct sock *sk, int old_state,
				       int new_state)
{
	struct tls_conn *tc = TLS_LINKS ? link_find(c, sk) : NULL;

	conn_comes_to(c, sk, old_state, new_state);
	if (tc)
		conn_state_within(tc, sk, old_state, new_state);
}

/* After how much silence a response of unknown length has ended. */
static __always_inline __u64 response_patience(const struct http_conn *c)
{
	if (c->tls.state == TLS_NONE)
		return IDLE_NS;
	if (c->doubtful)
		return TLS_DOUBT_NS;
	return c->tls.patient ? ~0ULL : TLS_IDLE_NS;
}

/* Whether silence means that the response has ended. */
static __always_inline bool response_idle(const struct http_conn *c, struct sock *sk, __u64 now)
{
	if (c->left != LEFT_UNKNOWN || c->chunked == 1 || now - c->last_at < response_patience(c))
		return false;
	return c->record.role == HTTP_CLIENT || !response_outstanding(c, sk);
}

/* Its request goes on; its own function, as what loops is to be gone through once. */
__checked_once int conn_in_flight(const struct http_conn *c)
{
	if (c)
		tally_add(&sweep_table, &c->record, 1);
	return 0;
}

/* The sweep came by. */
static __always_inline void conn_sweep(struct http_conn *c, struct sock *sk)
{
	__u64 now;

	if (c->phase == PHASE_NEW || c->ignored)
		return;
	sweep_open++;
	if (c->phase == PHASE_IDLE)
		return;
	sweep_waiting++;
	now = bpf_ktime_get_ns();
	if (c->phase == PHASE_RESPONSE && response_idle(c, sk, now)) {
		c->tls.paused = !c->doubtful;
		conn_finish(c, PHASE_RESPONSE, HTTP_COMPLETE);
		return;
	}
	/* What waits within TLS may be no request. */
	if (c->tls.state)
		return;
	sweep_in_flight++;
	if (!sweep_oldest_at || c->record.started_at < sweep_oldest_at)
		sweep_oldest_at = c->record.started_at;
	conn_in_flight(c);
}

#endif
