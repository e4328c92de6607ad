/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which services are busy: those that have had more pairs of request and response in the last second
 * than is configured, each role for itself. Their processes are told to the programs, which count
 * them first when less is to be captured. One thread.
 */
#ifndef VOW_COLLECTORS_HTTP_BUSY_H
#define VOW_COLLECTORS_HTTP_BUSY_H

#include <stdbool.h>

#include "bpf/http_busy.h"
#include "collectors/http/http_by_service.h"

struct http_busy { /* all zero to begin with, but for per_s */
	uint64_t per_s; /* pairs a second above which a service is busy; below half of it no more */
	mono_ns since; /* of what is tallied; 0: nothing is */
	struct http_tally tally; /* pairs by process */
	struct http_by_service services;
	struct http_busy_set set; /* the processes of those that are */
};

/* One pair that ended, or several with all in common that the record says. About 10 ns. */
void http_busy_pairs(struct http_busy *busy, const struct http_record *record, uint64_t count);

/*
 * To be called once a second: fills the set by what was tallied since the last call. wanted: nothing
 * is tallied and the set is empty while it is not.
 */
void http_busy_second(struct http_busy *busy, struct http_series *series, bool wanted, mono_ns now);

#endif
