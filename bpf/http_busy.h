/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The processes of busy services, as vowd tells the programs: a set of keys in memory that both map.
 * vowd writes it anew each second while programs look into it; who looks amid that may miss a key,
 * and that pair keeps its record.
 */
#ifndef VOW_BPF_HTTP_BUSY_H
#define VOW_BPF_HTTP_BUSY_H

#include "bpf/http_tally.h"

#define BUSY_BITS   10
#define BUSY_PLACES (1U << BUSY_BITS) /* twice as many as can be busy */
#define BUSY_PROBES 16 /* places for a key from its own on */

struct http_busy_set {
	__u64 keys[BUSY_PLACES]; /* tally_key(); 0: free */
};

static inline __attribute__((always_inline)) int busy_has(const struct http_busy_set *set,
							  __u64 key)
{
	__u32 home = tally_home(key, BUSY_BITS);

#ifdef __bpf__
#pragma clang loop unroll(disable)
#endif
	for (__u32 i = 0; i < BUSY_PROBES; i++) {
		__u64 seen = *(const volatile __u64 *)&set->keys[(home + i) & (BUSY_PLACES - 1)];

		if (seen == key)
			return 1;
		if (!seen)
			return 0;
	}
	return 0;
}

#endif
