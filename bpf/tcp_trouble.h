/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What went wrong between TCP and a peer, as the kernel side (bpf/tcp.bpf.c) counts it and the
 * agent reads it. Layouts are shared: fixed-width words only.
 */
#ifndef VOW_BPF_TCP_TROUBLE_H
#define VOW_BPF_TCP_TROUBLE_H

#include <linux/types.h>

/* X(constant, name of the gauge): declared once for both sides. */
#define TCP_TROUBLES(X)                                                                          \
	X(TCP_RETRANSMITS, "tcp_retransmits_total") /* segments sent again */                    \
	X(TCP_REFUSED, "tcp_connects_refused_total") /* the peer answered with a reset */        \
	X(TCP_TIMED_OUT, "tcp_connects_timed_out_total") /* it did not answer */                 \
	X(TCP_UNREACHABLE, "tcp_connects_unreachable_total") /* somebody said there is no way */ \
	X(TCP_GIVEN_UP, "tcp_connects_given_up_total") /* closed here before an answer came */

#define TCP_TROUBLE_ENUM(constant, name) constant,
enum tcp_trouble { TCP_TROUBLES(TCP_TROUBLE_ENUM) TCP_TROUBLE_KINDS };
#undef TCP_TROUBLE_ENUM

/*
 * Whom it concerns: the address and port that a process of this host connects to; or, of
 * connections that clients opened, the local port alone, since clients are many, and people.
 */
struct tcp_peer {
	__u8 address[16]; /* as of IPv6, an IPv4 one mapped into it; zeros: clients of the port */
	__u16 port; /* host order */
	__u16 zero; /* all bytes of a key count */
};

struct tcp_counts {
	__u64 counts[TCP_TROUBLE_KINDS]; /* since the programs were loaded, or the peer evicted */
	__u64 last_at; /* CLOCK_MONOTONIC */
};

#define TCP_PEERS_MAX 1024 /* peers in trouble; then those not in trouble for longest are evicted */

#endif
