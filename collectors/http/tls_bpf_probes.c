/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http/tls_bpf_probes.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "collectors/bpf_refusal.h"

#define PLACES_MAX (TLS_CALLS * TLS_LEAVES_MAX) /* of one program */

/* Of linux/bpf.h, whose Debian version is older than they are. */
#define ATTACH_UPROBE_MULTI 48
#define UPROBE_MULTI_RETURN 1

/* The places of one program that are alike. */
struct batch {
	struct bpf_program *program;
	bool returns;
	unsigned count;
	uint64_t offsets[PLACES_MAX], cookies[PLACES_MAX];
};

enum { LEAVES, RETURNS, FREES, ENTERS, BATCHES };

struct tls_probes {
	struct bpf_link *links[BATCHES * PLACES_MAX];
	unsigned link_count;
	int fds[BATCHES];
	unsigned fd_count;
};

void tls_probes_prepare(struct tls_probe_programs *programs, bool apart)
{
	/*
	 * 6.6 has it, but calls the programs for the first thread of a process alone. That was mended
	 * in 6.10, which nothing in its types tells; the next kind of probes came with 6.13.
	 */
	programs->together = !apart && bpf_has_attach_type("BPF_TRACE_UPROBE_SESSION");
	if (!programs->together)
		return;
	bpf_program__set_expected_attach_type(programs->entered, ATTACH_UPROBE_MULTI);
	bpf_program__set_expected_attach_type(programs->left, ATTACH_UPROBE_MULTI);
	bpf_program__set_expected_attach_type(programs->freed, ATTACH_UPROBE_MULTI);
}

/* ---- places ------------------------------------------------------------------------------------- */

static void place_add(struct batch *batch, uint64_t offset, enum tls_call call)
{
	batch->offsets[batch->count] = offset;
	batch->cookies[batch->count++] = call;
}

static void site_add(struct batch batches[BATCHES], enum tls_call call, const struct tls_site *site)
{
	if (!site->enters)
		return;
	if (call == TLS_FREE) {
		place_add(&batches[FREES], site->enters, call);
		return;
	}
	place_add(&batches[ENTERS], site->enters, call);
	if (!site->leaf_count)
		place_add(&batches[RETURNS], site->returns, call);
	for (unsigned i = 0; i < site->leaf_count; i++)
		place_add(&batches[LEAVES], site->leaves[i], call);
}

/* ---- attaching ---------------------------------------------------------------------------------- */

static int batch_attach_together(struct tls_probes *probes, const struct batch *batch, pid_t pid,
				 const char *path)
{
	/* Of the bpf(2) call, likewise newer than its header. */
	const struct {
		__u32 program, target, type, flags;
		__u64 path, offsets, counts_at, cookies;
		__u32 count, how, pid, nothing;
	} create = {
		.program = (__u32)bpf_program__fd(batch->program),
		.type = ATTACH_UPROBE_MULTI,
		.path = (uintptr_t)path,
		.offsets = (uintptr_t)batch->offsets,
		.cookies = (uintptr_t)batch->cookies,
		.count = batch->count,
		.how = batch->returns ? UPROBE_MULTI_RETURN : 0,
		.pid = (__u32)pid,
	};
	int fd = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &create, sizeof(create));

	if (fd < 0)
		return -errno;
	probes->fds[probes->fd_count++] = fd;
	return 0;
}

static int batch_attach_apart(struct tls_probes *probes, const struct batch *batch, pid_t pid,
			      const char *path)
{
	for (unsigned i = 0; i < batch->count; i++) {
		LIBBPF_OPTS(bpf_uprobe_opts, opts, .bpf_cookie = batch->cookies[i],
			    .retprobe = batch->returns);
		struct bpf_link *link = bpf_program__attach_uprobe_opts(batch->program, pid, path,
									batch->offsets[i], &opts);

		if (!link)
			return -errno;
		probes->links[probes->link_count++] = link;
	}
	return 0;
}

int tls_probes_attach(struct tls_probes **out, const struct tls_probe_programs *programs, pid_t pid,
		      const char *path, const struct tls_sites *sites)
{
	struct tls_probes *probes = calloc(1, sizeof(*probes));
	/* In this order: what returns counts only when it was seen to enter. */
	struct batch batches[BATCHES] = {
		[LEAVES].program = programs->left,
		[RETURNS] = {.program = programs->left, .returns = true},
		[FREES].program = programs->freed,
		[ENTERS].program = programs->entered,
	};
	int err = probes ? 0 : -ENOMEM;

	for (enum tls_call call = 0; call < TLS_CALLS; call++)
		site_add(batches, call, &sites->calls[call]);
	for (unsigned i = 0; !err && i < BATCHES; i++)
		if (batches[i].count)
			err = programs->together
				      ? batch_attach_together(probes, &batches[i], pid, path)
				      : batch_attach_apart(probes, &batches[i], pid, path);
	if (err)
		tls_probes_detach(probes);
	else
		*out = probes;
	return err;
}

void tls_probes_detach(struct tls_probes *probes)
{
	if (!probes)
		return;
	while (probes->link_count)
		bpf_link__destroy(probes->links[--probes->link_count]);
	while (probes->fd_count)
		close(probes->fds[--probes->fd_count]);
	free(probes);
}
