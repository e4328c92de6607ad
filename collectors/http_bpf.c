/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http_bpf.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/http.skel.h"
#include "collectors/http_ring.h"
#include "lib/data/hist.h"

_Static_assert(sizeof(struct http_record) == 272, "layout shared with the kernel side");
_Static_assert(sizeof(struct http_slot) == 256, "layout shared with the kernel side");

#define TIER "eBPF tier A"

struct http_bpf {
	struct http_skel *skel;
	struct bpf_link *sweep;
	struct http_ring_shape shape;
	struct http_ring_reader *rings;
	struct http_overflow_reader *overflow;
};

/* libbpf prints whole verifier logs; what a user can act on is in our diag. */
static int print_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

/* The tracepoint that the running kernel lacks, NULL when it has all; err when it has no BTF. */
static const char *missing_tracepoint(int *err)
{
	static const char *const needed[] = {
		"sock_recv_length",
		"sock_send_length",
		"sk_data_ready",
		"inet_sock_set_state",
	};
	struct btf *btf = btf__load_vmlinux_btf();
	const char *missing = NULL;

	*err = btf ? 0 : -errno;
	for (size_t i = 0; btf && !missing && i < ARRAY_LEN(needed); i++) {
		char name[64];

		snprintf(name, sizeof(name), "btf_trace_%s", needed[i]);
		if (btf__find_by_name_kind(btf, name, BTF_KIND_TYPEDEF) < 0)
			missing = needed[i];
	}
	btf__free(btf);
	return missing;
}

/* Says why loading or attaching failed with err. */
static int explain(int err, struct diag *d)
{
	const char *missing;
	int btf_err;

	if (err == -EPERM || err == -EACCES)
		return diag_set(d, -EPERM, TIER,
				"run vowd as root, or give it CAP_BPF and CAP_PERFMON; kernel "
				"lockdown in mode confidentiality forbids it altogether",
				"the kernel refuses BPF programs: no rights");
	missing = missing_tracepoint(&btf_err);
	if (btf_err)
		return diag_set(d, -ENOTSUP, TIER, "use a kernel built with CONFIG_DEBUG_INFO_BTF",
				"this kernel does not describe its types "
				"(/sys/kernel/btf/vmlinux): %s",
				strerror(-btf_err));
	if (missing)
		return diag_set(d, -ENOTSUP, TIER, "use kernel 6.3 or later",
				"this kernel has no tracepoint %s", missing);
	return diag_errno(d, err, TIER, NULL, "the kernel refuses the HTTP programs");
}

/* The rings for so many bytes, as the programs are to be loaded with. */
static int shape_rings(struct http_skel *skel, const struct http_ring_shape *shape)
{
	int err = bpf_map__set_max_entries(skel->maps.rings, shape->rings);

	skel->rodata->ring_mask = shape->rings - 1;
	skel->rodata->slot_mask = shape->slots - 1;
	return err ? err : bpf_map__set_value_size(skel->maps.rings, (__u32)http_ring_bytes(shape));
}

static int attach_sweep(struct http_bpf *bpf)
{
	union bpf_iter_link_info info = {
		.map.map_fd = (__u32)bpf_map__fd(bpf->skel->maps.conns),
	};
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));

	bpf->sweep = bpf_program__attach_iter(bpf->skel->progs.http_sweep, &opts);
	return bpf->sweep ? 0 : -errno;
}

static int load(struct http_bpf *bpf, const struct http_ring_shape *shape,
		const struct http_headers *headers)
{
	struct http_skel *skel = bpf->skel;
	int err;

	if (headers)
		skel->rodata->headers = *headers;
	skel->rodata->own_tgid = (__u32)getpid();
	/* The sweep wants a map to go over, which attaching it on its own would not name. */
	bpf_program__set_autoattach(skel->progs.http_sweep, false);
	memcpy((void *)skel->rodata->hist_cells, hist_cells, sizeof(hist_cells));
	err = shape_rings(skel, shape);
	if (!err)
		err = http_skel__load(skel);
	if (!err)
		err = http_skel__attach(skel);
	if (!err)
		err = attach_sweep(bpf);
	return err;
}

int http_bpf_open(struct http_bpf **out, const struct http_bpf_options *options, struct diag *d)
{
	const long processors = sysconf(_SC_NPROCESSORS_ONLN);
	const struct http_ring_shape shape =
		http_ring_shape_of(options->ring_bytes ? options->ring_bytes : HTTP_BPF_RING_BYTES,
				   processors > 0 ? (unsigned)processors : 1);
	struct http_bpf *bpf = calloc(1, sizeof(*bpf));
	int err;

	if (!bpf)
		return diag_errno(d, -ENOMEM, TIER, NULL, "no memory");
	libbpf_set_print(print_nothing);
	bpf->skel = http_skel__open();
	err = bpf->skel ? load(bpf, &shape, options->headers) : -errno;
	if (err)
		err = explain(err, d);
	else
		err = http_ring_open(&bpf->rings, bpf_map__fd(bpf->skel->maps.rings), &shape, d);
	if (!err)
		err = http_overflow_open(&bpf->overflow, bpf_map__fd(bpf->skel->maps.overflows), d);
	if (err) {
		http_bpf_close(bpf);
		return err;
	}
	__atomic_store_n(&bpf->skel->bss->capturing, 1, __ATOMIC_RELEASE);
	bpf->shape = shape;
	*out = bpf;
	return 0;
}

dur_ns http_bpf_patience(const struct http_bpf *bpf)
{
	return http_ring_patience(&bpf->shape);
}

void http_bpf_stop(struct http_bpf *bpf)
{
	__atomic_store_n(&bpf->skel->bss->capturing, 0, __ATOMIC_RELEASE);
}

void http_bpf_close(struct http_bpf *bpf)
{
	if (!bpf)
		return;
	http_overflow_close(bpf->overflow);
	http_ring_close(bpf->rings);
	bpf_link__destroy(bpf->sweep);
	http_skel__destroy(bpf->skel);
	free(bpf);
}

unsigned http_bpf_drain(struct http_bpf *bpf, unsigned max, http_bpf_fn fn, void *arg)
{
	return http_ring_drain(bpf->rings, max, fn, arg);
}

uint64_t http_bpf_overflow(struct http_bpf *bpf, http_overflow_fn fn, void *arg)
{
	return http_overflow_drain(bpf->overflow, fn, arg);
}

int http_bpf_sweep(struct http_bpf *bpf, struct http_bpf_sweep *sweep)
{
	struct http_skel__bss *bss = bpf->skel->bss;
	char unused[64];
	ssize_t n;
	int fd;

	bss->sweep_open = 0;
	bss->sweep_in_flight = 0;
	bss->sweep_oldest_at = 0;
	fd = bpf_iter_create(bpf_link__fd(bpf->sweep));
	if (fd < 0)
		return -errno;
	/* The program writes no text: reading to the end is what runs it. */
	do {
		n = read(fd, unused, sizeof(unused));
	} while (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)));
	n = n < 0 ? -errno : 0;
	close(fd);
	sweep->open = bss->sweep_open;
	sweep->in_flight = bss->sweep_in_flight;
	sweep->oldest_at = bss->sweep_oldest_at;
	return (int)n;
}

int http_bpf_counters(const struct http_bpf *bpf, uint64_t counters[HTTP_COUNTERS])
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t *each = cpus > 0 ? calloc((size_t)cpus, HTTP_COUNTERS * sizeof(*each)) : NULL;
	__u32 keys[HTTP_COUNTERS], next, count = HTTP_COUNTERS;
	int err = each ? 0 : -ENOMEM;

	/* All by one call, since it is made each second; at the end of the map it tells ENOENT. */
	if (!err &&
	    bpf_map_lookup_batch(bpf_map__fd(bpf->skel->maps.counters), NULL, &next, keys, each,
				 &count, NULL) &&
	    errno != ENOENT)
		err = -errno;
	if (!err && count != HTTP_COUNTERS)
		err = -EPROTO;
	for (__u32 i = 0; !err && i < HTTP_COUNTERS; i++) {
		counters[keys[i]] = 0;
		for (int cpu = 0; cpu < cpus; cpu++)
			counters[keys[i]] += each[i * (__u32)cpus + (__u32)cpu];
	}
	free(each);
	return err;
}

/* The kernel's accounts of a program; all 0 when it does not tell. */
static struct bpf_prog_info accounts_of(const struct bpf_program *program)
{
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
		return (struct bpf_prog_info){0};
	return info;
}

uint64_t http_bpf_missed(const struct http_bpf *bpf)
{
	struct bpf_program *program;
	uint64_t missed = 0;

	bpf_object__for_each_program(program, bpf->skel->obj) missed +=
		accounts_of(program).recursion_misses;
	return missed;
}

unsigned http_bpf_cost(const struct http_bpf *bpf, struct http_bpf_cost costs[HTTP_BPF_PROGRAMS])
{
	struct bpf_program *program;
	unsigned count = 0;

	bpf_object__for_each_program(program, bpf->skel->obj)
	{
		struct bpf_prog_info info = accounts_of(program);

		if (count == HTTP_BPF_PROGRAMS)
			break;
		costs[count++] = (struct http_bpf_cost){
			.name = bpf_program__name(program),
			.ns = info.run_time_ns,
			.runs = info.run_cnt,
		};
	}
	return count;
}
