/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP programs of one tier, and what all tiers have: tier A is bpf/http.bpf.c, which sees
 * socket calls by tracepoints of theirs, tier B is bpf/http_calls.bpf.c, which finds sockets by
 * the descriptors of system calls. One thread.
 */
#ifndef VOW_COLLECTORS_HTTP_BPF_PROGRAMS_H
#define VOW_COLLECTORS_HTTP_BPF_PROGRAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/http_record.h"
#include "collectors/http/http_ring.h"
#include "lib/base/diag.h"

struct bpf_link;
struct bpf_map;
struct bpf_object;
struct bpf_object_skeleton;

/* What programs are loaded with. */
struct http_bpf_constants {
	const struct http_ring_shape *shape;
	const struct http_headers *headers; /* to look for; NULL: none */
	bool probes; /* of TLS calls may be asked for */
};

struct http_bpf_programs {
	char tier; /* 'A' or 'B' */
	struct bpf_object *object;
	struct bpf_map *conns, *rings, *overflows, *counters, *costs;
	uint32_t *capturing, *spare_paths; /* variables of the programs */
	uint32_t *tls_traced; /* of tier A; NULL: there are no probes in TLS libraries */
	uint64_t *records_from_ns;
	uint64_t *sweep_kept, *sweep_open, *sweep_in_flight, *sweep_oldest_at;
	struct bpf_link *sweep; /* runs the sweep when it is read */

	struct bpf_object_skeleton *skeleton;
	void *generated; /* what libbpf's generator made, to be freed */
};

/*
 * Loads and attaches the programs of a tier, which do nothing before *capturing is set; closed by
 * http_bpf_programs_close(), whatever the result. 0 or a negative errno as the kernel gave it.
 */
int http_bpf_programs_open(struct http_bpf_programs *programs, char tier,
			   const struct http_bpf_constants *constants);
void http_bpf_programs_close(struct http_bpf_programs *programs); /* zeros are allowed */

/*
 * Says why http_bpf_programs_open() failed with err: which tier, why, and what to do. Returns -EPERM
 * (no rights), -ENOTSUP (the kernel lacks something) or err.
 */
int http_bpf_programs_explain(int err, char tier, struct diag *d);

#endif
