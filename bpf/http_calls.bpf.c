/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The same as http.bpf.c for kernels without the tracepoints of socket calls: see http_calls.h.
 */
#define SEES(tracepoint) SEC("tp_btf/" tracepoint)
#include "bpf/http_calls.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
