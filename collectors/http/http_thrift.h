/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What capturing HTTP takes of the host, in the kernel and in vowd, once a second; and how much is
 * captured so that it stays within its budget (lib/model/thrift.h decides). One thread.
 */
#ifndef VOW_COLLECTORS_HTTP_THRIFT_H
#define VOW_COLLECTORS_HTTP_THRIFT_H

#include "bpf/http_thrift.h"
#include "lib/data/gauge.h"
#include "lib/model/policy.h"
#include "lib/model/thrift.h"

/*
 * ns of a run that a program cannot time itself: the way from the tracepoint into it and back, 90,
 * less one of its two clocks, 30 (docs/capture.md, "Cost").
 */
#define HTTP_COST_AROUND 60

/*
 * A call into a probed TLS library is stopped by an exception as it enters and by one as it returns,
 * which no program can time: by an empty one both took 1.7 to 2.2 us where the kernel carries out the
 * instruction itself, and 15 to 25 where the processor does it alone (docs/adr/tls-probe-places.md).
 */
#define HTTP_COST_EXCEPTIONS	 2
#define HTTP_COST_EXCEPTION	 1000
#define HTTP_COST_EXCEPTION_STEP 10000

struct http_thrift_figures { /* of the last second */
	double seconds;
	double rate; /* pairs a second */
	double runs[HTTP_COST_PROGRAMS]; /* a second */
	double run_ns[HTTP_COST_PROGRAMS]; /* each; 0 without a sample */
	double exceptions; /* of probes in TLS libraries, a second */
	double exception_ns; /* each, by the measure above; 0 without any */
	double kernel_ratio, agent_ratio; /* of all processors */
};

struct http_thrift {
	unsigned processors;
	double budget_ratio; /* 0: no limit */
	struct thrift state;
	struct http_thrift_figures figures;
	char reason[200]; /* of the last change */
	/* as of the last second */
	mono_ns at;
	struct http_cost costs[HTTP_COST_PROGRAMS];
	dur_ns agent_ns;
	uint64_t pairs;
};

struct http_thrift_totals {
	struct http_cost costs[HTTP_COST_PROGRAMS]; /* as long as the programs have been there */
	dur_ns agent_ns; /* of vowd's own time for records and counts */
	uint64_t pairs;
	double exception_ns; /* of probes in TLS libraries, as they stand; 0: there are none */
};

void http_thrift_init(struct http_thrift *thrift, double budget_ratio, unsigned processors);

/* To be called once a second. Whether the step is another one; then change says why. */
bool http_thrift_second(struct http_thrift *thrift, const struct http_thrift_totals *totals,
			mono_ns now, struct thrift_change *change);

void http_thrift_gauges(const struct http_thrift *thrift, struct gauge_table *gauges, mono_ns now);

/*
 * Below this latency a good response needs no record in THRIFT_COUNTS: whatever is bad for any
 * objective about HTTP has one. 200 ms when none has a threshold.
 */
dur_ns http_thrift_slow(const struct policy *policy);

#endif
