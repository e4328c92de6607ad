/* SPDX-License-Identifier: Apache-2.0 */
/* What applications tell besides latencies, and what they are told: values, deliveries, thresholds. */
#include <time.h>

#include "tests/unit/lanes_application.h"

CHECK_TEST(test_thresholds_are_counted_exactly_in_overflow_through_a_change)
{
	struct lanes_agent *agent = lanes_agent_new();

	agent->threshold = 100000;
	lanes_agent_start(agent);
	open_here(agent);
	vow_id route = vow_route("judged");
	/* Fills the lane and makes the block, all far below the threshold. */
	for (unsigned i = 0; i < 2000; i++)
		vow_observe(route, 10, 200);
	lanes_agent_stage(agent);
	lanes_agent_append(agent); /* no commit: the lane stays full */
	/* 100000 and its neighbours lie in one bucket. */
	for (unsigned i = 0; i < 1000; i++)
		vow_observe(route, 99951 + i % 100, 200);
	lanes_agent_stage(agent);
	lanes_agent_append(agent);
	const struct lanes_agent_total *total =
		lanes_agent_find(agent, SERIES_APP, "", "judged", CLASS_2XX);
	CHECK_EQ_U64(total->counts.count, 3000);
	CHECK_EQ_U64(total->counts.bad[0], 500);

	agent->threshold = 99960;
	series_thresholds_reload(agent->series);
	lanes_agent_stage(agent);
	lanes_agent_append(agent);
	for (unsigned i = 0; i < 1000; i++)
		vow_observe(route, 99951 + i % 100, 200);
	lanes_agent_stage(agent);
	lanes_agent_append(agent);
	CHECK_EQ_U64(total->counts.count, 4000);
	CHECK_EQ_U64(total->counts.bad[0], 500 + 900);
	vow_close();
	lanes_agent_free(agent);
}

CHECK_TEST(test_deliveries_are_measured_from_enqueue_to_outcome)
{
	struct lanes_agent *agent = lanes_agent_new();
	struct vow_delivery delivery;
	mono_ns began = clock_mono();

	lanes_agent_start(agent);
	open_here(agent);
	vow_id event = vow_event("invoice.paid");
	vow_id endpoint = vow_endpoint("https://shop:secret@hooks.example/in?token=secret");
	for (unsigned i = 0; i < 3000; i++) { /* more than a lane holds */
		vow_delivery_enqueued(&delivery, event, endpoint, 1, i);
		vow_attempt_begin(&delivery);
		vow_attempt_end(&delivery, i % 3 ? 200 : 503);
		if (i % 3)
			vow_delivery_delivered(&delivery);
		else
			vow_delivery_dead_lettered(&delivery);
	}
	struct timespec wall;
	clock_gettime(CLOCK_REALTIME, &wall);
	vow_delivery_adopted(&delivery, event, endpoint, 1, 77,
			     (uint64_t)(wall.tv_sec - 100) * NS_PER_S);
	vow_attempt_begin(&delivery);
	vow_attempt_end(&delivery, 410);
	vow_delivery_failed(&delivery);
	vow_delivery_enqueued(&delivery, event, endpoint, 1, 78);
	lanes_agent_tick(agent);
	lanes_agent_tick(agent);

	const struct lanes_agent_total *delivered =
		lanes_agent_find(agent, SERIES_DELIVERY, "delivered", "invoice.paid", CLASS_2XX);
	const struct lanes_agent_total *failed =
		lanes_agent_find(agent, SERIES_DELIVERY, "failed", "invoice.paid", CLASS_ERROR);
	CHECK(delivered != NULL && failed != NULL);
	CHECK_STR(delivered->key.peer, "https://hooks.example/in");
	CHECK_EQ_U64(delivered->key.role, SERIES_CLIENT);
	CHECK_EQ_U64(delivered->counts.count, 2000);
	CHECK_EQ_U64(delivered->queue.count, 2000);
	CHECK_EQ_U64(lanes_agent_find(agent, SERIES_DELIVERY, "dead_lettered", "invoice.paid",
				      CLASS_ERROR)
			     ->counts.errors,
		     1000);
	CHECK_EQ_U64(failed->counts.count, 1);
	CHECK_GE_U64(failed->latency.max_ns, 99 * NS_PER_S);
	CHECK_LE_U64(failed->latency.max_ns, 101 * NS_PER_S + (clock_mono() - began));
	CHECK_EQ_U64(lanes_agent_find(agent, SERIES_ATTEMPT, "", "invoice.paid", CLASS_2XX)
			     ->counts.count,
		     2000);
	CHECK_EQ_U64(lanes_agent_find(agent, SERIES_ATTEMPT, "", "invoice.paid", CLASS_5XX)
			     ->counts.count,
		     1000);
	CHECK_NEAR(gauge_find(agent->gauges, "shop", "deliveries_pending", "")->value, 1, 0);
	CHECK_NEAR(gauge_find(agent->gauges, "shop", "attempts_in_flight", "")->value, 0, 0);
	vow_close();
	lanes_agent_free(agent);
}

/* Shared with the other process. */
struct values {
	unsigned done; /* it has set its values; atomic */
	unsigned leave; /* it may end; atomic */
};

static void values_application(void *arg)
{
	struct values *values = arg;

	vow_gauge_set(vow_gauge("pool_in_use"), 2.5);
	vow_queue_set(vow_queue("hooks"), 7, 3 * NS_PER_S);
	__atomic_store_n(&values->done, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&values->leave, __ATOMIC_ACQUIRE))
		usleep(1000);
}

CHECK_TEST(test_values_of_processes_add_up_and_the_oldest_age_is_the_oldest)
{
	struct lanes_agent *agent = lanes_agent_new();
	struct values *values = shared_new(sizeof(*values));

	lanes_agent_start(agent);
	open_here(agent);
	vow_id job = vow_job("nightly");
	vow_job_total(job, 1000);
	vow_job_progress(job, 40, 2);
	vow_job_progress(job, 10, 0);
	vow_gauge_set(vow_gauge("pool_in_use"), 4);
	vow_queue_set(vow_queue("hooks"), 3, 9 * NS_PER_S);
	vow_gauge_set(0, 1);
	pid_t app = application(agent->dir, values_application, values);
	while (!__atomic_load_n(&values->done, __ATOMIC_ACQUIRE) ||
	       !strstr(lanes_agent_status(agent).detail, "2 applications"))
		lanes_agent_poll(agent);
	lanes_agent_tick(agent);
	lanes_agent_tick(agent);
	CHECK_NEAR(gauge_find(agent->gauges, "shop", "pool_in_use", "")->value, 6.5, 0);
	CHECK_NEAR(gauge_find(agent->gauges, "shop", "queue_depth", "hooks")->value, 10, 0);
	CHECK_NEAR(gauge_find(agent->gauges, "shop", "queue_oldest_age_s", "hooks")->value, 9, 0);
	CHECK_NEAR(gauge_find(agent->gauges, "shop", "job_total", "nightly")->value, 1000, 0);
	CHECK_NEAR(gauge_find(agent->gauges, "shop", "job_done", "nightly")->value, 50, 0);
	CHECK_NEAR(gauge_find(agent->gauges, "shop", "job_failed", "nightly")->value, 2, 0);
	__atomic_store_n(&values->leave, 1, __ATOMIC_RELEASE);
	application_wait(app);
	vow_close();
	lanes_agent_free(agent);
}

CHECK_TEST(test_gauges_beyond_what_a_host_may_have_are_told)
{
	struct lanes_agent *agent = lanes_agent_new();
	char name[16];

	lanes_agent_start(agent);
	open_here(agent);
	for (unsigned i = 0; i < 400; i++) { /* three gauges each */
		snprintf(name, sizeof(name), "job%u", i);
		vow_job_total(vow_job(name), 7);
	}
	while (!strstr(lanes_agent_status(agent).detail, "1 application"))
		lanes_agent_poll(agent);
	lanes_agent_tick(agent);
	lanes_agent_tick(agent);
	CHECK_EQ_U64(gauge_count(agent->gauges), GAUGE_NAMES_MAX);
	CHECK_STR_HAS(lanes_agent_status(agent).problem, "176 gauges are left out");
	vow_close();
	lanes_agent_free(agent);
}

CHECK_MAIN("lanes_values", test_thresholds_are_counted_exactly_in_overflow_through_a_change,
	   test_deliveries_are_measured_from_enqueue_to_outcome,
	   test_gauges_beyond_what_a_host_may_have_are_told,
	   test_values_of_processes_add_up_and_the_oldest_age_is_the_oldest)
