/* SPDX-License-Identifier: Apache-2.0 */
/* Alarms of pressure: what is asked of the kernel, and which alarm rings. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collectors/host/host_alarm.h"
#include "lib/base/clock.h"
#include "tests/unit/check.h"

static struct loop *loop;
static struct host_alarm host_alarm;

/* The path of a file of pressure in the test's own /proc. */
static const char *pressure(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/pressure", check_dir());
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/pressure/%s", check_dir(), name);
	return path;
}

/* The trigger that was written into a pipe which stands for the file; "" when none was. */
static void trigger_read(int fd, char line[64])
{
	ssize_t n = read(fd, line, 63);

	line[n > 0 ? n : 0] = '\0';
}

CHECK_TEST(test_each_pressure_has_its_own_trigger)
{
	static const char *const expected[HOST_PRESSURES] = {
		[HOST_PRESSURE_CPU] = "some 600000 1000000",
		[HOST_PRESSURE_MEMORY] = "some 100000 1000000",
		[HOST_PRESSURE_IO] = "some 300000 1000000",
	};
	int pipes[HOST_PRESSURES];
	char line[64];

	for (int i = 0; i < HOST_PRESSURES; i++) {
		const char *path = pressure(host_alarm_name((enum host_pressure)i));

		CHECK_OK(mkfifo(path, 0600));
		pipes[i] = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		CHECK(pipes[i] >= 0);
	}
	loop = loop_new();
	host_alarm_open(&host_alarm, loop, check_dir());
	for (int i = 0; i < HOST_PRESSURES; i++) {
		CHECK_OK(host_alarm.errs[i]);
		CHECK(host_alarm.watches[i]);
		trigger_read(pipes[i], line);
		CHECK_STR(line, expected[i]);
		close(pipes[i]);
	}
	host_alarm_close(&host_alarm);
	loop_free(loop);
}

CHECK_TEST(test_pressure_that_the_kernel_does_not_tell_has_no_alarm)
{
	FILE *file = fopen(pressure("io"), "w");

	CHECK(file);
	fclose(file); /* takes a trigger, and cannot be waited for */
	loop = loop_new();
	host_alarm_open(&host_alarm, loop, check_dir());
	CHECK_RC(host_alarm.errs[HOST_PRESSURE_CPU], -ENOENT);
	CHECK_RC(host_alarm.errs[HOST_PRESSURE_MEMORY], -ENOENT);
	CHECK_RC(host_alarm.errs[HOST_PRESSURE_IO], -ENOMEM);
	for (int i = 0; i < HOST_PRESSURES; i++)
		CHECK(!host_alarm.watches[i] && host_alarm.fds[i] == -1);
	host_alarm_close(&host_alarm);
	loop_free(loop);
}

static void look(void *arg)
{
	const mono_ns *until = arg;

	if (host_alarm.totals[HOST_PRESSURE_MEMORY] || clock_mono() > *until)
		loop_stop(loop);
}

/*
 * Memory is waited for only where it lacks. So the processor's file stands for memory's, whose tenth
 * of a second two processes on each processor are sure to wait for.
 */
CHECK_TEST(test_alarm_that_rings_is_counted_for_its_pressure)
{
	mono_ns until = clock_mono() + 30 * NS_PER_S;
	struct loop_timer *timer;
	pid_t spinners[16];
	long count = 2 * sysconf(_SC_NPROCESSORS_ONLN);

	count = count < 16 ? count : 16;
	CHECK_OK(symlink("/proc/pressure/cpu", pressure("memory")));
	loop = loop_new();
	host_alarm_open(&host_alarm, loop, check_dir());
	if (host_alarm.errs[HOST_PRESSURE_MEMORY]) {
		host_alarm_close(&host_alarm);
		loop_free(loop);
		SKIP("this kernel sets no triggers for us");
	}
	for (long i = 0; i < count; i++) {
		spinners[i] = fork();
		while (!spinners[i])
			; /* until it is killed */
	}
	timer = loop_timer_start(loop, NS_PER_MS, 20 * NS_PER_MS, look, &until);
	loop_run(loop);
	loop_timer_stop(timer);
	for (long i = 0; i < count; i++) {
		kill(spinners[i], SIGKILL);
		waitpid(spinners[i], NULL, 0);
	}
	CHECK(host_alarm.totals[HOST_PRESSURE_MEMORY] > 0);
	CHECK_EQ_U64(host_alarm.totals[HOST_PRESSURE_CPU], 0);
	CHECK_EQ_U64(host_alarm.totals[HOST_PRESSURE_IO], 0);
	host_alarm_close(&host_alarm);
	loop_free(loop);
}

CHECK_MAIN("host_alarm", test_each_pressure_has_its_own_trigger,
	   test_pressure_that_the_kernel_does_not_tell_has_no_alarm,
	   test_alarm_that_rings_is_counted_for_its_pressure)
