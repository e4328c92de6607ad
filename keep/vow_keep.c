/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vow-keep: holds the segments of applications, and the socket at which they are handed over, while
 * the agent is away. Apart from vowd, so that no end of vowd is its end. As a porter (keep/porter.h) it
 * is what receives them. Gives up every right before it touches anything.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "keep/keeper.h"
#include "keep/porter.h"
#include "lib/base/fd.h"
#include "lib/base/opts.h"
#include "lib/data/keep_wire.h"
#include "lib/data/porter_wire.h"

#define KEEP_DOOR \
	3 /* the descriptor on which vowd hands its listening socket over, or orders come */

static const struct opts_program program = {
	.name = "vow-keep",
	.purpose = "helper of vowd: holds applications' segments while no vowd runs",
	.usage = "DIR|" PORTER_NAME,
	.about =
		"Not for people: vowd starts it, beside itself or in ../lib/vow, and the next vowd "
		"takes over what it holds. It ends by itself when its folder or DIR/" KEEP_SOCKET
		" was removed, or when no vowd came for capture.keep (an hour). SIGTERM ends it as "
		"well; while vowd runs, that starts another one. Called with \"" PORTER_NAME
		"\" it "
		"receives what applications hand over, for a keeper or vowd, which starts it when "
		"one comes and ends it seconds later: what it was sent may hold it up, and nobody "
		"else. One that SIGKILL does not end waits for a file system that a user of this "
		"host mounted and that does not answer; vow status names that user.",
	.section = 8,
};

static int keep_give_up_rights(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
		return -1;
	return (int)syscall(SYS_capset, &header, none);
}

/* Whoever waits for the end of vowd's output, or of its session, shall not wait for this process. */
static int keep_detach(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(null, STDERR_FILENO) < 0)
		return -1;
	syscall(SYS_close_range, KEEP_DOOR + 1, ~0U, 0);
	fcntl(KEEP_DOOR, F_SETFD, FD_CLOEXEC);
	setsid();
	umask(077);
	return chdir("/");
}

/* A local socket; one that listens, or is connected. */
static bool keep_is_socket(int fd, int listening)
{
	int listens = 0, domain = 0;
	socklen_t size = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 &&
	       listens == listening && getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
	       domain == AF_UNIX;
}

int main(int argc, char **argv)
{
	static struct keeper keeper;
	int status = opts_begin(&program, &argc, argv, NULL);

	if (status >= 0)
		return status;
	bool porter = argc == 2 && strcmp(argv[1], PORTER_NAME) == 0;
	if (argc != 2 || !keep_is_socket(KEEP_DOOR, !porter)) {
		fprintf(stderr, "vow-keep: started by vowd only; see vowd --help\n");
		return 2;
	}
	if (keep_detach() || keep_give_up_rights())
		return 1;
	if (porter) {
		porter_run(KEEP_DOOR);
		return 0;
	}
	fd_raise_limit();
	if (keeper_init(&keeper, argv[1], KEEP_DOOR) < 0)
		return 1;
	keeper_run(&keeper);
	return 0;
}
