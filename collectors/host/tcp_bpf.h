/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs of bpf/tcp.bpf.c behind a handle. One thread. Needs CAP_BPF and CAP_PERFMON to open,
 * CAP_BPF afterwards.
 */
#ifndef VOW_COLLECTORS_TCP_BPF_H
#define VOW_COLLECTORS_TCP_BPF_H

#include "bpf/tcp_trouble.h"
#include "lib/base/diag.h"
#include "lib/base/types.h"

struct tcp_bpf;

/* 0; -ENOTSUP, -EPERM or another negative errno, with d saying why and what to do. 20 to 60 ms. */
int tcp_bpf_open(struct tcp_bpf **bpf, struct diag *d);
void tcp_bpf_close(struct tcp_bpf *bpf); /* NULL is allowed */

/* What the kernel counted of all peers since the programs were loaded. Costs a few loads. */
struct tcp_bpf_sums {
	uint64_t seen[TCP_TROUBLE_KINDS];
	uint64_t begun; /* peers that got an entry */
	uint64_t failed; /* troubles that are in no entry */
};
void tcp_bpf_sums(const struct tcp_bpf *bpf, struct tcp_bpf_sums *sums);

struct tcp_bpf_peer {
	struct tcp_peer peer;
	struct tcp_counts counts;
};

/*
 * Hands over every peer that has an entry, in no order; returns how many, or a negative errno.
 * 0.1 to 1 ms. Allocates for as long as it runs.
 */
typedef void (*tcp_bpf_fn)(void *arg, const struct tcp_bpf_peer *peer);
int tcp_bpf_each(const struct tcp_bpf *bpf, tcp_bpf_fn fn, void *arg);

#endif
