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

struct tls_bpf {
	struct http_bpf_programs *programs;
	struct tls_calls_skel *skel;
	struct bpf_link *sweep;
	struct tls_probe_programs probes;
	uint64_t turns; /* of probing, so far */
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
	bpf->probes = (struct tls_probe_programs){skel->progs.tls_entered, skel->progs.tls_left,
						  skel->progs.tls_freed, false};
	tls_probes_prepare(&bpf->probes, constants->probes_apart);
	err = maps_share(bpf);
	if (!err)
		err = tls_calls_skel__load(skel);
	return err ? err : sweep_attach(bpf);
}

int tls_bpf_open(struct tls_bpf **out, struct http_bpf_programs *programs,
		 const struct http_bpf_constants *constants, struct diag *d)
{
	static const struct bpf_need need = {"TLS probes", "use kernel 5.15 or later", NULL, 0};
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
	bpf_link__destroy(bpf->sweep);
	tls_calls_skel__destroy(bpf->skel);
	free(bpf);
}

void tls_bpf_obey(struct tls_bpf *bpf)
{
	const struct http_bpf_programs *programs = bpf->programs;

	bpf->skel->bss->spare_paths = *programs->spare_paths;
	http_bpf_programs_busy(&bpf->skel->bss->busy_set, programs->busy_set);
	http_bpf_programs_records((uint64_t *)&bpf->skel->bss->records_from_ns,
				  &bpf->skel->bss->spare_busy, *programs->records_from_ns,
				  *programs->spare_busy);
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
	if (bpf->skel->bss->sweep_in_flight)
		memset(&bpf->skel->bss->sweep_table, 0, sizeof(bpf->skel->bss->sweep_table));
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

const struct http_tally *tls_bpf_in_flight(const struct tls_bpf *bpf)
{
	return &bpf->skel->bss->sweep_table;
}

/* ---- probes ------------------------------------------------------------------------------------- */

static int processes_fd(const struct tls_bpf *bpf)
{
	return bpf_map__fd(bpf->skel->maps.tls_processes);
}

int tls_bpf_probe(struct tls_bpf *bpf, pid_t pid, const char *path, const struct tls_sites *sites,
		  struct tls_probes **probes, struct diag *d)
{
	const uint64_t key = (uint64_t)pid, turn = ++bpf->turns;
	int err = tls_probes_attach(probes, &bpf->probes, pid, path, sites);

	/*
	 * Behind the last probe: with some of them alone a request would be seen to begin, and not to
	 * end, and those that follow would be taken for the rest of it.
	 */
	if (!err && bpf_map_update_elem(processes_fd(bpf), &key, &turn, BPF_ANY)) {
		err = -errno;
		tls_probes_detach(*probes);
		*probes = NULL;
	}
	return err ? diag_errno(d, err, "TLS probes", NULL, "cannot probe the calls of a process")
		   : 0;
}

void tls_bpf_release(struct tls_bpf *bpf, const pid_t *pids, unsigned count)
{
	mono_ns oldest;

	for (unsigned i = 0; i < count; i++) {
		const uint64_t key = (uint64_t)pids[i];

		bpf_map_delete_elem(processes_fd(bpf), &key);
	}
	tls_bpf_sweep(bpf, &oldest);
}
