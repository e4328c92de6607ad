/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the HTTP programs take, measured by themselves, and what they leave out when that is too
 * much. The kernel could tell as well (BPF_ENABLE_STATS), but to those alone who may administer the
 * whole system, which vowd gives up, and every program of the host would pay for it. Here each run
 * is counted, and one of HTTP_COST_EVERY takes the time between its first and its last step.
 */
#ifndef VOW_BPF_HTTP_THRIFT_H
#define VOW_BPF_HTTP_THRIFT_H

#include <linux/types.h>

#define HTTP_COST_EVERY 256 /* a power of two: two clocks of 36 ns are then 0.3 ns a run */
#define HTTP_COST_MOST	20000 /* ns; a run that took more was interrupted, and counts so much */

/* The programs that run for each socket call, or request of io_uring; the others are rare. */
enum http_cost_program {
	HTTP_COST_RECEIVED,
	HTTP_COST_SENT,
	HTTP_COST_ARRIVED,
	HTTP_COST_CALLED, /* of tier B: system calls that may have moved bytes, those of files too */
	HTTP_COST_TLS, /* of probes in TLS libraries: each call into one */
	HTTP_COST_URING_ASKED, /* of io_uring's requests those that may move bytes of a socket */
	HTTP_COST_URING_DONE,
	HTTP_COST_PROGRAMS
};

struct http_cost { /* of one program on one processor */
	__u64 runs;
	__u64 samples;
	__u64 ns; /* of the samples */
};

#ifdef __bpf__
#include "bpf/http_busy.h"
#include "bpf/http_record.h"
#include "bpf/kernel.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HTTP_COST_PROGRAMS);
	__type(key, __u32);
	__type(value, struct http_cost);
} costs SEC(".maps");

/* Set by user space at any time. */
__u32 spare_paths; /* leave the paths of requests where they are */
__u64 records_from_ns; /* good responses quicker than this are only counted; 0: none is */
__u32 spare_busy; /* only those of busy services are */
struct http_busy_set busy_set;

/* At the first step of a program: when that was, 0 when this run is none of those that are timed. */
static __always_inline __u64 cost_begin(__u32 program)
{
	struct http_cost *cost = bpf_map_lookup_elem(&costs, &program);

	if (!cost || ++cost->runs & (HTTP_COST_EVERY - 1))
		return 0;
	return bpf_ktime_get_ns();
}

/* Of a run that is timed, at its last step. */
static __noinline void cost_end(__u32 program, __u64 began)
{
	struct http_cost *cost = bpf_map_lookup_elem(&costs, &program);
	__u64 ns = bpf_ktime_get_ns() - began;

	if (!cost)
		return;
	cost->samples++;
	cost->ns += ns < HTTP_COST_MOST ? ns : HTTP_COST_MOST;
}

/* Whether its process is of a busy service; its own function, as what loops is to be gone through once. */
__checked_once int thrift_is_busy(const struct http_record *r)
{
	return r && busy_has(&busy_set, tally_key(r));
}

/* Whether the response is one of which only the number matters while there is thrift. */
static __always_inline bool thrift_counts(const struct http_record *r)
{
	__u64 ns = r->total_ns;

	/* What its user waited for may be slow although the answer was not. */
	if (r->role == HTTP_SERVER && r->queue_ns != HTTP_QUEUE_UNKNOWN)
		ns += r->queue_ns;
	return records_from_ns && r->outcome == HTTP_COMPLETE && ns < records_from_ns &&
	       r->status < (r->role == HTTP_CLIENT ? 400 : 500) &&
	       (!spare_busy || thrift_is_busy(r));
}
#endif

#endif
