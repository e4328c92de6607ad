/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collectors/tls/tls_library.h"
#include "tests/unit/check.h"

CHECK_TEST(test_places_in_a_file_are_remembered_until_it_changes)
{
	static struct tls_libraries libraries;
	char file[256], command[512], path[PATH_MAX];
	const struct tls_library *library;
	struct diag d;
	void *code;

	snprintf(file, sizeof(file), "%s/libssl-own.so", check_dir());
	snprintf(command, sizeof(command),
		 "echo 'int SSL_read(void) { return 1; }' | gcc -shared -fPIC -xc -o %s -", file);
	CHECK_EQ_I64(system(command), 0);
	code = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	CHECK(code);
	for (int i = 0; i < 2; i++) {
		library = tls_library_find(&libraries, getpid(), path, &d);
		CHECK(library);
		CHECK_STR(library->name, "libssl-own.so");
		CHECK_STR_HAS(path, file);
	}
	CHECK_EQ_U64(libraries.added, 1);
	CHECK_OK(chmod(file, 0700));
	CHECK(tls_library_find(&libraries, getpid(), path, &d));
	CHECK_EQ_U64(libraries.added, 2);
	dlclose(code);
}

CHECK_MAIN("tls_library", test_places_in_a_file_are_remembered_until_it_changes)
