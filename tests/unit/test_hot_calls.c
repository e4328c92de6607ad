/* SPDX-License-Identifier: Apache-2.0 */
/* What <vow/vow.h> marks [hot] makes no system call: the kernel ends the process that does. */
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vow/shm.h>
#include <vow/vow.h>

#include "tests/unit/check.h"

#ifdef __SANITIZE_THREAD__ /* its runtime makes calls of its own */
#define MAY_FORBID false
#else
#define MAY_FORBID true
#endif

#define LANE_FULL 1024 /* observations that no agent takes */
#define CALLS	  500

struct hot_names {
	vow_id route, gauge, queue, job;
};

/* Calls whose work needs no clock: reading one is for the kernel to make free of calls. */
static void hot_calls(const struct hot_names *names, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		vow_observe(names->route, 1000000, 200);
		vow_gauge_set(names->gauge, i);
		vow_queue_set(names->queue, i, 1000);
		vow_job_total(names->job, CALLS);
		vow_job_progress(names->job, 1, 0);
	}
}

/* The process may read, write and end from here on; anything else is SIGKILL. */
static void hot_forbid_calls(void)
{
	if (MAY_FORBID && prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT))
		_exit(4);
}

/* An application that made `before` rounds of calls already; returns how it ended. */
static int hot_application(const char *dir, unsigned before, bool asks_kernel)
{
	struct vow_options options = {.service = "hot", .dir = dir};
	struct hot_names names;
	int status = -1;
	pid_t pid = fork();

	if (pid != 0) {
		CHECK(waitpid(pid, &status, 0) == pid);
		return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
	}
	if (vow_open_options(&options))
		_exit(3);
	names = (struct hot_names){vow_route("GET /"), vow_gauge("in_use"), vow_queue("mail"),
				   vow_job("nightly")};
	hot_calls(&names, before);
	hot_forbid_calls();
	hot_calls(&names, CALLS);
	if (asks_kernel)
		(void)syscall(SYS_getppid);
	/* The end that is still allowed: of this thread, the only one unless a sanitizer has others. */
	syscall(MAY_FORBID ? SYS_exit : SYS_exit_group, 0);
	return 0;
}

/* ---- more threads than lanes ----------------------------------------------------------------- */

struct crowd {
	struct hot_names names;
	bool asks_kernel;
	unsigned lanes_taken; /* atomic */
	bool done; /* the thread beyond came to its end */
};

static void *crowd_hold_lane(void *arg)
{
	struct crowd *crowd = arg;

	vow_observe(crowd->names.route, 1000000, 200);
	__atomic_fetch_add(&crowd->lanes_taken, 1, __ATOMIC_RELEASE);
	while (pause()) /* it always returns -1 */
		;
	return NULL;
}

/* The first call on another processor may ask for memory, so it stays on one. */
static void crowd_stay(void)
{
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET((unsigned)sched_getcpu(), &here);
	if (sched_setaffinity(0, sizeof(here), &here))
		_exit(6);
}

static void *crowd_beyond(void *arg)
{
	struct crowd *crowd = arg;

	crowd_stay();
	hot_calls(&crowd->names, 1);
	hot_forbid_calls(); /* for this thread alone, and so is its end */
	hot_calls(&crowd->names, CALLS);
	if (crowd->asks_kernel)
		(void)syscall(SYS_getppid);
	crowd->done = true;
	if (MAY_FORBID)
		syscall(SYS_exit, 0);
	return NULL;
}

/* An application in which every lane is another thread's: 0 when the calls came to their end. */
static int crowded_application(const char *dir, bool asks_kernel)
{
	struct vow_options options = {.service = "hot", .dir = dir};
	struct crowd crowd = {.asks_kernel = asks_kernel};
	pthread_t thread;
	int status = -1;
	pid_t pid = fork();

	if (pid != 0) {
		CHECK(waitpid(pid, &status, 0) == pid);
		return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* its threads never end by themselves */
	if (vow_open_options(&options))
		_exit(3);
	crowd.names = (struct hot_names){vow_route("GET /"), vow_gauge("in_use"), vow_queue("mail"),
					 vow_job("nightly")};
	for (unsigned i = 0; i < VOW_SHM_LANES; i++)
		if (pthread_create(&thread, NULL, crowd_hold_lane, &crowd))
			_exit(7);
	while (__atomic_load_n(&crowd.lanes_taken, __ATOMIC_ACQUIRE) < VOW_SHM_LANES)
		usleep(1000); /* leaves the processor to them; nothing depends on how long */
	if (pthread_create(&thread, NULL, crowd_beyond, &crowd) || pthread_join(thread, NULL))
		_exit(7);
	_exit(crowd.done ? 0 : 5);
}

CHECK_TEST(test_calls_of_a_thread_that_found_no_lane_are_none_of_the_kernel)
{
	CHECK_EQ_I64(crowded_application(check_dir(), false), 0);
	CHECK_EQ_I64(crowded_application(check_dir(), true), MAY_FORBID ? 5 : 0);
}

CHECK_TEST(test_calls_into_a_lane_are_none_of_the_kernel)
{
	CHECK_EQ_I64(hot_application(check_dir(), 1, false), 0);
}

CHECK_TEST(test_calls_beside_a_full_lane_are_none_of_the_kernel)
{
	CHECK_EQ_I64(hot_application(check_dir(), LANE_FULL + 1, false), 0);
}

CHECK_TEST(test_a_call_of_the_kernel_would_be_seen)
{
	CHECK_EQ_I64(hot_application(check_dir(), 1, true), MAY_FORBID ? -SIGKILL : 0);
}

CHECK_MAIN("hot_calls", test_calls_into_a_lane_are_none_of_the_kernel,
	   test_calls_beside_a_full_lane_are_none_of_the_kernel,
	   test_calls_of_a_thread_that_found_no_lane_are_none_of_the_kernel,
	   test_a_call_of_the_kernel_would_be_seen)
