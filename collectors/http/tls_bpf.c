/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http/tls_bpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/tls_calls.skel.h"
#include "collectors/bpf_refusal.h"
#include "lib/data/hist.h"

/* An enter, and leaves or a return probe, of each call. */
#define LINKS_MAX (TLS_CALLS * (1 + TLS_LEAVES_MAX))

struct tls_bpf {
	struct http_bpf_programs *programs;
	struct tls_calls_skel *skel;
	struct bpf_link *state, *sweep;
};

struct tls_probes {
	struct bpf_link *links[LINKS_MAX];
	unsigned count;
};

/* ---- loading ------------------------------------------------------------------------------------ */

/* Each map that the HTTP programs have under the same name is theirs. */
static int maps_share(struct tls_bpf *bpf)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, bpf->skel->obj)
	{
		const char *name = bpf_map__name(map);
		struct bpf_map *shared;
		int err;

		/* Variables are each object's own, and nothing looks for records here. */
		if (bpf_map__is_internal(map) || !strcmp(name, "texts"))
			continue;
		if (!strcmp(name, "scans")) {
			bpf_map__set_autocreate(map, false);
			continue;
		}
		shared = bpf_object__find_map_by_name(bpf->programs->object, name);
		err = shared ? bpf_map__reuse_fd(map, bpf_map__fd(shared)) : -ENOENT;
		if (err)
			return err;
	}
	return 0;
}

static int sweep_attach(struct tls_bpf *bpf)
{
	union bpf_iter_link_info info = {.map.map_fd =
						 (__u32)bpf_map__fd(bpf->skel->maps.tls_conns)};
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));

	bpf->sweep = bpf_program__attach_iter(bpf->skel->progs.tls_sweep, &opts);
	return bpf->sweep ? 0 : -errno;
}

static int programs_load(struct tls_bpf *bpf, const struct http_bpf_constants *constants)
{
	struct tls_calls_skel *skel = bpf->skel = tls_calls_skel__open();
	int err;

	if (!skel)
		return -errno;
	if (constants->headers)
		skel->rodata->headers = *constants->headers;
	memcpy((void *)skel->rodata->hist_cells, hist_cells, sizeof(hist_cells));
	skel->rodata->own_tgid = (__u32)getpid();
	skel->rodata->ring_mask = constants->shape->rings - 1;
	skel->rodata->slot_mask = constants->shape->slots - 1;
	err = maps_share(bpf);
	if (!err)
		err = tls_calls_skel__load(skel);
	if (!err) {
		bpf->state = bpf_program__attach(skel->progs.tls_state);
		err = bpf->state ? sweep_attach(bpf) : -errno;
	}
	return err;
}

int tls_bpf_open(struct tls_bpf **out, struct http_bpf_programs *programs,
		 const struct http_bpf_constants *constants, struct diag *d)
{
	static const struct bpf_need need = {"TLS probes", "use kernel 6.3 or later", NULL, 0};
	struct tls_bpf *bpf = calloc(1, sizeof(*bpf));
	int err;

	if (!bpf)
		return diag_errno(d, -ENOMEM, "TLS probes", NULL, "no memory");
	bpf->programs = programs;
	err = programs_load(bpf, constants);
	if (err) {
		tls_bpf_close(bpf);
		return bpf_refusal(err, &need, d);
	}
	tls_bpf_obey(bpf);
	__atomic_store_n(programs->tls_traced, 1, __ATOMIC_RELEASE);
	*out = bpf;
	return 0;
}

void tls_bpf_close(struct tls_bpf *bpf)
{
	if (!bpf)
		return;
	bpf_link__destroy(bpf->state);
	bpf_link__destroy(bpf->sweep);
	tls_calls_skel__destroy(bpf->skel);
	free(bpf);
}

void tls_bpf_obey(struct tls_bpf *bpf)
{
	const struct http_bpf_programs *programs = bpf->programs;

	bpf->skel->bss->spare_paths = *programs->spare_paths;
	bpf->skel->bss->records_from_ns = *programs->records_from_ns;
	__atomic_store_n(&bpf->skel->bss->capturing, *programs->capturing, __ATOMIC_RELEASE);
}

uint64_t tls_bpf_sweep(struct tls_bpf *bpf, mono_ns *oldest_at)
{
	const int conns = bpf_map__fd(bpf->skel->maps.tls_conns);
	struct {
		uint64_t ssl, pid;
	} keys[256];
	int fd = bpf_iter_create(bpf_link__fd(bpf->sweep));
	ssize_t n;

	*oldest_at = 0;
	if (fd < 0)
		return 0;
	bpf->skel->bss->sweep_in_flight = 0;
	bpf->skel->bss->sweep_oldest_at = 0;
	do {
		n = read(fd, keys, sizeof(keys));
		for (ssize_t i = 0; i < n / (ssize_t)sizeof(keys[0]); i++)
			bpf_map_delete_elem(conns, &keys[i]);
	} while (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)));
	close(fd);
	*oldest_at = bpf->skel->bss->sweep_oldest_at;
	return bpf->skel->bss->sweep_in_flight;
}

/* ---- probes ------------------------------------------------------------------------------------- */

struct place {
	pid_t pid;
	const char *path;
	uint64_t offset;
	enum tls_call call;
	bool returns;
};

static int probe_add(struct tls_probes *probes, const struct bpf_program *program,
		     const struct place *place)
{
	LIBBPF_OPTS(bpf_uprobe_opts, opts, .bpf_cookie = place->call, .retprobe = place->returns);
	struct bpf_link *link = bpf_program__attach_uprobe_opts(program, place->pid, place->path,
								place->offset, &opts);

	if (!link)
		return -errno;
	probes->links[probes->count++] = link;
	return 0;
}

static int call_probe(struct tls_probes *probes, struct tls_calls_skel *skel, struct place *place,
		      const struct tls_site *site)
{
	int err;

	place->offset = site->enters;
	place->returns = false;
	if (place->call == TLS_FREE)
		return probe_add(probes, skel->progs.tls_freed, place);
	err = probe_add(probes, skel->progs.tls_entered, place);
	if (!err && !site->leaf_count) {
		place->offset = site->returns;
		place->returns = true;
		return probe_add(probes, skel->progs.tls_left, place);
	}
	for (unsigned i = 0; !err && i < site->leaf_count; i++) {
		place->offset = site->leaves[i];
		err = probe_add(probes, skel->progs.tls_left, place);
	}
	return err;
}

int tls_probes_attach(struct tls_probes **out, struct tls_bpf *bpf, pid_t pid, const char *path,
		      const struct tls_sites *sites, struct diag *d)
{
	struct tls_probes *probes = calloc(1, sizeof(*probes));
	struct place place = {.pid = pid, .path = path};
	int err = probes ? 0 : -ENOMEM;

	for (place.call = 0; !err && place.call < TLS_CALLS; place.call++)
		if (sites->calls[place.call].enters)
			err = call_probe(probes, bpf->skel, &place, &sites->calls[place.call]);
	if (err) {
		tls_probes_detach(probes);
		return diag_errno(d, err, "TLS probes", NULL,
				  "cannot probe the calls of a process");
	}
	*out = probes;
	return 0;
}

void tls_probes_detach(struct tls_probes *probes)
{
	if (!probes)
		return;
	while (probes->count)
		bpf_link__destroy(probes->links[--probes->count]);
	free(probes);
}
