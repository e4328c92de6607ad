/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/loop.h"
#include "tests/unit/check.h"

/* What the callbacks of a test saw and may act on. */
struct scene {
	struct loop *loop;
	struct loop_timer *timer;
	struct loop_fd *watch;
	struct loop_wakeup *wakeup;
	unsigned calls;
	unsigned stop_at;
	unsigned ready;
	int signum;
};

static void scene_call(void *arg)
{
	struct scene *scene = arg;

	if (++scene->calls == scene->stop_at)
		loop_stop(scene->loop);
}

CHECK_TEST(test_timer_repeats_and_is_never_early)
{
	struct scene scene = {.loop = loop_new(), .stop_at = 5};
	mono_ns start = clock_mono();

	CHECK(loop_timer_start(scene.loop, 3 * NS_PER_MS, 2 * NS_PER_MS, scene_call, &scene));
	CHECK_OK(loop_run(scene.loop));
	CHECK_EQ_U64(scene.calls, 5);
	CHECK_GE_U64(clock_mono() - start, 11 * NS_PER_MS);
	loop_free(scene.loop);
}

/* Blocks the loop over many intervals in its first call. */
static void scene_call_late(void *arg)
{
	struct scene *scene = arg;
	mono_ns end = clock_mono() + 10 * NS_PER_MS;

	while (scene->calls == 0 && clock_mono() < end)
		;
	scene->calls++;
}

CHECK_TEST(test_late_loop_calls_once_for_missed_intervals)
{
	struct scene scene = {.loop = loop_new()};
	struct scene end = {.loop = scene.loop, .stop_at = 1};

	/* Due at 1, 2, 3... ms; the call at 1 ms takes 10 ms, so nine are missed until 12 ms. */
	CHECK(loop_timer_start(scene.loop, NS_PER_MS, NS_PER_MS, scene_call_late, &scene));
	CHECK(loop_timer_start(scene.loop, 11 * NS_PER_MS, 0, scene_call, &end));
	CHECK_OK(loop_run(scene.loop));
	CHECK_LE_U64(scene.calls, 4);
	loop_free(scene.loop);
}

static void scene_stop_own_timer(void *arg)
{
	struct scene *scene = arg;

	scene->calls++;
	loop_timer_stop(scene->timer);
}

CHECK_TEST(test_timer_may_stop_itself_and_loop_ends_without_sources)
{
	struct scene scene = {.loop = loop_new()};

	scene.timer = loop_timer_start(scene.loop, 0, NS_PER_MS, scene_stop_own_timer, &scene);
	CHECK(scene.timer);
	CHECK_OK(loop_run(scene.loop));
	CHECK_EQ_U64(scene.calls, 1);
	loop_free(scene.loop);
}

CHECK_TEST(test_finished_timer_starts_again)
{
	struct scene scene = {.loop = loop_new()};

	scene.timer = loop_timer_start(scene.loop, 0, 0, scene_call, &scene);
	CHECK_OK(loop_run(scene.loop));
	loop_timer_again(scene.timer, 0, 0);
	CHECK_OK(loop_run(scene.loop));
	CHECK_EQ_U64(scene.calls, 2);
	loop_free(scene.loop);
}

static void scene_fd(void *arg, int fd, unsigned ready)
{
	struct scene *scene = arg;
	char byte;

	scene->ready |= ready;
	if ((ready & LOOP_READ) && read(fd, &byte, 1) == 1)
		scene->calls++;
	if (scene->calls == scene->stop_at) {
		loop_fd_unwatch(scene->watch);
		loop_stop(scene->loop);
	}
}

CHECK_TEST(test_watch_calls_until_all_is_read)
{
	struct scene scene = {.loop = loop_new(), .stop_at = 3};
	int ends[2];

	CHECK_OK(pipe2(ends, O_CLOEXEC));
	CHECK_EQ_I64(write(ends[1], "abc", 3), 3);
	scene.watch = loop_fd_watch(scene.loop, ends[0], LOOP_READ, scene_fd, &scene);
	CHECK(scene.watch);
	CHECK_OK(loop_run(scene.loop));
	CHECK_EQ_U64(scene.calls, 3);
	CHECK_EQ_U64(scene.ready, LOOP_READ);
	loop_free(scene.loop);
	close(ends[0]);
	close(ends[1]);
}

static void scene_hangup(void *arg, int fd, unsigned ready)
{
	struct scene *scene = arg;

	(void)fd;
	scene->ready |= ready;
	if (ready & LOOP_HANGUP)
		loop_stop(scene->loop);
}

CHECK_TEST(test_pipe_without_reader_is_a_hangup)
{
	struct scene scene = {.loop = loop_new()};
	int ends[2];

	CHECK_OK(pipe2(ends, O_CLOEXEC));
	close(ends[0]);
	CHECK(loop_fd_watch(scene.loop, ends[1], LOOP_WRITE, scene_hangup, &scene));
	CHECK_OK(loop_run(scene.loop));
	CHECK(scene.ready & LOOP_HANGUP);
	loop_free(scene.loop);
	close(ends[1]);
}

static void scene_priority(void *arg, int fd, unsigned ready)
{
	struct scene *scene = arg;

	(void)fd;
	scene->ready |= ready;
	loop_stop(scene->loop);
}

/* A byte out of band is the kernel's other use of the event that pressure triggers raise. */
CHECK_TEST(test_what_comes_out_of_turn_is_told_as_priority)
{
	struct scene scene = {.loop = loop_new()};
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), server;

	CHECK_OK(bind(listener, (struct sockaddr *)&address, size));
	CHECK_OK(listen(listener, 1));
	CHECK_OK(getsockname(listener, (struct sockaddr *)&address, &size));
	CHECK_OK(connect(client, (struct sockaddr *)&address, size));
	server = accept(listener, NULL, NULL);
	CHECK(server >= 0);
	CHECK(loop_fd_watch(scene.loop, server, LOOP_PRIORITY, scene_priority, &scene));
	CHECK_EQ_I64(send(client, "!", 1, MSG_OOB), 1);
	CHECK_OK(loop_run(scene.loop));
	CHECK_EQ_U64(scene.ready, LOOP_PRIORITY);
	loop_free(scene.loop);
	close(server);
	close(client);
	close(listener);
}

CHECK_TEST(test_regular_file_cannot_be_watched)
{
	struct loop *loop = loop_new();
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/file", check_dir());
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	CHECK(!loop_fd_watch(loop, fd, LOOP_READ, scene_fd, NULL));
	loop_free(loop);
	close(fd);
}

static int lowest_free_fd(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

CHECK_TEST(test_loop_that_was_stopped_before_it_ran_is_freed_whole)
{
	struct scene scene = {.loop = loop_new()};
	int free_fd;

	loop_free(scene.loop); /* what libuv opens once in a process is open now */
	free_fd = lowest_free_fd();
	scene.loop = loop_new();
	CHECK(loop_timer_start(scene.loop, 0, 0, scene_call, &scene));
	loop_stop(scene.loop);
	loop_free(scene.loop);
	CHECK_EQ_U64(scene.calls, 0);
	CHECK_EQ_I64(lowest_free_fd(), free_fd);
}

static void scene_signal(void *arg, int signum)
{
	struct scene *scene = arg;

	scene->signum = signum;
	loop_stop(scene->loop);
}

CHECK_TEST(test_signal_arrives_in_the_loop)
{
	struct scene scene = {.loop = loop_new()};

	CHECK(loop_signal_catch(scene.loop, SIGUSR1, scene_signal, &scene));
	CHECK_OK(raise(SIGUSR1));
	CHECK_OK(loop_run(scene.loop));
	CHECK_EQ_I64(scene.signum, SIGUSR1);
	loop_free(scene.loop);
}

static void *scene_ring(void *arg)
{
	struct scene *scene = arg;

	for (int i = 0; i < 1000; i++)
		loop_wake(scene->wakeup);
	return NULL;
}

CHECK_TEST(test_wakeups_from_a_thread_are_merged_but_never_lost)
{
	struct scene scene = {.loop = loop_new(), .stop_at = 1};
	pthread_t thread;

	scene.wakeup = loop_wakeup_new(scene.loop, scene_call, &scene);
	CHECK(scene.wakeup);
	CHECK_OK(pthread_create(&thread, NULL, scene_ring, &scene));
	CHECK_OK(loop_run(scene.loop));
	CHECK_OK(pthread_join(thread, NULL));
	CHECK_GE_U64(scene.calls, 1);
	CHECK_LE_U64(scene.calls, 1000);
	loop_wakeup_free(scene.wakeup);
	loop_free(scene.loop);
}

CHECK_TEST(test_lack_of_memory_is_null)
{
	struct loop *loop = loop_new();

	CHECK_ALLOC_LOOP(n)
	{
		struct loop *other = loop_new();

		CHECK(!other == check_alloc_failed());
		loop_free(other);
	}
	check_alloc_fail_at(1);
	CHECK(!loop_timer_start(loop, 0, 0, scene_call, NULL));
	check_alloc_fail_at(1);
	CHECK(!loop_fd_watch(loop, 0, LOOP_READ, scene_fd, NULL));
	check_alloc_fail_at(1);
	CHECK(!loop_signal_catch(loop, SIGUSR1, scene_signal, NULL));
	check_alloc_fail_at(1);
	CHECK(!loop_wakeup_new(loop, scene_call, NULL));
	loop_free(loop);
}

CHECK_MAIN("loop", test_timer_repeats_and_is_never_early,
	   test_late_loop_calls_once_for_missed_intervals,
	   test_timer_may_stop_itself_and_loop_ends_without_sources,
	   test_finished_timer_starts_again, test_watch_calls_until_all_is_read,
	   test_pipe_without_reader_is_a_hangup, test_what_comes_out_of_turn_is_told_as_priority,
	   test_regular_file_cannot_be_watched, test_signal_arrives_in_the_loop,
	   test_wakeups_from_a_thread_are_merged_but_never_lost,
	   test_loop_that_was_stopped_before_it_ran_is_freed_whole, test_lack_of_memory_is_null)
