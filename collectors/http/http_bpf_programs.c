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
#include "bpf/http_raw.skel.h"
#include "collectors/bpf_refusal.h"
#include "collectors/http/http_bpf_uring.h"
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
static const struct bpf_need needed_b = {"eBPF tier B", "use kernel 5.13 or later", tracepoints_b,
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
		(p)->spare_busy = &(generated_)->bss->spare_busy;                                 \
		(p)->busy_set = &(generated_)->bss->busy_set;                                     \
		(p)->records_from_ns = (uint64_t *)&(generated_)->bss->records_from_ns;           \
		(p)->tls_traced = &(generated_)->bss->tls_traced;                                 \
		(p)->sweep_kept = (uint64_t *)&(generated_)->bss->sweep_kept;                     \
		(p)->sweep_open = (uint64_t *)&(generated_)->bss->sweep_open;                     \
		(p)->sweep_in_flight = (uint64_t *)&(generated_)->bss->sweep_in_flight;           \
		(p)->sweep_oldest_at = (uint64_t *)&(generated_)->bss->sweep_oldest_at;           \
		(p)->sweep_waiting = (uint64_t *)&(generated_)->bss->sweep_waiting;               \
		(p)->sweep_table = &(generated_)->bss->sweep_table;                               \
		if ((constants)->headers)                                                         \
			(generated_)->rodata->headers = *(constants)->headers;                    \
		memcpy((void *)(generated_)->rodata->hist_cells, hist_cells, sizeof(hist_cells)); \
		(generated_)->rodata->own_tgid = (__u32)getpid();                                 \
		(generated_)->rodata->ring_mask = (constants)->shape->rings - 1;                  \
		(generated_)->rodata->slot_mask = (constants)->shape->slots - 1;                  \
		if (!(constants)->probes)                                                         \
			bpf_map__set_max_entries((generated_)->maps.tls_conns, 1);                \
	} while (0)

/* What those have that see io_uring. */
#define URING_SHOW(generated_, uring)                                                   \
	do {                                                                            \
		(generated_)->rodata->uring_followed = (uring) != NULL;                 \
		if (!(uring))                                                           \
			bpf_map__set_max_entries((generated_)->maps.uring_requests, 1); \
	} while (0)

static int programs_open_a(struct http_bpf_programs *p, const struct http_bpf_constants *constants,
			   const struct http_bpf_uring *uring)
{
	struct http_skel *generated = http_skel__open();

	if (!generated)
		return -errno;
	PROGRAMS_SHOW(p, generated, constants);
	URING_SHOW(generated, uring);
	return 0;
}

static int programs_open_b(struct http_bpf_programs *p, const struct http_bpf_constants *constants,
			   const struct http_bpf_uring *uring)
{
	struct http_calls_skel *generated = http_calls_skel__open();

	if (!generated)
		return -errno;
	PROGRAMS_SHOW(p, generated, constants);
	URING_SHOW(generated, uring);
	generated->rodata->uring_result_pointed = uring && uring->result_pointed;
	p->sweep_wanted = &generated->bss->sweep_wanted;
	/* Without it, waits in the socket are unknown; nothing else needs it. */
	if (!bpf_has_tracepoint("tcp_probe"))
		bpf_program__set_autoload(generated->progs.http_arrived, false);
	return 0;
}

static int programs_open_c(struct http_bpf_programs *p, const struct http_bpf_constants *constants)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .btf_custom_path = constants->types);
	struct http_raw_skel *generated = http_raw_skel__open_opts(&opts);

	if (!generated)
		return -errno;
	PROGRAMS_SHOW(p, generated, constants);
	p->sweep_wanted = &generated->bss->sweep_wanted;
	p->tls_traced = NULL;
	bpf_map__set_autocreate(generated->maps.tls_threads, false);
	bpf_map__set_autocreate(generated->maps.tls_conns, false);
	bpf_map__set_autocreate(generated->maps.tls_processes, false);
	bpf_program__set_autoattach(generated->progs.http_try, false);
	/* Once it is known whether there is such a tracepoint. */
	bpf_program__set_autoattach(generated->progs.http_arrived, false);
	return 0;
}

/* Over which map an iterator goes is said here: attaching it on its own would not. */
static int sweep_attach(struct http_bpf_programs *p)
{
	union bpf_iter_link_info info = {.map.map_fd = (__u32)bpf_map__fd(p->conns)};
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));

	if (bpf_program__type(p->sweep_program) != BPF_PROG_TYPE_TRACING)
		return 0;
	p->sweep = bpf_program__attach_iter(p->sweep_program, &opts);
	return p->sweep ? 0 : -errno;
}

/* The programs that see requests of io_uring, or none of them. */
static int uring_set(struct http_bpf_programs *p, const struct http_bpf_uring *uring)
{
	struct bpf_program *asked = bpf_object__find_program_by_name(p->object, "http_uring_asked");
	struct bpf_program *done = bpf_object__find_program_by_name(p->object, "http_uring_done");

	if (uring)
		return bpf_program__set_attach_target(asked, 0, uring->asked);
	bpf_program__set_autoload(asked, false);
	bpf_program__set_autoload(done, false);
	return 0;
}

static int programs_open(struct http_bpf_programs *p, char tier,
			 const struct http_bpf_constants *constants,
			 const struct http_bpf_uring *uring)
{
	int err;

	memset(p, 0, sizeof(*p));
	p->tier = tier;
	if (tier == 'C')
		err = programs_open_c(p, constants);
	else
		err = tier == 'B' ? programs_open_b(p, constants, uring)
				  : programs_open_a(p, constants, uring);
	if (err)
		return err;
	p->sweep_program = bpf_object__find_program_by_name(p->object, "http_sweep");
	bpf_program__set_autoattach(p->sweep_program, false);
	err = tier == 'C' ? 0 : uring_set(p, uring);
	if (!err)
		err = bpf_map__set_max_entries(p->rings, constants->shape->rings);
	if (!err)
		err = bpf_map__set_value_size(p->rings, (__u32)http_ring_bytes(constants->shape));
	if (!err)
		err = bpf_object__load_skeleton(p->skeleton);
	if (!err)
		err = bpf_object__attach_skeleton(p->skeleton);
	return err ? err : sweep_attach(p);
}

int http_bpf_programs_open(struct http_bpf_programs *p, char tier,
			   const struct http_bpf_constants *constants)
{
	struct http_bpf_uring uring = {0};
	const char *lacking;
	int err;

	if (tier == 'C')
		return programs_open(p, tier, constants, NULL);
	err = http_bpf_uring_find(&uring, &lacking);
	if (!err)
		err = programs_open(p, tier, constants, &uring);
	/* Without rights the others would be refused as well. */
	if (!err || err == -EPERM)
		return err;
	if (!lacking) {
		lacking = "way to load its programs";
		http_bpf_programs_close(p);
	}
	err = programs_open(p, tier, constants, NULL);
	p->uring_lacks = lacking;
	return err;
}

void http_bpf_programs_close(struct http_bpf_programs *p)
{
	bpf_link__destroy(p->sweep);
	bpf_object__destroy_skeleton(p->skeleton);
	free(p->generated);
	memset(p, 0, sizeof(*p));
}

void http_bpf_programs_busy(struct http_busy_set *theirs, const struct http_busy_set *set)
{
	for (unsigned i = 0; i < BUSY_PLACES; i++)
		__atomic_store_n(&theirs->keys[i], set->keys[i], __ATOMIC_RELAXED);
}

void http_bpf_programs_records(uint64_t *records_from_ns, uint32_t *spare_busy, dur_ns records_from,
			       bool busy)
{
	if (busy)
		__atomic_store_n(spare_busy, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(records_from_ns, records_from, __ATOMIC_SEQ_CST);
	if (!busy)
		__atomic_store_n(spare_busy, 0, __ATOMIC_SEQ_CST);
}

int http_bpf_programs_explain(int err, char tier, struct diag *d)
{
	/* What bpf_refusal() looks for in the kernel's own types does not matter to tier C. */
	if (tier == 'C' && err != -EPERM)
		return diag_errno(d, err, "eBPF tier C", "use kernel 5.13 or later",
				  "the kernel refuses the programs");
	return bpf_refusal(err, tier == 'B' ? &needed_b : &needed_a, d);
}
