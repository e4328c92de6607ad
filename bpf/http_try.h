/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Whether fields lie where a file of types says: user space makes a connection of its own, of which
 * it knows what the programs should find, and lets them look. Kernel side.
 */
#ifndef VOW_BPF_HTTP_TRY_H
#define VOW_BPF_HTTP_TRY_H

#include "bpf/http_calls.h"

/* Set by user space: a connected TCP socket of its own, over IPv4. */
__u32 try_descriptor;

/* What is found of it. */
__u64 try_inode;
__u32 try_process; /* the running one was recognized */
__u32 try_unread, try_unsent;
__u16 try_local_port, try_remote_port, try_family, try_state;

/* Run by user space (BPF_PROG_TEST_RUN). */
SEC("raw_tp")
int http_try(void *ctx)
{
	struct sock *sk = socket_find(try_descriptor);
	const struct tcp_sock *tcp;

	try_process = kernel_field(kernel_task(), tgid) == bpf_get_current_pid_tgid() >> 32;
	if (!sk)
		return 0;
	try_inode = socket_identity(sk, true);
	try_family = socket_field(sk, __sk_common.skc_family);
	try_state = socket_field(sk, __sk_common.skc_state);
	try_local_port = socket_field(sk, __sk_common.skc_num);
	try_remote_port = __builtin_bswap16(socket_field(sk, __sk_common.skc_dport));
	tcp = socket_wanted(sk) ? socket_tcp(sk) : NULL;
	if (!tcp)
		return 0;
	try_unread = socket_field(tcp, rcv_nxt) - socket_field(tcp, copied_seq);
	try_unsent = socket_field(tcp, write_seq) - socket_field(tcp, snd_una);
	return 0;
}

#endif
