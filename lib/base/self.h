/* SPDX-License-Identifier: Apache-2.0 */
/* What this program itself costs: resident memory and CPU, read from /proc/self and getrusage(). */
#ifndef VOW_LIB_BASE_SELF_H
#define VOW_LIB_BASE_SELF_H

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

#endif
