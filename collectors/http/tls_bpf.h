/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probes in TLS libraries (bpf/tls_calls.bpf.c) behind a handle: loaded beside the HTTP programs
 * of tier A, whose maps they share, and attached to one process and file at a time. One thread.
 * Loading takes 50 to 200 ms, attaching to a process some ms.
 */
#ifndef VOW_COLLECTORS_TLS_BPF_H
#define VOW_COLLECTORS_TLS_BPF_H

#include <sys/types.h>

#include "collectors/http/http_bpf_programs.h"
#include "collectors/tls/tls_sites.h"
#include "lib/base/diag.h"
#include "lib/base/types.h"

struct tls_bpf;
struct tls_probes;

/*
 * Loads the programs; nothing is probed yet. `programs` must be of tier A and outlive them. 0, or a
 * negative errno with d saying what lacks.
 */
int tls_bpf_open(struct tls_bpf **out, struct http_bpf_programs *programs,
		 const struct http_bpf_constants *constants, struct diag *d);
void tls_bpf_close(struct tls_bpf *bpf); /* after its probes; NULL is allowed */

/* Takes over what the HTTP programs are told: to capture, to leave out paths, and records. */
void tls_bpf_obey(struct tls_bpf *bpf);

/* Ends pairs by silence, forgets connections that have gone. Returns requests in flight. */
uint64_t tls_bpf_sweep(struct tls_bpf *bpf, mono_ns *oldest_at);

/*
 * Probes the calls of a process that are at these places of the file at path, as seen from here
 * ("/proc/PID/root/..."). Others that use the same file take no part. Needs CAP_PERFMON, and
 * CAP_SYS_ADMIN where the kernel wants that.
 */
int tls_probes_attach(struct tls_probes **out, struct tls_bpf *bpf, pid_t pid, const char *path,
		      const struct tls_sites *sites, struct diag *d);
void tls_probes_detach(struct tls_probes *probes); /* NULL is allowed */

#endif
