/* SPDX-License-Identifier: Apache-2.0 */
/* Which processes are followed for their TLS, when that cannot be done at once. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collectors/http/tls_trace.h"
#include "lib/base/clock.h"
#include "tests/unit/check.h"

static pid_t idle_new(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return pid;
}

static void idle_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* How many descriptors may be opened: none, or as many as before. */
static void descriptors(bool more)
{
	static struct rlimit before;
	struct rlimit none;

	if (!more)
		CHECK_OK(getrlimit(RLIMIT_NOFILE, &before));
	none = (struct rlimit){0, before.rlim_max};
	CHECK_OK(setrlimit(RLIMIT_NOFILE, more ? &before : &none));
}

/* No library of TLS is in the process, so that nothing is probed. */
CHECK_TEST(test_a_process_for_which_there_is_no_descriptor_is_told_of_and_tried_again)
{
	struct process_list *list = process_list_new();
	struct vow_config *config;
	struct tls_trace *trace;
	mono_ns now = clock_mono();
	pid_t pid = idle_new();
	struct diag d;

	CHECK_OK(config_load(NULL, &config, &d));
	config->tls_on_demand = config->tls_allowed = true;
	trace = tls_trace_new(config, list);
	CHECK_RC(tls_trace_order(trace, NULL, &(struct trace_order){"shop", NS_PER_H}, now, &d), 0);
	process_list_add(list, pid, "shop", now);
	descriptors(false);
	for (unsigned i = 0; i < 3; i++) {
		now += 2 * NS_PER_S;
		tls_trace_step(trace, NULL, now);
		CHECK_STR_HAS(tls_trace_problem(trace), "cannot look for processes");
	}
	tls_trace_saw(trace, NULL, pid, "shop", clock_mono());
	CHECK_STR_HAS(tls_trace_problem(trace), "cannot follow a process");
	descriptors(true);
	now += 2 * NS_PER_S;
	for (unsigned i = 0; i < 10000 && tls_trace_problem(trace)[0]; i++)
		tls_trace_step(trace, NULL, now);
	CHECK_STR(tls_trace_problem(trace), "");
	tls_trace_free(trace);
	config_free(config);
	process_list_free(list);
	idle_end(pid);
}

CHECK_TEST(test_what_lacked_is_told_no_more_once_nothing_is_wanted)
{
	struct process_list *list = process_list_new();
	struct vow_config *config;
	struct tls_trace *trace;
	mono_ns now = clock_mono();
	struct diag d;

	CHECK_OK(config_load(NULL, &config, &d));
	config->tls_on_demand = config->tls_allowed = true;
	trace = tls_trace_new(config, list);
	CHECK_RC(tls_trace_order(trace, NULL, &(struct trace_order){"shop", 5 * NS_PER_S}, now, &d),
		 0);
	descriptors(false);
	now += 2 * NS_PER_S;
	tls_trace_step(trace, NULL, now);
	CHECK_STR_HAS(tls_trace_problem(trace), "cannot look for processes");
	/* The order has expired, and still there are no descriptors. */
	now += 10 * NS_PER_S;
	tls_trace_step(trace, NULL, now);
	CHECK_STR(tls_trace_problem(trace), "");
	descriptors(true);
	tls_trace_free(trace);
	config_free(config);
	process_list_free(list);
}

CHECK_MAIN("tls_trace", test_a_process_for_which_there_is_no_descriptor_is_told_of_and_tried_again,
	   test_what_lacked_is_told_no_more_once_nothing_is_wanted)
