/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Turns in a TLS connection: records of data from the client are a request, those that the server
 * sends then are its response, and the next ones from the client end it. Only the headers of
 * records are read, five bytes in the clear. Kernel side.
 *
 * In TLS 1.3 the end of the handshake looks like data, and so do alerts and what a server sends
 * behind its back:
 *  - the client's Finished is known by its size, which the cipher determines;
 *  - session tickets, mostly two, come right behind it, maybe after the first request was sent.
 *    So up to TICKETS_MAX records are taken for possible tickets. An answer that has none beyond
 *    them may be no answer: it is doubtful, and counted as such without a latency;
 *  - alerts are known by their size, two bytes of data;
 *  - what is shorter than any HTTP/1 request begins none: a change of keys, the last chunk of a
 *    body that was answered early, acknowledgements of HTTP/2.
 *
 * How long a response is nobody tells: it ends with the last byte before the next request or the
 * end of the connection; silence only ends it after a second. Should it go on after that, this is
 * counted, and silence ends none of the connection's responses any more.
 */
#ifndef VOW_BPF_TLS_TURNS_H
#define VOW_BPF_TLS_TURNS_H

#include "bpf/http_message.h"
#include "bpf/tls_hello.h"
#include "bpf/tls_scan.h"

#define TLS_ALERT	 21
#define TLS_SHAKE	 22
#define TLS_DATA	 23
#define TLS_CLIENT_HELLO 1 /* a message of the handshake */
#define TLS_RECORDS_MAX \
	8 /* of one call that are looked at: no flight of a client has more before its data */

#define TLS_TICKETS_MAX \
	2 /* sent by OpenSSL, unless a server is told otherwise; others send 1 or 2 */
#define TLS_TAG	      17 /* bytes of a TLS 1.3 record beside its data: type and tag */
#define TLS_ALERT_13  (2 + TLS_TAG)
#define TLS_EARLY_END (4 + TLS_TAG) /* the message that ends early data, without a body */
#define TLS_SHORTEST  18 /* "GET / HTTP/1.0\r\n\r\n" */
#define TLS_CONTINUE  25 /* "HTTP/1.1 100 Continue\r\n\r\n" */

/* What is known of the records from the client (asks), or of those from the server. */
static __always_inline struct tls_way *tls_way(struct http_conn *c, bool asks)
{
	return asks ? &c->asks : &c->answers;
}

/* Gives the connection up, since its records cannot be followed. */
static __noinline void tls_lose(struct http_conn *c)
{
	__u32 phase = c->phase;

	c->ignored = true;
	counter_add(HTTP_TLS_GIVEN_UP, 1);
	if ((phase == PHASE_REQUEST || phase == PHASE_RESPONSE) &&
	    __sync_val_compare_and_swap(&c->phase, phase, PHASE_IDLE) == phase)
		count_lost(HTTP_TLS_UNCLEAR);
}

/* ---- messages in the clear -------------------------------------------------------------------- */

/* Size of the record that holds the client's Finished in TLS 1.3: a hash of the cipher's length. */
static __always_inline __u8 tls_finished_size(__u16 cipher)
{
	if (cipher == 0x1305)
		return 4 + 32 + 9; /* AES-CCM-8, whose tag is short */
	return 4 + (cipher == 0x1302 ? 48 : 32) + TLS_TAG;
}

/* The hello that these bytes are. */
__checked_once int tls_hello_read(struct http_conn *c, bool asks, __u64 at, __u32 length)
{
	struct tls_turns *tls;
	__u32 answer;

	if (!c)
		return 0;
	tls = &c->tls;
	if (asks) {
		c->asks.hello = false;
		tls->shared = hello_offers_h2(at, length);
		if (headers.peer_names && c->record.role == HTTP_CLIENT)
			hello_name(&c->record, at, length);
		return 0;
	}
	c->answers.hello = false;
	answer = hello_answers(at, length);
	if (!answer) {
		tls->state = TLS_LOST;
	} else if ((answer >> 8 & 0xff) == 0x13) {
		tls->state = TLS_ANSWERED;
		tls->finished = tls_finished_size(answer);
	} else {
		tls->state = TLS_OPEN;
		tls->shared &= answer >= HELLO_H2;
	}
	return 0;
}

/* ---- turns ------------------------------------------------------------------------------------ */

/* A record of data from the client. */
static __always_inline void tls_asked(struct http_conn *c, const struct socket_call *call,
				      __u32 length)
{
	struct tls_turns *tls = &c->tls;

	if (c->phase != PHASE_REQUEST && length < TLS_SHORTEST + TLS_TAG - !tls->finished)
		return;
	c->asks.use = TLS_COUNTS;
	if (c->phase == PHASE_REQUEST) {
		c->asked_at = call->now;
		return;
	}
	if (c->phase == PHASE_RESPONSE) {
		/*
		 * If these were only tickets, this may be the rest of the request and no new one.
		 */
		bool doubtful = c->doubtful & DOUBT_RESPONSE;

		conn_finish(c, PHASE_RESPONSE, HTTP_COMPLETE);
		c->doubtful = doubtful ? DOUBT_REQUEST : 0;
		tls->tickets = 0;
	}
	request_begin(c, call, call->now, call->queue_ns, 0);
	c->record.method = HTTP_METHOD_NONE;
	c->record.path_words = 0;
	c->record.flags |= HTTP_TLS | (tls->shared ? HTTP_TLS_SHARED : 0);
	/* A server that has sent one ticket before it read the request has sent them all. */
	if (c->record.role == HTTP_SERVER && tls->tickets < TLS_TICKETS_MAX)
		tls->tickets = 0;
	if (tls->tickets)
		c->doubtful |= DOUBT_RESPONSE;
	tls->early = false;
	tls->paused = false;
	c->phase = PHASE_REQUEST;
}

/* Whether a record, one of those that may be tickets, is one since it was there before the request. */
static __always_inline bool tls_ticket_early(const struct http_conn *c,
					     const struct socket_call *call)
{
	return call->received && call->queue_ns != HTTP_QUEUE_UNKNOWN &&
	       call->now - call->queue_ns < c->record.started_at;
}

/* A record of data from the server. */
static __always_inline void tls_answered(struct http_conn *c, const struct socket_call *call,
					 __u32 length)
{
	struct tls_turns *tls = &c->tls;
	bool first = c->phase == PHASE_REQUEST;

	if (c->phase == PHASE_IDLE) {
		if (tls->tickets) {
			tls->tickets--;
			tls->ticket = length;
		} else if (tls->paused) {
			tls->paused = false;
			tls->patient = true;
			counter_add(HTTP_TLS_RESUMED, 1);
		}
		return;
	}
	if (first && tls->finished && length == TLS_CONTINUE + TLS_TAG)
		return;
	if (tls->tickets) {
		tls->tickets--;
		if (tls_ticket_early(c, call)) {
			tls->early = true;
			return;
		}
		/* Tickets are sent all at once. */
		if (tls->early)
			tls->tickets = 0;
		/* And they are of one size. */
		if (!tls->tickets && !tls->early && length == tls->ticket) {
			c->doubtful &= ~DOUBT_RESPONSE;
			c->phase = PHASE_REQUEST;
			return;
		}
		tls->ticket = length;
		first = true;
	} else {
		first |= c->doubtful & DOUBT_RESPONSE;
		c->doubtful &= ~DOUBT_RESPONSE;
	}
	c->answers.use = TLS_COUNTS;
	if (first) {
		c->first_at = call->now;
		if (call->received)
			c->record.queue_ns = call->queue_ns;
	}
	c->last_at = call->now;
	c->phase = PHASE_RESPONSE;
}

/* A record begins. */
__checked_once int tls_record(struct http_conn *c, const struct socket_call *call, bool asks,
			      __u8 type, __u32 length)
{
	struct tls_turns *tls;
	struct tls_way *way;

	if (!c || !call)
		return 0;
	tls = &c->tls;
	way = tls_way(c, asks);
	way->use = TLS_PASSES;
	/* What a server that reads record by record took for the client's handshake was early data. */
	if (asks && tls->odd && type == TLS_DATA && length == TLS_EARLY_END) {
		tls->state = TLS_LOST;
		return 0;
	}
	switch (tls->state) {
	case TLS_ASKED:
		if (type == TLS_DATA) {
			/* Early data, whose fate is not to be seen. */
			tls->state = TLS_LOST;
		} else if (type == TLS_SHAKE) {
			way->hello = true;
		}
		return 0;
	case TLS_ANSWERED:
		if (type != TLS_DATA)
			return 0;
		if (asks && length == tls->finished) {
			tls->state = TLS_OPEN;
			tls->tickets = TLS_TICKETS_MAX;
			tls->odd = false;
		} else if (asks) {
			tls->odd = true;
		} else if (tls->odd) {
			/* Its Finished was not told from others, a request neither. */
			tls->state = TLS_OPEN;
			tls->tickets = TLS_TICKETS_MAX - 1;
			count_lost(HTTP_TLS_UNCLEAR);
		}
		return 0;
	case TLS_OPEN:
		if (type == TLS_ALERT || (tls->finished && length == TLS_ALERT_13)) {
			/* The client says farewell, or what is wrong; it waits for nothing more. */
			if (asks && c->phase == PHASE_RESPONSE)
				conn_finish(c, PHASE_RESPONSE, HTTP_COMPLETE);
			return 0;
		}
		if (type != TLS_DATA)
			return 0;
		if (asks)
			tls_asked(c, call, length);
		else
			tls_answered(c, call, length);
	}
	return 0;
}

/* ---- records ---------------------------------------------------------------------------------- */

/* n more bytes of a record, its header included. */
static __always_inline void tls_bytes(struct http_conn *c, const struct socket_call *call,
				      bool asks, __u32 n)
{
	if (tls_way(c, asks)->use != TLS_COUNTS)
		return;
	if (asks) {
		c->asked_at = call->now;
		c->record.request_bytes += n;
	} else if (c->phase == PHASE_RESPONSE) {
		c->last_at = call->now;
		c->record.response_bytes += n;
		if (!call->received)
			c->tls.sent_to = socket_written(socket_at(call->sk));
	}
}

/* Bytes that only the headers among them tell apart. */
static __always_inline void tls_look(struct http_conn *c, struct socket_call *call, bool asks)
{
	__u32 direction = call->received;
	struct tls_way *way = tls_way(c, asks);
	struct tls_scan *scan = bpf_map_lookup_elem(&scans, &direction);
	__u32 left;

	if (!scan)
		return;
	tls_scan_begin(direction, &call->from, call->moved);
	scan->place = way->place;
	scan->hello = way->hello;
#pragma clang loop unroll(disable)
	for (int i = 0; i < TLS_RECORDS_MAX; i++) {
		__u32 found = tls_scan_next(direction);

		if (found == TLS_SCAN_END)
			goto end;
		left = scan->place.left;
		if (found == TLS_SCAN_HELLO) {
			tls_hello_read(c, asks, scan->walk.at,
				       left < scan->walk.length ? left : scan->walk.length);
			continue;
		}
		tls_record(c, call, asks, found, left);
		scan->hello = way->hello;
		tls_bytes(c, call, asks,
			  TLS_HEADER + (left < scan->walk.left ? left : scan->walk.left));
	}
	/* All that follows goes where the last one went. */
	left = scan->walk.left;
	tls_scan_rest(direction);
	tls_bytes(c, call, asks, left);
end:
	way->place = scan->place;
	way->hello = scan->hello;
	/* Nothing but the whole of it will do. */
	if (scan->walk.left || c->tls.state == TLS_LOST)
		tls_lose(c);
}

/* A call moved bytes on a connection that speaks TLS. */
__checked_once int tls_moved(struct http_conn *c, struct socket_call *call)
{
	struct tls_way *way;
	__u32 left;
	bool asks;

	if (!c || !call)
		return 0;
	asks = (c->record.role == HTTP_SERVER) == call->received;
	way = tls_way(c, asks);
	left = way->place.left;
	if (left)
		tls_bytes(c, call, asks, left < call->moved ? left : call->moved);
	if (call->moved <= left && !way->hello)
		way->place.left = left - call->moved;
	else
		tls_look(c, call, asks);
	if (!asks)
		c->left = way->place.left ? way->place.left : LEFT_UNKNOWN;
	return 0;
}

/*
 * Whether the call moved the beginning of a ClientHello on a connection of which nothing is known;
 * from then on it is followed as TLS.
 */
static __noinline bool tls_begins(struct socket_call *call)
{
	struct http_conn *c = call->c;
	__u64 first = 0;

	payload_first(&call->p, &call->from, call->moved);
	if (call->p.length < TLS_HEADER ||
	    bpf_probe_read_user(&first, call->p.length == TLS_HEADER ? TLS_HEADER : TLS_HEADER + 1,
				(const void *)call->p.at))
		return false;
	/* Handshake of version 3.x, at most 16 KiB; and the type of the message, if it is there. */
	if ((first & 0xffff) != (TLS_SHAKE | 3 << 8) || (first >> 16 & 0xff) > 4 ||
	    (first >> 24 & 0xff) > 0x40 || first >> 40 > TLS_CLIENT_HELLO)
		return false;
	c->record.role = call->received ? HTTP_SERVER : HTTP_CLIENT;
	c->phase = PHASE_IDLE;
	c->left = LEFT_UNKNOWN;
	c->tls.state = TLS_ASKED;
	counter_add(HTTP_TLS_CONNECTIONS, 1);
	return true;
}

#endif
