/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Latency of HTTP/1 requests, seen at the sockets of every process, server and client side.
 *
 * Two tracepoints see every socket call that moved bytes, whatever the system call was; a third
 * sees the first byte arrive, a fourth the connection end, and an iterator that user space runs
 * sees connections that have gone quiet. What is known about a connection lives in the socket's
 * own storage: it needs no table of descriptors, and goes when the socket goes.
 *
 * The life of a connection is a small machine, told in conn_phase below. A pair of request and
 * response ends by its promised length, by the next request, by the end of the connection, or by
 * silence; whoever takes the connection from PHASE_RESPONSE (or PHASE_REQUEST) to PHASE_IDLE
 * reports it, once.
 */
#include "bpf/http_head.h"
#include "bpf/http_record.h"
#include "bpf/kernel.h"
#include "bpf/payload.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

enum conn_phase {
	PHASE_NEW, /* no message seen yet; which side asks is not known */
	PHASE_IDLE, /* between a response and the next request */
	PHASE_REQUEST, /* a request began, no response yet */
	PHASE_RESPONSE, /* a response began */
	PHASE_IGNORED, /* not HTTP/1, or no longer */
};

#define FAILS_MAX      4 /* calls without a message before a connection is given up */
#define FAIL_BYTES_MAX 4096 /* or this many bytes in them */

#define LEFT_UNKNOWN (~0ULL)
#define IDLE_NS	     100000000ULL /* silence after which a response of unknown length has ended */

#define EPIPE	   32
#define ECONNRESET 104
#define ETIMEDOUT  110

/*
 * One connection as one of its ends sees it. Written by whoever makes the socket call; the two
 * ready fields by the receive path of the kernel, on any processor.
 */
struct http_conn {
	__u64 ready_at; /* first byte arrived that was not read since; 0 none */
	__u64 ready_last; /* latest arrival */
	__u64 started_at;
	__u64 asked_at; /* latest bytes of a request */
	__u64 first_at; /* first and latest bytes of the response */
	__u64 last_at;
	__u64 queue_ns;
	__u64 cgroup_id;
	__u64 request_bytes;
	__u64 response_bytes;
	__u64 left; /* bytes of the response still to come */
	__u32 pid;
	__u32 phase; /* enum conn_phase */
	__u32 fail_bytes;
	__u16 local_port; /* kept here, since a socket that closes gives it up before it tells */
	__u16 status;
	__u8 role;
	__u8 method;
	__u8 flags;
	__u8 fails;
	__u8 held; /* bytes in path[] of a head that goes on in the next read */
	__u8 path_open; /* what goes on there is the path, behind its method */
	__u8 chunked; /* 0, 1: the response ends by a chunk of length 0, 2: that was sent */
	__u64 command[2];
	__u64 path[HTTP_PATH_MAX / 8];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct http_conn);
} conns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20); /* user space sets its own size before loading */
} records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HTTP_COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

/* Room to read heads into: [0] for sends, [1] for receives, since they may interrupt each other. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct head_text);
} texts SEC(".maps");

const volatile __u32 own_tgid; /* the agent itself is not measured */

/* Set by user space once every program is attached, so that no request is seen only in half. */
__u32 capturing;

/* Filled by one run of the sweep; user space sets them to 0 before. */
__u64 sweep_open; /* connections that speak HTTP */
__u64 sweep_in_flight; /* requests without the end of a response */
__u64 sweep_oldest_at; /* when the oldest of them began, 0 none */

static __always_inline void counter_add(__u32 counter, __u64 n)
{
	__u64 *value = bpf_map_lookup_elem(&counters, &counter);

	/* Atomic, since the receive path may interrupt a process that counts. */
	if (value)
		__sync_fetch_and_add(value, n);
}

static __always_inline void count_lost(__u32 reason)
{
	counter_add(HTTP_SEEN, 1);
	counter_add(reason, 1);
}

static __always_inline bool socket_wanted(const struct sock *sk)
{
	__u16 family = sk->__sk_common.skc_family;

	return (family == AF_INET || family == AF_INET6 || family == AF_UNIX) &&
	       sk->sk_type == SOCK_STREAM;
}

/* ---- the end of a pair ------------------------------------------------------------------------ */

static __always_inline void record_peer(struct http_record *r, const struct sock *sk)
{
	__u32 *address = (__u32 *)r->remote_address;

	r->family = sk->__sk_common.skc_family;
	r->remote_port = 0;
	address[0] = address[1] = address[2] = address[3] = 0;
	if (r->family == AF_UNIX)
		return;
	r->remote_port = __builtin_bswap16(sk->__sk_common.skc_dport);
	if (r->family == AF_INET) {
		address[0] = sk->__sk_common.skc_daddr;
	} else {
		address[0] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[0];
		address[1] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[1];
		address[2] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[2];
		address[3] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[3];
	}
}

/* Reports the pair of a connection that is in `phase`, unless another thread just did. */
static __always_inline void conn_finish(struct http_conn *c, const struct sock *sk, __u32 phase,
					__u8 outcome)
{
	struct http_record *r;

	if (__sync_val_compare_and_swap(&c->phase, phase, PHASE_IDLE) != phase)
		return;
	counter_add(HTTP_SEEN, 1);
	if (phase == PHASE_RESPONSE && (c->last_at < c->first_at || c->first_at < c->started_at)) {
		counter_add(HTTP_TORN, 1);
		return;
	}
	r = bpf_ringbuf_reserve(&records, sizeof(*r), 0);
	if (!r) {
		counter_add(HTTP_RING_FULL, 1);
		return;
	}
	r->started_at = c->started_at;
	r->total_ns = 0;
	r->first_byte_ns = 0;
	r->status = 0;
	r->response_bytes = 0;
	if (phase == PHASE_RESPONSE) {
		r->total_ns = c->last_at - c->started_at;
		r->first_byte_ns = c->first_at - c->started_at;
		r->status = c->status;
		r->response_bytes = c->response_bytes;
	}
	r->queue_ns = c->queue_ns;
	r->cgroup_id = c->cgroup_id;
	r->request_bytes = c->request_bytes;
	r->pid = c->pid;
	r->local_port = c->local_port;
	record_peer(r, sk);
	r->role = c->role;
	r->method = c->method;
	r->outcome = outcome;
	r->flags = c->flags;
	r->reserved = 0;
	((__u64 *)r->command)[0] = c->command[0];
	((__u64 *)r->command)[1] = c->command[1];
#pragma unroll
	for (int i = 0; i < HTTP_PATH_MAX / 8; i++)
		r->path[i] = c->path[i];
	bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
}

static __always_inline void conn_ignore(struct http_conn *c)
{
	c->phase = PHASE_IGNORED;
	counter_add(HTTP_IGNORED, 1);
}

/* A call that moved bytes in which no message begins where one should. */
static __always_inline void conn_fail(struct http_conn *c, __u32 moved)
{
	c->fails++;
	c->fail_bytes += moved;
	if (c->fails >= FAILS_MAX || c->fail_bytes > FAIL_BYTES_MAX)
		conn_ignore(c);
}

/* ---- reading heads ---------------------------------------------------------------------------- */

/*
 * Reads the beginning of a payload behind the `held` bytes that the text already has. Returns
 * false when nothing could be read.
 */
static __always_inline bool text_read(struct head_text *t, const struct payload *p, __u32 held,
				      __u32 room)
{
	__u32 n = p->length;

	if (!n)
		return false;
	if (n > room)
		n = room;
	asm volatile("%0 &= 127" : "+r"(held));
	if (bpf_probe_read_user((char *)t->words + held, n, (const void *)p->at)) {
		t->length = 0;
		return false;
	}
	t->length = held + n;
	*(__u64 *)((char *)t->words + held + n) = 0;
	return true;
}

/* Text of what may be a request: what was held from the call before, then the payload. */
static __always_inline bool request_read(struct head_text *t, const struct http_conn *c,
					 const struct payload *p)
{
	__u32 held = c->held;

#pragma unroll
	for (int i = 0; i < HTTP_PATH_MAX / 8; i++)
		t->words[i] = held ? c->path[i] : 0;
	t->words[HTTP_PATH_MAX / 8] = 0;
	t->words[HTTP_PATH_MAX / 8 + 1] = 0;
	/* A fixed room: held bytes and these stay below HTTP_PATH_MAX + 16 of which all is read. */
	return text_read(t, p, held, HTTP_PATH_MAX + 16);
}

/* ---- requests --------------------------------------------------------------------------------- */

static __always_inline void request_begin(struct http_conn *c, const struct sock *sk, __u64 now,
					  __u64 queue_ns, __u32 moved)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;

	/* A connection mostly stays with one process, whose names are asked for once. */
	if (pid != c->pid) {
		c->pid = pid;
		c->cgroup_id = bpf_get_current_cgroup_id();
		bpf_get_current_comm(c->command, sizeof(c->command));
	}
	c->local_port = sk->__sk_common.skc_family == AF_UNIX ? 0 : sk->__sk_common.skc_num;
	c->started_at = now;
	c->asked_at = now;
	c->queue_ns = queue_ns;
	c->request_bytes = moved;
	c->response_bytes = 0;
	c->flags = 0;
	c->fails = 0;
	c->fail_bytes = 0;
	c->held = 0;
	c->path_open = false;
	c->status = 0;
}

/* The path behind the method, or behind what was held of it. */
static __always_inline void request_path(struct http_conn *c, const struct head_text *t, __u32 at)
{
	__u32 length = t->length;

	asm volatile("%0 &= 15" : "+r"(at));
	c->path_open = false;
	c->held = 0;
	if (head_path_copy(c->path, (const char *)t->words + at))
		return;
	if (length - at >= HTTP_PATH_MAX) {
		c->flags |= HTTP_PATH_CUT;
		return;
	}
	c->path_open = true;
	c->held = length - at;
}

/*
 * Bytes in the direction of requests, or in any direction while that is not known. Returns
 * whether they begin a request.
 */
static __always_inline bool request_seen(struct http_conn *c, const struct sock *sk,
					 struct head_text *t, const struct payload *p, __u64 now,
					 __u64 queue_ns, __u32 moved, bool received)
{
	enum http_method method;
	__u32 path_at = 0;

	if (!request_read(t, c, p))
		return false;
	method = head_method(t->words[0], &path_at);
	if (method == HTTP_METHOD_NONE) {
		if (t->length < 8 && head_may_begin(t->words[0], t->length)) {
			if (c->phase == PHASE_RESPONSE)
				conn_finish(c, sk, PHASE_RESPONSE, HTTP_COMPLETE);
			if (!c->held)
				c->queue_ns = queue_ns;
			c->path[0] = t->words[0];
			c->held = t->length;
			return true;
		}
		c->held = 0;
		return false;
	}
	if (c->phase == PHASE_RESPONSE)
		conn_finish(c, sk, PHASE_RESPONSE, HTTP_COMPLETE);
	if (c->held)
		queue_ns = c->queue_ns;
	request_begin(c, sk, now, queue_ns, moved);
	c->role = received ? HTTP_SERVER : HTTP_CLIENT;
	c->method = method;
	request_path(c, t, path_at);
	c->phase = PHASE_REQUEST;
	return true;
}

/* More bytes while a request is open: the rest of its head, its body, or one pipelined. */
static __always_inline void request_more(struct http_conn *c, struct head_text *t,
					 const struct payload *p, __u64 now, __u32 moved)
{
	c->asked_at = now;
	c->request_bytes += moved;
	if (c->path_open && request_read(t, c, p))
		request_path(c, t, 0);
}

/* ---- responses -------------------------------------------------------------------------------- */

/* A response moved `moved` more bytes. */
static __always_inline void response_more(struct http_conn *c, const struct sock *sk, __u64 now,
					  __u64 moved)
{
	c->last_at = now;
	c->response_bytes += moved;
	if (c->left == LEFT_UNKNOWN) {
		if (c->chunked && payload_tail(moved) == WORD('0', '\r', '\n', '\r', '\n', 0, 0, 0))
			c->chunked = 2;
		return;
	}
	if (moved < c->left) {
		c->left -= moved;
		return;
	}
	if (moved > c->left)
		count_lost(HTTP_COLLAPSED);
	conn_finish(c, sk, PHASE_RESPONSE, HTTP_COMPLETE);
}

/* How many bytes the response in t will take, head included, if it says so. */
static __always_inline void response_length(struct http_conn *c, struct head_text *t, __u16 status)
{
	__u64 body;

	c->left = LEFT_UNKNOWN;
	c->chunked = 0;
	/* These have no body, whatever length they announce; silence ends them. */
	if (c->method == HTTP_HEAD || status == 204 || status == 304)
		return;
	head_scan(t);
	if (t->chunked)
		c->chunked = 1;
	else if (t->end && t->length_at && head_length(t, &body))
		c->left = t->end + body;
}

/* The request that a response answers had come with, or right behind, an earlier one. */
static __always_inline void request_assume(struct http_conn *c, const struct sock *sk)
{
	request_begin(c, sk, c->asked_at, HTTP_QUEUE_UNKNOWN, 0);
	c->method = HTTP_METHOD_NONE;
	c->flags = HTTP_PIPELINED;
#pragma unroll
	for (int i = 0; i < HTTP_PATH_MAX / 8; i++)
		c->path[i] = 0;
}

/* Bytes in the direction of responses. Returns whether they belong to one. */
static __always_inline bool response_seen(struct http_conn *c, const struct sock *sk,
					  struct head_text *t, struct payload *p, __u64 now,
					  __u64 queue_ns, __u32 moved)
{
	__u16 status;

	if (c->phase == PHASE_RESPONSE && (c->left != LEFT_UNKNOWN || c->chunked == 1)) {
		response_more(c, sk, now, moved);
		return true;
	}
	if (!text_read(t, p, 0, HEAD_MAX))
		status = 0;
	else
		status = head_status(t->words[0], t->words[1]);
	if (status && status < 200 && status != 101) {
		/* An interim answer; the final one may share the call. */
		head_scan(t);
		if (!t->end || t->end >= t->length)
			return true;
		p->at += t->end;
		p->length -= t->end;
		moved -= t->end;
		status = text_read(t, p, 0, HEAD_MAX) ? head_status(t->words[0], t->words[1]) : 0;
	}
	if (!status) {
		if (c->phase != PHASE_RESPONSE)
			return false;
		response_more(c, sk, now, moved);
		return true;
	}
	if (c->phase == PHASE_RESPONSE)
		conn_finish(c, sk, PHASE_RESPONSE, HTTP_COMPLETE);
	if (c->phase == PHASE_IDLE)
		request_assume(c, sk);
	if (c->role == HTTP_CLIENT)
		c->queue_ns = queue_ns;
	c->status = status;
	c->first_at = now;
	response_length(c, t, status);
	c->phase = PHASE_RESPONSE;
	response_more(c, sk, now, moved);
	if (status == 101) {
		conn_finish(c, sk, PHASE_RESPONSE, HTTP_COMPLETE);
		conn_ignore(c);
	}
	return true;
}

/* Bytes handed to the socket that the peer has not acknowledged. */
static __always_inline bool socket_outstanding(struct sock *sk)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);

	return tcp && tcp->write_seq != tcp->snd_una;
}

/* What became of an open pair when its connection ended; reset: the peer broke it off. */
static __always_inline __u8 outcome_at_end(const struct http_conn *c, struct sock *sk, __u32 phase,
					   bool reset, bool peer_closed)
{
	bool gone = c->role == HTTP_SERVER && (reset || peer_closed);

	if (phase == PHASE_REQUEST)
		return gone ? HTTP_CLIENT_GONE : HTTP_NO_RESPONSE;
	if (c->left != LEFT_UNKNOWN)
		return gone ? HTTP_CLIENT_GONE : HTTP_TRUNCATED;
	if (c->role == HTTP_SERVER && reset && (c->chunked == 1 || socket_outstanding(sk)))
		return HTTP_CLIENT_GONE;
	return HTTP_COMPLETE;
}

/* The peer has broken the connection: what is open now will never end. */
static __always_inline void conn_reset(struct http_conn *c, struct sock *sk)
{
	__u32 phase = c->phase;

	if (phase == PHASE_REQUEST || phase == PHASE_RESPONSE)
		conn_finish(c, sk, phase, outcome_at_end(c, sk, phase, true, false));
}

/* ---- socket calls ----------------------------------------------------------------------------- */

/* Whether there are bytes that the process has not read. */
static __always_inline bool socket_unread(struct sock *sk)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);

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
static __always_inline void conn_missing(struct head_text *t, const struct payload *p)
{
	__u32 path_at;

	if (text_read(t, p, 0, 16) && head_method(t->words[0], &path_at) != HTTP_METHOD_NONE)
		count_lost(HTTP_STORAGE_FAILED);
}

/* First bytes of a connection. */
static __always_inline void conn_first(struct http_conn *c, const struct sock *sk,
				       struct head_text *t, struct payload *p, __u64 now,
				       __u64 queue_ns, __u32 moved, bool received)
{
	if (!p->length) {
		counter_add(HTTP_NO_PAYLOAD, 1);
		conn_fail(c, moved);
		return;
	}
	if (request_seen(c, sk, t, p, now, queue_ns, moved, received))
		return;
	if (t->length >= 16 && head_status(t->words[0], t->words[1])) {
		/* Older than our attachment; what follows can be followed. */
		count_lost(HTTP_UNCLASSIFIED);
		c->role = received ? HTTP_CLIENT : HTTP_SERVER;
		c->phase = PHASE_IDLE;
		c->asked_at = now;
		return;
	}
	conn_fail(c, moved);
}

/* A call that failed for good; the end of the connection may have been left to it, see below. */
static __always_inline int socket_failed(struct sock *sk, int err)
{
	struct http_conn *c;

	if ((err != -EPIPE && err != -ECONNRESET) || !capturing || !socket_wanted(sk))
		return 0;
	c = bpf_sk_storage_get(&conns, sk, 0, 0);
	if (c)
		conn_reset(c, sk);
	return 0;
}

/* The bytes of a connection that speaks HTTP, whose asking side is known. */
static __always_inline void conn_moved(struct http_conn *c, const struct sock *sk,
				       struct head_text *t, struct payload *p, __u64 now,
				       __u64 queue_ns, __u32 moved, bool received)
{
	if ((c->role == HTTP_SERVER) != received) {
		if (!response_seen(c, sk, t, p, now, queue_ns, moved))
			conn_fail(c, moved);
		return;
	}
	if (c->phase == PHASE_REQUEST)
		request_more(c, t, p, now, moved);
	else if (c->phase == PHASE_RESPONSE && c->left != LEFT_UNKNOWN)
		c->asked_at = now; /* asked before this response has ended */
	else if (!request_seen(c, sk, t, p, now, queue_ns, moved, received) &&
		 c->phase == PHASE_IDLE)
		conn_fail(c, moved);
}

static __always_inline int socket_moved(struct sock *sk, int moved, bool received)
{
	__u32 direction = received;
	struct payload p;
	struct http_conn *c;
	struct head_text *t;
	__u64 now, queue_ns = HTTP_QUEUE_UNKNOWN;

	if (moved <= 0)
		return socket_failed(sk, moved);
	if (!capturing || !socket_wanted(sk))
		return 0;
	if (bpf_get_current_pid_tgid() >> 32 == own_tgid)
		return 0;
	c = bpf_sk_storage_get(&conns, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (c && c->phase == PHASE_IGNORED)
		return 0;
	t = bpf_map_lookup_elem(&texts, &direction);
	if (!t)
		return 0;
	payload_first(&p, moved);
	if (!c) {
		conn_missing(t, &p);
		return 0;
	}
	now = bpf_ktime_get_ns();
	if (received)
		queue_ns = queue_take(c, sk, now);
	if (c->phase == PHASE_NEW)
		conn_first(c, sk, t, &p, now, queue_ns, moved, received);
	else
		conn_moved(c, sk, t, &p, now, queue_ns, moved, received);
	if (sk->__sk_common.skc_state == TCP_CLOSE &&
	    (c->role == HTTP_SERVER || !socket_unread(sk)))
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
	if (!c || c->phase == PHASE_IGNORED)
		return 0;
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
	if (new_state != TCP_FIN_WAIT1 && new_state != TCP_LAST_ACK && new_state != TCP_CLOSE)
		return 0;
	c = bpf_sk_storage_get(&conns, sk, 0, 0);
	if (!c)
		return 0;
	phase = c->phase;
	if (phase != PHASE_REQUEST && phase != PHASE_RESPONSE)
		return 0;
	if (c->role == HTTP_CLIENT && still_reading(sk, old_state, new_state))
		return 0;
	/*
	 * A reset that comes to light inside a socket call may be the answer to the bytes which
	 * that very call sends: they are seen first when it returns, and it ends the pair.
	 */
	if (reset && !own && sk->sk_lock.owned)
		return 0;
	conn_finish(c, sk, phase, outcome_at_end(c, sk, phase, reset, old_state == TCP_CLOSE_WAIT));
	if (reset)
		c->phase = PHASE_IGNORED;
	return 0;
}

/* Whether silence means that the response has ended. */
static __always_inline bool response_idle(const struct http_conn *c, struct sock *sk, __u64 now)
{
	if (c->left != LEFT_UNKNOWN || c->chunked == 1 || now - c->last_at < IDLE_NS)
		return false;
	return c->role == HTTP_CLIENT || !socket_outstanding(sk);
}

SEC("iter/bpf_sk_storage_map")
int http_sweep(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct http_conn *c = ctx->value;
	struct sock *sk = ctx->sk;
	__u64 now;

	if (!sk || !c || c->phase == PHASE_NEW || c->phase == PHASE_IGNORED)
		return 0;
	sweep_open++;
	if (c->phase == PHASE_IDLE)
		return 0;
	now = bpf_ktime_get_ns();
	if (c->phase == PHASE_RESPONSE && response_idle(c, sk, now)) {
		conn_finish(c, sk, PHASE_RESPONSE, HTTP_COMPLETE);
		return 0;
	}
	sweep_in_flight++;
	if (!sweep_oldest_at || c->started_at < sweep_oldest_at)
		sweep_oldest_at = c->started_at;
	return 0;
}
