/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * One connection that may speak HTTP/1: what is kept about it, how its pairs of
 * request and response are reported once they end, and the counters that account for the others.
 * Kernel side.
 */
#ifndef VOW_BPF_HTTP_CONN_H
#define VOW_BPF_HTTP_CONN_H

#include "bpf/http_overflow.h"
#include "bpf/http_ring.h"
#include "bpf/http_thrift.h"
#include "bpf/kernel.h"
#include "bpf/tls_scan.h"

enum conn_phase {
	PHASE_NEW, /* no message seen yet; which side asks is not known */
	PHASE_IDLE, /* between a response and the next request */
	PHASE_REQUEST, /* a request began, no response yet */
	PHASE_RESPONSE, /* a response began */
};

#define FAILS_MAX      4 /* calls without a message before a connection is given up */
#define FAIL_BYTES_MAX 4096 /* or this many bytes in them */

#define RING_TRIES     16 /* for a position, before it counts as none */
#define HTTP_RING_NONE (~0ULL)

#define LEFT_UNKNOWN (~0ULL)
#define IDLE_NS	     100000000ULL /* silence after which a response of unknown length has ended */

#define EPIPE	   32
#define ECONNRESET 104
#define ETIMEDOUT  110

#define TLS_IDLE_NS  1000000000ULL /* the same within TLS, where no response tells its length */
#define TLS_DOUBT_NS 10000000000ULL /* silence after which what may have been a response is none */

/* What is known of one direction of a TLS connection. */
struct tls_way {
	struct tls_place place;
	__u8 use; /* enum tls_use, of the record that is under way */
	__u8 hello; /* it is a hello that was not read yet */
};

enum tls_use {
	TLS_PASSES, /* handshake, alert, ticket */
	TLS_COUNTS, /* of a request or response */
};

enum tls_state {
	TLS_NONE, /* no TLS */
	TLS_ASKED, /* the client said hello, the server did not yet */
	TLS_ANSWERED, /* TLS 1.3: all that the client sends until its Finished is handshake */
	TLS_OPEN, /* data is data, apart from tickets */
	TLS_LOST, /* cannot be followed */
	TLS_TAKEN, /* what is within is read: see tls_link.h */
};

/* See tls_turns.h. */
struct tls_turns {
	__u32 sent_to; /* server: TCP's number of the byte behind the response */
	__u8 state; /* enum tls_state */
	__u8 shared; /* HTTP/2, or maybe */
	__u8 finished; /* size of the client's Finished; 0 before TLS 1.3 */
	__u8 tickets; /* records from the server that may still be session tickets */
	__u16 ticket; /* size of the one before */
	__u8 early; /* some of them were sent before the request */
	__u8 odd; /* the client's handshake had records other than its Finished */
	__u8 paused; /* silence ended the last response */
	__u8 patient; /* and that was wrong once */
	__u8 asked; /* what went by last came from the client: see tls_link.h */
};

/* An SSL of a process, see tls_link.h. */
struct tls_key {
	__u64 ssl; /* its address; 0: none */
	__u64 pid;
};

/* Of what is open, in http_conn.doubtful. */
#define DOUBT_RESPONSE 1 /* what was seen of the response may be session tickets */
#define DOUBT_REQUEST  2 /* the request may be the rest of an earlier one */

/*
 * One connection as one of its ends sees it. The receive path of the kernel touches only the
 * first fields, on any processor; the rest is written by whoever makes the socket call.
 *
 * Beside a busy server each line of it that a call touches is a miss, 20 to 60 ns, so the order is
 * by use: a request in plain text takes the first line, which has what tells the way of a call, two
 * for its times and facts, one for its path, and one more for the name of its peer. The storage of a
 * socket puts eight bytes of its own in front: fields end a line where their offset + 8 does.
 */
struct http_conn {
	__u64 ready_at; /* first byte arrived that was not read since; 0 none */
	__u64 ready_last; /* latest arrival */
	__u32 phase; /* enum conn_phase */
	__u8 ignored; /* not HTTP/1, or no longer, or the agent's own */
	__u8 chunked; /* 0, 1: the response ends by a chunk of length 0, 2: that was sent */
	__u8 held; /* bytes in record.path[] of a head that goes on in the next read */
	__u8 path_open; /* what goes on there is the path, behind its method */
	__u16 length_hint; /* where the last response had its Content-Length; 0 unknown */
	__u16 fail_bytes; /* up to FAIL_BYTES_MAX + 1 */
	__u8 fails;
	__u8 doubtful; /* DOUBT_: it would be no latency */
	__u8 tunnel; /* by CONNECT or an upgrade: what follows is no HTTP/1, but may be TLS */
	__u8 unaccepted; /* nobody had accepted it when what is to be read first arrived */
	__u8 asked_host; /* its first request was asked for the name of the peer */
	__u8 piece_bytes; /* of an answer to CONNECT that is read in pieces, up to PIECES_ENOUGH */
	__u8 body_wanted; /* the body of the open request, which was not seen yet, is looked through */
	struct tls_turns tls; /* for a connection within which nothing can be read */
	__u64 asked_at; /* latest bytes of a request; of a client that connects, its SYN */
	__u64 first_at; /* first and latest bytes of the response */
	__u64 last_at;
	__u64 left; /* bytes of the response still to come */
	__u64 piece; /* the last eight bytes of such an answer, the latest lowest */
	struct tls_key ssl; /* of a socket: what goes by it */
	struct http_record record; /* of the open pair, filled as its facts come to be known */
	struct tls_way asks, answers; /* TLS from the client, from the server */
};

#define CONN_LINE(field) ((__builtin_offsetof(struct http_conn, field) + 8) / 64)

_Static_assert(CONN_LINE(tls.patient) == 0, "what tells the way of a call is in one line");
_Static_assert(CONN_LINE(asked_at) == 1 && CONN_LINE(record.command) == 3, "facts are together");
_Static_assert(CONN_LINE(record.peer) == CONN_LINE(record.peer.words[5]), "a name is in one line");

/* User space sets the size of its rings, and their number, before loading; see http_ring.h. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, HTTP_RINGS_MAX);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct http_ring) + sizeof(struct http_slot));
} rings SEC(".maps");

const volatile __u32 own_tgid; /* the agent itself is not measured */
const volatile __u32 ring_mask; /* number of rings - 1 */
const volatile __u32 slot_mask; /* number of slots in each - 1 */

/* What the rings have no room for; see http_overflow.h. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct http_overflow));
} overflows SEC(".maps");

const volatile __u64 hist_cells[256]; /* of lib/data/hist.h, set before loading */

#include "bpf/http_overflow_add.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HTTP_COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

#ifdef PROBED_CALLS
/* Room to read heads into, for programs that others may take the processor from. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct head_text);
} texts SEC(".maps");

static __always_inline struct head_text *text_room(__u32 direction)
{
	return bpf_task_storage_get(&texts, bpf_get_current_task_btf(), 0,
				    BPF_LOCAL_STORAGE_GET_F_CREATE);
}
#else
/* Room to read heads into: [0] for sends, [1] for receives, since they may interrupt each other. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct head_text);
} texts SEC(".maps");

static __always_inline struct head_text *text_room(__u32 direction)
{
	return bpf_map_lookup_elem(&texts, &direction);
}
#endif

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

/* ---- the end of a pair ------------------------------------------------------------------------ */

/*
 * The next `count` positions of a ring, HTTP_RING_NONE when it is full. Whoever comes between makes
 * it try again; so many processors share no ring that it would run out of tries. Held up between the
 * two loads it may find that the reader is past its position, hence a signed difference: that ring
 * is not full, and the swap fails and tells where it is by now.
 */
static __always_inline __u64 ring_reserve(struct http_ring *ring, __u32 count)
{
	__u64 at = *(volatile __u64 *)&ring->written;

#pragma clang loop unroll(disable)
	for (int tries = 0; tries < RING_TRIES; tries++) {
		__u64 seen;

		if ((__s64)(at + count - *(volatile __u64 *)&ring->taken) > (__s64)slot_mask + 1)
			break;
		seen = __sync_val_compare_and_swap(&ring->written, at, at + count);
		if (seen == at)
			return at;
		at = seen;
	}
	return HTTP_RING_NONE;
}

/* Counts a pair without a record, if there is room. */
__checked_once int record_overflow(const struct http_record *r)
{
	__u32 only = 0;
	struct http_overflow *o = bpf_map_lookup_elem(&overflows, &only);

	return r && o && overflow_add(o, bpf_get_smp_processor_id(), r);
}

/* The last line of the slot; the type of an event only where the path does not reach. */
static __always_inline void record_send_notes(struct http_slot *slot, const struct http_record *r)
{
	const __u64 *notes = (const __u64 *)&r->notes;

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < sizeof(r->notes) / 8; i++) {
		if (i < HTTP_EVENT_MAX / 8 && r->path_words > HTTP_SLOT_PATH)
			continue;
		slot->words[HTTP_SLOT_NOTES + i] = notes[i];
	}
}

/*
 * The last store, which makes the record whole for the reader: pairs with its acquire in
 * collectors/http/http_ring.c. Processors of this kind keep stores in their order, so there a plain
 * one will do; a locked step would wait for the lines of the slot, which the reader had last.
 */
static __always_inline void slot_stamp(struct http_slot *slot, __u64 stamp)
{
#if defined(__TARGET_ARCH_x86)
	asm volatile("" : : : "memory");
	*(volatile __u64 *)&slot->stamp = stamp;
#else
	__sync_lock_test_and_set(&slot->stamp, stamp); /* a full barrier */
#endif
}

/* The word of a record that has its status, and in its highest bytes flags and path_words. */
#define FACTS_WORD	 (__builtin_offsetof(struct http_record, status) / 8)
#define FACTS_FLAGS	 48
#define FACTS_PATH_WORDS 56

_Static_assert(__builtin_offsetof(struct http_record, flags) == 8 * FACTS_WORD + 6 &&
		       __builtin_offsetof(struct http_record, path_words) == 8 * FACTS_WORD + 7 &&
		       FACTS_WORD + 3 == HTTP_SLOT_FIXED,
	       "the facts fill one word, and only the command follows");

/* Hands over the record of the connection, the used part of its path only. */
static __always_inline void record_send(const struct http_record *r)
{
	__u32 which = bpf_get_smp_processor_id() & ring_mask;
	struct http_ring *ring = bpf_map_lookup_elem(&rings, &which);
	/*
	 * Read once, whatever another thread makes of the connection meanwhile: the reader goes by
	 * what these say of the slots and words that follow.
	 */
	__u64 facts = *(const volatile __u64 *)&r->status;
	__u64 named = facts >> FACTS_FLAGS & HTTP_NAMED ? 1 : 0;
	struct http_slot *slot;
	__u64 at;

	if (thrift_counts(r) && record_overflow(r))
		return;
	at = ring ? ring_reserve(ring, 1 + named) : HTTP_RING_NONE;
	if (at == HTTP_RING_NONE) {
		if (!record_overflow(r))
			counter_add(HTTP_RING_FULL, 1);
		return;
	}
	slot = (struct http_slot *)(ring + 1) + (at & slot_mask);
	__builtin_memcpy(slot->words, r, 8 * FACTS_WORD);
	slot->words[FACTS_WORD] = facts;
	__builtin_memcpy(slot->words + FACTS_WORD + 1, &r->command, sizeof(r->command));
	if (named) {
		struct http_slot *next = (struct http_slot *)(ring + 1) + ((at + 1) & slot_mask);

		__builtin_memcpy(next->words, &r->peer, sizeof(r->peer));
	}
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < HTTP_PATH_MAX / 8; i++) {
		if (i >= facts >> FACTS_PATH_WORDS)
			break;
		slot->words[HTTP_SLOT_FIXED + i] = r->path[i];
	}
	if (facts >> FACTS_FLAGS & HTTP_NOTED)
		record_send_notes(slot, r);
	slot_stamp(slot, at + 1);
}

/*
 * Reports the pair of a connection that is in `phase`, unless another thread just did. Its own
 * function, as all that is called from several places: programs that fit the processor's cache
 * of instructions are what makes them cheap.
 */
__checked_once int conn_finish(struct http_conn *c, __u32 phase, __u8 outcome)
{
	struct http_record *r;

	if (!c || __sync_val_compare_and_swap(&c->phase, phase, PHASE_IDLE) != phase)
		return 0;
	r = &c->record;
	r->outcome = outcome; /* before a locked step, since its word is read as a whole below */
	counter_add(HTTP_SEEN, 1);
	if (phase == PHASE_RESPONSE) {
		if (c->last_at < c->first_at || c->first_at < r->started_at) {
			counter_add(HTTP_TORN, 1);
			return 0;
		}
		if (c->doubtful && outcome == HTTP_COMPLETE) {
			counter_add(HTTP_TLS_UNCLEAR, 1);
			return 0;
		}
		r->total_ns = c->last_at - r->started_at;
		r->first_byte_ns = c->first_at - r->started_at;
	} else {
		r->total_ns = 0;
		r->first_byte_ns = 0;
	}
	record_send(r);
	r->opening_ns = 0;
	return 0;
}

static __always_inline void conn_ignore(struct http_conn *c)
{
	c->ignored = true;
	counter_add(HTTP_IGNORED, 1);
}

/* A call that moved bytes in which no message begins where one should. */
static __always_inline void conn_fail(struct http_conn *c, __u32 moved)
{
	__u32 bytes = c->fail_bytes + moved;

	c->fails++;
	c->fail_bytes = bytes > FAIL_BYTES_MAX ? FAIL_BYTES_MAX + 1 : bytes;
	if (c->fails < FAILS_MAX && c->fail_bytes <= FAIL_BYTES_MAX)
		return;
	conn_finish(c, PHASE_REQUEST, HTTP_NO_RESPONSE);
	conn_ignore(c);
}

#endif
