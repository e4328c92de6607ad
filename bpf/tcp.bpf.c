/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Segments that TCP had to send again, and connections that did not come about, by peer. Both are
 * rare: the programs cost something when something is wrong, and one look at two numbers for each
 * change of a connection's state.
 */
#include <bpf/bpf_endian.h>
#include <linux/errno.h>

#include "bpf/kernel.h"
#include "bpf/tcp_trouble.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Ports from here on are given to connecting sockets, unless an administrator says otherwise. */
#define EPHEMERAL_FIRST 32768

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, TCP_PEERS_MAX);
	__type(key, struct tcp_peer);
	__type(value, struct tcp_counts);
} peers SEC(".maps");

/* User space reads these where they are. */
__u64 seen[TCP_TROUBLE_KINDS]; /* of all peers; grows by what any entry grows */
__u64 peers_begun; /* entries made: those no longer there were evicted */
__u64 peers_failed; /* troubles for which there was no memory: in seen, and in no entry */
__u64 serving[65536 / 64]; /* a bit for each local port that a socket has listened on */

static __noinline void trouble_count(const struct tcp_peer *peer, __u32 kind)
{
	struct tcp_counts *counts = bpf_map_lookup_elem(&peers, peer);

	if (kind >= TCP_TROUBLE_KINDS)
		return;
	if (!counts) {
		struct tcp_counts none = {};

		if (!bpf_map_update_elem(&peers, peer, &none, BPF_NOEXIST))
			__sync_fetch_and_add(&peers_begun, 1);
		counts = bpf_map_lookup_elem(&peers, peer);
	}
	if (counts) {
		counts->last_at = bpf_ktime_get_ns();
		__sync_fetch_and_add(&counts->counts[kind], 1);
	} else {
		__sync_fetch_and_add(&peers_failed, 1);
	}
	/* Last: who sees it finds the entry. */
	__sync_fetch_and_add(&seen[kind], 1);
}

static __always_inline void peer_of(const struct sock *sk, struct tcp_peer *peer)
{
	__be32 *words = (__be32 *)peer->address;

	__builtin_memset(peer, 0, sizeof(*peer));
	peer->port = bpf_ntohs(sk->__sk_common.skc_dport);
	if (sk->__sk_common.skc_family == AF_INET6) {
		words[0] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[0];
		words[1] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[1];
		words[2] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[2];
		words[3] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[3];
	} else {
		words[2] = bpf_htonl(0xffff);
		words[3] = sk->__sk_common.skc_daddr;
	}
}

/*
 * Whether the peer opened the connection. The kernel does not remember; the port does: one that was
 * listened on, or one below those that are given to clients while the peer's is among them.
 */
static __always_inline bool is_inbound(const struct sock *sk)
{
	__u16 local = sk->__sk_common.skc_num;

	if (sk->__sk_common.skc_state == TCP_SYN_SENT)
		return false;
	if (serving[local / 64] >> local % 64 & 1)
		return true;
	return local < EPHEMERAL_FIRST && bpf_ntohs(sk->__sk_common.skc_dport) >= EPHEMERAL_FIRST;
}

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(tcp_resent, struct sock *sk)
{
	struct tcp_peer peer;

	peer_of(sk, &peer);
	if (is_inbound(sk)) {
		__builtin_memset(&peer, 0, sizeof(peer));
		peer.port = sk->__sk_common.skc_num;
	}
	trouble_count(&peer, TCP_RETRANSMITS);
	return 0;
}

static __always_inline __u32 failure_of(int err)
{
	switch (err) {
	case ECONNREFUSED:
		return TCP_REFUSED;
	case ETIMEDOUT:
		return TCP_TIMED_OUT;
	case ENETUNREACH:
	case EHOSTUNREACH:
		return TCP_UNREACHABLE;
	}
	return TCP_GIVEN_UP;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state, struct sock *sk, int old_state, int new_state)
{
	struct tcp_peer peer;
	__u16 local;

	if (new_state == TCP_LISTEN) {
		local = sk->__sk_common.skc_num;
		__sync_fetch_and_or(&serving[local / 64], 1ull << local % 64);
		return 0;
	}
	if (old_state != TCP_SYN_SENT || new_state != TCP_CLOSE)
		return 0;
	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	peer_of(sk, &peer);
	trouble_count(&peer, failure_of(sk->sk_err));
	return 0;
}
