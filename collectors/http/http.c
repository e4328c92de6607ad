/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collector of HTTP/1 requests that BPF programs see at the sockets of all processes: names
 * service and route of each record and files its latency under the series.
 *
 * What the kernel saw is accounted for: events_total and the drops of status() add up to the pairs
 * that ended, apart from those still in the ring. A pair without its whole response is a drop by
 * its outcome and enters no histogram, since it has no latency that would be true.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collectors/collector.h"
#include "collectors/http/http_bpf.h"
#include "collectors/http/http_busy.h"
#include "collectors/http/http_in_flight.h"
#include "collectors/http/http_names.h"
#include "collectors/http/http_pairs.h"
#include "collectors/http/http_text.h"
#include "collectors/http/http_thrift.h"
#include "collectors/http/tls_trace.h"
#include "config/config.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define GAUGES_EVERY NS_PER_S
/* A system call for each program, and nothing that anybody waits for. */
#define MISSED_EVERY (10 * NS_PER_S)
#define POLL_BUDGET  (2 * NS_PER_MS)
#define DRAIN_STEP   512 /* records between two looks at the clock; 50 to 300 us */
/*
 * From the end of capturing to the last drain: what is in a program has left it, and responses that
 * end by 100 ms of silence have.
 */
#define STOP_TAKES (150 * NS_PER_MS)

/* What a tier means for who runs it. */
static const char last_resort[] =
	"tier C, the last resort, costs more and follows neither io_uring nor requests within TLS "
	"in the clear; ";

struct http {
	struct gauge_table *gauges;
	struct http_bpf *bpf; /* NULL: the programs are detached, to be thrifty */
	struct http_bpf_options options;
	struct http_headers headers; /* that options refer to */
	char types[sizeof(((struct vow_config *)NULL)->capture_btf)]; /* the same */
	struct http_thrift thrift;
	dur_ns records_from; /* in THRIFT_BUSY and THRIFT_COUNTS */
	struct http_busy busy_services;
	mono_ns stop_at; /* when capturing ended, the programs being there yet; 0: it did not */
	uint64_t past[HTTP_COUNTERS]; /* of programs that are gone */
	dur_ns agent_ns; /* own time for records and sums */
	bool busy; /* the last poll took something */
	struct http_pairs pairs;
	struct tls_trace *trace;
	mono_ns sweep_at, gauges_at, missed_at;
	struct http_bpf_sweep sweep;
	struct http_in_flight in_flight;
	uint64_t lost; /* records, when that was looked for last */
	uint64_t missed; /* program runs that the kernel skipped */
};

static void http_close(void *state)
{
	struct http *http = state;

	tls_trace_free(http->trace);
	http_bpf_close(http->bpf);
	http_series_free(http->pairs.series);
	http_deliveries_free(http->pairs.deliveries);
	free(http);
}

static int http_open(const struct collector_context *context, void **state, struct diag *d)
{
	const struct vow_config *config = context->config;
	const struct http_series_options series = {
		.table = context->series,
		.config = config,
		.processes = context->processes,
		.proc = "/proc",
	};
	struct http *http = calloc(1, sizeof(*http));
	int rc;

	if (!http)
		return diag_errno(d, -ENOMEM, "http", NULL, "no memory");
	http_names_of_config(&http->headers, config);
	snprintf(http->types, sizeof(http->types), "%s", config->capture_btf);
	http->gauges = context->gauges;
	http->pairs.exemplars = context->exemplars;
	http->options = (struct http_bpf_options){
		.ring_bytes = config->http_ring_bytes,
		.headers = &http->headers,
		.tier = config->http_tier,
		.types = http->types,
		.probes = config->tls_allowed,
	};
	http->records_from = http_thrift_slow(&config->policy);
	http->busy_services.per_s = config->http_busy_per_s;
	http_thrift_init(&http->thrift, config->http_budget_ratio,
			 (unsigned)sysconf(_SC_NPROCESSORS_ONLN));
	http->pairs.table = context->series;
	http->pairs.series = http_series_new(&series);
	http->pairs.deliveries =
		http_deliveries_new(context->series, config->delivery_quiet, clock_mono());
	http->trace = tls_trace_new(config, context->processes);
	if (http->pairs.series && http->pairs.deliveries && http->trace)
		rc = http_bpf_open(&http->bpf, &http->options, d);
	else
		rc = diag_errno(d, -ENOMEM, "http", NULL, "no memory");
	if (rc) {
		http_close(http);
		return rc;
	}
	if (http_bpf_tier(http->bpf) == 'C')
		log_warn("http: %s%s", last_resort, http_bpf_better(http->bpf));
	*state = http;
	return 0;
}

/* Since vowd began, over all programs that there were. 0 or a negative errno. */
static int counters_read(const struct http *http, uint64_t counters[HTTP_COUNTERS])
{
	int err = 0;

	memset(counters, 0, HTTP_COUNTERS * sizeof(counters[0]));
	if (http->bpf)
		err = http_bpf_counters(http->bpf, counters);
	for (unsigned i = 0; i < HTTP_COUNTERS; i++)
		counters[i] += http->past[i];
	return err;
}

/* Files deliveries that have ended, unless records were lost that may belong to them. */
static void deliveries_step(struct http *http)
{
	bool thrifty = http->thrift.state.step != THRIFT_ALL;
	uint64_t counters[HTTP_COUNTERS], lost;

	if (counters_read(http, counters))
		return;
	lost = counters[HTTP_RING_FULL] + counters[HTTP_STORAGE_FAILED] + counters[HTTP_TORN] +
	       http->pairs.without_record;
	if (lost != http->lost || thrifty) /* then headers are not looked for, or not told */
		http_deliveries_gap(http->pairs.deliveries, http->pairs.now);
	http->lost = lost;
	http_deliveries_step(http->pairs.deliveries, http->pairs.now);
	gauge_set(http->gauges, "", "", "http_deliveries_unjoined", "",
		  (double)http_deliveries_unjoined(http->pairs.deliveries), http->pairs.now);
	gauge_set(http->gauges, "", "", "http_deliveries_evicted", "",
		  (double)http_deliveries_evicted(http->pairs.deliveries), http->pairs.now);
}

static void place_taken(void *arg, const struct http_tally_place *place)
{
	struct http *http = arg;

	http_by_service_add(&http->in_flight.services, http->pairs.series, place, http->pairs.now);
}

/* As of the last sweep. */
static void sweep_gauges(struct http *http)
{
	gauge_set(http->gauges, "", "", "http_connections", "", (double)http->sweep.open,
		  http->pairs.now);
	http_in_flight_begin(&http->in_flight, http->sweep.in_flight, http->sweep.oldest_at);
	http->in_flight.services.placeless += http_bpf_in_flight(http->bpf, place_taken, http);
	http_in_flight_gauges(&http->in_flight, http->gauges, http->pairs.now);
}

static void gauges_set(struct http *http)
{
	const mono_ns now = http->pairs.now;
	const struct route_names *routes = http_series_routes(http->pairs.series);

	/* Without programs nobody knows. */
	if (http->bpf)
		sweep_gauges(http);
	for (size_t i = 0; i < route_names_services(routes); i++) {
		uint64_t asked, other;
		const char *service = route_names_share(routes, i, &asked, &other);

		if (other)
			gauge_set(http->gauges, "", service, "routes_other_ratio", "",
				  (double)other / (double)asked, now);
	}
}

/* ---- what is captured within the budget -------------------------------------------------------- */

static void thrift_obey(struct http *http)
{
	enum thrift_step step = http->thrift.state.step;
	bool counts = step == THRIFT_BUSY || step == THRIFT_COUNTS;

	if (http->bpf)
		http_bpf_spare(http->bpf, step == THRIFT_NO_PATHS, counts ? http->records_from : 0,
			       step == THRIFT_BUSY);
}

/* Known from the first step on, before it matters. */
static void busy_look(struct http *http)
{
	enum thrift_step step = http->thrift.state.step;
	bool thrifty = http->bpf && step > THRIFT_ALL && step < THRIFT_OFF;

	http_busy_second(&http->busy_services, http->pairs.series, thrifty, http->pairs.now);
	if (thrifty)
		http_bpf_busy(http->bpf, &http->busy_services.set);
}

static void programs_attach(struct http *http)
{
	struct diag d = {0};

	if (http_bpf_open(&http->bpf, &http->options, &d)) {
		http->bpf = NULL;
		log_diag(LOG_LEVEL_WARN, &d, "HTTP stays off, and is tried again later");
		thrift_failed(&http->thrift.state, http->pairs.now);
	}
}

/* What the programs counted is kept, since those that come after them begin at 0. */
static void programs_detach(struct http *http)
{
	uint64_t counters[HTTP_COUNTERS];

	if (!http_bpf_counters(http->bpf, counters))
		for (unsigned i = 0; i < HTTP_COUNTERS; i++)
			http->past[i] += counters[i];
	tls_trace_drop(http->trace);
	http_bpf_close(http->bpf);
	http->bpf = NULL;
	http->stop_at = 0;
	http->sweep = (struct http_bpf_sweep){0};
}

static void thrift_go(struct http *http, const struct thrift_change *change)
{
	log_warn("http: capturing goes from \"%s\" to \"%s\": it %s",
		 thrift_step_name(change->from), thrift_step_name(change->to), change->reason);
	if (change->to == THRIFT_OFF) {
		http_bpf_stop(http->bpf);
		http->stop_at = http->pairs.now;
	} else if (!http->bpf) {
		programs_attach(http);
	}
	thrift_obey(http);
}

static void thrift_look(struct http *http)
{
	struct http_thrift_totals totals = {.agent_ns = http->agent_ns,
					    .pairs = http->pairs.events_total +
						     http->pairs.no_memory};
	struct thrift_change change;

	/* Programs that are being stopped are let go before anything else is decided. */
	if (http->stop_at)
		return;
	for (unsigned i = HTTP_COMPLETE + 1; i < HTTP_OUTCOMES; i++)
		totals.pairs += http->pairs.incomplete[i];
	if (http->bpf && http_bpf_took(http->bpf, totals.costs))
		return;
	totals.exception_ns = tls_trace_exception_ns(http->trace);
	if (http_thrift_second(&http->thrift, &totals, http->pairs.now, &change))
		thrift_go(http, &change);
	http_thrift_gauges(&http->thrift, http->gauges, http->pairs.now);
}

/* ---- the collector ------------------------------------------------------------------------------ */

static dur_ns thread_cpu(void)
{
	struct timespec t = {0};

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (dur_ns)t.tv_sec * NS_PER_S + (dur_ns)t.tv_nsec;
}

static void record_taken(void *arg, const struct http_record *record)
{
	struct http *http = arg;
	const struct series *series = http_pairs_record(&http->pairs, record);

	http_busy_pairs(&http->busy_services, record, 1);
	if (series && record->flags & HTTP_TLS)
		tls_trace_saw(http->trace, http->bpf, (pid_t)record->pid,
			      series_key_of(series)->service,
			      record->started_at + record->total_ns);
}

static void sum_taken(void *arg, const struct http_overflow_sum *sum)
{
	struct http *http = arg;

	http_pairs_sum(&http->pairs, sum);
	http_busy_pairs(&http->busy_services, &sum->record, sum->count);
}

/* Takes records for so long, then all sums. */
static uint64_t http_take(struct http *http, mono_ns until)
{
	/* A system call that an idle agent does without. */
	dur_ns began = http->busy ? thread_cpu() : 0;
	uint64_t taken = 0;
	unsigned step;

	do {
		step = http_bpf_drain(http->bpf, DRAIN_STEP, record_taken, http);
		taken += step;
	} while (step == DRAIN_STEP && clock_mono() < until);
	taken += http_bpf_overflow(http->bpf, sum_taken, http);
	if (http->busy && taken)
		http->agent_ns += thread_cpu() - began;
	http->busy = taken > 0;
	return taken;
}

static uint64_t http_poll(void *state, mono_ns now)
{
	struct http *http = state;
	uint64_t taken = 0;

	http->pairs.now = now;
	http->pairs.wall = clock_wall();
	if (http->bpf) {
		if (now - http->sweep_at >= http_bpf_sweep_every(http->bpf)) {
			/* A sweep that fails is tried again; what it would have ended waits. */
			http_bpf_sweep(http->bpf, &http->sweep);
			http->sweep_at = now;
		}
		taken = http_take(http, now + POLL_BUDGET);
		if (http->stop_at && now - http->stop_at >= STOP_TAKES) {
			http_bpf_sweep(http->bpf, &http->sweep);
			taken += http_take(http, UINT64_MAX);
			programs_detach(http);
		}
	}
	if (http->bpf && !http->stop_at)
		tls_trace_step(http->trace, http->bpf, now);
	if (now - http->gauges_at >= GAUGES_EVERY) {
		busy_look(http);
		thrift_look(http);
		gauges_set(http);
		tls_trace_gauges(http->trace, http->gauges, now);
		deliveries_step(http);
		http->gauges_at = now;
	}
	if (http->bpf && now - http->missed_at >= MISSED_EVERY) {
		http->missed = http_bpf_missed(http->bpf);
		http->missed_at = now;
	}
	return taken;
}

static dur_ns http_patience(const void *state)
{
	const struct http *http = state;

	return http->bpf ? http_bpf_patience(http->bpf) : NS_PER_S;
}

static void http_reload(void *state, const struct vow_config *config)
{
	struct http *http = state;

	http_series_reload(http->pairs.series, config);
	tls_trace_reload(http->trace, http->bpf, config);
	http_deliveries_reload(http->pairs.deliveries, config->delivery_quiet);
	http->records_from = http_thrift_slow(&config->policy);
	http->busy_services.per_s = config->http_busy_per_s;
	http->thrift.budget_ratio = config->http_budget_ratio;
	/* Who changes something wants to see what comes of it. */
	if (http->thrift.state.step == THRIFT_OFF)
		http->thrift.state.pause = 0;
	thrift_obey(http);
}

static int http_trace(void *state, const struct trace_order *order, struct diag *d)
{
	struct http *http = state;

	return tls_trace_order(http->trace, http->bpf, order, clock_mono(), d);
}

static int http_traced(const void *state, struct traced_row **rows)
{
	const struct http *http = state;

	return tls_trace_rows(http->trace, http->bpf != NULL, rows);
}

static void drop_add(struct collector_status *status, const char *reason, uint64_t total)
{
	if (status->drop_count < COLLECTOR_DROPS_MAX)
		status->drops[status->drop_count++] = (struct collector_drop){reason, total};
}

static const char *tier_means(char tier)
{
	if (tier == 'C')
		return "returns of system calls at raw tracepoints";
	return tier == 'B' ? "returns of system calls" : "socket tracepoints";
}

/* By what calls are seen, and why not by something better. */
static void how_text(const struct http *http, char *text, size_t room)
{
	const char *why = http->bpf ? http_bpf_why(http->bpf) : "", *uring;
	char tier;

	if (!http->bpf) {
		snprintf(text, room, "nothing now");
		return;
	}
	uring = http_bpf_uring_lacks(http->bpf);
	tier = http_bpf_tier(http->bpf);
	snprintf(text, room, "%s%s%s%s%s%s", tier_means(tier), why[0] ? " (" : "", why,
		 why[0] ? ")" : "",
		 tier == 'C' ? "; not io_uring, which tier C does not follow"
		 : uring     ? "; not io_uring, since the kernel has no "
			     : " and io_uring",
		 uring ? uring : "");
}

/* What is left out, why, and how it comes back. */
static void thrift_tell(const struct http *http, struct collector_status *status)
{
	static const char *const left_out[THRIFT_STEPS] = {
		[THRIFT_NO_PATHS] = "paths are left out",
		[THRIFT_BUSY] = "of services above capture.http_busy only failed and slow requests "
				"have their route",
		[THRIFT_COUNTS] = "only failed and slow requests have their route",
		[THRIFT_OFF] = "HTTP is not captured now",
	};
	enum thrift_step step = http->thrift.state.step;
	mono_ns back_at = thrift_back_at(&http->thrift.state);
	char back[48] = "";

	if (step == THRIFT_ALL)
		return;
	if (back_at > http->pairs.now)
		snprintf(back, sizeof(back), ", is tried again in %u s",
			 (unsigned)((back_at - http->pairs.now) / NS_PER_S));
	snprintf(status->problem, sizeof(status->problem),
		 "%s%s: it %.120s; raise capture.http_budget, 0 for none", left_out[step], back,
		 http->thrift.reason);
}

static void http_status(const void *state, struct collector_status *status)
{
	const struct http *http = state;
	uint64_t counters[HTTP_COUNTERS] = {0};
	char how[HTTP_BPF_WHY_MAX + 100];
	char tier;

	status->tier = "off";
	if (!http)
		return;
	tier = http->bpf ? http_bpf_tier(http->bpf) : 0;
	if (tier)
		status->tier = tier == 'C' ? "C" : tier == 'B' ? "B" : "A";
	status->events_total = http->pairs.events_total;
	snprintf(status->problem, sizeof(status->problem), "%s", tls_trace_problem(http->trace));
	if (tier == 'C' && !status->problem[0])
		snprintf(status->problem, sizeof(status->problem), "%s%s", last_resort,
			 http_bpf_better(http->bpf));
	thrift_tell(http, status);
	if (counters_read(http, counters))
		snprintf(status->problem, sizeof(status->problem),
			 "the kernel's counters cannot be read: losses in the ring are unknown");
	for (unsigned i = HTTP_RING_FULL; i <= HTTP_LOST_LAST; i++)
		drop_add(status, http_text_counter(i), counters[i]);
	for (unsigned i = HTTP_COMPLETE + 1; i < HTTP_OUTCOMES; i++)
		drop_add(status, http_text_outcome(i), http->pairs.incomplete[i]);
	drop_add(status, "no_memory", http->pairs.no_memory);
	how_text(http, how, sizeof(how));
	snprintf(
		status->detail, sizeof(status->detail),
		"HTTP/1 in plain text, server and client side, by %s; pairs seen %llu, without "
		"path %llu, connections now %llu, not HTTP/1 %llu, calls without readable bytes "
		"%llu, heads cut %llu, program runs skipped %llu; within TLS by turns: connections "
		"%llu, given up %llu, responses that went on after a second of silence %llu",
		how, (unsigned long long)counters[HTTP_SEEN],
		(unsigned long long)http->pairs.summed_total, (unsigned long long)http->sweep.open,
		(unsigned long long)counters[HTTP_IGNORED],
		(unsigned long long)counters[HTTP_NO_PAYLOAD],
		(unsigned long long)counters[HTTP_HEADS_CUT], (unsigned long long)http->missed,
		(unsigned long long)counters[HTTP_TLS_CONNECTIONS],
		(unsigned long long)counters[HTTP_TLS_GIVEN_UP],
		(unsigned long long)counters[HTTP_TLS_RESUMED]);
}

const struct collector_ops http_collector = {
	.name = "http",
	.open = http_open,
	.poll = http_poll,
	.patience = http_patience,
	.reload = http_reload,
	.trace = http_trace,
	.traced = http_traced,
	.status = http_status,
	.close = http_close,
};
