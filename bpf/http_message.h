/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the bytes of one socket call do to a connection: a request begins or goes on, a response
 * begins, goes on or ends. Kernel side.
 */
#ifndef VOW_BPF_HTTP_MESSAGE_H
#define VOW_BPF_HTTP_MESSAGE_H

#include "bpf/http_conn.h"
#include "bpf/http_head.h"
#include "bpf/payload.h"

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

/* The path of the open request goes on in this payload. */
static __always_inline void request_path_more(struct http_conn *c, struct head_text *t,
					      const struct payload *p)
{
	if (request_read(t, c, p))
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
static __always_inline void response_length(struct http_conn *c, struct head_text *t, __u16 status,
					    __u32 moved)
{
	__u64 body;

	c->left = LEFT_UNKNOWN;
	c->chunked = 0;
	/* These have no body, whatever length they announce; silence ends them. */
	if (c->method == HTTP_HEAD || status == 204 || status == 304)
		return;
	if (head_hint(t, c->length_hint, moved, &body)) {
		c->left = t->end + body;
		return;
	}
	head_scan(t);
	c->length_hint = 0;
	if (t->chunked) {
		c->chunked = 1;
	} else if (t->end && t->length_at && head_length(t, &body)) {
		c->left = t->end + body;
		c->length_hint = t->length_at;
	}
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

/* Whether a response is open that surely takes the next bytes in its direction. */
static __always_inline bool response_goes_on(const struct http_conn *c)
{
	return c->phase == PHASE_RESPONSE && (c->left != LEFT_UNKNOWN || c->chunked == 1);
}

/* Bytes in the direction of responses. Returns whether they belong to one. */
static __always_inline bool response_seen(struct http_conn *c, const struct sock *sk,
					  struct head_text *t, struct payload *p, __u64 now,
					  __u64 queue_ns, __u32 moved)
{
	__u16 status;

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
	response_length(c, t, status, moved);
	c->phase = PHASE_RESPONSE;
	response_more(c, sk, now, moved);
	if (status == 101) {
		conn_finish(c, sk, PHASE_RESPONSE, HTTP_COMPLETE);
		conn_ignore(c);
	}
	return true;
}

#endif
