/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP programs of one tier, and what all tiers have: tier A is bpf/http.bpf.c, which sees
 * socket calls by tracepoints of theirs, tier B is bpf/http_calls.bpf.c, which finds sockets by
 * the descriptors of system calls, tier C is bpf/http_raw.bpf.c, which does so without the kernel's
 * own description of its types. One thread.
 */
#ifndef VOW_COLLECTORS_HTTP_BPF_PROGRAMS_H
#define VOW_COLLECTORS_HTTP_BPF_PROGRAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/http_busy.h"
#include "bpf/http_record.h"
#include "bpf/http_tally.h"
#include "collectors/http/http_ring.h"
#include "lib/base/diag.h"
#include "lib/base/types.h"

struct bpf_link;
struct bpf_map;
struct bpf_object;
struct bpf_object_skeleton;
struct bpf_program;

/* What programs are loaded with. */
struct http_bpf_constants {
	const struct http_ring_shape *shape;
	const struct http_headers *headers; /* to look for; NULL: none */
	bool probes; /* of TLS calls may be asked for */
	bool probes_apart; /* each is attached for itself, whatever the kernel knows */
	const char *types; /* tier C: file of BTF; NULL: the kernel's own */
};

struct http_bpf_programs {
	char tier; /* 'A', 'B' or 'C' */
	struct bpf_object *object;
	struct bpf_map *conns, *rings, *overflows, *counters, *costs;
	uint32_t *capturing, *spare_paths, *spare_busy; /* variables of the programs */
	uint32_t *tls_traced; /* the same: there are probes in TLS libraries; NULL in tier C */
	uint64_t *records_from_ns;
	uint64_t *sweep_kept, *sweep_open, *sweep_in_flight, *sweep_oldest_at, *sweep_waiting;
	struct http_tally *sweep_table;
	struct http_busy_set *busy_set;
	uint32_t *sweep_wanted; /* NULL in tier A, where a sweep without work costs nothing */
	struct bpf_program *sweep_program;
	struct bpf_link *sweep; /* of tier A: runs the sweep when it is read; else NULL */
	const char *uring_lacks; /* what A and B need for io_uring; NULL: it is there */

	struct bpf_object_skeleton *skeleton;
	void *generated; /* what libbpf's generator made, to be freed */
};

/*
 * Loads and attaches the programs of a tier, which do nothing before *capturing is set; closed by
 * http_bpf_programs_close(), whatever the result. 0 or a negative errno as the kernel gave it. Those of
 * tier C are to be tried then, see http_bpf_raw.h.
 */
int http_bpf_programs_open(struct http_bpf_programs *programs, char tier,
			   const struct http_bpf_constants *constants);
void http_bpf_programs_close(struct http_bpf_programs *programs); /* zeros are allowed */

/* Sets the programs' set word by word, under programs that look into it. */
void http_bpf_programs_busy(struct http_busy_set *theirs, const struct http_busy_set *set);

/*
 * Sets which records are left out, under programs that look: those quicker than records_from (0:
 * none), busy: of busy services alone. At no time the two words say that more are left out than they
 * do before or after.
 */
void http_bpf_programs_records(uint64_t *records_from_ns, uint32_t *spare_busy, dur_ns records_from,
			       bool busy);

/*
 * Says why http_bpf_programs_open() failed with err: which tier, why, and what to do. Returns -EPERM
 * (no rights), -ENOTSUP (the kernel lacks something) or err.
 */
int http_bpf_programs_explain(int err, char tier, struct diag *d);

#endif
