/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http/http_bpf_programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/http.skel.h"
#include "bpf/http_calls.skel.h"
#include "collectors/bpf_refusal.h"
#include "lib/base/types.h"
#include "lib/data/hist.h"

static const char *const tracepoints_a[] = {
	"sock_recv_length",
	"sock_send_length",
	"sk_data_ready",
	"inet_sock_set_state",
};
static const char *const tracepoints_b[] = {"sys_exit", "inet_sock_set_state"};

static const struct bpf_need needed_a = {"eBPF tier A", "use kernel 6.3 or later", tracepoints_a,
					 ARRAY_LEN(tracepoints_a)};
static const struct bpf_need needed_b = {"eBPF tier B", "use kernel 5.12 or later", tracepoints_b,
					 ARRAY_LEN(tracepoints_b)};

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
	p->tls_traced = &generated->bss->tls_traced;
	if (!constants->probes)
		bpf_map__set_max_entries(generated->maps.tls_conns, 1);
	return 0;
}

static int programs_open_b(struct http_bpf_programs *p, const struct http_bpf_constants *constants)
{
	struct http_calls_skel *generated = http_calls_skel__open();

	if (!generated)
		return -errno;
	PROGRAMS_SHOW(p, generated, constants);
	/* Without it, waits in the socket are unknown; nothing else needs it. */
	if (!bpf_has_tracepoint("tcp_probe"))
		bpf_program__set_autoload(generated->progs.http_arrived, false);
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

int http_bpf_programs_explain(int err, char tier, struct diag *d)
{
	return bpf_refusal(err, tier == 'B' ? &needed_b : &needed_a, d);
}
