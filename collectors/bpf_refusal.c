/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/bpf_refusal.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int print_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

void bpf_quiet(void)
{
	libbpf_set_print(print_nothing);
}

static bool types_have(const struct btf *types, const char *tracepoint)
{
	char name[64];

	snprintf(name, sizeof(name), "btf_trace_%s", tracepoint);
	return btf__find_by_name_kind(types, name, BTF_KIND_TYPEDEF) >= 0;
}

bool bpf_has_tracepoint(const char *name)
{
	struct btf *types = btf__load_vmlinux_btf();
	bool has = types && types_have(types, name);

	btf__free(types);
	return has;
}

static bool attach_types_have(const struct btf *types, const char *name)
{
	int id = btf__find_by_name_kind(types, "bpf_attach_type", BTF_KIND_ENUM);
	const struct btf_type *type = id < 0 ? NULL : btf__type_by_id(types, (__u32)id);

	for (__u16 i = 0; type && i < btf_vlen(type); i++)
		if (!strcmp(btf__name_by_offset(types, btf_enum(type)[i].name_off), name))
			return true;
	return false;
}

bool bpf_has_attach_type(const char *name)
{
	struct btf *types = btf__load_vmlinux_btf();
	bool has = types && attach_types_have(types, name);

	btf__free(types);
	return has;
}

/* The first that the running kernel lacks, NULL when it has all; *err when it has no types. */
static const char *tracepoint_missing(const struct bpf_need *need, int *err)
{
	struct btf *types = btf__load_vmlinux_btf();
	const char *missing = NULL;

	*err = types ? 0 : errno;
	for (size_t i = 0; types && !missing && i < need->count; i++)
		if (!types_have(types, need->tracepoints[i]))
			missing = need->tracepoints[i];
	btf__free(types);
	return missing;
}

int bpf_refusal(int err, const struct bpf_need *need, struct diag *d)
{
	const char *missing;
	int types_err;

	/* Not -EACCES: so the verifier refuses, whatever the rights. */
	if (err == -EPERM)
		return diag_set(d, -EPERM, need->where,
				"run vowd as root, or give it CAP_BPF and CAP_PERFMON; kernel "
				"lockdown in mode confidentiality forbids it altogether",
				"the kernel refuses BPF programs: no rights");
	missing = tracepoint_missing(need, &types_err);
	if (types_err)
		return diag_set(d, -ENOTSUP, need->where,
				"use a kernel built with CONFIG_DEBUG_INFO_BTF",
				"this kernel does not describe its types "
				"(/sys/kernel/btf/vmlinux): %s",
				strerror(types_err));
	if (missing)
		return diag_set(d, -ENOTSUP, need->where, need->advice,
				"this kernel has no tracepoint %s", missing);
	return diag_errno(d, err, need->where, need->advice, "the kernel refuses the programs");
}
