/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The writer's side of http_overflow.h: counts pairs that have no record. Kernel side; it compiles
 * for programs as well, whose tests hold it against lib/data/hist.h. Who includes it has declared
 * hist_cells before, the table of that histogram.
 */
#ifndef VOW_BPF_HTTP_OVERFLOW_ADD_H
#define VOW_BPF_HTTP_OVERFLOW_ADD_H

#include "bpf/http_overflow.h"

#define OVERFLOW_OCTAVES 42 /* as HIST_OCTAVES */

/*
 * Functions that loop are global ones in BPF: the verifier goes through each once, for any argument,
 * and not once more on each way that leads to it, which would be a million steps. It wants their
 * pointers compared with NULL.
 */
#ifdef __bpf__
#define OVERFLOW_READ(word) (*(volatile __u64 *)&(word))
#define OVERFLOW_PART	    __attribute__((noinline))
#else
#define OVERFLOW_READ(word) __atomic_load_n(&(word), __ATOMIC_RELAXED)
#define OVERFLOW_PART	    static inline
#endif

/* Adds 1 and is a full barrier: in BPF only that form is one whose result is in use. */
static inline __attribute__((always_inline)) void overflow_step(__u64 *word)
{
	__u64 before = __sync_fetch_and_add(word, 1);

	asm volatile("" : : "r"(before));
}

static inline __attribute__((always_inline)) __u64 overflow_mix(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 32;
}

/* The place of the highest bit of a word > 0. clang 14 does not come to an end of __builtin_clzll(). */
static inline __attribute__((always_inline)) __u32 overflow_octave(__u64 word)
{
	__u32 octave = 0;

#ifdef __bpf__
#pragma clang loop unroll(full)
#endif
	for (__u32 step = 32; step; step /= 2)
		if (word >> step) {
			word >>= step;
			octave += step;
		}
	return octave;
}

/* The slot of a latency, as hist_slot() of lib/data/hist.h has it; exact at every bound. */
OVERFLOW_PART __u32 overflow_slot(__u64 ns)
{
	__u64 fraction, cell;
	__u32 octave;

	if (ns - 1 >= 1ULL << OVERFLOW_OCTAVES)
		ns = ns ? 1ULL << OVERFLOW_OCTAVES : 1;
	octave = overflow_octave(ns);
	fraction = octave ? ns << (64 - octave) : 0;
	cell = hist_cells[fraction >> 56];
	return octave * 128 + (__u8)cell + (fraction > cell);
}

/* The current bank, which stays whole until the same gate is left; NULL only if it never stays. */
static inline __attribute__((always_inline)) struct http_overflow_bank *overflow_enter(
	struct http_overflow *o, __u32 gate)
{
#ifdef __bpf__
#pragma clang loop unroll(disable)
#endif
	for (int tries = 0; tries < 4; tries++) {
		__u64 which = OVERFLOW_READ(o->bank) & 1;
		struct http_overflow_bank *bank = &o->banks[which];

		overflow_step(&bank->gates[gate].entered);
		if ((OVERFLOW_READ(o->bank) & 1) == which)
			return bank;
		overflow_step(&bank->gates[gate].left);
	}
	return (struct http_overflow_bank *)0;
}

static inline __attribute__((always_inline)) void overflow_leave(struct http_overflow_bank *bank,
								 __u32 gate)
{
	overflow_step(&bank->gates[gate].left);
}

static inline __attribute__((always_inline)) __u64 overflow_who_key(const struct http_record *r)
{
	const __u64 *address = (const __u64 *)r->remote_address;
	__u64 key = overflow_mix(0, (__u64)r->pid << 32 | (__u32)r->role << 16 | r->local_port);

	if (r->role == HTTP_CLIENT) {
		key = overflow_mix(0, (__u64)r->pid << 32 | (__u32)r->role << 24 |
					      (__u32)r->family << 16 | r->remote_port);
		key = overflow_mix(key, address[0]);
		key = overflow_mix(key, address[1]);
	}
	return key | 1;
}

static inline __attribute__((always_inline)) void overflow_who_fill(struct http_overflow_who *who,
								    const struct http_record *r)
{
	who->pid = r->pid;
	who->role = r->role;
	who->family = r->family;
	who->port = r->role == HTTP_CLIENT ? r->remote_port : r->local_port;
	__builtin_memcpy(who->address, r->remote_address, sizeof(who->address));
	__builtin_memcpy(who->command, r->command, sizeof(who->command));
}

/*
 * The index of whom a record is of, OVERFLOW_NOBODY when there is no place. Who claims one fills it
 * before he leaves the bank; others need only its index.
 */
OVERFLOW_PART __u32 overflow_who(struct http_overflow_bank *bank, const struct http_record *r)
{
	__u64 key;
	__u32 home;

	if (!bank || !r)
		return OVERFLOW_NOBODY;
	key = overflow_who_key(r);
	home = (__u32)(key >> 40);

#ifdef __bpf__
#pragma clang loop unroll(disable)
#endif
	for (__u32 i = 0; i < OVERFLOW_PROBES; i++) {
		__u32 at = (home + i) & (OVERFLOW_WHOS - 1);
		struct http_overflow_who *who = &bank->whos[at];
		__u64 seen = OVERFLOW_READ(who->key);

		if (!seen) {
			seen = __sync_val_compare_and_swap(&who->key, 0, key);
			if (!seen) {
				overflow_who_fill(who, r);
				return at;
			}
		}
		if (seen == key)
			return at;
	}
	return OVERFLOW_NOBODY;
}

static inline __attribute__((always_inline)) __u64 overflow_group(__u32 who,
								  const struct http_record *r)
{
	__u32 hundreds = r->status / 100;
	__u64 status_class = hundreds <= 5 ? hundreds : OVERFLOW_CLASS_OTHER;
	__u64 method = r->method & ((1 << OVERFLOW_METHOD_BITS) - 1);

	if (r->flags & HTTP_TLS) {
		status_class = OVERFLOW_CLASS_TLS;
		method = !!(r->flags & HTTP_TLS_SHARED);
	}
	return 1ULL << 63 | (__u64)who << OVERFLOW_WHO_SHIFT |
	       (__u64)(r->role & 1) << OVERFLOW_ROLE_SHIFT |
	       (__u64)(r->outcome & 3) << OVERFLOW_OUTCOME_SHIFT | method << OVERFLOW_METHOD_SHIFT |
	       status_class << OVERFLOW_CLASS_SHIFT;
}

/* Adds to the cell of a key; false when all its places are others'. */
OVERFLOW_PART int overflow_cell_add(struct http_overflow_bank *bank, __u64 key, __u64 ns)
{
	__u32 home = (__u32)(overflow_mix(0, key) >> (64 - OVERFLOW_CELL_BITS));

	if (!bank)
		return 0;

#ifdef __bpf__
#pragma clang loop unroll(disable)
#endif
	for (__u32 i = 0; i < OVERFLOW_PROBES; i++) {
		struct http_overflow_cell *cell = &bank->cells[(home + i) & (OVERFLOW_CELLS - 1)];
		__u64 seen = OVERFLOW_READ(cell->key);

		if (!seen) {
			seen = __sync_val_compare_and_swap(&cell->key, 0, key);
			if (!seen) {
				__sync_fetch_and_add(&bank->cells_used, 1);
				seen = key;
			}
		}
		if (seen == key) {
			__sync_fetch_and_add(&cell->count, 1);
			__sync_fetch_and_add(&cell->sum_ns, ns);
			return 1;
		}
	}
	return 0;
}

/* Adds a latency at the finest scale that there is room for. */
static inline __attribute__((always_inline)) int overflow_latency_add(
	struct http_overflow_bank *bank, __u64 key, __u64 ns, __u32 slot)
{
	__u64 level = OVERFLOW_READ(bank->cells_used) / (OVERFLOW_CELLS / OVERFLOW_LEVELS);

#ifdef __bpf__
#pragma clang loop unroll(disable)
#endif
	for (__u32 i = 0; i < OVERFLOW_LEVELS; i++) {
		__u32 finer = 2 * i;
		__u64 at_scale = (slot + (1u << finer) - 1) >> finer;

		if (i < level && i < OVERFLOW_LEVELS - 1)
			continue;
		if (overflow_cell_add(bank, key | (__u64)i << OVERFLOW_SLOT_BITS | at_scale, ns))
			return 1;
	}
	return 0;
}

/*
 * Counts a pair that has ended, by a processor's gate. 0: there is no room. A wait in the socket for
 * which there is none alone is left out.
 */
static inline __attribute__((always_inline)) int overflow_add(struct http_overflow *o, __u32 gate,
							      const struct http_record *r)
{
	int complete = r->outcome == HTTP_COMPLETE, added;
	struct http_overflow_bank *bank;
	__u64 group, total_ns = complete ? r->total_ns : 0;

	gate &= OVERFLOW_GATES - 1;
	bank = overflow_enter(o, gate);
	if (!bank)
		return 0;
	group = overflow_group(overflow_who(bank, r), r);
	added = overflow_latency_add(bank, group, total_ns, overflow_slot(total_ns));
	if (added && complete && r->queue_ns != HTTP_QUEUE_UNKNOWN)
		overflow_latency_add(bank, group | 1ULL << OVERFLOW_KIND_SHIFT, r->queue_ns,
				     overflow_slot(r->queue_ns));
	overflow_leave(bank, gate);
	return added;
}

#endif
