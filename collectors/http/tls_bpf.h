/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probes in TLS libraries (bpf/tls_calls.bpf.c) behind a handle: loaded beside the HTTP programs
 * of either tier, whose maps they share, and attached to one process and file at a time. One thread.
 * Loading takes 50 to 200 ms, attaching to a process some ms.
 */
#ifndef VOW_COLLECTORS_TLS_BPF_H
#define VOW_COLLECTORS_TLS_BPF_H

#include <sys/types.h>

#include "collectors/http/http_bpf_programs.h"
#include "collectors/http/tls_bpf_probes.h"
#include "collectors/tls/tls_sites.h"
#include "lib/base/diag.h"
#include "lib/base/types.h"

struct tls_bpf;

/*
 * Loads the programs; nothing is probed yet. `programs` must outlive them. 0, or a
 * negative errno with d saying what lacks.
 */
int tls_bpf_open(struct tls_bpf **out, struct http_bpf_programs *programs,
		 const struct http_bpf_constants *constants, struct diag *d);
void tls_bpf_close(struct tls_bpf *bpf); /* after its probes; NULL is allowed */

/* Takes over what the HTTP programs are told: to capture, to leave out paths, and records. */
void tls_bpf_obey(struct tls_bpf *bpf);

/* Ends pairs by silence, forgets connections that have gone. Returns requests in flight. */
uint64_t tls_bpf_sweep(struct tls_bpf *bpf, mono_ns *oldest_at);

/* These by process, good until the next sweep. */
const struct http_tally *tls_bpf_in_flight(const struct tls_bpf *bpf);

/*
 * From now on requests of these processes are counted by turns again, each of them once but for those
 * under way. To be called before their probes are detached; of others it does nothing. Takes 1 ms.
 */
void tls_bpf_release(struct tls_bpf *bpf, const pid_t *pids, unsigned count);

/* See tls_probes_attach(); d says what lacks. The process must not be probed already. */
int tls_bpf_probe(struct tls_bpf *bpf, pid_t pid, const char *path, const struct tls_sites *sites,
		  struct tls_probes **probes, struct diag *d);

#endif
