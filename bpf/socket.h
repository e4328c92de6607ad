/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What a socket tells of itself. Kernel side. Programs that find sockets by way of descriptors
 * define SOCKETS_FOUND first: of what these point to the kernel vouches for nothing, so each look
 * is a read that can fail and then says 0.
 */
#ifndef VOW_BPF_SOCKET_H
#define VOW_BPF_SOCKET_H

#include "bpf/kernel.h"

/* A field of a socket, or of its TCP part. */
#ifdef SOCKETS_FOUND
#define socket_field(sk, field) kernel_read(sk, field)
#else
#define socket_field(sk, field) ((sk)->field)
#endif

/* A socket whose address went through memory, and of which the verifier knows nothing any more. */
#ifdef SOCKETS_FOUND
#define socket_at(address) (address)
#else
#define socket_at(address) \
	((struct sock *)bpf_rdonly_cast(address, bpf_core_type_id_kernel(struct sock)))
#endif

/* Any other structure of the kernel, by an address that nobody vouches for. */
#ifdef SOCKETS_FOUND
#define kernel_at(type, address) ((const struct type *)(address))
#else
#define kernel_at(type, address)                                       \
	((const struct type *)bpf_rdonly_cast((const void *)(address), \
					      bpf_core_type_id_kernel(struct type)))
#endif

static __always_inline bool socket_wanted(const struct sock *sk)
{
	__u16 family = socket_field(sk, __sk_common.skc_family);

	return (family == AF_INET || family == AF_INET6 || family == AF_UNIX) &&
	       socket_field(sk, sk_type) == SOCK_STREAM;
}

/* The TCP part of a socket, NULL when it has none. The cast costs nothing, unlike a helper. */
static __always_inline const struct tcp_sock *socket_tcp(struct sock *sk)
{
	if (socket_field(sk, sk_protocol) != IPPROTO_TCP ||
	    socket_field(sk, __sk_common.skc_family) == AF_UNIX)
		return NULL;
#ifdef SOCKETS_FOUND
	return (const struct tcp_sock *)sk;
#else
	return bpf_rdonly_cast(sk, bpf_core_type_id_kernel(struct tcp_sock));
#endif
}

/*
 * When TCP last handled a packet of this socket, asking the clock itself; to ask it again would
 * take 36 ns, a third of http_arrived. 0 for other sockets, or if the kernel keeps no such time.
 */
static __always_inline __u64 socket_clock(struct sock *sk)
{
	const struct tcp_sock *tcp = socket_tcp(sk);

	if (!tcp || !bpf_core_field_exists(tcp->tcp_clock_cache))
		return 0;
	return socket_field(tcp, tcp_clock_cache);
}

/* Bytes handed to the socket that the peer has not acknowledged. */
static __always_inline bool socket_outstanding(struct sock *sk)
{
	const struct tcp_sock *tcp = socket_tcp(sk);

	return tcp && socket_field(tcp, write_seq) != socket_field(tcp, snd_una);
}

/* TCP's number of the byte behind all that was handed to the socket; 0 for other sockets. */
static __always_inline __u32 socket_written(struct sock *sk)
{
	const struct tcp_sock *tcp = socket_tcp(sk);

	return tcp ? socket_field(tcp, write_seq) : 0;
}

/* Whether the peer has not acknowledged all in front of the byte of that number. */
static __always_inline bool socket_outstanding_to(struct sock *sk, __u32 number)
{
	const struct tcp_sock *tcp = socket_tcp(sk);

	return tcp && (__s32)(number - socket_field(tcp, snd_una)) > 0;
}

/* Whether there are bytes that the process has not read. */
static __always_inline bool socket_unread(struct sock *sk)
{
	const struct tcp_sock *tcp = socket_tcp(sk);

	if (!tcp)
		return socket_field(sk, sk_receive_queue.qlen) != 0;
	return socket_field(tcp, rcv_nxt) != socket_field(tcp, copied_seq);
}

/* Whether all that the process handed over has left. */
static __always_inline bool socket_sent_all(struct sock *sk)
{
	const struct tcp_sock *tcp = socket_tcp(sk);

	return tcp && socket_field(tcp, snd_nxt) == socket_field(tcp, write_seq);
}

#endif
