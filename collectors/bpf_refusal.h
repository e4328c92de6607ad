/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why the kernel refused BPF programs, for people. Any thread; reads the kernel's types (30 ms).
 */
#ifndef VOW_COLLECTORS_BPF_REFUSAL_H
#define VOW_COLLECTORS_BPF_REFUSAL_H

#include <stddef.h>

#include "lib/base/diag.h"

/*
 * err is what loading or attaching returned; where names the programs ("TCP by peer"); needed are
 * the tracepoints that they attach to, which a kernel may lack. Fills d and returns -EPERM (no
 * rights), -ENOTSUP (the kernel cannot), or err.
 */
int bpf_refusal(int err, const char *where, const char *const *needed, size_t count,
		struct diag *d);

/* libbpf prints whole verifier logs on standard error; this ends that, for all programs. */
void bpf_quiet(void);

#endif
