/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http/http_pairs.h"

#include <errno.h>
#include <string.h>

#include "collectors/http/http_names.h"
#include "lib/data/exemplar.h"

/* Of a request whose trace is known: it leads from the series to what was slow. */
static void record_exemplar(const struct http_pairs *pairs, const struct http_record *r,
			    const struct series *series)
{
	mono_ns end = r->started_at + r->total_ns;
	char trace[HTTP_TRACE_TEXT + 1];
	struct exemplar exemplar = {
		.at = end < pairs->now ? pairs->wall - (pairs->now - end) : pairs->wall,
		.latency_ns = r->total_ns,
		.status = r->status,
	};

	if (pairs->exemplars && http_names_trace(r, trace) &&
	    exemplar_tag_set(&exemplar, trace, sizeof(trace)))
		exemplars_add(pairs->exemplars, series_id_of(series), &exemplar, pairs->wall);
}

/* A POST with the id of a delivery, whatever came of it; without a type of event its route is that. */
static void record_attempt(struct http_pairs *pairs, const struct http_record *r)
{
	mono_ns end = r->outcome == HTTP_COMPLETE ? r->started_at + r->total_ns : pairs->now;
	char event[HTTP_EVENT_MAX + 1];
	struct series_key key;
	uint64_t path = 0;

	if (!(r->flags & HTTP_NOTED) || !(r->notes.has & HTTP_HEADER_DELIVERY))
		return;
	for (unsigned i = 0; i < HTTP_PATH_MAX / 8; i++)
		path = (path ^ r->path[i]) * UINT64_C(0x9e3779b97f4a7c15);
	http_series_name(pairs->series, r, pairs->now, &key);
	http_deliveries_attempt(pairs->deliveries,
				&(struct http_attempt){
					.id = r->notes.delivery ^ path,
					.service = key.service,
					.event = http_names_event(r, event) ? event : key.route,
					.peer = key.peer,
					.started_at = r->started_at,
					.ended_at = end > r->started_at ? end : r->started_at,
					.status = r->outcome == HTTP_COMPLETE ? r->status : 0,
				},
				pairs->now);
}

static dur_ns record_waited(const struct http_record *r)
{
	return r->queue_ns == HTTP_QUEUE_UNKNOWN ? SERIES_NO_QUEUE : r->queue_ns;
}

/* A POST that was received and says which event it is about: the handling of that event. */
static void record_event(struct http_pairs *pairs, const struct http_record *r,
			 const struct series *series)
{
	struct series_key key = *series_key_of(series);
	char event[HTTP_EVENT_MAX + 1];
	const char *name;
	struct series *handled;

	if (r->role != HTTP_SERVER || !http_names_event(r, event))
		return;
	name = http_deliveries_event(pairs->deliveries, event);
	key.kind = SERIES_APP;
	memset(key.method, 0, sizeof(key.method));
	strcpy(key.method, "event");
	series_text_set(key.route, sizeof(key.route), name, strlen(name));
	handled = series_get(pairs->table, &key);
	if (handled)
		series_record(handled, r->total_ns, record_waited(r));
}

/* What users of a server waited for, and what connections took. */
static void record_views(struct http_pairs *pairs, const struct http_record *r)
{
	dur_ns waited = record_waited(r);
	struct series *series;

	if (r->role == HTTP_SERVER) {
		series = http_series_user(pairs->series, r, pairs->now);
		if (series)
			series_record(series,
				      r->total_ns + (waited == SERIES_NO_QUEUE ? 0 : waited),
				      waited);
	}
	if (r->opening_ns) {
		series = http_series_opening(pairs->series, r, pairs->now);
		if (series)
			series_record(series, r->opening_ns, SERIES_NO_QUEUE);
	}
}

struct series *http_pairs_record(struct http_pairs *pairs, const struct http_record *r)
{
	struct series *series;

	record_attempt(pairs, r);
	if (r->outcome != HTTP_COMPLETE) {
		pairs->incomplete[r->outcome < HTTP_OUTCOMES ? r->outcome : HTTP_TRUNCATED]++;
		return NULL;
	}
	series = http_series_of(pairs->series, r, pairs->now);
	if (!series) {
		pairs->no_memory++;
		return NULL;
	}
	series_record(series, r->total_ns, record_waited(r));
	record_views(pairs, r);
	pairs->events_total++;
	if (r->flags & HTTP_NOTED) {
		record_exemplar(pairs, r, series);
		record_event(pairs, r, series);
	}
	return series;
}

/*
 * What is bad among latencies of which only buckets are known: an event counts as slow when all of
 * its bucket is, which is exact unless the threshold lies within that bucket.
 */
static void sum_judge(const struct http_overflow_sum *sum, const struct series *series,
		      struct series_counts *counts)
{
	const struct series_key *key = series_key_of(series);
	dur_ns thresholds[SERIES_THRESHOLDS];
	unsigned watched = series_thresholds_of(series, thresholds);
	bool error = series_class_is_error(key->role, key->status_class);

	*counts = (struct series_counts){.count = sum->count, .errors = error ? sum->count : 0};
	for (unsigned i = 0; i < watched; i++) {
		uint64_t surely, possibly;

		hist_count_below(sum->latency, thresholds[i], &surely, &possibly);
		counts->bad[i] = error ? sum->count : sum->count - possibly;
	}
}

static int sum_merge(struct http_pairs *pairs, const struct http_overflow_sum *sum,
		     struct series *series)
{
	struct series_counts counts;
	ssize_t latency, queue;

	if (!series)
		return -ENOMEM;
	latency = hist_pack(sum->latency, pairs->packed[0], sizeof(pairs->packed[0]));
	queue = hist_pack(sum->queue, pairs->packed[1], sizeof(pairs->packed[1]));
	sum_judge(sum, series, &counts);
	if (latency < 0 || queue < 0)
		return -EOVERFLOW;
	return series_merge_packed(series, pairs->packed[0], (size_t)latency, pairs->packed[1],
				   sum->queue->count ? (size_t)queue : 0, &counts);
}

/* Users are counted with the others, without their waits: which belongs to which is not known. */
static int sum_file(struct http_pairs *pairs, const struct http_overflow_sum *sum)
{
	const struct http_record *r = &sum->record;
	int rc = sum_merge(pairs, sum, http_series_of_sum(pairs->series, r, pairs->now));

	if (!rc && r->role == HTTP_SERVER)
		(void)sum_merge(pairs, sum, http_series_user(pairs->series, r, pairs->now));
	return rc;
}

void http_pairs_sum(struct http_pairs *pairs, const struct http_overflow_sum *sum)
{
	pairs->without_record += sum->count;
	if (sum->record.outcome != HTTP_COMPLETE) {
		pairs->incomplete[sum->record.outcome] += sum->count;
	} else if (sum_file(pairs, sum)) {
		pairs->no_memory += sum->count;
	} else {
		pairs->events_total += sum->count;
		pairs->summed_total += sum->count;
	}
}
