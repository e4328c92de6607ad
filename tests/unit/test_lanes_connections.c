/* SPDX-License-Identifier: Apache-2.0 */
/* Over which connection a segment comes, and whose it is by that. */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <vow/shm.h>

#include "client/intake.h"
#include "lib/base/fd.h"
#include "lib/base/passing.h"
#include "lib/data/keep_wire.h"
#include "lib/data/rendezvous.h"
#include "tests/unit/lanes_application.h"

enum { OBSERVED = 3 };

/* The segment of a process, opened anew: the descriptor is the caller's. */
static int segment_of(pid_t pid)
{
	char path[300], target[64] = "";
	int memfd = -1;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	DIR *fds = opendir(path);
	for (struct dirent *entry; memfd < 0 && (entry = readdir(fds));) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%.16s", pid, entry->d_name);
		ssize_t size = readlink(path, target, sizeof(target) - 1);

		if (size > 0 && strncmp(target, "/memfd:vow-", 11) == 0)
			memfd = open(path, O_RDWR | O_CLOEXEC);
	}
	closedir(fds);
	CHECK(memfd >= 0);
	return memfd;
}

static int connect_only(const char *dir)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	CHECK_OK(rendezvous_socket(dir, &address));
	CHECK_OK(connect(fd, (struct sockaddr *)&address, sizeof(address)));
	return fd;
}

static void hand_over(int fd, int memfd)
{
	const struct vow_shm_hello hello = {.magic = VOW_SHM_MAGIC, .version = VOW_SHM_VERSION};

	CHECK_OK(passing_send(fd, &hello, sizeof(hello), &memfd, 1));
}

static void polls(struct lanes_agent *agent, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		lanes_agent_poll(agent);
}

CHECK_TEST(test_an_application_may_connect_again_when_its_connection_ended)
{
	struct lanes_agent *agent = lanes_agent_new();

	open_here(agent); /* nobody is there to connect to */
	int memfd = segment_of(getpid());
	lanes_agent_start(agent);
	int first = intake_offer(agent->dir, memfd), second;
	while (!strstr(lanes_agent_status(agent).detail, "1 application "))
		lanes_agent_poll(agent);
	second = connect_only(agent->dir);
	polls(agent, 3);
	/* Both are to be read in one turn of the loop: the new one's segment, then the other's end. */
	hand_over(second, memfd);
	close(first);
	polls(agent, 3);
	CHECK(!fd_hung_up(second));
	int third = intake_offer(agent->dir, memfd);
	polls(agent, 3);
	CHECK(!fd_hung_up(second));
	CHECK(fd_hung_up(third)); /* one is enough */
	close(second);
	close(third);
	close(memfd);
	vow_close();
	lanes_agent_free(agent);
}

static void observe_and_wait(void *arg)
{
	int *step = arg;

	for (unsigned i = 0; i < OBSERVED; i++)
		vow_observe(vow_route("GET /"), 1000, 200);
	__atomic_store_n(step, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(step, __ATOMIC_ACQUIRE) == 1)
		usleep(1000);
}

/* A process that hands over what is not its own, closes its end, and lives on; returns its pid. */
static pid_t stranger(const char *dir, int memfd, int *step)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (__atomic_load_n(step, __ATOMIC_ACQUIRE) != 3)
		usleep(1000);
	close(intake_offer(dir, memfd));
	__atomic_store_n(step, 4, __ATOMIC_RELEASE);
	for (;;)
		pause();
}

/* The stranger stands for one that got the number of an owner who is gone. */
CHECK_TEST(test_the_number_of_a_dead_owner_names_no_other_process)
{
	struct lanes_agent *agent = lanes_agent_new();
	int *step = shared_new(sizeof(*step));
	pid_t app = application(agent->dir, observe_and_wait, step);

	while (__atomic_load_n(step, __ATOMIC_ACQUIRE) == 0)
		usleep(1000);
	int memfd = segment_of(app);
	__atomic_store_n(step, 2, __ATOMIC_RELEASE);
	application_wait(app);
	pid_t other = stranger(agent->dir, memfd, step);
	close(memfd);
	lanes_agent_start(agent);
	__atomic_store_n(step, 3, __ATOMIC_RELEASE);
	while (__atomic_load_n(step, __ATOMIC_ACQUIRE) != 4)
		usleep(1000);
	for (unsigned i = 0; i < 10; i++) {
		lanes_agent_tick(agent); /* more than a second of the agent's each */
		CHECK_EQ_U64(process_list_count(agent->processes), 0);
	}
	CHECK_EQ_U64(lanes_agent_status(agent).events_total, OBSERVED);
	CHECK_STR_HAS(lanes_agent_status(agent).detail, "0 applications");
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	lanes_agent_free(agent);
}

CHECK_MAIN("lanes_connections", test_an_application_may_connect_again_when_its_connection_ended,
	   test_the_number_of_a_dead_owner_names_no_other_process)
