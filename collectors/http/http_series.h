/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The series that a captured record belongs to: its service, method, route, class of status, and
 * for a client its peer. Requests repeat themselves, so the series of those seen lately are
 * remembered by what the record says, without writing any name anew.
 *
 * One thread, that of the series table. About 0.1 us for a request like one of those remembered,
 * 0.4 us for another, 30 us for a process not looked at for 2 s. Allocates for new names only.
 */
#ifndef VOW_COLLECTORS_HTTP_SERIES_H
#define VOW_COLLECTORS_HTTP_SERIES_H

#include "bpf/http_record.h"
#include "collectors/http/route_name.h"
#include "collectors/process_list.h"
#include "lib/base/types.h"
#include "lib/data/series.h"

struct http_series;

struct http_series_options {
	struct series_table *table;
	const struct vow_config *config; /* the caller's, until reload or free */
	struct process_list *processes; /* told of each process that is named; may be NULL */
	const char *proc; /* where processes are looked up: "/proc"; kept by reference */
};

/* NULL when memory lacks. */
struct http_series *http_series_new(const struct http_series_options *options);
void http_series_free(struct http_series *series); /* NULL is allowed */
/* Other templates, caps and services from now on. */
void http_series_reload(struct http_series *series, const struct vow_config *config);

/* Of a record whose response is complete. NULL when memory lacks. */
struct series *http_series_of(struct http_series *series, const struct http_record *record,
			      mono_ns now);

/*
 * Beside it, of a server's: all responses of the service, as long as their users waited; and of a
 * record with opening_ns: what connections took. NULL when memory lacks.
 */
struct series *http_series_user(struct http_series *series, const struct http_record *record,
				mono_ns now);
struct series *http_series_opening(struct http_series *series, const struct http_record *record,
				   mono_ns now);

/* Its service, valid until the next call; never empty. */
const char *http_series_service(struct http_series *series, const struct http_record *record,
				mono_ns now);

/* What the series of a record would be called, without one being made. About 1 us. */
void http_series_name(struct http_series *series, const struct http_record *record, mono_ns now,
		      struct series_key *key);

/*
 * Of complete responses that were summed up without their paths (http_overflow.h); its route is
 * SERIES_ROUTE_OVERFLOW. Not remembered: about 2 us. NULL when memory lacks.
 */
struct series *http_series_of_sum(struct http_series *series, const struct http_record *record,
				  mono_ns now);

/* For the share of paths without a route of their own. */
const struct route_names *http_series_routes(const struct http_series *series);

#endif
