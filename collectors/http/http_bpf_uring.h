/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the running kernel shows what bpf/uring.h looks at, so that HTTP through io_uring can be
 * followed. One thread.
 */
#ifndef VOW_COLLECTORS_HTTP_BPF_URING_H
#define VOW_COLLECTORS_HTTP_BPF_URING_H

#include <stdbool.h>

struct http_bpf_uring {
	const char *asked; /* the tracepoint of a request that was submitted */
	bool result_pointed; /* that of its completion has a pointer to the result, not the result */
};

/* 0; -ENOTSUP: the kernel lacks something, which *lacking names as long as the program runs. */
int http_bpf_uring_find(struct http_bpf_uring *uring, const char **lacking);

#endif
