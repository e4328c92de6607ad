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

/* The first that the running kernel lacks, NULL when it has all; *err when it has no BTF. */
static const char *tracepoint_missing(const char *const *needed, size_t count, int *err)
{
	struct btf *btf = btf__load_vmlinux_btf();
	const char *missing = NULL;

	*err = btf ? 0 : -errno;
	for (size_t i = 0; btf && !missing && i < count; i++) {
		char name[64];

		snprintf(name, sizeof(name), "btf_trace_%s", needed[i]);
		if (btf__find_by_name_kind(btf, name, BTF_KIND_TYPEDEF) < 0)
			missing = needed[i];
	}
	btf__free(btf);
	return missing;
}

int bpf_refusal(int err, const char *where, const char *const *needed, size_t count, struct diag *d)
{
	const char *missing;
	int btf_err;

	if (err == -EPERM || err == -EACCES)
		return diag_set(d, -EPERM, where,
				"run vowd as root, or give it CAP_BPF and CAP_PERFMON",
				"the kernel refuses BPF programs: no rights");
	missing = tracepoint_missing(needed, count, &btf_err);
	if (btf_err)
		return diag_set(d, -ENOTSUP, where, "use a kernel built with CONFIG_DEBUG_INFO_BTF",
				"this kernel does not describe its types "
				"(/sys/kernel/btf/vmlinux): %s",
				strerror(-btf_err));
	if (missing)
		return diag_set(d, -ENOTSUP, where, "use kernel 5.8 or later",
				"this kernel has no tracepoint %s", missing);
	return diag_errno(d, err, where, NULL, "the kernel refuses the programs");
}
