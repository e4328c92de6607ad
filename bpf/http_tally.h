/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Requests, summed up by whom they belong to: those under way, which one run of the sweep fills in
 * and user space reads and empties; or in vowd those that ended. Nobody else touches a table, so its
 * steps are plain ones. It is bounded by processes and not by connections; requests that find no
 * place in it are counted. It compiles for the kernel and for programs.
 */
#ifndef VOW_BPF_HTTP_TALLY_H
#define VOW_BPF_HTTP_TALLY_H

#include "bpf/http_record.h"

#define TALLY_BITS   9
#define TALLY_PLACES (1U << TALLY_BITS)
#define TALLY_PROBES 16 /* places for a key from its own on */

/* Who has them: pid in the upper half, port (of a client 0), role, and 1. */
#define TALLY_PID_SHIFT	 32
#define TALLY_PORT_SHIFT 8
#define TALLY_ROLE_SHIFT 1

/* Requests of one process in one role, of a server at one port. */
struct http_tally_place {
	__u64 key; /* 0: free */
	__u64 count;
	__u64 oldest_at; /* when the oldest of them began */
	char command[16]; /* as in a record */
};

struct http_tally {
	__u64 placeless; /* requests of processes that found no place */
	struct http_tally_place places[TALLY_PLACES];
};

static inline __attribute__((always_inline)) __u64 tally_key(const struct http_record *r)
{
	__u64 port = r->role == HTTP_SERVER ? r->local_port : 0;

	return (__u64)r->pid << TALLY_PID_SHIFT | port << TALLY_PORT_SHIFT |
	       (__u64)(r->role & 1) << TALLY_ROLE_SHIFT | 1;
}

/* Where a key is looked for first, in a table of 1 << bits places (Knuth's multiplicative hashing). */
static inline __attribute__((always_inline)) __u32 tally_home(__u64 key, unsigned bits)
{
	return (__u32)(key * 0x9e3779b97f4a7c15ULL >> (64 - bits));
}

/* So many more, of which the record is filled as far as their request is known. */
static inline __attribute__((always_inline)) void tally_add(struct http_tally *table,
							    const struct http_record *r,
							    __u64 count)
{
	__u64 key = tally_key(r);
	__u32 home = tally_home(key, TALLY_BITS);

#ifdef __bpf__
#pragma clang loop unroll(disable)
#endif
	for (__u32 i = 0; i < TALLY_PROBES; i++) {
		struct http_tally_place *place = &table->places[(home + i) & (TALLY_PLACES - 1)];

		if (!place->key) {
			place->key = key;
			place->oldest_at = r->started_at;
			__builtin_memcpy(place->command, r->command, sizeof(place->command));
		}
		if (place->key != key)
			continue;
		place->count += count;
		if (r->started_at < place->oldest_at)
			place->oldest_at = r->started_at;
		return;
	}
	table->placeless += count;
}

#endif
