/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tier C, for kernels that do not describe their types: whether a file that is to describe them can be
 * had, and whether fields lie where it says. One thread.
 */
#ifndef VOW_COLLECTORS_HTTP_BPF_RAW_H
#define VOW_COLLECTORS_HTTP_BPF_RAW_H

#include "collectors/http/http_bpf_programs.h"
#include "lib/base/diag.h"

/*
 * Whether types, a path, is a file of BTF that describes a kernel; NULL: the running one describes
 * itself. 0, or a negative errno with d filled. Reads the whole file, 30 ms.
 */
int http_bpf_raw_types(const char *types, struct diag *d);

/*
 * Lets programs of tier C that are loaded look at a connection of this process, made for that over
 * 127.0.0.1, and attaches what may be lacking. 0; -EINVAL: they do not find what is there, since types
 * are of another kernel; or a negative errno. d is filled then.
 */
int http_bpf_raw_try(struct http_bpf_programs *programs, const char *types, struct diag *d);

#endif
