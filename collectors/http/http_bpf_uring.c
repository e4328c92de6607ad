/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http/http_bpf_uring.h"

#include <bpf/btf.h>
#include <errno.h>
#include <stddef.h>

#include "lib/base/types.h"

/* Parameters of the tracepoint, with the first one that all of them have: since 6.12, and before. */
#define POINTED_PARAMETERS 4
#define SPREAD_PARAMETERS  8

/* Structures that are read from; a request has its own part within the first one since 6.0. */
static const char *const structs[] = {"io_cmd_data", "io_sr_msg", "io_async_msghdr", "io_rw",
				      "io_file_table"};

static const struct btf_type *tracepoint_type(const struct btf *types, const char *typedef_name)
{
	int id = btf__find_by_name_kind(types, typedef_name, BTF_KIND_TYPEDEF);
	const struct btf_type *type = id < 0 ? NULL : btf__type_by_id(types, (__u32)id);

	/* A typedef of a pointer to a function. */
	for (int i = 0; type && i < 2; i++)
		type = btf__type_by_id(types, type->type);
	return type && btf_is_func_proto(type) ? type : NULL;
}

static const char *what_lacks(const struct btf *types, struct http_bpf_uring *uring)
{
	const struct btf_type *done = tracepoint_type(types, "btf_trace_io_uring_complete");

	if (!done)
		return "tracepoint io_uring_complete";
	if (btf_vlen(done) != POINTED_PARAMETERS && btf_vlen(done) != SPREAD_PARAMETERS)
		return "tracepoint io_uring_complete as it is known";
	uring->result_pointed = btf_vlen(done) == POINTED_PARAMETERS;
	if (tracepoint_type(types, "btf_trace_io_uring_submit_req"))
		uring->asked = "io_uring_submit_req";
	else if (tracepoint_type(types, "btf_trace_io_uring_submit_sqe"))
		uring->asked = "io_uring_submit_sqe"; /* its name before 6.3 */
	else
		return "tracepoint io_uring_submit_req";
	for (size_t i = 0; i < ARRAY_LEN(structs); i++)
		if (btf__find_by_name_kind(types, structs[i], BTF_KIND_STRUCT) < 0)
			return structs[i];
	return NULL;
}

int http_bpf_uring_find(struct http_bpf_uring *uring, const char **lacking)
{
	struct btf *types = btf__load_vmlinux_btf();

	*lacking = types ? what_lacks(types, uring) : "description of its types";
	btf__free(types);
	return *lacking ? -ENOTSUP : 0;
}
