/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/host/host_alarm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"

/*
 * Some task always waits for a busy processor, so half of the time is no more than a host that is
 * used well; memory must never be waited for. What users feel begins there.
 */
static const struct {
	const char *name;
	unsigned percent;
} kinds[HOST_PRESSURES] = {
	[HOST_PRESSURE_CPU] = {"cpu", 60},
	[HOST_PRESSURE_MEMORY] = {"memory", 10},
	[HOST_PRESSURE_IO] = {"io", 30},
};

const char *host_alarm_name(enum host_pressure which)
{
	return kinds[which].name;
}

double host_alarm_share(enum host_pressure which)
{
	return kinds[which].percent / 100.0;
}

static void alarm_rang(void *arg, int fd, unsigned ready)
{
	struct host_alarm *alarm = arg;
	size_t i = 0;

	while (alarm->fds[i] != fd)
		i++;
	if (ready & LOOP_PRIORITY)
		alarm->totals[i]++;
}

/* A trigger is one line written into the file, good for as long as that stays open. */
static int trigger_set(int fd, unsigned percent, unsigned window_ms)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "some %u %u", percent * window_ms * 10,
			 window_ms * 1000);

	return write(fd, line, (size_t)n + 1) < 0 ? -errno : 0;
}

static int trigger_open(const char *proc, size_t kind, int *out)
{
	_cleanup_(fd_closep) int fd = -1;
	char path[256];
	int rc;

	snprintf(path, sizeof(path), "%s/pressure/%s", proc, kinds[kind].name);
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = trigger_set(fd, kinds[kind].percent, 1000);
	if (rc)
		/* Who may not have a thread of the kernel for it gets windows of whole 2 s. */
		rc = trigger_set(fd, kinds[kind].percent, 2000);
	if (rc)
		return rc;
	*out = fd;
	fd = -1;
	return 0;
}

void host_alarm_open(struct host_alarm *alarm, struct loop *loop, const char *proc)
{
	memset(alarm, 0, sizeof(*alarm));
	for (size_t i = 0; i < HOST_PRESSURES; i++) {
		alarm->fds[i] = -1;
		alarm->errs[i] = trigger_open(proc, i, &alarm->fds[i]);
		if (alarm->errs[i])
			continue;
		alarm->watches[i] =
			loop_fd_watch(loop, alarm->fds[i], LOOP_PRIORITY, alarm_rang, alarm);
		if (!alarm->watches[i]) {
			fd_closep(&alarm->fds[i]);
			alarm->errs[i] = -ENOMEM;
		}
	}
}

void host_alarm_close(struct host_alarm *alarm)
{
	for (size_t i = 0; i < HOST_PRESSURES; i++) {
		loop_fd_unwatch(alarm->watches[i]);
		fd_closep(&alarm->fds[i]);
	}
}
