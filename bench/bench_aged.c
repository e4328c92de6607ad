/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_aged [DIR [short]]: what the series table holds after a month of 200 routes in use. With DIR
 * it also leaves there the journal of an agent that has seen them, for bench_agent.py to start one on,
 * and tells for how long the steps of its keyframe kept the agent from everything else. "short" does
 * the same with a day of 10 routes, which takes a second: for the test that it still runs.
 *
 * The routes are those of a platform in its season: 2000 requests a second in the mean, the most
 * asked route a sixth of them and the others by rank (Zipf), a day that swings by four and Saturdays
 * of three times as many. A latency is log-normal around the route's own 2 to 60 ms; every tenth
 * misses a cache, and one in 200 waits for somebody else. What is older than a window's grain comes
 * in ticks of that grain, the last 40 minutes second by second, so that slots come and go on the heap as
 * they do in service.
 */
#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/keyframe.h"
#include "bench/measure.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"

enum { ROUTES = 200, DAYS = 31, SECONDS = 2400, ROUTE_KIB = 41 };
enum { SHORT_ROUTES = 10, SHORT_DAYS = 1 };
#define DAY_S	     86400.0
#define RATE_PER_S   2000.0
#define SATURDAY     3.0
#define STEP_SHARE   0.05 /* of a keyframe's time, that one step may take */
#define LATENCIES_NS 2e6, 6e7 /* of the fastest route and the slowest */

struct route {
	struct series *series;
	double rate_per_s;
	double share[HIST_SLOTS]; /* of latencies, by slot */
	double below[HIST_SLOTS]; /* and sums of them */
};

struct aged {
	struct agent agent;
	struct vow_config config;
	struct route routes[ROUTES];
	unsigned route_count, days;
	uint64_t random;
	wall_ns begin, now;
	double since_tick_s;
	struct hist_delta tick;
	uint8_t packed[HIST_PACKED_MAX];
};

/* ---- chance ------------------------------------------------------------------------------------ */

static double chance(struct aged *a)
{
	return (double)(measure_random(&a->random) >> 11) * 0x1p-53;
}

/* How often what is expected so often happens: Poisson, above 30 by the normal distribution. */
static uint64_t happen(struct aged *a, double expected)
{
	if (expected > 30) {
		double normal = sqrt(-2 * log(1 - chance(a))) * cos(2 * M_PI * chance(a));
		double n = expected + sqrt(expected) * normal + 0.5;

		return n > 0 ? (uint64_t)n : 0;
	}
	double product = chance(a), least = exp(-expected);
	uint64_t n = 0;
	for (; product > least; n++)
		product *= chance(a);
	return n;
}

static void share_add(struct route *route, double weight, double median_ns, double sigma)
{
	double before = 0;

	for (uint32_t slot = 0; slot < HIST_SLOTS; slot++) {
		double z = log(hist_slot_upper(slot) / median_ns) / sigma;
		double below = 0.5 * erfc(-z / M_SQRT2);

		route->share[slot] += weight * (below - before);
		before = below;
	}
}

static uint32_t slot_of(const struct route *route, double at)
{
	uint32_t low = 0, high = HIST_SLOTS - 1;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (route->below[middle] < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* ---- routes ------------------------------------------------------------------------------------ */

static void route_init(struct aged *a, unsigned rank, double ranks)
{
	static const double range[] = {LATENCIES_NS};
	struct route *route = &a->routes[rank];
	struct series_key key = {.kind = SERIES_APP, .status_class = CLASS_2XX};
	double median_ns = range[0] * pow(range[1] / range[0], chance(a)), below = 0;

	snprintf(key.service, sizeof(key.service), "shop");
	snprintf(key.route, sizeof(key.route), "/orders/{id}/items/%u", rank);
	route->series = series_get(a->agent.series, &key);
	if (!route->series)
		exit(1);
	route->rate_per_s = RATE_PER_S / (rank + 1) / ranks;
	share_add(route, 0.895, median_ns, 0.4);
	share_add(route, 0.1, 6 * median_ns, 0.5);
	share_add(route, 0.005, 30 * median_ns, 0.6);
	for (uint32_t slot = 0; slot < HIST_SLOTS; slot++)
		route->below[slot] = below += route->share[slot];
}

/* Requests at this time of the week, the mean of a common day being 1. */
static double traffic(const struct aged *a)
{
	double days = (double)(a->now - a->begin) / NS_PER_S / DAY_S;

	return (1 - 0.6 * cos(2 * M_PI * days)) * ((unsigned)days % 7 == 5 ? SATURDAY : 1);
}

static void route_tick(struct aged *a, const struct route *route, double seconds, double factor)
{
	uint64_t events = happen(a, route->rate_per_s * seconds * factor);
	struct series_counts counts = {0};

	if (events < HIST_SLOTS) { /* one by one */
		for (uint64_t i = 0; i < events; i++)
			series_record(route->series, hist_slot_last(slot_of(route, chance(a))),
				      SERIES_NO_QUEUE);
		return;
	}
	hist_delta_clear(&a->tick);
	for (uint32_t slot = 0; slot < HIST_SLOTS; slot++) {
		double expected = route->share[slot] * (double)events;
		uint64_t n = expected > 1e-9 ? happen(a, expected) : 0;

		if (!n)
			continue;
		hist_delta_record(&a->tick, hist_slot_last(slot));
		a->tick.slots[slot] += (uint32_t)n - 1;
		a->tick.count += n - 1;
		a->tick.sum_ns += (n - 1) * hist_slot_last(slot);
	}
	counts.count = a->tick.count;
	if (series_merge_packed(route->series, a->packed,
				(size_t)hist_delta_pack(&a->tick, a->packed, sizeof(a->packed)),
				NULL, 0, &counts))
		exit(1);
}

/* Ticks of so many seconds until `before` seconds are left. */
static void live(struct aged *a, wall_ns end, double step_s, double before_s)
{
	while (a->now + (wall_ns)((before_s + step_s) * NS_PER_S) <= end) {
		double factor = traffic(a);

		a->now += (wall_ns)(step_s * NS_PER_S);
		for (unsigned i = 0; i < a->route_count; i++)
			route_tick(a, &a->routes[i], step_s, factor);
		series_tick(a->agent.series, a->now, NULL, NULL);
	}
}

/* ---- a restart --------------------------------------------------------------------------------- */

struct move {
	struct series_table *to;
	unsigned tier;
};

static int slot_move(void *arg, uint32_t start, const struct series_delta *delta)
{
	const struct move *move = arg;

	return series_restore_slot(series_get(move->to, delta->key), move->tier, start, delta->hist,
				   delta->hist_size, delta->queue, delta->queue_size,
				   &delta->counts);
}

static int total_move(void *arg, const struct series_delta *delta)
{
	return series_restore_total(series_get(((struct move *)arg)->to, delta->key), delta->hist,
				    delta->hist_size, delta->queue, delta->queue_size,
				    &delta->counts);
}

/*
 * Long ticks leave a heap such as no service has: larger than seconds need it, and full of holes.
 * So the table goes on as it does after a restart.
 */
static void table_renew(struct aged *a)
{
	struct series_table *old = a->agent.series,
			    *table = series_table_new(&(struct series_table_options){0});
	const struct series_clock clock = series_clock(old);
	struct series_snapshot *snapshot;
	struct move move = {.to = table};

	if (!table || series_restore_clock(table, &clock) || series_snapshot_take(old, &snapshot))
		exit(1);
	for (unsigned i = 0; i < a->route_count; i++) {
		a->routes[i].series = series_get(table, series_key_of(a->routes[i].series));
		if (!a->routes[i].series)
			exit(1);
	}
	if (series_snapshot_totals(snapshot, UINT_MAX, total_move, &move))
		exit(1);
	for (; move.tier < SERIES_TIERS; move.tier++)
		if (series_snapshot_slots(snapshot, move.tier, UINT_MAX, slot_move, &move))
			exit(1);
	series_snapshot_free(snapshot);
	series_table_free(old);
	a->agent.series = table;
	malloc_trim(0);
}

/* ---- what it takes ------------------------------------------------------------------------------ */

static double resident_mib(void)
{
	unsigned long size, resident = 0;
	FILE *statm = fopen("/proc/self/statm", "re");

	if (!statm || fscanf(statm, "%lu %lu", &size, &resident) != 2)
		exit(1);
	fclose(statm);
	return (double)resident * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

/* Times of a keyframe's steps, the beginning at a turn among them. */
struct steps {
	unsigned count;
	double longest_ns, sum_ns;
};

/* Of this thread on a processor: what others take of it meanwhile is not the step's. */
static double cpu_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void step_took(struct steps *steps, double since)
{
	double took = cpu_now() - since;

	steps->count++;
	steps->sum_ns += took;
	if (took > steps->longest_ns)
		steps->longest_ns = took;
}

/* A keyframe of it as the agent saves one, behind the journal's only record. */
static int journal_leave(struct aged *a, const char *dir, struct steps *steps, struct diag *d)
{
	const struct journal_options options = {0};
	struct agent *agent = &a->agent;
	const uint8_t *wire;
	size_t size;
	char path[512];
	double since;
	int rc = fd_make_dirs(dir, 0700, d);

	snprintf(path, sizeof(path), "%s/journal", dir);
	if (!rc)
		rc = journal_open(path, &options, &agent->journal, d);
	if (rc)
		return rc;
	agent->tick_wall = a->now;
	tick_begin(agent->writer, a->now, NS_PER_S);
	rc = tick_end(agent->writer, &wire, &size);
	agent->saving.due = true;
	since = cpu_now();
	saving_begin(agent, 0);
	step_took(steps, since);
	if (!rc)
		rc = journal_append(agent->journal, a->now, wire, size, NULL, 0, NULL, d);
	saving_recorded(agent);
	for (bool more = true; !rc && more;) {
		since = cpu_now();
		more = saving_step(agent, 0);
		step_took(steps, since);
	}
	if (!rc && !agent->keyframe_seq)
		rc = diag_set(d, -EIO, dir, NULL, "cannot make the keyframe");
	journal_close(agent->journal);
	return rc;
}

static void aged_init(struct aged *a)
{
	double ranks = 0;

	a->random = 7;
	a->agent.series = series_table_new(&(struct series_table_options){0});
	a->agent.judge = judge_new(&a->agent.policy, "host:web1");
	a->agent.exemplars = exemplars_new(1);
	a->agent.writer = tick_writer_new();
	a->agent.config = a->agent.began = &a->config;
	a->config.journal_budget_bytes = 256 << 20;
	if (!a->agent.series || !a->agent.judge || !a->agent.exemplars || !a->agent.writer)
		exit(1);
	for (unsigned i = 0; i < a->route_count; i++)
		ranks += 1.0 / (i + 1);
	for (unsigned i = 0; i < a->route_count; i++)
		route_init(a, i, ranks);
}

int main(int argc, char **argv)
{
	struct aged *a = calloc(1, sizeof(*a));
	double before_mib, empty, bytes, route_kib;
	struct steps steps = {0};
	struct diag d = {0};
	wall_ns end;

	if (!a)
		return 1;
	if (argc > 3 || (argc == 3 && strcmp(argv[2], "short") != 0)) {
		fputs("usage: bench_aged [DIR [short]]\n", stderr);
		return 2;
	}
	a->route_count = argc == 3 ? SHORT_ROUTES : ROUTES;
	a->days = argc == 3 ? SHORT_DAYS : DAYS;
	series_reader_register();
	aged_init(a);
	end = clock_wall() / NS_PER_S * NS_PER_S;
	a->begin = a->now = end - (wall_ns)(a->days * DAY_S) * NS_PER_S;
	series_tick(a->agent.series, a->now, NULL, NULL);
	empty = (double)series_table_bytes(a->agent.series);
	before_mib = resident_mib();
	live(a, end, 43200, 4 * DAY_S);
	live(a, end, 10800, 28 * 3600);
	live(a, end, 3600, 2 * 3600);
	live(a, end, 300, SECONDS);
	table_renew(a);
	live(a, end, 1, 0);
	bytes = (double)series_table_bytes(a->agent.series);
	route_kib = (bytes - empty) / a->route_count / 1024;
	printf("series.aged, %u days of one route\t%.1f\tKiB\tlimit\t%d\t%.2f\t1.00\n", a->days,
	       route_kib, ROUTE_KIB, route_kib / ROUTE_KIB);
	/* With what the heap lost between its pieces, of this table and of the one before. */
	printf("# %u routes: %.2f MiB by the table's count, %.2f MiB resident\n", a->route_count,
	       bytes / (1 << 20), resident_mib() - before_mib);
	if (argc > 1 && journal_leave(a, argv[1], &steps, &d)) {
		fprintf(stderr, "bench_aged: %s\n", d.what);
		return 1;
	}
	if (argc > 1)
		printf("series.keyframe, longest of %u steps\t%.2f\tms\tall of "
		       "them\t%.0f\t%.4f\t%.2f\n",
		       steps.count, steps.longest_ns / 1e6, steps.sum_ns / 1e6,
		       steps.longest_ns / steps.sum_ns, STEP_SHARE);
	series_reader_unregister();
	return 0;
}
