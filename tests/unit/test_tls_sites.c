/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "collectors/tls_sites.h"
#include "lib/base/fd.h"
#include "lib/base/types.h"
#include "tests/unit/check.h"

/* Where in its file the code at this address of ours lies, by the kernel's account; 0: in none. */
static uint64_t offset_mapped(const void *code, char path[256])
{
	unsigned long begin, end, offset, at = (unsigned long)code, found = 0;
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];

	while (!found && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %*s %lx %*s %*s %255s", &begin, &end, &offset, path) ==
			    4 &&
		    at >= begin && at < end)
			found = at - begin + offset;
	fclose(maps);
	return found;
}

static int find_in(const char *path, struct tls_sites *sites, struct diag *diag)
{
	_cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : tls_sites_find(fd, sites, diag);
}

CHECK_TEST(test_entries_in_openssl_are_where_the_linker_maps_them)
{
	void *library = dlopen("libssl.so.3", RTLD_NOW);
	struct tls_sites sites;
	char path[256];

	CHECK(library);
	offset_mapped(dlsym(library, "SSL_read"), path);
	CHECK_OK(find_in(path, &sites, NULL));
	for (enum tls_call call = 0; call < TLS_CALLS; call++)
		CHECK_EQ_U64(sites.calls[call].entry,
			     offset_mapped(dlsym(library, tls_call_name(call)), path));
	dlclose(library);
}

CHECK_TEST(test_files_without_the_calls_are_told_from_damaged_ones)
{
	struct tls_sites sites = {.calls[0].enters = 7};
	struct diag diag;
	char path[256];

	offset_mapped((void *)getpid, path);
	CHECK_RC(find_in(path, &sites, &diag), -ENOENT);
	CHECK_STR(diag.what, "has neither SSL_read nor SSL_write");
	CHECK_RC(find_in("/proc/self/maps", &sites, &diag), -ENOEXEC);
	CHECK_RC(find_in("/etc/passwd", &sites, &diag), -ENOEXEC);
	CHECK_RC(find_in("/dev/null", &sites, &diag), -ENOEXEC);
	CHECK_EQ_U64(sites.calls[0].enters, 7);
}

CHECK_MAIN("tls_sites", test_entries_in_openssl_are_where_the_linker_maps_them,
	   test_files_without_the_calls_are_told_from_damaged_ones)
