/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probes in the TLS library of one process. Kernels from 6.13 on take all places of a program at
 * once; others want each for itself, and wait some 0.1 s with each that goes.
 */
#ifndef VOW_COLLECTORS_TLS_BPF_PROBES_H
#define VOW_COLLECTORS_TLS_BPF_PROBES_H

#include <stdbool.h>
#include <sys/types.h>

#include "collectors/tls/tls_sites.h"

struct bpf_program;
struct tls_probes;

struct tls_probe_programs {
	struct bpf_program *entered, *left, *freed; /* their cookie is the enum tls_call */
	bool together; /* they were loaded to be attached to many places at once */
};

/*
 * Before the programs are loaded: has them loaded for many places at once, if the kernel knows that and
 * it is not refused by `apart`. Reads the kernel's types (30 ms).
 */
void tls_probes_prepare(struct tls_probe_programs *programs, bool apart);

/*
 * Probes the calls of a process that are at these places of the file at path, as seen from here
 * ("/proc/PID/root/..."). Others that use the same file take no part. Needs CAP_PERFMON, and
 * CAP_SYS_ADMIN where the kernel wants that. 0, or a negative errno; then nothing is probed.
 */
int tls_probes_attach(struct tls_probes **out, const struct tls_probe_programs *programs, pid_t pid,
		      const char *path, const struct tls_sites *sites);

/*
 * Waits until nobody can be in the programs any more: 0.1 to 0.3 s, where each place is probed for
 * itself 2 s. Any thread, and the programs may be unloaded before. NULL is allowed.
 */
void tls_probes_detach(struct tls_probes *probes);

#endif
