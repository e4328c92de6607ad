/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that say they are libraries with TLS calls, and functions alone: places lie within what was
 * given, on instructions that the kernel emulates where that is promised. The first byte says which
 * of the two the rest is.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "collectors/tls/tls_code.h"
#include "collectors/tls/tls_sites.h"
#include "collectors/tls/x86_insn.h"
#include "tests/fuzz/fuzz.h"

static void check_emulated(const uint8_t *code, size_t size, size_t at, bool jumps)
{
	struct x86_insn insn;

	FUZZ_CHECK(at < size && x86_insn_decode(code + at, size - at, &insn));
	FUZZ_CHECK(insn.emulated && insn.length <= size - at);
	FUZZ_CHECK(!jumps || insn.kind == X86_JUMP_IF);
}

/* Nothing is said of the ways through a function that has an instruction which is not known. */
static void check_passes(const uint8_t *code, size_t size, int64_t target)
{
	struct x86_insn insn;

	if (!tls_code_passes(code, size, target))
		return;
	for (size_t at = 0; at < size; at += insn.length)
		FUZZ_CHECK(x86_insn_decode(code + at, size - at, &insn));
}

static void check_code(const uint8_t *code, size_t size)
{
	struct tls_code places = {0};
	size_t at;

	if (tls_code_returns(code, size, &at))
		check_emulated(code, size, at, false);
	check_passes(code, size, size ? code[0] : 0);
	if (!tls_code_read(code, size, &places))
		return;
	check_emulated(code, size, places.enters, false);
	FUZZ_CHECK(places.leaf_count <= TLS_LEAVES_MAX);
	FUZZ_CHECK(!places.wraps || code[places.enters] == 0xe8);
	for (unsigned i = 0; i < places.leaf_count; i++) {
		check_emulated(code, size, places.leaves[i], true);
		FUZZ_CHECK(places.leaves[i] > places.enters);
	}
}

static void check_file(const uint8_t *bytes, size_t size)
{
	int fd = memfd_create("library", MFD_CLOEXEC);
	struct tls_sites sites = {0};
	struct diag diag = {0};
	int rc;

	FUZZ_CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	rc = tls_sites_find(fd, &sites, &diag);
	close(fd);
	FUZZ_CHECK(rc == 0 || (rc == diag.err && diag.what[0]));
	for (enum tls_call call = 0; call < TLS_CALLS; call++) {
		const struct tls_site *site = &sites.calls[call];

		FUZZ_CHECK(site->entry <= size && site->enters <= size && site->returns <= size);
		FUZZ_CHECK(!site->enters == (!site->entry || site->by_twin));
		FUZZ_CHECK(site->enters || (!site->leaf_count && !site->returns));
		FUZZ_CHECK(!site->enters || !site->leaf_count == !!site->returns);
		for (unsigned i = 0; i < site->leaf_count; i++)
			FUZZ_CHECK(site->leaves[i] <= size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	if (size == 0)
		return 0;
	if (bytes[0] & 1)
		check_code(bytes + 1, size - 1);
	else
		check_file(bytes + 1, size - 1);
	return 0;
}
