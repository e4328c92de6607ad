/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the bytes of one socket call do to a connection: a request begins or goes on, a response
 * begins, goes on or ends. Kernel side.
 */
#ifndef VOW_BPF_HTTP_MESSAGE_H
#define VOW_BPF_HTTP_MESSAGE_H

#include "bpf/http_body.h"
#include "bpf/http_conn.h"
#include "bpf/http_find.h"
#include "bpf/http_head.h"
#include "bpf/payload.h"
#include "bpf/socket.h"

#define PIECE_MAX      15 /* bytes of a call that are taken up as a piece of an answer */
#define PIECES_ENOUGH  12 /* of a status line: "HTTP/1.1 200" */
#define PROXY_LINE_MAX 112 /* 107 at most, the line end included; in words */
#define INTERIMS_MAX   8 /* interim answers in one call; servers hint at things once or twice */

/*
 * One socket call that moved bytes. To functions that are __checked_once, and to who gave it to one
 * of them, pointers in here are mere numbers: hence they are handed the connection beside it.
 */
struct socket_call {
	struct sock *sk;
	struct http_conn *c;
	struct head_text *t; /* room for what is read of the payload */
	__u64 now; /* when it ended */
	__u64 queue_ns; /* how long the bytes had been in the socket */
	struct payload_source from; /* where its bytes are */
	struct payload p; /* the first stretch of them */
	__u32 moved;
	bool received;
};

/* ---- reading heads ---------------------------------------------------------------------------- */

/*
 * Reads the beginning of a payload behind the `held` bytes that the text already has, and a zero
 * word behind it. Returns false when nothing could be read.
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
	t->held = held;
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

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < HTTP_PATH_MAX / 8; i++) {
		if (8 * i >= held)
			break;
		t->words[i] = c->record.path[i];
	}
	/* A fixed room, whatever was held. */
	return text_read(t, p, held, headers.count ? FIND_ROOM : HTTP_PATH_MAX + 16);
}

/*
 * Leaves behind what a proxy says of its client in front of the first request of a connection (HAProxy's
 * PROXY protocol, of version 1 a line, of version 2 its length in the 15th and 16th byte), if that is
 * how the text that was read begins, and the call moved something behind it.
 */
static __noinline bool payload_skip_proxy(struct payload *p, const struct head_text *t)
{
	__u32 n = 0;

	if (t->held || t->length < 16)
		return false;
	if (t->words[0] == WORD('\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q') &&
	    (__u32)t->words[1] == WORD4('U', 'I', 'T', '\n')) {
		n = 16 + __builtin_bswap16(t->words[1] >> 48);
	} else if ((t->words[0] & 0x0000ffffffffffffULL) ==
		   WORD('P', 'R', 'O', 'X', 'Y', ' ', 0, 0)) {
#pragma clang loop unroll(disable)
		for (__u32 i = 0; i < PROXY_LINE_MAX && !n; i += 8) {
			__u64 hit = bytes_equal(t->words[i / 8], '\n');

			if (hit)
				n = i + byte_index(hit) + 1;
		}
		if (n > t->length)
			n = 0;
	}
	if (!n || n >= p->length)
		return false;
	p->at += n;
	p->length -= n;
	p->skipped = n;
	return true;
}

/* ---- requests --------------------------------------------------------------------------------- */

/* Both ends of a connection, which stay the same until it closes. */
static __always_inline void record_peer(struct http_record *r, const struct sock *sk)
{
	__u32 *address = (__u32 *)r->remote_address;

	r->family = socket_field(sk, __sk_common.skc_family);
	if (r->family == AF_UNIX)
		return;
	r->local_port = socket_field(sk, __sk_common.skc_num);
	r->remote_port = __builtin_bswap16(socket_field(sk, __sk_common.skc_dport));
	if (r->family == AF_INET) {
		address[0] = socket_field(sk, __sk_common.skc_daddr);
		return;
	}
	address[0] = socket_field(sk, __sk_common.skc_v6_daddr.in6_u.u6_addr32[0]);
	address[1] = socket_field(sk, __sk_common.skc_v6_daddr.in6_u.u6_addr32[1]);
	address[2] = socket_field(sk, __sk_common.skc_v6_daddr.in6_u.u6_addr32[2]);
	address[3] = socket_field(sk, __sk_common.skc_v6_daddr.in6_u.u6_addr32[3]);
}

/* The name of a thread; of one that io_uring made, that of the first thread of its process. */
static __always_inline void command_of(char *command, struct task_struct *task)
{
	if (kernel_field(task, flags) & PF_IO_WORKER)
		bpf_probe_read_kernel(command, sizeof(task->comm),
				      kernel_field(task, group_leader)->comm);
	else
		bpf_get_current_comm(command, sizeof(task->comm));
}

static __always_inline void request_begin(struct http_conn *c, const struct socket_call *call,
					  __u64 started_at, __u64 queue_ns, __u32 bytes)
{
	struct http_record *r = &c->record;
	__u32 pid = kernel_field(kernel_task(), tgid);

	/* A connection mostly stays with one process, whose names are asked for once. */
	if (pid != r->pid) {
		r->pid = pid;
		command_of(r->command, kernel_task());
	}
	/* Taken early, since a socket that closes gives up its port before it tells. */
	if (!r->family)
		record_peer(r, socket_at(call->sk));
	r->started_at = started_at;
	r->queue_ns = queue_ns;
	r->request_bytes = bytes;
	r->response_bytes = 0;
	r->status = 0;
	r->flags &= HTTP_NAMED;
	c->asked_at = call->now;
	c->piece_bytes = 0;
	c->fails = 0;
	c->fail_bytes = 0;
	c->held = 0;
	c->path_open = false;
	c->body_wanted = false;
}

/* The path behind the method, or behind what was held of it. */
static __always_inline void request_path(struct http_conn *c, const struct head_text *t, __u32 at)
{
	__u32 length = t->length;

	asm volatile("%0 &= 15" : "+r"(at));
	c->path_open = false;
	c->held = 0;
	if (spare_paths) {
		c->record.path_words = 0;
		return;
	}
	if (head_path_copy(c->record.path, (const char *)t->words + at, &c->record.path_words))
		return;
	if (length - at >= HTTP_PATH_MAX) {
		c->record.flags |= HTTP_PATH_CUT;
		return;
	}
	c->path_open = true;
	c->held = length - at;
}

/*
 * Bytes in the direction of requests, or in any direction while that is not known. Returns
 * whether they begin a request.
 */
static __always_inline bool request_seen(struct socket_call *call)
{
	struct http_conn *c = call->c;
	struct head_text *t = call->t;
	__u64 queue_ns = call->queue_ns;
	enum http_method method;
	__u32 path_at = 0;

	if (!request_read(t, c, &call->p))
		return false;
	method = head_method(t->words[0], &path_at);
	if (method == HTTP_METHOD_NONE && c->phase == PHASE_NEW &&
	    payload_skip_proxy(&call->p, t)) {
		if (!request_read(t, c, &call->p))
			return false;
		method = head_method(t->words[0], &path_at);
	}
	if (method == HTTP_METHOD_NONE) {
		if (t->length < 8 && head_may_begin(t->words[0], t->length)) {
			if (c->phase == PHASE_RESPONSE)
				conn_finish(c, PHASE_RESPONSE, HTTP_COMPLETE);
			if (!c->held)
				c->record.queue_ns = queue_ns;
			c->record.path[0] = t->words[0];
			c->held = t->length;
			return true;
		}
		c->held = 0;
		return false;
	}
	if (c->phase == PHASE_RESPONSE)
		conn_finish(c, PHASE_RESPONSE, HTTP_COMPLETE);
	if (c->held)
		queue_ns = c->record.queue_ns;
	request_begin(c, call, call->now, queue_ns, call->moved - call->p.skipped);
	c->record.role = call->received ? HTTP_SERVER : HTTP_CLIENT;
	c->record.method = method;
	request_path(c, t, path_at);
	if (headers.count && !spare_paths && !c->path_open)
		request_headers(c, t, call->received);
	c->phase = PHASE_REQUEST;
	return true;
}

/*
 * Whether a request begins behind one whose answer was no HTTP so far, which then has none: what comes
 * next in that direction would answer the wrong one.
 */
static __noinline bool request_unanswered(struct socket_call *call)
{
	struct http_conn *c = call->c;
	__u32 path_at;

	if (!c->fails || c->path_open || !text_read(call->t, &call->p, 0, 16) ||
	    head_method(call->t->words[0], &path_at) == HTTP_METHOD_NONE)
		return false;
	/* They were added before anybody looked at them. */
	c->record.request_bytes -= call->moved;
	conn_finish(c, PHASE_REQUEST, HTTP_NO_RESPONSE);
	return true;
}

/* The path of the open request goes on in this payload. */
static __noinline void request_path_more(struct http_conn *c, struct head_text *t,
					 const struct payload *p)
{
	if (!c->path_open || !request_read(t, c, p))
		return;
	request_path(c, t, 0);
	if (headers.count && !spare_paths && !c->path_open)
		request_headers(c, t, c->record.role == HTTP_SERVER);
}

/*
 * The body of the open request begins in this call, or with the next one of its sender, who may wait
 * for "100 Continue": the type of an event in it counts more than a header that tells it by its
 * presence.
 */
static __noinline void request_body(const struct socket_call *call)
{
	struct http_conn *c = call->c;
	struct head_text *t = call->t;
	struct http_record *r = &c->record;
	__u32 at = t->body_at + call->p.skipped;

	if (!c->body_wanted || c->phase != PHASE_REQUEST || at >= call->moved ||
	    (r->role == HTTP_SERVER) != call->received)
		return;
	c->body_wanted = false;
	if (spare_paths || !body_begin(&t->body, &call->from, call->moved, at) ||
	    !body_event(&t->body))
		return;
	if (!(r->flags & HTTP_NOTED))
		__builtin_memset(&r->notes, 0, sizeof(r->notes));
	__builtin_memcpy(r->notes.event, t->body.json.value, sizeof(r->notes.event));
	r->notes.has |= HTTP_HEADER_EVENT;
	r->flags |= HTTP_NOTED;
}

/* ---- responses -------------------------------------------------------------------------------- */

/* Whether the last chunk of a chunked body was among the bytes that were just moved. */
static __noinline bool response_last_chunk(const struct socket_call *call, __u32 moved)
{
	return payload_tail(&call->from, moved, call->received) ==
	       WORD('0', '\r', '\n', '\r', '\n', 0, 0, 0);
}

/* The call moved `moved` more bytes of a response. */
static __always_inline void response_more(const struct socket_call *call, __u32 moved)
{
	struct http_conn *c = call->c;

	c->last_at = call->now;
	c->record.response_bytes += moved;
	if (c->left == LEFT_UNKNOWN) {
		if (c->chunked && response_last_chunk(call, moved))
			c->chunked = 2;
		return;
	}
	if (moved < c->left) {
		c->left -= moved;
		return;
	}
	if (moved > c->left)
		count_lost(HTTP_COLLAPSED);
	conn_finish(c, PHASE_RESPONSE, HTTP_COMPLETE);
}

/* Whether the connection speaks no HTTP any more behind a response with that status. */
static __always_inline bool response_opens_tunnel(const struct http_conn *c, __u16 status)
{
	return status == 101 || (c->record.method == HTTP_CONNECT && status >= 200 && status < 300);
}

/* Whether a response has no body, whatever length it announces. */
static __always_inline bool response_bodyless(const struct http_conn *c, __u16 status)
{
	return c->record.method == HTTP_HEAD || status == 204 || status == 304 ||
	       response_opens_tunnel(c, status);
}

/* Ends HTTP/1 with the response. Within a tunnel TLS may begin, and is followed as anywhere else. */
static __always_inline void conn_tunnel(struct http_conn *c)
{
	conn_finish(c, PHASE_RESPONSE, HTTP_COMPLETE);
	c->tunnel = true;
	c->phase = PHASE_NEW;
}

/* How many bytes the response in t will take, head included, if it says so. */
static __always_inline void response_length(struct http_conn *c, struct head_text *t, __u16 status,
					    __u32 moved)
{
	__u64 body;

	c->left = LEFT_UNKNOWN;
	c->chunked = 0;
	/* Silence ends it. */
	if (response_bodyless(c, status))
		return;
	if (head_hint(t, c->length_hint, moved, &body)) {
		c->left = t->end + body;
		return;
	}
	head_scan(t);
	c->length_hint = 0;
	if (t->chunked) {
		c->chunked = 1;
	} else if (t->end && t->lengths == 1 && head_length(t, &body)) {
		c->left = t->end + body;
		c->length_hint = t->length_at;
	}
}

/* The request that a response answers had come with, or right behind, an earlier one. */
static __always_inline void request_assume(const struct socket_call *call)
{
	struct http_conn *c = call->c;
	__u64 asked_at = c->asked_at;

	request_begin(c, call, asked_at, HTTP_QUEUE_UNKNOWN, 0);
	c->asked_at = asked_at;
	c->record.method = HTTP_METHOD_NONE;
	c->record.flags |= HTTP_PIPELINED;
	c->record.path_words = 0;
}

/* Whether a response is open that surely takes the next bytes in its direction. */
static __always_inline bool response_goes_on(const struct http_conn *c)
{
	return c->phase == PHASE_RESPONSE && (c->left != LEFT_UNKNOWN || c->chunked == 1);
}

static __always_inline bool is_interim(__u16 status)
{
	return status >= 100 && status < 200 && status != 101;
}

/* Status of the response that begins in t, 0 when none does. */
static __always_inline __u16 response_status(const struct head_text *t)
{
	return t->length < 12 ? 0 : head_status(t->words[0], t->words[1]);
}

/*
 * Behind an interim answer (1xx, but for 101) the final one may share the call, and so may further
 * interim ones: the status of the final one, 0 when it does not come yet.
 */
static __noinline __u16 response_interim(struct head_text *t, struct payload *p)
{
#pragma clang loop unroll(disable)
	for (int i = 0; i < INTERIMS_MAX; i++) {
		__u16 status;

		head_scan(t);
		if (!t->end || t->end >= t->length)
			break;
		p->at += t->end;
		p->length -= t->end;
		p->skipped += t->end;
		status = text_read(t, p, 0, HEAD_MAX) ? response_status(t) : 0;
		if (!is_interim(status))
			return status;
	}
	return 0;
}

/* Takes up the next byte of an answer in pieces. Returns whether its head ends with it. */
static __always_inline bool piece_take(struct http_conn *c, __u8 byte)
{
	__u64 last = c->piece << 8 | byte;

	c->piece = last;
	if (c->piece_bytes < PIECES_ENOUGH && ++c->piece_bytes == PIECES_ENOUGH)
		c->record.status = head_status(WORD('H', 'T', 'T', 'P', '/', '1', '.', 0),
					       __builtin_bswap64(last) >> 32);
	return (__u32)last == __builtin_bswap32(WORD4('\r', '\n', '\r', '\n'));
}

/*
 * An answer to CONNECT may be read byte by byte (curl does), since what follows it is not the
 * reader's. Returns whether these bytes are of one.
 */
static __noinline bool response_in_pieces(struct socket_call *call)
{
	struct http_conn *c = call->c;
	const struct head_text *t = call->t;
	bool ends = false;

	if (c->phase != PHASE_REQUEST || c->record.method != HTTP_CONNECT ||
	    call->moved > PIECE_MAX)
		return false;
	if (!c->piece_bytes) {
		c->first_at = call->now;
		if (c->record.role == HTTP_CLIENT)
			c->record.queue_ns = call->queue_ns;
	}
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < PIECE_MAX; i++) {
		if (i >= call->moved)
			break;
		ends = piece_take(c, ((const __u8 *)t->words)[i]);
	}
	c->last_at = call->now;
	c->record.response_bytes += call->moved;
	if (!ends)
		return true;
	c->left = LEFT_UNKNOWN;
	c->chunked = 0;
	c->phase = PHASE_RESPONSE;
	if (response_opens_tunnel(c, c->record.status))
		conn_tunnel(c);
	return true;
}

/* Bytes in the direction of responses. Returns whether they belong to one. */
static __always_inline bool response_seen(struct socket_call *call)
{
	struct http_conn *c = call->c;
	struct head_text *t = call->t;
	__u32 moved = call->moved;
	__u16 status;

	status = text_read(t, &call->p, 0, HEAD_MAX) ? response_status(t) : 0;
	if (!status) {
		if (c->phase != PHASE_RESPONSE)
			return response_in_pieces(call);
		response_more(call, moved);
		return true;
	}
	if (is_interim(status)) {
		status = response_interim(t, &call->p);
		moved -= call->p.skipped;
		if (!status)
			return true;
	}
	if (c->phase == PHASE_RESPONSE)
		conn_finish(c, PHASE_RESPONSE, HTTP_COMPLETE);
	if (c->phase == PHASE_IDLE)
		request_assume(call);
	if (c->record.role == HTTP_CLIENT)
		c->record.queue_ns = call->queue_ns;
	c->record.status = status;
	c->first_at = call->now;
	response_length(c, t, status, moved);
	c->phase = PHASE_RESPONSE;
	response_more(call, moved);
	if (response_opens_tunnel(c, status))
		conn_tunnel(c);
	return true;
}

#endif
