/* SPDX-License-Identifier: Apache-2.0 */
/* libvow in a process that opens, forks and closes, without an agent. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vow/vow.h>

#include "client/process.h"
#include "tests/unit/check.h"

static int process_test_open(const char *service)
{
	struct vow_options options = {.service = service, .dir = check_dir()};

	return vow_open_options(&options);
}

/* The child tells by its status how often it was disappointed. */
static void process_test_child(int (*disappointed)(vow_id route), vow_id route)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(disappointed(route));
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_EQ_I64(status, 0);
}

/* First in the program: afterwards there is a clock. */
CHECK_TEST(test_span_that_began_before_opening_is_not_observed)
{
	struct vow_span early = vow_span_begin(0);

	CHECK_OK(process_test_open("spans"));
	vow_span_end(early, 200);
	CHECK_EQ_U64(process_mine->shm->lanes[0].tail, 0);
	vow_span_end(vow_span_begin(0), 200);
	CHECK_EQ_U64(process_mine->shm->lanes[0].tail, 1);
	vow_close();
}

static int errno_in_child(vow_id route)
{
	errno = EDOM;
	/* Opens the child's segment, and finds no agent: connect(2) fails. */
	vow_observe(route, 1, 200);
	return errno != EDOM || !process_mine->shm;
}

CHECK_TEST(test_no_call_changes_errno)
{
	errno = EDOM;
	CHECK_RC(process_test_open(""), -EINVAL);
	CHECK_OK(process_test_open("errno"));
	vow_id route = vow_route("r");
	for (unsigned i = 0; i < 2 * VOW_SHM_LANE_SLOTS; i++) /* the lane overflows */
		vow_observe(route, i, 200);
	CHECK_EQ_I64(errno, EDOM);
	process_test_child(errno_in_child, route);
	vow_close();
	CHECK_EQ_I64(errno, EDOM);
}

static rlim_t descriptors_limit(rlim_t most)
{
	struct rlimit limit;
	rlim_t before;

	getrlimit(RLIMIT_NOFILE, &limit);
	before = limit.rlim_cur;
	limit.rlim_cur = most;
	setrlimit(RLIMIT_NOFILE, &limit);
	return before;
}

/* Descriptors of segments that this process holds. */
static unsigned descriptors_of_segments(void)
{
	unsigned found = 0;

	for (int fd = 0; fd < 64; fd++) {
		char path[32], target[64] = "";

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (readlink(path, target, sizeof(target) - 1) > 0)
			found += strncmp(target, "/memfd:vow-", 11) == 0;
	}
	return found;
}

static int open_without_descriptors(vow_id route)
{
	rlim_t before = descriptors_limit(0);
	int disappointed = 0;

	(void)route;
	disappointed += process_test_open("child") != -EMFILE;
	descriptors_limit(before);
	return disappointed;
}

static int open_after_failure(vow_id route)
{
	rlim_t before = descriptors_limit(0);
	int disappointed = 0;

	vow_observe(route, 1, 200);
	disappointed += process_shm() != NULL;
	descriptors_limit(before);
	/* It goes without, until it says otherwise. */
	vow_observe(route, 1, 200);
	disappointed += process_shm() != NULL;
	disappointed += process_test_open("child") != 0;
	disappointed += vow_route("second") != route;
	disappointed += descriptors_of_segments() != 1;
	return disappointed;
}

CHECK_TEST(test_child_that_lacked_descriptors_opens_later_and_keeps_the_ids)
{
	CHECK_OK(process_test_open("parent"));
	vow_route("first");
	vow_id route = vow_route("second");
	process_test_child(open_without_descriptors, route);
	process_test_child(open_after_failure, route);
	vow_close();
}

static void *observe_all_the_while(void *arg)
{
	const bool *enough = arg;

	while (!__atomic_load_n(enough, __ATOMIC_RELAXED)) {
		vow_observe(1, 1000, 200);
		vow_gauge_set(1, 1);
		vow_span_end(vow_span_begin(1), 200);
		vow_route("/while");
		sched_yield();
	}
	return NULL;
}

/* Also what ThreadSanitizer looks at: calls of a thread before, while and after another one opens. */
CHECK_TEST(test_thread_observes_while_another_one_opens)
{
	bool enough = false;
	pthread_t thread;

	check_dir();
	CHECK_OK(pthread_create(&thread, NULL, observe_all_the_while, &enough));
	CHECK_OK(process_test_open("while"));
	while (!__atomic_load_n(&process_mine->shm->lanes[0].tail, __ATOMIC_ACQUIRE))
		sched_yield();
	__atomic_store_n(&enough, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	vow_close();
}

#define FORKS 50

static void *open_and_close(void *arg)
{
	const bool *enough = arg;

	while (!__atomic_load_n(enough, __ATOMIC_RELAXED)) {
		process_test_open("thread");
		vow_close();
	}
	return NULL;
}

static int open_in_child(vow_id route)
{
	(void)route;
	return process_test_open("child") != 0 || vow_route("child's") == 0;
}

/* A thread that the child does not have was about to open or close: that must not hold it up. */
CHECK_TEST(test_child_forked_while_another_thread_opens_can_open)
{
	bool enough = false;
	pthread_t thread;

	check_dir();
	CHECK_OK(pthread_create(&thread, NULL, open_and_close, &enough));
	for (unsigned i = 0; i < FORKS; i++)
		process_test_child(open_in_child, 0);
	__atomic_store_n(&enough, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

CHECK_MAIN("process", test_span_that_began_before_opening_is_not_observed,
	   test_no_call_changes_errno,
	   test_child_that_lacked_descriptors_opens_later_and_keeps_the_ids,
	   test_thread_observes_while_another_one_opens,
	   test_child_forked_while_another_thread_opens_can_open)
