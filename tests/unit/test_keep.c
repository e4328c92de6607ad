/* SPDX-License-Identifier: Apache-2.0 */
/* What a keeper holds, within its quotas; and what it and an agent say to each other. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vow/shm.h>

#include "keep/keeper.h"
#include "lib/base/passing.h"
#include "lib/data/keep_wire.h"
#include "lib/data/porter_wire.h"
#include "tests/unit/check.h"

static struct held_table table;
static int send_err; /* what the kernel refuses to send with; 0: it sends */

/* In the place of libc's, for the parts that are tested here. */
ssize_t sendmsg(int fd, const struct msghdr *header, int flags)
{
	if (send_err) {
		errno = send_err;
		return -1;
	}
	return syscall(SYS_sendmsg, fd, header, flags);
}

static int memory_of(size_t bytes)
{
	int fd = memfd_create("vow-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	CHECK(fd >= 0);
	CHECK_OK(ftruncate(fd, UINT32_MAX));
	if (bytes)
		CHECK_OK(posix_fallocate(fd, 0, (off_t)bytes));
	CHECK_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
	return fd;
}

static uint64_t inode_of(int fd)
{
	struct stat st;

	CHECK_OK(fstat(fd, &st));
	return st.st_ino;
}

static int hold(int fd, int connection, bool pass)
{
	const struct held held = {.memfd = fd, .connection = connection, .pid = getpid()};

	return held_add(&table, &held, pass);
}

static void table_clear(void)
{
	while (table.count)
		held_drop(&table, 0);
	memset(&table, 0, sizeof(table));
}

CHECK_TEST(test_a_segment_is_held_once_and_let_go_by_its_inode)
{
	int fd = memory_of(4096), again = dup(fd);
	uint64_t inode = inode_of(fd);

	CHECK_OK(hold(fd, -1, false));
	CHECK_RC(hold(again, -1, false), 1);
	CHECK(fcntl(again, F_GETFD) < 0);
	CHECK_EQ_U64(table.count, 1);
	held_let_go(&table, inode + 1);
	CHECK_EQ_U64(table.count, 1);
	held_let_go(&table, inode);
	CHECK_EQ_U64(table.count, 0);
	CHECK(fcntl(fd, F_GETFD) < 0);
}

CHECK_TEST(test_a_connection_that_comes_later_is_told_anew)
{
	int fd = memory_of(0), again = dup(fd), pair[2];

	CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	CHECK_OK(hold(fd, -1, false));
	held_tell(&table, 0);
	CHECK_EQ_I64(held_untold(&table), -1);
	CHECK_RC(hold(again, pair[0], false), 1);
	CHECK_EQ_I64(held_untold(&table), 0);
	CHECK_EQ_I64(table.all[0].connection, pair[0]);
	CHECK_EQ_U64(held_sum(&table).ended, 0);
	close(pair[1]);
	CHECK_EQ_U64(held_sum(&table).ended, 1);
	table_clear();
}

CHECK_TEST(test_one_that_connects_again_is_held_by_the_connection_that_lives)
{
	int fd = memory_of(0), again = dup(fd), more = dup(fd), pair[2][2];

	CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair[0]));
	CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair[1]));
	CHECK_OK(hold(fd, pair[0][0], false));
	held_tell(&table, 0);
	close(pair[0][1]);
	CHECK_EQ_U64(held_sum(&table).ended, 1);
	CHECK_RC(hold(again, pair[1][0], false), 1);
	CHECK_EQ_I64(table.all[0].connection, pair[1][0]);
	CHECK_EQ_U64(held_sum(&table).ended, 0);
	CHECK_EQ_I64(held_untold(&table), 0);
	CHECK(fcntl(pair[0][0], F_GETFD) < 0);
	/* While that one lives, another tells nothing more. */
	CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair[0]));
	CHECK_RC(hold(more, pair[0][0], false), 1);
	CHECK_EQ_I64(table.all[0].connection, pair[1][0]);
	CHECK(fcntl(pair[0][0], F_GETFD) < 0);
	close(pair[0][1]);
	close(pair[1][1]);
	table_clear();
}

CHECK_TEST(test_what_is_no_sealed_memory_is_refused_or_passed_on_once)
{
	int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	int unsealed = memfd_create("vow-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	CHECK_RC(hold(file, -1, false), -EDQUOT);
	CHECK(fcntl(file, F_GETFD) < 0);
	CHECK_EQ_U64(table.refused, 1);
	CHECK_OK(hold(unsealed, -1, true));
	CHECK_EQ_U64(table.passing, 1);
	held_tell(&table, 0);
	CHECK_EQ_U64(table.count, 0);
	CHECK_EQ_U64(table.passing, 0);
	CHECK(fcntl(unsealed, F_GETFD) < 0);
	table_clear();
}

CHECK_TEST(test_one_user_gets_no_more_places_than_his)
{
	for (unsigned i = 0; i < LANE_QUOTA_USER_APPS; i++)
		CHECK_OK(hold(memory_of(0), -1, false));
	CHECK_RC(hold(memory_of(0), -1, false), -EDQUOT);
	for (unsigned i = 0; i < HELD_PASSING; i++)
		CHECK_OK(hold(memory_of(0), -1, true));
	CHECK_RC(hold(memory_of(0), -1, true), -EDQUOT);
	CHECK_EQ_U64(table.count, LANE_QUOTA_USER_APPS + HELD_PASSING);
	CHECK_EQ_U64(table.refused, HELD_PASSING + 2);
	table_clear();
}

CHECK_TEST(test_a_segment_that_grew_beyond_its_quota_goes)
{
	int small = memory_of(4096), large = memory_of(4096), connection = -1;

	CHECK_RC(hold(memory_of(LANE_QUOTA_SEGMENT + 4096), connection, false), -EDQUOT);
	CHECK_OK(hold(large, connection, false));
	CHECK_OK(hold(small, connection, false));
	held_weigh(&table);
	CHECK_EQ_U64(table.count, 2);
	CHECK_OK(posix_fallocate(large, 0, (off_t)LANE_QUOTA_SEGMENT + 4096));
	held_weigh(&table);
	CHECK_EQ_U64(table.count, 1);
	CHECK_EQ_I64(table.all[0].memfd, small);
	CHECK_EQ_U64(table.refused, 2);
	table_clear();
}

CHECK_TEST(test_a_process_is_known_by_its_start)
{
	int fd = memory_of(0);
	struct held held = {
		.memfd = fd, .connection = -1, .pid = getpid(), .started = keep_started(getpid())};

	CHECK(held.started);
	CHECK_EQ_U64(keep_started(0), 0);
	CHECK_OK(held_add(&table, &held, false));
	CHECK_EQ_U64(held_sum(&table).ended, 0);
	table.all[0].started++;
	CHECK_EQ_U64(held_sum(&table).ended, 1);
	table_clear();
}

CHECK_TEST(test_a_message_arrives_with_its_descriptors)
{
	const struct keep_message sent = {.kind = KEEP_SEGMENT, .inode = 7, .pid = 8};
	struct keep_message got;
	struct keep_fds fds;
	int pair[2], fd = memory_of(0);

	CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	CHECK_RC(keep_receive(pair[1], &got, &fds), -EAGAIN);
	CHECK_OK(keep_send(pair[0], &sent, &(struct keep_fds){fd, pair[0]}));
	CHECK_OK(keep_send(pair[0], &sent, NULL));
	CHECK_RC(keep_receive(pair[1], &got, &fds), 1);
	CHECK_EQ_U64(got.inode, 7);
	CHECK_EQ_U64(inode_of(fds.memfd), inode_of(fd));
	CHECK_EQ_U64(inode_of(fds.connection), inode_of(pair[0]));
	close(fds.memfd);
	close(fds.connection);
	CHECK_RC(keep_receive(pair[1], &got, &fds), 1);
	CHECK_EQ_I64(fds.memfd, -1);
	close(fd);
	close(pair[0]);
	CHECK_RC(keep_receive(pair[1], &got, &fds), 0);
	close(pair[1]);
}

CHECK_TEST(test_strange_messages_are_told_apart)
{
	struct keep_message message = {.magic = KEEP_MAGIC, .version = 9, .kind = KEEP_HELLO}, got;
	struct keep_fds fds;
	int pair[2];

	CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	CHECK_EQ_I64(send(pair[0], &message, 16, 0), 16);
	CHECK_RC(keep_receive(pair[1], &got, &fds), -EPROTONOSUPPORT);
	CHECK_EQ_U64(got.version, 9);
	message.version = KEEP_VERSION;
	CHECK_EQ_I64(send(pair[0], &message, 16, 0), 16);
	CHECK_RC(keep_receive(pair[1], &got, &fds), -EPROTO);
	CHECK_EQ_I64(send(pair[0], "x", 1, 0), 1);
	CHECK_RC(keep_receive(pair[1], &got, &fds), -EPROTO);
	message.magic++;
	CHECK_EQ_I64(send(pair[0], &message, sizeof(message), 0), sizeof(message));
	CHECK_RC(keep_receive(pair[1], &got, &fds), -EPROTO);
	close(pair[0]);
	close(pair[1]);
}

/* The lowest descriptor that is free. */
static int next_free(void)
{
	int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);

	close(fd);
	return fd;
}

CHECK_TEST(test_what_an_application_sent_is_looked_at_and_stays_until_it_is_thrown_away)
{
	const struct vow_shm_hello good = {.magic = VOW_SHM_MAGIC}, bad = {.magic = 1};
	int memory = memory_of(0), file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	const struct {
		const void *bytes;
		size_t size;
		int fd;
		enum porter_verdict verdict;
	} sent[] = {{"", 0, memory, PORTER_NOTHING},
		    {"x", 1, memory, PORTER_NOTHING},
		    {&bad, sizeof(bad), memory, PORTER_NOTHING},
		    {&good, sizeof(good), file, PORTER_STRANGE},
		    {&good, sizeof(good), memory, PORTER_MEMORY}};
	int pair[2], fds[PORTER_LOOK_MAX], before;

	CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	porter_prepare(pair[1]);
	before = next_free();
	for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
		CHECK_OK(passing_send(pair[0], sent[i].bytes, sent[i].size, &sent[i].fd, 1));
		for (unsigned again = 0; again < 2; again++) {
			CHECK_EQ_U64(porter_next(pair[1]), PORTER_LADEN);
			CHECK_EQ_I64(next_free(), before);
			CHECK_EQ_U64(porter_look(pair[1], fds), sent[i].verdict);
			CHECK_EQ_U64(inode_of(fds[0]), inode_of(sent[i].fd));
			close(fds[0]);
		}
		char rest[64];
		CHECK_EQ_I64(recv(pair[1], rest, sizeof(rest), 0), (int64_t)sent[i].size);
	}
	close(memory);
	close(file);
	close(pair[0]);
	close(pair[1]);
}

CHECK_TEST(test_what_came_with_no_message_of_a_porter_does_not_stay_open)
{
	const struct porter_message foreign = {.version = PORTER_VERSION + 1};
	int pair[2], memory = memory_of(0), before, passed;
	struct porter_message got;

	CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	before = next_free();
	CHECK_OK(passing_send(pair[0], &foreign, sizeof(foreign), &memory, 1));
	CHECK_RC(porter_receive(pair[1], &got, &passed), -EPROTO);
	CHECK_EQ_I64(passed, -1);
	CHECK_EQ_I64(next_free(), before);
	CHECK_OK(passing_send(pair[0], "", 0, &memory, 1)); /* it looks like the end */
	CHECK_RC(porter_receive(pair[1], &got, &passed), 0);
	CHECK_EQ_I64(passed, -1);
	CHECK_EQ_I64(next_free(), before);
	close(memory);
	close(pair[0]);
	close(pair[1]);
}

CHECK_TEST(test_a_connection_is_emptied_up_to_the_first_descriptor_or_wholly)
{
	int pair[2], fd = memory_of(0);

	CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	porter_prepare(pair[1]);
	CHECK_EQ_U64(porter_next(pair[1]), PORTER_EMPTY);
	CHECK_EQ_I64(send(pair[0], "", 0, 0), 0);
	CHECK_EQ_U64(porter_next(pair[1]), PORTER_PLAIN);
	CHECK_OK(passing_send(pair[0], "x", 1, &fd, 1));
	CHECK_EQ_I64(send(pair[0], "y", 1, 0), 1);
	CHECK(!porter_empty(pair[1], false));
	CHECK_EQ_U64(porter_next(pair[1]), PORTER_LADEN);
	CHECK(send(pair[0], "z", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
	CHECK(porter_empty(pair[1], true));
	CHECK_EQ_U64(porter_next(pair[1]), PORTER_EMPTY);
	struct pollfd end = {.fd = pair[1]};
	CHECK_EQ_I64(poll(&end, 1, 0), 0); /* the other end is still there */
	close(pair[0]);
	CHECK_EQ_I64(poll(&end, 1, 0), 1);
	CHECK(end.revents & POLLHUP);
	close(fd);
	close(pair[1]);
}

CHECK_TEST(test_a_peer_that_does_not_read_makes_nobody_wait)
{
	const struct keep_message message = {.kind = KEEP_LET_GO};
	int pair[2], rc = 0;

	CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	for (unsigned i = 0; i < 100000 && rc == 0; i++)
		rc = keep_send(pair[0], &message, NULL);
	CHECK_RC(rc, -EAGAIN);
	close(pair[1]);
	CHECK_RC(keep_send(pair[0], &message, NULL), -EPIPE);
	close(pair[0]);
}

/* The socket has room all the while, so a keeper that waited for room would not wait at all. */
CHECK_TEST(test_without_memory_a_keeper_tells_later_what_it_holds)
{
	static const int lacks[] = {ENOBUFS, ENOMEM};
	const struct held held = {.memfd = memory_of(0), .connection = -1, .pid = getpid()};
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	struct keep_message got;
	struct keep_fds fds;
	int pair[2];

	CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	CHECK_OK(porters_open(&(struct porters_options){0}, &keeper->guests));
	keeper->agent = pair[0];
	keeper->intake = -1;
	CHECK_OK(held_add(&keeper->held, &held, true));
	for (unsigned i = 0; i < sizeof(lacks) / sizeof(lacks[0]); i++) {
		keeper->deaf = false;
		send_err = lacks[i];
		CHECK(!keeper_say_all(keeper));
		send_err = 0;
		CHECK(keeper->deaf);
		CHECK_EQ_I64(keeper->agent, pair[0]);
		CHECK_EQ_I64(held_untold(&keeper->held), 0);
	}
	CHECK(!keeper_say_all(keeper));
	CHECK_EQ_I64(held_untold(&keeper->held), -1);
	CHECK_RC(keep_receive(pair[1], &got, &fds), 1);
	CHECK_EQ_U64(got.kind, KEEP_SEGMENT);
	CHECK_EQ_U64(inode_of(fds.memfd), got.inode);
	close(fds.memfd);
	held_drop(&keeper->held, 0);
	porters_close(keeper->guests, -1);
	free(keeper);
	close(pair[0]);
	close(pair[1]);
}

CHECK_MAIN("keep", test_a_segment_is_held_once_and_let_go_by_its_inode,
	   test_a_connection_that_comes_later_is_told_anew,
	   test_one_that_connects_again_is_held_by_the_connection_that_lives,
	   test_what_is_no_sealed_memory_is_refused_or_passed_on_once,
	   test_one_user_gets_no_more_places_than_his,
	   test_a_segment_that_grew_beyond_its_quota_goes, test_a_process_is_known_by_its_start,
	   test_a_message_arrives_with_its_descriptors,
	   test_what_an_application_sent_is_looked_at_and_stays_until_it_is_thrown_away,
	   test_what_came_with_no_message_of_a_porter_does_not_stay_open,
	   test_a_connection_is_emptied_up_to_the_first_descriptor_or_wholly,
	   test_strange_messages_are_told_apart, test_a_peer_that_does_not_read_makes_nobody_wait,
	   test_without_memory_a_keeper_tells_later_what_it_holds)
