/* SPDX-License-Identifier: Apache-2.0 */
/* Processes, threads and agents that die, fork or come late: none changes what is counted. */
#include <pthread.h>
#include <vow/shm.h>

#include "client/process.h"
#include "tests/unit/lanes_application.h"

struct killed {
	uint64_t observed; /* counted after each call returned */
};

static void killed_application(void *arg)
{
	struct killed *killed = arg;
	vow_id route = vow_route("doomed");

	for (uint64_t i = 0;; i++) {
		vow_observe(route, 1 + i % 1000000, 200);
		__atomic_store_n(&killed->observed, i + 1, __ATOMIC_RELEASE);
	}
}

CHECK_TEST(test_killed_processes_are_counted_to_the_call_in_flight)
{
	struct lanes_agent *agent = lanes_agent_new();
	struct killed *killed = shared_new(sizeof(*killed));
	uint64_t least = 0, kills = 50;

	lanes_agent_start(agent);
	for (unsigned k = 0; k < kills; k++) {
		killed->observed = 0;
		pid_t app = application(agent->dir, killed_application, killed);
		/* Some die while all fits into the lane, some deep in overflow. */
		while (__atomic_load_n(&killed->observed, __ATOMIC_ACQUIRE) < 500 * k)
			lanes_agent_poll(agent);
		while (!strstr(lanes_agent_status(agent).detail, "1 application "))
			lanes_agent_poll(agent);
		kill(app, SIGKILL);
		waitpid(app, NULL, 0);
		least += killed->observed;
		while (strstr(lanes_agent_status(agent).detail, "1 application "))
			lanes_agent_tick(agent);
	}
	CHECK_GE_U64(lanes_agent_count(agent), least);
	CHECK_LE_U64(lanes_agent_count(agent), least + kills);
	CHECK_EQ_U64(lanes_agent_status(agent).drops[0].total, 0);
	lanes_agent_free(agent);
}

#define KILLED_THREADS 80 /* more than there are lanes */

struct killed_crowd {
	struct killed threads[KILLED_THREADS];
};

static uint64_t killed_crowd_observed(const struct killed_crowd *crowd)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < KILLED_THREADS; i++)
		sum += __atomic_load_n(&crowd->threads[i].observed, __ATOMIC_ACQUIRE);
	return sum;
}

/* Leaves the processors to the others and to the agent now and then. */
static void *killed_thread(void *arg)
{
	struct killed *killed = arg;
	vow_id route = vow_route("doomed");

	for (uint64_t i = 1; i; i++) {
		vow_observe(route, 1 + i % 1000000, 200);
		__atomic_store_n(&killed->observed, i, __ATOMIC_RELEASE);
		if (i % 100 == 0)
			usleep(1000);
	}
	return NULL;
}

static void killed_crowd_application(void *arg)
{
	struct killed_crowd *crowd = arg;
	pthread_t thread;

	for (unsigned i = 1; i < KILLED_THREADS; i++)
		if (pthread_create(&thread, NULL, killed_thread, &crowd->threads[i]))
			_exit(4);
	killed_thread(&crowd->threads[0]);
}

CHECK_TEST(test_killed_crowds_are_counted_to_the_calls_in_flight)
{
	struct lanes_agent *agent = lanes_agent_new();
	struct killed_crowd *crowd = shared_new(sizeof(*crowd));
	uint64_t least = 0, kills = 3;

	lanes_agent_start(agent);
	for (unsigned k = 1; k <= kills; k++) {
		memset(crowd, 0, sizeof(*crowd));
		pid_t app = application(agent->dir, killed_crowd_application, crowd);
		while (!strstr(lanes_agent_status(agent).detail, "1 application "))
			lanes_agent_poll(agent);
		/* Until each has begun, those without a lane among them. */
		for (unsigned i = 0; i < KILLED_THREADS; i++)
			while (!__atomic_load_n(&crowd->threads[i].observed, __ATOMIC_ACQUIRE))
				lanes_agent_tick(agent);
		kill(app, SIGKILL);
		waitpid(app, NULL, 0);
		least += killed_crowd_observed(crowd);
		while (strstr(lanes_agent_status(agent).detail, "1 application "))
			lanes_agent_tick(agent);
	}
	CHECK_GE_U64(lanes_agent_count(agent), least);
	CHECK_LE_U64(lanes_agent_count(agent), least + kills * KILLED_THREADS);
	CHECK_EQ_U64(lanes_agent_status(agent).drops[0].total, 0);
	lanes_agent_free(agent);
}

CHECK_TEST(test_a_fork_gets_a_segment_of_its_own)
{
	struct lanes_agent *agent = lanes_agent_new();

	lanes_agent_start(agent);
	open_here(agent);
	vow_id route = vow_route("both");
	vow_observe(route, 100, 200);
	pid_t child = fork();
	if (child == 0) {
		/* Without a word to vow: the first call opens, ids are the parent's. */
		for (unsigned i = 0; i < 5000; i++)
			vow_observe(route, 200, 200);
		vow_observe(vow_route("child only"), 300, 200);
		_exit(0);
	}
	vow_observe(route, 100, 200);
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	child = fork();
	if (child == 0) {
		struct vow_options options = {.service = "worker", .dir = agent->dir};

		if (vow_open_options(&options) != 0)
			_exit(1);
		vow_observe(route, 400, 500);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	/* The child's hello is in the socket, its segment with it. */
	lanes_agent_tick(agent);
	lanes_agent_tick(agent);
	CHECK_EQ_U64(lanes_agent_find(agent, SERIES_APP, "", "both", CLASS_2XX)->counts.count,
		     5002);
	CHECK_EQ_U64(lanes_agent_find(agent, SERIES_APP, "", "child only", CLASS_2XX)->counts.count,
		     1);
	CHECK_STR(lanes_agent_find(agent, SERIES_APP, "", "both", CLASS_5XX)->key.service,
		  "worker");
	CHECK_STR(lanes_agent_status(agent).problem, "");
	vow_close();
	lanes_agent_free(agent);
}

static void *churn_thread(void *arg)
{
	pthread_barrier_t *together = arg;
	vow_id route = vow_route("churn");

	if (together)
		pthread_barrier_wait(together);
	for (unsigned i = 0; i < 100; i++)
		vow_observe(route, 1000, 200);
	if (together)
		pthread_barrier_wait(together);
	return NULL;
}

#define CHURN_TOGETHER 100 /* more than there are lanes */
#define CHURN_LATER    300

CHECK_TEST(test_threads_come_and_go_and_may_be_more_than_lanes)
{
	struct lanes_agent *agent = lanes_agent_new();
	pthread_t threads[CHURN_TOGETHER];
	pthread_barrier_t together;

	lanes_agent_start(agent);
	open_here(agent);
	pthread_barrier_init(&together, NULL, CHURN_TOGETHER);
	for (unsigned i = 0; i < CHURN_TOGETHER; i++)
		CHECK_OK(pthread_create(&threads[i], NULL, churn_thread, &together));
	for (unsigned i = 0; i < CHURN_TOGETHER; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < CHURN_LATER; i++) {
		CHECK_OK(pthread_create(&threads[0], NULL, churn_thread, NULL));
		pthread_join(threads[0], NULL);
	}
	lanes_agent_tick(agent);
	CHECK_EQ_U64(lanes_agent_count(agent), 100 * (CHURN_TOGETHER + CHURN_LATER));
	/* Lanes went from hand to hand: no more than there are. */
	CHECK_STR_HAS(lanes_agent_status(agent).detail, "1 application with 64 lanes;");
	/* Those who came together got one each as far as they went, those who came later the first. */
	CHECK_EQ_U64(process_mine->shm->lanes[0].generation, 1 + CHURN_LATER);
	CHECK_EQ_U64(process_mine->shm->lanes[VOW_SHM_LANES - 1].generation, 1);
	for (unsigned i = 0; i < VOW_SHM_LANES; i++)
		CHECK_EQ_U64(process_mine->shm->lanes[i].owner, 0);
	vow_close();
	pthread_barrier_destroy(&together);
	lanes_agent_free(agent);
}

CHECK_TEST(test_an_agent_that_comes_later_finds_what_was_observed)
{
	struct lanes_agent *agent = lanes_agent_new();

	open_here(agent);
	vow_id route = vow_route("early");
	for (unsigned i = 0; i < 10000; i++)
		vow_observe(route, 5000, 200);
	lanes_agent_start(agent);
	while (!strstr(lanes_agent_status(agent).detail, "1 application "))
		lanes_agent_poll(agent);
	lanes_agent_tick(agent);
	CHECK_EQ_U64(lanes_agent_count(agent), 10000);
	vow_close();
	lanes_agent_free(agent);
}

CHECK_TEST(test_what_was_described_is_given_back_once_whatever_the_order_of_death)
{
	struct lanes_agent *agent = lanes_agent_new();

	lanes_agent_start(agent);
	open_here(agent);
	vow_id route = vow_route("careful");
	for (unsigned round = 0; round < 8; round++) {
		for (unsigned i = 0; i < 3000; i++)
			vow_observe(route, 5000 + i, 200);
		lanes_agent_crash(agent, round & 1 ? AFTER_JOURNAL : BEFORE_JOURNAL);
		if (round & 2)
			lanes_agent_crash(agent, AFTER_JOURNAL); /* before it found anything */
		while (!strstr(lanes_agent_status(agent).detail, "1 application "))
			lanes_agent_poll(agent);
	}
	lanes_agent_tick(agent);
	CHECK_EQ_U64(lanes_agent_count(agent), 8 * 3000);
	vow_close();
	lanes_agent_free(agent);
}

CHECK_MAIN("lanes_deaths", test_killed_processes_are_counted_to_the_call_in_flight,
	   test_killed_crowds_are_counted_to_the_calls_in_flight,
	   test_a_fork_gets_a_segment_of_its_own,
	   test_threads_come_and_go_and_may_be_more_than_lanes,
	   test_an_agent_that_comes_later_finds_what_was_observed,
	   test_what_was_described_is_given_back_once_whatever_the_order_of_death)
