/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "tests/unit/check.h"

/* A path in the test's scratch folder, good until the call after next. */
static const char *scratch(const char *name)
{
	static char paths[2][400];
	static unsigned turn;
	char *path = paths[turn++ % 2];

	snprintf(path, sizeof(paths[0]), "%s/%s", check_dir(), name);
	return path;
}

static void check_content(const char *path, const char *expected)
{
	char *data = NULL;
	size_t size = 0;

	CHECK_OK(fd_read_file(path, 1 << 20, &data, &size, NULL));
	CHECK_STR(data, expected);
	CHECK_EQ_U64(size, strlen(expected));
	free(data);
}

CHECK_TEST(test_closep_closes_once_and_keeps_errno)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), copy = fd;

	errno = EXDEV;
	fd_closep(&fd);
	CHECK_EQ_I64(errno, EXDEV);
	CHECK_EQ_I64(fd, -1);
	CHECK_EQ_I64(fcntl(copy, F_GETFD), -1);
	fd_closep(&fd);
}

CHECK_TEST(test_read_full_joins_pieces_and_tells_the_end)
{
	int ends[2];
	char buf[8] = "";

	CHECK_OK(pipe2(ends, O_CLOEXEC));
	CHECK_OK(fd_write_full(ends[1], "abc", 3));
	CHECK_OK(fd_write_full(ends[1], "defgh", 5));
	CHECK_EQ_I64(fd_read_full(ends[0], buf, 6), 6);
	close(ends[1]);
	CHECK_EQ_I64(fd_read_full(ends[0], buf, sizeof(buf)), 2);
	CHECK_MEM(buf, "gh", 2);
	CHECK_EQ_I64(fd_read_full(-1, buf, 1), -EBADF);
	CHECK_RC(fd_write_full(ends[0], "x", 1), -EBADF);
	close(ends[0]);
}

CHECK_TEST(test_replaced_file_has_new_content_and_mode)
{
	struct stat st;
	const char *path = scratch("state");

	CHECK_OK(fd_replace_file(path, "old", 3, 0600, NULL));
	CHECK_OK(fd_replace_file(path, "newer", 5, 0640, NULL));
	check_content(path, "newer");
	CHECK_OK(stat(path, &st));
	CHECK_EQ_U64(st.st_mode & 07777, 0640);
	CHECK_EQ_I64(access(scratch("state.new"), F_OK), -1);
}

CHECK_TEST(test_failed_replace_leaves_the_old_file)
{
	struct diag d;
	char path[400];

	snprintf(path, sizeof(path), "%s/folder", check_dir());
	CHECK_OK(mkdir(path, 0700));
	/* A folder cannot be replaced by a file; nothing is left beside it. */
	CHECK_RC(fd_replace_file(path, "x", 1, 0600, &d), -EISDIR);
	CHECK_STR(d.where, path);
	CHECK_EQ_I64(access(scratch("folder.new"), F_OK), -1);
	CHECK_RC(fd_replace_file(scratch("no/such/folder"), "x", 1, 0600, &d), -ENOENT);
}

CHECK_TEST(test_read_file_has_a_limit_and_reads_proc)
{
	char *data = NULL;
	size_t size = 0;
	struct diag d;

	CHECK_OK(fd_replace_file(scratch("four"), "1234", 4, 0600, NULL));
	CHECK_RC(fd_read_file(scratch("four"), 3, &data, &size, &d), -EFBIG);
	CHECK(!data);
	CHECK_RC(fd_read_file(scratch("none"), 3, &data, &size, &d), -ENOENT);
	CHECK_STR_HAS(d.what, "cannot open");
	CHECK_OK(fd_read_file("/proc/self/status", 1 << 20, &data, &size, NULL));
	CHECK_MEM(data, "Name:", 5);
	free(data);
}

CHECK_TEST(test_read_file_never_waits_for_a_writer)
{
	char *data = NULL;
	size_t size = 0;
	struct diag d;

	CHECK_OK(mkfifo(scratch("pipe"), 0600));
	CHECK_RC(fd_read_file(scratch("pipe"), 3, &data, &size, &d), -EINVAL);
	CHECK_STR_HAS(d.what, "is a pipe");
	CHECK_OK(fd_read_file("/dev/null", 3, &data, &size, NULL));
	CHECK_EQ_U64(size, 0);
	free(data);
}

CHECK_TEST(test_read_file_grows_past_one_page)
{
	size_t size = 0, length = 3 * 4096 + 5;
	char *data = NULL, *text = malloc(length + 1);

	memset(text, 'y', length);
	text[length] = '\0';
	CHECK_OK(fd_replace_file(scratch("long"), text, length, 0600, NULL));
	check_content(scratch("long"), text);
	CHECK_ALLOC_LOOP(n)
	{
		int rc = fd_read_file(scratch("long"), 1 << 20, &data, &size, NULL);

		CHECK_RC(rc, check_alloc_failed() ? -ENOMEM : 0);
	}
	CHECK_EQ_U64(size, length);
	free(data);
	free(text);
}

CHECK_TEST(test_make_dirs_makes_all_and_refuses_a_file)
{
	struct stat st;

	CHECK_OK(fd_make_dirs(scratch("a/b/c"), 0750, NULL));
	CHECK_OK(stat(scratch("a/b/c"), &st));
	CHECK(S_ISDIR(st.st_mode));
	CHECK_OK(fd_make_dirs(scratch("a/b/c"), 0750, NULL));
	CHECK_OK(fd_replace_file(scratch("file"), "", 0, 0600, NULL));
	CHECK_RC(fd_make_dirs(scratch("file"), 0750, NULL), -ENOTDIR);
	CHECK_RC(fd_make_dirs(scratch("file/x"), 0750, NULL), -ENOTDIR);
}

CHECK_TEST(test_lock_is_held_by_one_and_names_the_holder)
{
	struct diag d;
	char pid[64];
	int first = fd_lock(scratch("lock"), NULL), again;

	CHECK(first >= 0);
	CHECK_RC(fd_lock(scratch("lock"), &d), -EBUSY);
	snprintf(pid, sizeof(pid), "held by a running process, pid %d", (int)getpid());
	CHECK_STR(d.what, pid);
	close(first);
	again = fd_lock(scratch("lock"), &d);
	CHECK(again >= 0);
	close(again);
}

CHECK_TEST(test_listener_replaces_a_dead_socket_but_not_a_living_one)
{
	struct fd_listener one, two;
	struct diag d;
	struct stat st;
	const char *path = scratch("sock");
	int fd, status;

	/* A process that ends without closing leaves the socket file behind. */
	if (fork() == 0)
		_exit(fd_listener_open(&one, path, 0660, NULL) ? 1 : 0);
	CHECK(wait(&status) > 0 && status == 0);
	CHECK_OK(access(path, F_OK));
	CHECK_RC(fd_connect(path, 0, &d), -ECONNREFUSED);

	CHECK_OK(fd_listener_open(&one, path, 0660, &d));
	CHECK_RC(fd_listener_open(&two, path, 0660, &d), -EBUSY);
	CHECK_OK(stat(path, &st));
	CHECK_EQ_U64(st.st_mode & 07777, 0660);
	fd = fd_connect(path, 0, &d);
	CHECK(fd >= 0);
	close(fd);
	fd_listener_close(&one);
	fd_listener_close(&one);
	CHECK_EQ_I64(access(path, F_OK), -1);
	CHECK_RC(fd_connect(path, 0, &d), -ENOENT);
}

CHECK_TEST(test_connected_peers_talk_and_silence_has_a_limit)
{
	struct fd_listener listener;
	char buf[2];
	int ours, theirs;

	CHECK_OK(fd_listener_open(&listener, scratch("sock"), 0600, NULL));
	CHECK_RC(accept(listener.fd, NULL, NULL), -1);
	CHECK_EQ_I64(errno, EAGAIN);
	ours = fd_connect(scratch("sock"), 2 * NS_PER_MS, NULL);
	theirs = accept(listener.fd, NULL, NULL);
	CHECK(ours >= 0 && theirs >= 0);
	CHECK_OK(fd_write_full(theirs, "hi", 2));
	CHECK_EQ_I64(fd_read_full(ours, buf, 2), 2);
	CHECK_EQ_I64(fd_read_full(ours, buf, 2), -EAGAIN);
	CHECK_OK(fd_set_nonblock(theirs, true));
	CHECK_EQ_I64(fd_read_full(theirs, buf, 1), -EAGAIN);
	CHECK_OK(fd_set_nonblock(theirs, false));
	CHECK_EQ_I64(fcntl(theirs, F_GETFL) & O_NONBLOCK, 0);
	close(ours);
	close(theirs);
	fd_listener_close(&listener);
}

CHECK_TEST(test_too_long_socket_path_says_so)
{
	struct fd_listener listener;
	struct diag d;
	char path[200];

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	CHECK_RC(fd_listener_open(&listener, path, 0600, &d), -ENAMETOOLONG);
	CHECK_STR_HAS(d.what, "less than 108 bytes");
	CHECK_RC(fd_connect(path, 0, &d), -ENAMETOOLONG);
}

CHECK_MAIN("fd", test_closep_closes_once_and_keeps_errno,
	   test_read_full_joins_pieces_and_tells_the_end,
	   test_replaced_file_has_new_content_and_mode, test_failed_replace_leaves_the_old_file,
	   test_read_file_has_a_limit_and_reads_proc, test_read_file_never_waits_for_a_writer,
	   test_read_file_grows_past_one_page, test_make_dirs_makes_all_and_refuses_a_file,
	   test_lock_is_held_by_one_and_names_the_holder,
	   test_listener_replaces_a_dead_socket_but_not_a_living_one,
	   test_connected_peers_talk_and_silence_has_a_limit, test_too_long_socket_path_says_so)
