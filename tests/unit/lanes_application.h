/* SPDX-License-Identifier: Apache-2.0 */
/* Applications with libvow beside the agent of lanes_agent.h: in this process, or in their own. */
#ifndef VOW_TESTS_UNIT_LANES_APPLICATION_H
#define VOW_TESTS_UNIT_LANES_APPLICATION_H

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vow/vow.h>

#include "tests/unit/lanes_agent.h"

/* Runs fn as an application in a process of its own; the caller waits for it. */
static inline pid_t application(const char *dir, void (*fn)(void *), void *arg)
{
	int pipes[2];
	char byte;

	CHECK_OK(pipe(pipes));
	pid_t pid = fork();

	if (pid != 0) {
		/* Until it holds none of the agent's descriptors, locks among them. */
		close(pipes[1]);
		CHECK_EQ_I64(read(pipes[0], &byte, 1), 0);
		close(pipes[0]);
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* not even a test that crashed leaves it behind */
	close_range(3, ~0u, 0); /* the agent's descriptors are not an application's */
	struct vow_options options = {.service = "shop", .dir = dir};
	if (vow_open_options(&options) != 0)
		_exit(3);
	fn(arg);
	_exit(0);
}

static inline void application_wait(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_EQ_I64(WIFSIGNALED(status) ? WTERMSIG(status) : 0, 0);
	CHECK_EQ_I64(WEXITSTATUS(status), 0);
}

/* Memory that processes of a test share to tell each other where they are. */
static inline void *shared_new(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static inline void open_here(const struct lanes_agent *agent)
{
	struct vow_options options = {.service = "shop", .dir = agent->dir};

	CHECK_OK(vow_open_options(&options));
}

#endif
