/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This program itself: what it costs in resident memory and CPU, read from /proc/self and getrusage(),
 * and where its helpers are.
 */
#ifndef VOW_LIB_BASE_SELF_H
#define VOW_LIB_BASE_SELF_H

#include <limits.h>

#include "lib/base/diag.h"
#include "lib/base/types.h"

struct self_usage {
	uint64_t rss_bytes;
	double cpu_ratio; /* of one core, since the previous reading; 0 before the second */
	/* state of the meter */
	dur_ns cpu_ns;
	mono_ns read_at;
};

/* Reads anew; keeps the previous values of what cannot be read. */
void self_measure(struct self_usage *usage, mono_ns now);

/*
 * Finds a helper program: beside this one, as in a build tree, else where `make install` puts helpers.
 * 0, or -ENOENT with d filled; path is then no longer what it was.
 */
int self_find_helper(const char *name, char path[PATH_MAX], struct diag *d);

#endif
