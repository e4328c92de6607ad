/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What is known of sockets, in a table by their address, for programs that cannot store it with the
 * socket itself. Kernel side.
 *
 * Addresses are used again. An entry is of the socket that it says when both have the same
 * identity: the cookie of an Internet socket, given to it as it connects, or the number of an
 * AF_UNIX socket's inode; sockets older than the programs have no cookie, and are told apart by
 * their end. Programs that may give no cookies (KERNEL_UNTYPED) go by inodes alone: a connection
 * has none before it is accepted, and those are told apart by their end as well.
 *
 * Roles: programs at a socket's calls and segments, on any processor, find its entry, make it, or
 * renew one that was of another socket. The sweep, one at a time, ends what gone sockets left open
 * and deletes their entries. `life` says who may do what, in its low bits; the rest of it counts
 * renewals, so that nobody changes by compare and swap what he did not look at:
 *
 *	NEW	its socket's programs, of which one is filling it in; the sweep leaves it alone
 *	ON	its socket's programs; another socket's may renew it (to NEW), the sweep end it (to SWEPT)
 *	OVER	nobody; another socket's program may renew it, the next sweep delete it (through SWEPT)
 *	SWEPT	the sweep; from ON for as long as it reports what was open, from OVER until it is deleted
 *
 * Who holds a pointer: a program from its lookup to its end, during which it keeps its processor.
 * The kernel gives the memory of a deleted entry to another one at once (since 6.1), so an entry is
 * deleted only by the sweep after the one that ended it: who looked it up before that ended long
 * ago, and who finds it OVER has to win it by a swap against the sweep, or leaves it alone.
 *
 * Progress: nobody waits. For the instant in which the sweep has an entry (SWEPT), which may last if
 * it is interrupted then, a new socket at that address takes the second place of that address. Since
 * the sweep has one entry at a time, one of both is always to be had. Two programs that make the
 * first entry of one socket in that very instant may take both places; then what the second place
 * says is not looked at any more.
 */
#ifndef VOW_BPF_TRACKED_H
#define VOW_BPF_TRACKED_H

#include "bpf/http_io.h"
#include "bpf/kernel.h"

#define TRACKED_MAX 65536 /* sockets at once; further ones count as storage_failed */

enum life {
	LIFE_NEW, /* as entries are made */
	LIFE_ON,
	LIFE_OVER, /* its socket has gone, and what was open is reported */
	LIFE_SWEPT,
};

#define LIFE_STATE 3U /* the bits of enum life */
#define LIFE_TURN  4U /* one renewal */

struct tracked_key {
	__u64 address;
	__u64 place; /* 0, or 1: the second one */
};

struct tracked {
	__u64 identity;
	__u32 life;
	__u8 local; /* an AF_UNIX socket */
	__u8 closed; /* came to TCP_CLOSE; what it has is perhaps still being read */
	struct http_conn conn;
};

/* Not made in advance: it takes memory only as there are sockets. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, TRACKED_MAX);
	__type(key, struct tracked_key);
	__type(value, struct tracked);
} conns SEC(".maps");

static const struct tracked nothing;

/*
 * Set behind whatever may give the sweep something to do: to walk the table takes 1 ms, also when
 * it is empty. User space takes it back before it sweeps.
 */
__u32 sweep_wanted;

static __always_inline enum life life_state(__u32 life)
{
	return life & LIFE_STATE;
}

/* The same turn in another state. */
static __always_inline __u32 life_to(__u32 life, enum life state)
{
	return (life & ~LIFE_STATE) | state;
}

static __always_inline bool life_swap(struct tracked *t, __u32 from, __u32 to)
{
	return __sync_val_compare_and_swap(&t->life, from, to) == from;
}

/* The socket of a connection is no more, and nobody told. */
static __always_inline void conn_gone(struct http_conn *c)
{
	__u32 phase = c->phase;

	if (phase == PHASE_REQUEST || phase == PHASE_RESPONSE)
		conn_finish(c, phase, outcome_at_end(c, NULL, phase, false, false));
}

/* ---- whose an entry is ------------------------------------------------------------------------ */

#ifdef KERNEL_UNTYPED
#define COOKIES 0
#define socket_identify(sk)
#else
#define COOKIES		    1
#define socket_identify(sk) bpf_get_socket_cookie(sk)
#endif

static __always_inline __u64 socket_identity(struct sock *sk, bool local)
{
	struct socket_alloc *socket;

	if (COOKIES && !local)
		return socket_field(sk, __sk_common.skc_cookie.counter);
	socket = (struct socket_alloc *)socket_field(sk, sk_socket);
	return socket ? BPF_CORE_READ(socket, vfs_inode.i_ino) : 0;
}

/* Whether the entry is of the socket that is at its address now. */
static __always_inline bool tracked_is_of(struct tracked *t, struct sock *sk)
{
	__u64 identity = socket_identity(sk, t->local);

	if (life_state(t->life) != LIFE_ON)
		return false;
	if (t->identity != identity) {
		/*
		 * Others ask for cookies too: then an old socket gets one while it lives. And
		 * a connection gets an inode when it is accepted. Of one that has ended this is
		 * another socket, which is still closed as it begins to connect.
		 */
		if (t->identity || t->local || t->closed)
			return false;
		t->identity = identity;
	}
	return !t->closed || socket_field(sk, __sk_common.skc_state) == TCP_CLOSE;
}

/* Whether the socket of an entry has gone, or is about to: nobody has it, and it is closed. */
static __always_inline bool tracked_is_over(struct tracked *t, struct sock *sk)
{
	if (!tracked_is_of(t, sk))
		return true;
	return !t->local && !socket_field(sk, sk_socket) &&
	       (t->closed || socket_field(sk, __sk_common.skc_state) == TCP_CLOSE);
}

/* ---- finding and making ----------------------------------------------------------------------- */

/* The entry of a socket, NULL when there is none. */
static __noinline struct tracked *tracked_find(struct sock *sk)
{
	struct tracked_key key = {.address = (__u64)sk};
	struct tracked *t = bpf_map_lookup_elem(&conns, &key);

	if (t && tracked_is_of(t, sk))
		return t;
	key.place = 1;
	t = bpf_map_lookup_elem(&conns, &key);
	return t && tracked_is_of(t, sk) ? t : NULL;
}

/* Makes the entry that a program has to itself one of this socket. */
static __always_inline void tracked_begin(struct tracked *t, struct sock *sk)
{
	t->local = socket_field(sk, __sk_common.skc_family) == AF_UNIX;
	t->identity = socket_identity(sk, t->local);
	/* A full barrier: whoever finds it ON finds its identity. */
	life_swap(t, t->life, life_to(t->life, LIFE_ON));
}

/* The entry at a place, for a socket that has none; NULL when the sweep has it, or without memory. */
static __noinline struct tracked *tracked_take(struct sock *sk, __u64 place)
{
	struct tracked_key key = {(__u64)sk, place};
	struct tracked *t = bpf_map_lookup_elem(&conns, &key);
	__u32 life;

	if (!t) {
		bpf_map_update_elem(&conns, &key, &nothing, BPF_NOEXIST);
		t = bpf_map_lookup_elem(&conns, &key);
		if (t)
			tracked_begin(t, sk);
		return t;
	}
	life = t->life;
	/* Another program of this socket makes it, or has done so since it was looked for. */
	if (life_state(life) == LIFE_NEW || tracked_is_of(t, sk))
		return t;
	if (life_state(life) == LIFE_SWEPT)
		return NULL;
	/* Whoever was quicker is either the sweep or a program of this socket too. */
	if (!life_swap(t, life, life_to(life + LIFE_TURN, LIFE_NEW)))
		return life_state(t->life) <= LIFE_ON ? t : NULL;
	conn_gone(&t->conn);
	t->closed = false;
	__builtin_memset(&t->conn, 0, sizeof(t->conn));
	tracked_begin(t, sk);
	return t;
}

/* The entry of a socket that is wanted, new or not; NULL when there is no room. */
static __noinline struct tracked *tracked_get(struct sock *sk)
{
	struct tracked *t = tracked_find(sk);

	if (!t)
		t = tracked_take(sk, 0);
	return t ? t : tracked_take(sk, 1);
}

/* ---- the sweep -------------------------------------------------------------------------------- */

/* What the sweep is to delete, once it has left it: deleted under it, it would lead elsewhere. */
struct sweep {
	struct tracked_key key; /* address 0: nothing */
	__u32 life; /* as it was */
};

static __noinline void sweep_delete(struct sweep *sweep)
{
	struct tracked *t;

	if (!sweep->key.address)
		return;
	t = bpf_map_lookup_elem(&conns, &sweep->key);
	if (t && life_swap(t, sweep->life, life_to(sweep->life, LIFE_SWEPT)))
		bpf_map_delete_elem(&conns, &sweep->key);
	sweep->key.address = 0;
}

static long sweep_entry(void *map, const struct tracked_key *key, struct tracked *t,
			struct sweep *sweep)
{
	struct sock *sk = (struct sock *)key->address;
	__u32 life = t->life;

	sweep_delete(sweep);
	sweep_kept++;
	if (life_state(life) == LIFE_OVER) {
		sweep->key = *key;
		sweep->life = life;
	} else if (life_state(life) == LIFE_ON && !tracked_is_over(t, sk)) {
		conn_sweep(&t->conn, sk);
	} else if (life_state(life) == LIFE_ON && life_swap(t, life, life_to(life, LIFE_SWEPT))) {
		conn_gone(&t->conn);
		life_swap(t, life_to(life, LIFE_SWEPT), life_to(life, LIFE_OVER));
	}
	return 0;
}

/* Run by user space (BPF_PROG_TEST_RUN): on no tracepoint, and only this once at a time. */
SEC("raw_tp")
int http_sweep(void *ctx)
{
	struct sweep sweep = {0};

	bpf_for_each_map_elem(&conns, sweep_entry, &sweep, 0);
	sweep_delete(&sweep);
	return 0;
}

#endif
