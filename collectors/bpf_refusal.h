/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why the kernel refused BPF programs, for people. Any thread; reads the kernel's types (30 ms).
 */
#ifndef VOW_COLLECTORS_BPF_REFUSAL_H
#define VOW_COLLECTORS_BPF_REFUSAL_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/diag.h"

/* What programs cannot do without. */
struct bpf_need {
	const char *where; /* names the programs: "tcp", "eBPF tier A" */
	const char *
		advice; /* when the kernel lacks a tracepoint, or refuses them for another reason */
	const char *const *tracepoints; /* that they attach to; NULL with count 0: none */
	size_t count;
};

/*
 * err is what loading or attaching returned. Fills d and returns -EPERM (no rights), -ENOTSUP (the
 * kernel lacks its types or a tracepoint), or err.
 */
int bpf_refusal(int err, const struct bpf_need *need, struct diag *d);

/* Whether the running kernel has a tracepoint of that name; false also when it has no types. */
bool bpf_has_tracepoint(const char *name);

/* Whether it knows BPF_... of enum bpf_attach_type; likewise. */
bool bpf_has_attach_type(const char *name);

/* libbpf prints whole verifier logs on standard error; this ends that, for all programs. */
void bpf_quiet(void);

#endif
