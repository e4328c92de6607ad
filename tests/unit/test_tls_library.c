/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collectors/tls/tls_library.h"
#include "lib/base/fd.h"
#include "tests/unit/check.h"

static struct diag d;

/* A library with a call of OpenSSL's, loaded; path is where it lies. */
static void *own_library(char path[256])
{
	char command[512];
	void *code;

	snprintf(path, 256, "%s/libssl-own.so", check_dir());
	snprintf(command, sizeof(command),
		 "echo 'int SSL_read(void) { return 1; }' | gcc -shared -fPIC -xc -o %s -", path);
	CHECK_EQ_I64(system(command), 0);
	code = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	CHECK(code);
	return code;
}

/* Whether this process has one. */
static bool find(struct tls_libraries *libraries)
{
	_cleanup_(fd_closep) int file = -1;

	return tls_library_find(libraries, getpid(), &file, &d);
}

CHECK_TEST(test_places_in_a_file_are_remembered_until_it_changes)
{
	static struct tls_libraries libraries;
	char path[256];
	void *code = own_library(path);
	struct stat status, opened;

	for (int i = 0; i < 2; i++) {
		_cleanup_(fd_closep) int file = -1;
		const struct tls_library *library =
			tls_library_find(&libraries, getpid(), &file, &d);

		CHECK(library);
		CHECK_STR(library->name, "libssl-own.so");
		CHECK_OK(stat(path, &status));
		CHECK_OK(fstat(file, &opened));
		CHECK_EQ_U64(opened.st_ino, status.st_ino);
	}
	CHECK_EQ_U64(libraries.added, 1);
	CHECK_OK(chmod(path, 0700));
	CHECK(find(&libraries));
	CHECK_EQ_U64(libraries.added, 2);
	dlclose(code);
}

CHECK_TEST(test_a_pipe_by_the_name_of_a_library_is_none_and_not_waited_for)
{
	static struct tls_libraries libraries;
	char path[256], name[300];
	void *code = own_library(path);

	CHECK_OK(unlink(path));
	/* As the kernel calls what was removed. */
	snprintf(name, sizeof(name), "%s (deleted)", path);
	CHECK_OK(mkfifo(name, 0600));
	alarm(20); /* ends the program, and so says that it hangs */
	CHECK(!find(&libraries));
	alarm(0);
	dlclose(code);
}

CHECK_TEST(test_library_that_was_replaced_is_said_to_be)
{
	static struct tls_libraries libraries;
	char path[256], text[240];
	void *code = own_library(path);

	CHECK_OK(unlink(path));
	CHECK(!find(&libraries));
	CHECK_STR_HAS(diag_format(&d, text, sizeof(text)), "was removed or replaced");
	CHECK_STR_HAS(text, "start it again");
	dlclose(code);
	CHECK(!find(&libraries));
	CHECK(!strstr(diag_format(&d, text, sizeof(text)), "was removed or replaced"));
}

CHECK_MAIN("tls_library", test_places_in_a_file_are_remembered_until_it_changes,
	   test_a_pipe_by_the_name_of_a_library_is_none_and_not_waited_for,
	   test_library_that_was_replaced_is_said_to_be)
