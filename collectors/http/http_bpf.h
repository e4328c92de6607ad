/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP programs behind a handle, those of the best tier that the kernel takes: load, attach,
 * drain, sweep. One thread. Needs CAP_BPF and CAP_PERFMON to open; nothing afterwards.
 */
#ifndef VOW_COLLECTORS_HTTP_BPF_H
#define VOW_COLLECTORS_HTTP_BPF_H

#include "bpf/http_busy.h"
#include "bpf/http_record.h"
#include "bpf/http_tally.h"
#include "bpf/http_thrift.h"
#include "collectors/http/http_overflow.h"
#include "collectors/http/tls_bpf.h"
#include "lib/base/diag.h"
#include "lib/base/types.h"

struct http_bpf;

#define HTTP_BPF_RING_BYTES (1u << 20) /* 4,096 records */

struct http_bpf_options {
	size_t ring_bytes; /* of all rings, not exceeded; 0: HTTP_BPF_RING_BYTES */
	const struct http_headers *headers; /* to look for in requests; NULL: none */
	char tier; /* 'A', 'B' or 'C', no other; 0: the best that the kernel takes */
	const char *types; /* tier C: file that describes the kernel's types; NULL or "": it does */
	bool probes; /* http_bpf_probe() may be called: 256 KiB of the kernel's memory */
	bool probes_apart; /* each of them for itself, as kernels before 6.13 want it */
};

/*
 * Loads, attaches and begins to capture. 0; -ENOTSUP: the kernel lacks what each tier needs; -EPERM:
 * the rights lack; or another negative errno. d then says which tier, why, and what to do.
 * Takes 150 to 300 ms, which are the verifier's.
 */
int http_bpf_open(struct http_bpf **bpf, const struct http_bpf_options *options, struct diag *d);
void http_bpf_close(struct http_bpf *bpf); /* NULL is allowed */

/* 'A', 'B' or 'C'; and why it is not the best one, "" when it is. */
#define HTTP_BPF_WHY_MAX 63
char http_bpf_tier(const struct http_bpf *bpf);
const char *http_bpf_why(const struct http_bpf *bpf);

/* What to do for a better tier than C. */
const char *http_bpf_better(const struct http_bpf *bpf);

/* What the kernel lacks so that tiers A and B do not follow io_uring; NULL: they do. C never does. */
const char *http_bpf_uring_lacks(const struct http_bpf *bpf);

/*
 * Sees nothing more from now on (but for what is in a program at this instant); what was seen can
 * still be swept and drained, and then adds up with the counters.
 */
void http_bpf_stop(struct http_bpf *bpf);

/* How long http_bpf_drain() may stay away before rings that were empty are full. */
dur_ns http_bpf_patience(const struct http_bpf *bpf);

typedef void (*http_bpf_fn)(void *arg, const struct http_record *record);

/*
 * Hands over at most `max` records; returns how many. Those of one processor come oldest first.
 * The record is fn's to read.
 */
unsigned http_bpf_drain(struct http_bpf *bpf, unsigned max, http_bpf_fn fn, void *arg);

/*
 * Hands over the sums of what the rings had no room for, as http_overflow_drain() does; returns how
 * many pairs.
 */
uint64_t http_bpf_overflow(struct http_bpf *bpf, http_overflow_fn fn, void *arg);

struct http_bpf_sweep {
	uint64_t kept; /* sockets of which something is kept, HTTP or not */
	uint64_t open; /* connections that speak HTTP/1 */
	uint64_t in_flight; /* requests whose response has not ended */
	mono_ns oldest_at; /* when the oldest of them began, 0: none */
};

/* How long after the last sweep the next one is due: 125 ms to 1 s, by the tier and what there is. */
dur_ns http_bpf_sweep_every(const struct http_bpf *bpf);

/*
 * Ends the pairs of connections that have been silent for 100 ms, and counts what is in flight. About
 * 0.15 us a connection, in tiers B and C 1 ms besides. 0 or a negative errno.
 */
int http_bpf_sweep(struct http_bpf *bpf, struct http_bpf_sweep *sweep);

/* The place is fn's to read. */
typedef void (*http_bpf_in_flight_fn)(void *arg, const struct http_tally_place *place);

/*
 * Hands over what the last sweep found in flight, by process, role and port: 512 times at most, and
 * as often for what probes read within TLS. Returns how many requests had no place.
 */
uint64_t http_bpf_in_flight(const struct http_bpf *bpf, http_bpf_in_flight_fn fn, void *arg);

/* Sums over all processors; indexes are enum http_counter. 0 or a negative errno. */
int http_bpf_counters(const struct http_bpf *bpf, uint64_t counters[HTTP_COUNTERS]);

/*
 * What the programs leave out from now on: paths of requests; records of good responses that are
 * quicker than records_from (0: none), which are counted as if the rings were full. busy: only those
 * of the processes in http_bpf_busy().
 */
void http_bpf_spare(struct http_bpf *bpf, bool paths, dur_ns records_from, bool busy);
void http_bpf_busy(struct http_bpf *bpf, const struct http_busy_set *set); /* copied */

/*
 * Probes the calls of a process into the TLS library at path, and loads the programs for that when
 * it is the first. See tls_probes_attach(); the probes must be detached before http_bpf_close(), and
 * before that, while capturing goes on, http_bpf_release() be called.
 */
int http_bpf_probe(struct http_bpf *bpf, pid_t pid, const char *path, const struct tls_sites *sites,
		   struct tls_probes **probes, struct diag *d);

/* See tls_bpf_release(). */
void http_bpf_release(struct http_bpf *bpf, const pid_t *pids, unsigned count);

/* What the programs took by their own measure, over all processors. 0 or a negative errno. */
int http_bpf_took(const struct http_bpf *bpf, struct http_cost costs[HTTP_COST_PROGRAMS]);

/* Program runs that the kernel skipped since they interrupted themselves, for `vow doctor`. */
uint64_t http_bpf_missed(const struct http_bpf *bpf);

/* What the kernel accounts to a program so far; 0 unless kernel.bpf_stats_enabled is set. */
struct http_bpf_cost {
	const char *name; /* as in the tier's source; lives as long as bpf */
	uint64_t ns;
	uint64_t runs;
};

#define HTTP_BPF_PROGRAMS 10 /* room for all that there are */

/* Fills one cost for each program; returns how many. */
unsigned http_bpf_cost(const struct http_bpf *bpf, struct http_bpf_cost costs[HTTP_BPF_PROGRAMS]);

#endif
