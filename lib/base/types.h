/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scalars with a meaning. Time inside vow is in nanoseconds, always; which clock a time stamp was
 * taken from is part of its type.
 */
#ifndef VOW_LIB_BASE_TYPES_H
#define VOW_LIB_BASE_TYPES_H

#include <stddef.h>
#include <stdint.h>

typedef uint64_t mono_ns; /* CLOCK_MONOTONIC, also what bpf_ktime_get_ns() returns */
typedef uint64_t wall_ns; /* CLOCK_REALTIME, ns since 1970-01-01 UTC */
typedef uint64_t dur_ns; /* a span of time */

#define NS_PER_US  UINT64_C(1000)
#define NS_PER_MS  UINT64_C(1000000)
#define NS_PER_S   UINT64_C(1000000000)
#define NS_PER_MIN (60 * NS_PER_S)
#define NS_PER_H   (60 * NS_PER_MIN)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Frees, closes or ends on every way out of a scope: _cleanup_(fd_closep) int fd = -1; */
#define _cleanup_(f) __attribute__((cleanup(f)))

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#endif
