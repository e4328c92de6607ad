/* SPDX-License-Identifier: Apache-2.0 */
/* Applications with libvow and an agent in one test: what is observed is what is counted. */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <vow/shm.h>

#include "client/ticks.h"
#include "tests/unit/lanes_application.h"

CHECK_TEST(test_calls_before_opening_do_nothing)
{
	struct vow_delivery delivery;

	CHECK_EQ_U64(vow_route("GET /"), 0);
	vow_observe(1, 5, 200);
	vow_observe_tagged(1, 5, 200, "t");
	vow_span_end(vow_span_begin(1), 200);
	vow_span_end_tagged(vow_span_begin(1), 200, "t");
	vow_delivery_enqueued(&delivery, 1, 2, 3, 4);
	vow_attempt_begin(&delivery);
	vow_attempt_end(&delivery, 500);
	vow_delivery_failed(&delivery);
	vow_gauge_set(1, 1.0);
	vow_queue_set(1, 1, 1);
	vow_job_progress(1, 1, 1);
	vow_close();
	CHECK_RC(vow_open(""), -EINVAL);
	CHECK_RC(vow_open("sixty-four bytes are one too many for a service's name: 1234567890"),
		 -EINVAL);
}

CHECK_TEST(test_observations_reach_their_series)
{
	struct lanes_agent *agent = lanes_agent_new();

	lanes_agent_start(agent);
	open_here(agent);
	CHECK_RC(vow_open("twice"), -EALREADY);
	vow_id pay = vow_route("POST /payments");
	CHECK(pay != 0);
	CHECK_EQ_U64(vow_route("POST /payments"), pay);
	CHECK(vow_job("POST /payments") != pay);
	vow_observe(pay, 1000, 200);
	vow_observe(pay, 2000, 201);
	vow_observe(pay, 3000, 503);
	vow_observe(pay, 4000, 0);
	vow_observe(pay, 5000, 7);
	vow_observe(vow_job("nightly"), 6000, 0);
	vow_observe(1u << 20, 7000, 99999);
	vow_span_end(vow_span_begin(pay), 404);
	lanes_agent_tick(agent);

	const struct lanes_agent_total *fine =
		lanes_agent_find(agent, SERIES_APP, "", "POST /payments", CLASS_2XX);
	CHECK(fine != NULL);
	CHECK_STR(fine->key.service, "shop");
	CHECK_EQ_U64(fine->key.role, SERIES_SERVER);
	CHECK_EQ_U64(fine->counts.count, 2);
	CHECK_EQ_U64(fine->latency.sum_ns, 3000);
	CHECK_EQ_U64(lanes_agent_find(agent, SERIES_APP, "", "POST /payments", CLASS_5XX)
			     ->latency.max_ns,
		     3000);
	CHECK(lanes_agent_find(agent, SERIES_APP, "", "POST /payments", CLASS_OK) != NULL);
	CHECK(lanes_agent_find(agent, SERIES_APP, "", "POST /payments", CLASS_ERROR) != NULL);
	CHECK(lanes_agent_find(agent, SERIES_APP, "", "POST /payments", CLASS_4XX) != NULL);
	CHECK(lanes_agent_find(agent, SERIES_JOB, "", "nightly", CLASS_OK) != NULL);
	CHECK(lanes_agent_find(agent, SERIES_APP, "", "{unnamed}", CLASS_ERROR) != NULL);
	CHECK_EQ_U64(lanes_agent_status(agent).events_total, 8);
	CHECK_STR(lanes_agent_status(agent).tier, "lanes");
	vow_close();
	lanes_agent_free(agent);
}

CHECK_TEST(test_many_routes_and_statuses_each_reach_their_own_series)
{
	static const unsigned statuses[] = {200, 201, 204, 301, 404, 500, 0};
	enum { ROUTES = 12 }; /* of 84 kinds, more than the agent makes room for at first */
	struct lanes_agent *agent = lanes_agent_new();
	vow_id routes[ROUTES];
	char name[32];

	lanes_agent_start(agent);
	open_here(agent);
	for (unsigned i = 0; i < ROUTES; i++) {
		snprintf(name, sizeof(name), "/r/%u", i);
		routes[i] = vow_route(name);
	}
	for (unsigned turn = 0; turn < 3; turn++) {
		for (unsigned i = 0; i < ROUTES; i++)
			for (unsigned s = 0; s < ARRAY_LEN(statuses); s++)
				vow_observe(routes[i], 1000 * (i + 1), statuses[s]);
		lanes_agent_tick(agent);
	}
	for (unsigned i = 0; i < ROUTES; i++) {
		static const struct {
			enum series_class class;
			unsigned statuses;
		} expected[] = {{CLASS_2XX, 3},
				{CLASS_3XX, 1},
				{CLASS_4XX, 1},
				{CLASS_5XX, 1},
				{CLASS_OK, 1}};

		snprintf(name, sizeof(name), "/r/%u", i);
		for (unsigned c = 0; c < ARRAY_LEN(expected); c++) {
			const struct lanes_agent_total *total =
				lanes_agent_find(agent, SERIES_APP, "", name, expected[c].class);

			CHECK(total != NULL);
			CHECK_EQ_U64(total->counts.count, 3 * expected[c].statuses);
			CHECK_EQ_U64(total->latency.sum_ns,
				     UINT64_C(3000) * expected[c].statuses * (i + 1));
		}
	}
	CHECK_EQ_U64(lanes_agent_status(agent).events_total, 3 * ROUTES * ARRAY_LEN(statuses));
	vow_close();
	lanes_agent_free(agent);
}

CHECK_TEST(test_a_lane_more_than_half_full_is_in_a_hurry_until_its_commit)
{
	struct lanes_agent *agent = lanes_agent_new();

	lanes_agent_start(agent);
	open_here(agent);
	vow_id route = vow_route("GET /");
	for (unsigned i = 0; i < VOW_SHM_LANE_SLOTS / 2; i++)
		vow_observe(route, 1000, 200);
	lanes_agent_poll(agent);
	CHECK(!lanes_collector.hurry(agent->collector));
	vow_observe(route, 1000, 200);
	lanes_agent_poll(agent);
	CHECK(lanes_collector.hurry(agent->collector));
	/* Full: an early commit would not help it. */
	for (unsigned i = 0; i < VOW_SHM_LANE_SLOTS; i++)
		vow_observe(route, 1000, 200);
	lanes_agent_poll(agent);
	CHECK(!lanes_collector.hurry(agent->collector));
	lanes_agent_tick(agent);
	lanes_agent_poll(agent);
	CHECK(!lanes_collector.hurry(agent->collector));
	lanes_agent_tick(agent);
	CHECK_EQ_U64(lanes_agent_count(agent), VOW_SHM_LANE_SLOTS / 2 + 1 + VOW_SHM_LANE_SLOTS);
	vow_close();
	lanes_agent_free(agent);
}

static void span_check(struct lanes_agent *agent, const char *name)
{
	vow_id route = vow_route(name);
	uint64_t before = clock_mono();
	struct vow_span span = vow_span_begin(route);
	uint64_t inner = clock_mono();
	while (clock_mono() - inner < 3 * NS_PER_MS)
		;
	uint64_t least = clock_mono() - inner;
	vow_span_end(span, 0);
	uint64_t most = clock_mono() - before;
	lanes_agent_tick(agent);
	uint64_t took = lanes_agent_find(agent, SERIES_APP, "", name, CLASS_OK)->latency.max_ns;
	/* The rate of the counter is known to better than one part in a thousand. */
	CHECK_GE_U64(took, least - least / 1000);
	CHECK_LE_U64(took, most + most / 1000);
}

/* As when hundreds of applications that had much in overflow end at once. */
CHECK_TEST(test_overflow_beyond_the_room_of_a_record_is_in_a_hurry_until_all_is_taken)
{
	enum { ROUTES = 12, LATENCIES = 4000 }; /* some 40 KiB of each route, of 300 in a record */
	struct lanes_agent *agent = lanes_agent_new();
	unsigned ticks = 0;
	char name[32];

	lanes_agent_start(agent);
	open_here(agent);
	lanes_agent_tick(agent);
	for (unsigned i = 0; i < ROUTES; i++) {
		double latency_ns = 1000;

		snprintf(name, sizeof(name), "/wide/%u", i);
		vow_id route = vow_route(name);
		for (unsigned k = 0; k < LATENCIES; k++, latency_ns *= 1.004)
			vow_observe(route, (uint64_t)latency_ns, 200);
	}
	lanes_agent_poll(agent);
	CHECK(lanes_collector.hurry(agent->collector));
	do {
		lanes_agent_tick(agent);
		lanes_agent_poll(agent);
		CHECK(++ticks < 50);
	} while (lanes_collector.hurry(agent->collector));
	CHECK_GE_U64(ticks, 2);
	lanes_agent_tick(agent);
	CHECK_EQ_U64(lanes_agent_count(agent), ROUTES * LATENCIES);
	vow_close();
	lanes_agent_free(agent);
}

CHECK_TEST(test_span_measures_the_time_between_by_either_clock)
{
	const struct ticks vdso = {.clock = VOW_SHM_CLOCK_MONOTONIC, .ratio = UINT64_C(1) << 32};
	struct lanes_agent *agent = lanes_agent_new();

	lanes_agent_start(agent);
	open_here(agent);
	span_check(agent, "by the clock that was chosen");
	/* Where the kernel does not keep time by the counter. */
	ticks_use(&vdso);
	span_check(agent, "by the kernel's clock");
	vow_close();
	lanes_agent_free(agent);
}

/* ---- exactness ------------------------------------------------------------------------------- */

#define EXACT_VALUES  10000
#define EXACT_THREADS 4
#define EXACT_WARM    2000 /* a lane holds 1024 */
#define EXACT_WARM_NS 10 /* below every other value and every threshold */

/* Spread over six decades, the same in every process; no value twice in a row. */
static uint64_t exact_value(unsigned i)
{
	uint64_t x = i * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);

	x ^= x >> 29;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 32;
	return 1000 + x % (UINT64_C(1) << (10 + x % 24));
}

struct exact {
	unsigned rounds;
	unsigned warm; /* threads whose blocks exist; atomic */
	unsigned go; /* the agent told them its thresholds; atomic */
	unsigned done; /* threads that are finished; atomic */
	unsigned leave; /* the processes may end; atomic */
};

static void *exact_thread(void *arg)
{
	struct exact *exact = arg;
	vow_id pay = vow_route("pay"), book = vow_route("book");

	/*
	 * Blocks come to be with the first overflow; what they get before the agent saw them is
	 * judged by its bucket, which for these values leaves no doubt. While the agent takes
	 * nothing, every thread comes to its overflow here.
	 */
	for (unsigned i = 0; i < 2 * EXACT_WARM; i++)
		vow_observe(i & 1 ? pay : book, EXACT_WARM_NS, 200);
	__atomic_fetch_add(&exact->warm, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&exact->go, __ATOMIC_ACQUIRE))
		usleep(1000);
	for (unsigned round = 0; round < exact->rounds; round++)
		for (unsigned i = 0; i < EXACT_VALUES; i++)
			vow_observe(i & 1 ? pay : book, exact_value(i), 200);
	__atomic_fetch_add(&exact->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void exact_application(void *arg)
{
	pthread_t threads[EXACT_THREADS];

	for (unsigned i = 0; i < EXACT_THREADS; i++)
		pthread_create(&threads[i], NULL, exact_thread, arg);
	for (unsigned i = 0; i < EXACT_THREADS; i++)
		pthread_join(threads[i], NULL);
	struct exact *exact = arg;
	while (!__atomic_load_n(&exact->leave, __ATOMIC_ACQUIRE))
		usleep(1000); /* leaves the processor to the agent; nothing depends on how long */
}

static int exact_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/*
 * Percentiles against the sorted values themselves: every value came `times` times, after what
 * `threads` threads observed to begin with.
 */
static void exact_check(const struct lanes_agent_total *total, unsigned odd, uint64_t times,
			unsigned threads, dur_ns threshold)
{
	const uint64_t warm = (uint64_t)threads * EXACT_WARM;
	static const double quantiles[] = {0.5, 0.9, 0.95, 0.99, 0.999};
	uint64_t sorted[EXACT_VALUES / 2], sum = 0, bad = 0;
	const unsigned n = EXACT_VALUES / 2;

	for (unsigned i = 0; i < n; i++) {
		sorted[i] = exact_value(2 * i + odd);
		sum += sorted[i];
		bad += sorted[i] > threshold;
	}
	qsort(sorted, n, sizeof(sorted[0]), exact_compare);
	CHECK(total != NULL);
	CHECK_EQ_U64(total->counts.count, n * times + warm);
	CHECK_EQ_U64(total->latency.count, n * times + warm);
	CHECK_NEAR((double)total->latency.sum_ns, (double)(sum * times + warm * EXACT_WARM_NS),
		   0.0001 * (double)(sum * times));
	CHECK_EQ_U64(total->latency.max_ns, sorted[n - 1]);
	CHECK_EQ_U64(total->counts.bad[0], bad * times);
	for (unsigned q = 0; q < ARRAY_LEN(quantiles); q++) {
		uint64_t rank = (uint64_t)ceil(quantiles[q] * (double)(n * times + warm));
		double truth =
			rank <= warm ? EXACT_WARM_NS : (double)sorted[(rank - warm - 1) / times];
		double got = (double)hist_quantile(&total->latency, quantiles[q]).value_ns;

		CHECK_NEAR(got, truth, truth * HIST_RELATIVE_ERROR + 1);
	}
}

#define EXACT_THRESHOLD 1000000 /* above one bucket's bound: inside a bucket */

/* 50 million at full length; a tenth of that under a sanitizer or in a hurry. */
static unsigned exact_rounds(unsigned whole)
{
	const char *quick = getenv("VOW_TEST_QUICK");

	return quick && *quick ? whole / 10 + 1 : whole;
}

CHECK_TEST(test_two_processes_of_four_threads_are_counted_exactly)
{
	struct lanes_agent *agent = lanes_agent_new();
	struct exact *exact = shared_new(sizeof(*exact));
	pid_t apps[2];

	agent->threshold = EXACT_THRESHOLD;
	lanes_agent_start(agent);
	exact->leave = 1;
	exact->rounds = exact_rounds(625); /* 2 x 4 x 625 x 10000 = 50 million */
	for (unsigned i = 0; i < 2; i++)
		apps[i] = application(agent->dir, exact_application, exact);
	while (__atomic_load_n(&exact->warm, __ATOMIC_ACQUIRE) < 2 * EXACT_THREADS)
		usleep(1000); /* leaves the processor to the threads; nothing is waited for */
	while (lanes_agent_count(agent) < 4ull * EXACT_THREADS * EXACT_WARM)
		lanes_agent_tick(agent);
	__atomic_store_n(&exact->go, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&exact->done, __ATOMIC_ACQUIRE) < 2 * EXACT_THREADS) {
		lanes_agent_tick(agent);
		usleep(2000); /* leaves the processor to the threads; nothing is waited for */
	}
	for (unsigned i = 0; i < 2; i++)
		application_wait(apps[i]);
	for (unsigned i = 0; i < 4; i++)
		lanes_agent_tick(agent);
	uint64_t times = 2ull * EXACT_THREADS * exact->rounds;
	CHECK_EQ_U64(lanes_agent_count(agent),
		     times * EXACT_VALUES + 4ull * EXACT_THREADS * EXACT_WARM);
	exact_check(lanes_agent_find(agent, SERIES_APP, "", "book", CLASS_2XX), 0, times,
		    2 * EXACT_THREADS, EXACT_THRESHOLD);
	exact_check(lanes_agent_find(agent, SERIES_APP, "", "pay", CLASS_2XX), 1, times,
		    2 * EXACT_THREADS, EXACT_THRESHOLD);
	struct collector_status status = lanes_agent_status(agent);
	CHECK_EQ_U64(status.drops[0].total + status.drops[1].total, 0);
	CHECK_STR(status.problem, "");
	CHECK_STR_HAS(status.detail, "0 applications");
	lanes_agent_free(agent);
}

CHECK_TEST(test_agent_that_dies_and_comes_back_loses_and_doubles_nothing)
{
	struct lanes_agent *agent = lanes_agent_new();
	struct exact *exact = shared_new(sizeof(*exact));
	unsigned deaths = 0;

	lanes_agent_start(agent);
	agent->threshold = 0;
	exact->go = 1;
	exact->rounds = exact_rounds(100);
	pid_t app = application(agent->dir, exact_application, exact);
	while (__atomic_load_n(&exact->done, __ATOMIC_ACQUIRE) < EXACT_THREADS || deaths < 12) {
		lanes_agent_tick(agent);
		lanes_agent_crash(agent, deaths++ % 2 ? AFTER_JOURNAL : BEFORE_JOURNAL);
		/* The new agent finds the segment by looking through /proc. */
		while (!strstr(lanes_agent_status(agent).detail, "1 application "))
			lanes_agent_poll(agent);
	}
	__atomic_store_n(&exact->leave, 1, __ATOMIC_RELEASE);
	application_wait(app);
	for (unsigned i = 0; i < 4; i++)
		lanes_agent_tick(agent);
	CHECK_GE_U64(deaths, 12);
	CHECK_EQ_U64(lanes_agent_count(agent),
		     EXACT_THREADS * ((uint64_t)exact->rounds * EXACT_VALUES + 2 * EXACT_WARM));
	lanes_agent_free(agent);
}

CHECK_MAIN("lanes", test_calls_before_opening_do_nothing, test_observations_reach_their_series,
	   test_many_routes_and_statuses_each_reach_their_own_series,
	   test_a_lane_more_than_half_full_is_in_a_hurry_until_its_commit,
	   test_overflow_beyond_the_room_of_a_record_is_in_a_hurry_until_all_is_taken,
	   test_span_measures_the_time_between_by_either_clock,
	   test_two_processes_of_four_threads_are_counted_exactly,
	   test_agent_that_dies_and_comes_back_loses_and_doubles_nothing)
