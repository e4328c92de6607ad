/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/host/tcp_bpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>

#include "bpf/tcp.skel.h"
#include "collectors/bpf_refusal.h"

_Static_assert(sizeof(struct tcp_peer) == 20, "layout shared with the kernel side");
_Static_assert(sizeof(struct tcp_counts) == 48, "layout shared with the kernel side");

struct tcp_bpf {
	struct tcp_skel *skel;
};

int tcp_bpf_open(struct tcp_bpf **out, struct diag *d)
{
	static const char *const tracepoints[] = {"tcp_retransmit_skb", "inet_sock_set_state"};
	static const struct bpf_need need = {"tcp", "use kernel 5.8 or later", tracepoints,
					     ARRAY_LEN(tracepoints)};
	struct tcp_bpf *bpf = calloc(1, sizeof(*bpf));
	int err;

	if (!bpf)
		return diag_errno(d, -ENOMEM, "tcp", NULL, "no memory");
	bpf_quiet();
	bpf->skel = tcp_skel__open_and_load();
	err = bpf->skel ? tcp_skel__attach(bpf->skel) : -errno;
	if (err) {
		tcp_bpf_close(bpf);
		return bpf_refusal(err, &need, d);
	}
	*out = bpf;
	return 0;
}

void tcp_bpf_close(struct tcp_bpf *bpf)
{
	if (!bpf)
		return;
	tcp_skel__destroy(bpf->skel);
	free(bpf);
}

void tcp_bpf_sums(const struct tcp_bpf *bpf, struct tcp_bpf_sums *sums)
{
	const struct tcp_skel__bss *bss = bpf->skel->bss;

	/* Written by programs on all processors; seen[] last of what belongs to a trouble. */
	for (unsigned i = 0; i < TCP_TROUBLE_KINDS; i++)
		sums->seen[i] = __atomic_load_n(&bss->seen[i], __ATOMIC_ACQUIRE);
	sums->begun = __atomic_load_n(&bss->peers_begun, __ATOMIC_RELAXED);
	sums->failed = __atomic_load_n(&bss->peers_failed, __ATOMIC_RELAXED);
}

/* A table of what one call to the kernel returns, so that all peers take one call, or a few. */
struct batch {
	struct tcp_peer peers[TCP_PEERS_MAX];
	struct tcp_counts counts[TCP_PEERS_MAX];
};

int tcp_bpf_each(const struct tcp_bpf *bpf, tcp_bpf_fn fn, void *arg)
{
	struct batch *batch = malloc(sizeof(*batch));
	int fd = bpf_map__fd(bpf->skel->maps.peers);
	int total = 0, rc = batch ? 0 : -ENOMEM;
	__u32 at, *from = NULL;

	while (!rc) {
		__u32 count = TCP_PEERS_MAX;

		/* -ENOENT: these are the last ones. */
		rc = bpf_map_lookup_batch(fd, from, &at, batch->peers, batch->counts, &count, NULL);
		for (__u32 i = 0; (!rc || rc == -ENOENT) && i < count; i++, total++)
			fn(arg, &(struct tcp_bpf_peer){batch->peers[i], batch->counts[i]});
		from = &at;
	}
	free(batch);
	return rc == -ENOENT ? total : rc;
}
