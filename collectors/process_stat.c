/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/process_stat.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"

#define FILE_MAX 1024 /* its 52 fields take at most some 700 bytes */

bool process_stat_read(const char *proc, pid_t pid, char command[PROCESS_COMMAND],
		       uint64_t *started)
{
	_cleanup_(fd_closep) int fd = -1;
	char path[256], text[FILE_MAX];
	char *open_at, *close_at;
	unsigned long long ticks;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%d/stat", proc, (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : fd_read_full(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	/* "pid (command) state ...": the command may hold anything, ')' included. */
	open_at = strchr(text, '(');
	close_at = strrchr(text, ')');
	if (!open_at || !close_at || close_at < open_at)
		return false;
	/* Field 22; the command is field 2. */
	if (sscanf(close_at + 1,
		   " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
		   "%llu",
		   &ticks) != 1)
		return false;
	*close_at = '\0';
	snprintf(command, PROCESS_COMMAND, "%s", open_at + 1);
	*started = ticks;
	return true;
}

static uint64_t clock_read(clockid_t clock)
{
	struct timespec now = {0};

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

bool process_stat_had(const char *proc, pid_t pid, mono_ns at)
{
	const long ticks_per_s = sysconf(_SC_CLK_TCK);
	/* Ticks count while the machine is suspended; CLOCK_MONOTONIC, asked first, does not. */
	const uint64_t awake = clock_read(CLOCK_MONOTONIC);
	const uint64_t suspended = clock_read(CLOCK_BOOTTIME) - awake;
	char command[PROCESS_COMMAND];
	uint64_t started;

	return ticks_per_s > 0 && process_stat_read(proc, pid, command, &started) &&
	       started <= (at + suspended) / (NS_PER_S / (uint64_t)ticks_per_s);
}
