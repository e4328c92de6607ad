/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file in which a process has OpenSSL's calls: a library that it has mapped, or its own program.
 * Any thread; blocks while files are read, 0.1 s for a large one that was not met before.
 */
#ifndef VOW_COLLECTORS_TLS_LIBRARY_H
#define VOW_COLLECTORS_TLS_LIBRARY_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "collectors/tls/tls_sites.h"
#include "lib/base/diag.h"

#define TLS_LIBRARIES_MAX 16 /* files remembered; then the oldest makes room */

struct tls_library {
	dev_t device;
	ino_t inode;
	off_t size_bytes;
	struct timespec changed; /* by its inode's account, which nobody can set back */
	char name[48]; /* without its folders */
	bool cheap; /* all its probes are at places where the kernel spares a step */
	struct tls_sites sites;
};

/* All zeros is empty. */
struct tls_libraries {
	struct tls_library list[TLS_LIBRARIES_MAX];
	unsigned added;
};

/*
 * The library of a process, good until the next call; *file is then the file that was looked at, open,
 * and the caller's to close. NULL with d filled and *file untouched: it has none, is gone, or cannot be
 * looked at.
 */
const struct tls_library *tls_library_find(struct tls_libraries *libraries, pid_t pid, int *file,
					   struct diag *d);

#endif
