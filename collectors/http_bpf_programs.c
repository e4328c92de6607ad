/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http_bpf_programs.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/http.skel.h"
#include "bpf/http_calls.skel.h"
#include "lib/base/types.h"
#include "lib/data/hist.h"

/* The tracepoints that a tier cannot do without; the first kernel that has them all. */
static const char *const needed_a[] = {
	"sock_recv_length",
	"sock_send_length",
	"sk_data_ready",
	"inet_sock_set_state",
};
static const char *const needed_b[] = {"sys_exit", "inet_sock_set_state"};

struct tier {
	const char *text;
	const char *advice; /* when the kernel lacks a tracepoint, or refuses the programs */
	const char *const *needed;
	size_t needed_count;
};

static const struct tier tier_a = {"eBPF tier A", "use kernel 6.3 or later", needed_a,
				   ARRAY_LEN(needed_a)};
static const struct tier tier_b = {"eBPF tier B", "use kernel 5.12 or later", needed_b,
				   ARRAY_LEN(needed_b)};

static const struct tier *tier_of(char name)
{
	return name == 'B' ? &tier_b : &tier_a;
}

static bool tracepoint_is_there(const struct btf *types, const char *tracepoint)
{
	char name[64];

	snprintf(name, sizeof(name), "btf_trace_%s", tracepoint);
	return btf__find_by_name_kind(types, name, BTF_KIND_TYPEDEF) >= 0;
}

/* ---- loading ------------------------------------------------------------------------------------ */

/* What the generated code of every tier has under the same names. */
#define PROGRAMS_SHOW(p, generated_, constants)                                                   \
	do {                                                                                      \
		(p)->generated = (generated_);                                                    \
		(p)->skeleton = (generated_)->skeleton;                                           \
		(p)->object = (generated_)->obj;                                                  \
		(p)->conns = (generated_)->maps.conns;                                            \
		(p)->rings = (generated_)->maps.rings;                                            \
		(p)->overflows = (generated_)->maps.overflows;                                    \
		(p)->counters = (generated_)->maps.counters;                                      \
		(p)->costs = (generated_)->maps.costs;                                            \
		(p)->capturing = &(generated_)->bss->capturing;                                   \
		(p)->spare_paths = &(generated_)->bss->spare_paths;                               \
		(p)->records_from_ns = (uint64_t *)&(generated_)->bss->records_from_ns;           \
		(p)->sweep_kept = (uint64_t *)&(generated_)->bss->sweep_kept;                     \
		(p)->sweep_open = (uint64_t *)&(generated_)->bss->sweep_open;                     \
		(p)->sweep_in_flight = (uint64_t *)&(generated_)->bss->sweep_in_flight;           \
		(p)->sweep_oldest_at = (uint64_t *)&(generated_)->bss->sweep_oldest_at;           \
		if ((constants)->headers)                                                         \
			(generated_)->rodata->headers = *(constants)->headers;                    \
		memcpy((void *)(generated_)->rodata->hist_cells, hist_cells, sizeof(hist_cells)); \
		(generated_)->rodata->own_tgid = (__u32)getpid();                                 \
		(generated_)->rodata->ring_mask = (constants)->shape->rings - 1;                  \
		(generated_)->rodata->slot_mask = (constants)->shape->slots - 1;                  \
	} while (0)

static int programs_open_a(struct http_bpf_programs *p, const struct http_bpf_constants *constants)
{
	struct http_skel *generated = http_skel__open();

	if (!generated)
		return -errno;
	PROGRAMS_SHOW(p, generated, constants);
	return 0;
}

static int programs_open_b(struct http_bpf_programs *p, const struct http_bpf_constants *constants)
{
	struct http_calls_skel *generated = http_calls_skel__open();
	struct btf *types;

	if (!generated)
		return -errno;
	PROGRAMS_SHOW(p, generated, constants);
	/* Without it, waits in the socket are unknown; nothing else needs it. */
	types = btf__load_vmlinux_btf();
	if (types && !tracepoint_is_there(types, "tcp_probe"))
		bpf_program__set_autoload(generated->progs.http_arrived, false);
	btf__free(types);
	return 0;
}

/* Over which map the sweep goes is said here: attaching it on its own would not. */
static int sweep_attach(struct http_bpf_programs *p, const struct bpf_program *sweep)
{
	union bpf_iter_link_info info = {.map.map_fd = (__u32)bpf_map__fd(p->conns)};
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));

	p->sweep = bpf_program__attach_iter(sweep, &opts);
	return p->sweep ? 0 : -errno;
}

int http_bpf_programs_open(struct http_bpf_programs *p, char tier,
			   const struct http_bpf_constants *constants)
{
	struct bpf_program *sweep;
	int err;

	memset(p, 0, sizeof(*p));
	p->tier = tier;
	err = tier == 'B' ? programs_open_b(p, constants) : programs_open_a(p, constants);
	if (err)
		return err;
	sweep = bpf_object__find_program_by_name(p->object, "http_sweep");
	bpf_program__set_autoattach(sweep, false);
	err = bpf_map__set_max_entries(p->rings, constants->shape->rings);
	if (!err)
		err = bpf_map__set_value_size(p->rings, (__u32)http_ring_bytes(constants->shape));
	if (!err)
		err = bpf_object__load_skeleton(p->skeleton);
	if (!err)
		err = bpf_object__attach_skeleton(p->skeleton);
	return err ? err : sweep_attach(p, sweep);
}

void http_bpf_programs_close(struct http_bpf_programs *p)
{
	bpf_link__destroy(p->sweep);
	bpf_object__destroy_skeleton(p->skeleton);
	free(p->generated);
	memset(p, 0, sizeof(*p));
}

/* ---- refusals ----------------------------------------------------------------------------------- */

int http_bpf_programs_explain(int err, char name, struct diag *d)
{
	const struct tier *tier = tier_of(name);
	const char *missing = NULL;
	struct btf *types;
	int types_err;

	if (err == -EPERM)
		return diag_set(d, -EPERM, tier->text,
				"run vowd as root, or give it CAP_BPF and CAP_PERFMON; kernel "
				"lockdown in mode confidentiality forbids it altogether",
				"the kernel refuses BPF programs: no rights");
	types = btf__load_vmlinux_btf();
	types_err = types ? 0 : errno;
	for (size_t i = 0; types && !missing && i < tier->needed_count; i++)
		if (!tracepoint_is_there(types, tier->needed[i]))
			missing = tier->needed[i];
	btf__free(types);
	if (types_err)
		return diag_set(d, -ENOTSUP, tier->text,
				"use a kernel built with CONFIG_DEBUG_INFO_BTF",
				"this kernel does not describe its types "
				"(/sys/kernel/btf/vmlinux): %s",
				strerror(types_err));
	if (missing)
		return diag_set(d, -ENOTSUP, tier->text, tier->advice,
				"this kernel has no tracepoint %s", missing);
	return diag_errno(d, err, tier->text, tier->advice,
			  "this kernel refuses the HTTP programs");
}
