/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of listening sockets as netlink tells it, over a socket whose other end is this program:
 * its drops are those that an independent reader of the bytes counts, and labels are clean. Two bytes
 * are the length of a part of the list, which follows; one of length 0 begins the next list.
 */
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collectors/host/host_listen.h"
#include "tests/fuzz/fuzz.h"

enum { COOKIES = 256, LISTS = 4 };

/* What is expected of each cookie that was told. */
struct expected {
	struct {
		uint64_t cookie, drops;
		uint32_t seen;
	} all[COOKIES];
	unsigned count;
	bool known, full, failed; /* failed: the list ended with an error */
};

static uint32_t number_at(const uint8_t *bytes, size_t at, size_t size)
{
	uint32_t number = 0;

	memcpy(&number, bytes + at, size);
	return number;
}

static void expect_drops(struct expected *e, uint64_t cookie, uint32_t drops)
{
	unsigned i = 0;

	while (i < e->count && e->all[i].cookie != cookie)
		i++;
	if (i == e->count) {
		if (!drops)
			return;
		if (i == HOST_LISTEN_MAX) {
			e->full = true; /* which one goes is not told here */
			return;
		}
		e->all[e->count++].cookie = cookie;
		e->all[i].seen = e->known ? 0 : drops;
	}
	e->all[i].drops += (uint32_t)(drops - e->all[i].seen);
	e->all[i].seen = drops;
}

static void expect_socket(struct expected *e, const uint8_t *message, size_t length)
{
	const size_t first = sizeof(struct nlmsghdr) + sizeof(struct inet_diag_msg);
	const size_t cookie = sizeof(struct nlmsghdr) + offsetof(struct inet_diag_msg, id) +
			      offsetof(struct inet_diag_sockid, idiag_cookie);

	for (size_t at = first; length >= at + 4;) {
		size_t size = number_at(message, at, 2), type = number_at(message, at + 2, 2);

		if (size < 4 || size > length - at)
			return;
		if (type == INET_DIAG_SKMEMINFO && size >= 4 + 4 * SK_MEMINFO_VARS)
			expect_drops(e,
				     number_at(message, cookie, 4) |
					     (uint64_t)number_at(message, cookie + 4, 4) << 32,
				     number_at(message, at + 4 + 4 * SK_MEMINFO_DROPS, 4));
		at += (size + 3) & ~(size_t)3;
	}
}

/* Whether the list goes on behind this part. */
static bool expect_part(struct expected *e, const uint8_t *part, size_t size)
{
	for (size_t at = 0; at < size && size - at >= sizeof(struct nlmsghdr);) {
		size_t length = number_at(part, at, 4), type = number_at(part, at + 4, 2);

		if (length < sizeof(struct nlmsghdr) || length > size - at)
			break;
		if (type == NLMSG_DONE)
			return false;
		if (type == NLMSG_ERROR) {
			e->failed = true;
			return false;
		}
		if (type == SOCK_DIAG_BY_FAMILY)
			expect_socket(e, part + at, length);
		at += (length + 3) & ~(size_t)3;
	}
	return true;
}

/* One list for both families, of which the second is empty. */
static void list_send(int fd, struct fuzz_input *input, struct expected *e)
{
	const struct nlmsghdr done = {.nlmsg_len = sizeof(done), .nlmsg_type = NLMSG_DONE};
	int left = 2; /* ends of lists that are to come */
	uint8_t *part;
	size_t size;

	while (left == 2 && (size = (size_t)fuzz_number(input, 2)) && size <= 4096) {
		part = malloc(size);
		size = fuzz_copy(input, part, size);
		FUZZ_CHECK(!size || send(fd, part, size, 0) == (ssize_t)size);
		left -= size && !expect_part(e, part, size);
		free(part);
	}
	while (left-- > 0)
		FUZZ_CHECK(send(fd, &done, sizeof(done), 0) == sizeof(done));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fuzz_input input = {bytes, bytes + size};
	struct gauge_table *gauges = gauge_table_new(0);
	struct host_listen listen = {.fd = -1};
	struct expected e = {.known = false};
	int ends[2];

	FUZZ_CHECK(gauges && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends) == 0);
	listen.fd = ends[0];
	for (mono_ns now = 1; now <= LISTS && fuzz_left(&input) && !e.failed; now++) {
		list_send(ends[1], &input, &e);
		FUZZ_CHECK((host_listen_read(&listen, now) == 0) == !e.failed);
		e.known = true;
	}
	FUZZ_CHECK(listen.count <= HOST_LISTEN_MAX);
	for (unsigned i = 0; i < listen.count; i++) {
		fuzz_check_text(listen.listeners[i].label, sizeof(listen.listeners[i].label));
		if (e.full)
			continue;
		FUZZ_CHECK(listen.listeners[i].cookie == e.all[i].cookie);
		FUZZ_CHECK(listen.listeners[i].drops == e.all[i].drops);
	}
	FUZZ_CHECK(e.full || listen.count == e.count);
	host_listen_publish(&listen, gauges, LISTS);
	FUZZ_CHECK(gauge_count(gauges) <= listen.count);
	gauge_table_free(gauges);
	host_listen_close(&listen);
	close(ends[1]);
	return 0;
}
