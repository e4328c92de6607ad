/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The same as http_calls.bpf.c for kernels that do not describe their own types: raw tracepoints,
 * whose arguments are numbers, so that each look behind one is a read that can fail. Where fields
 * lie is told by a file of types that user space has.
 */
#define KERNEL_UNTYPED
#define SEES(tracepoint) SEC("raw_tp/" tracepoint)
#include "bpf/http_calls.h"
#include "bpf/http_try.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
