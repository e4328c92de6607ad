/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/tools/truth/uring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define ENTRIES	     8
#define BUFFERS	     4 /* provided ones: a power of two */
#define BUFFER_BYTES 16384
#define BUFFER_GROUP 7

const char *const uring_names[URING_WAYS] = {
	"uring",	  "uring-write",     "uring-writev", "uring-sendmsg", "uring-fixed",
	"uring-zc",	  "uring-linked",    "uring-silent", "uring-async",   "uring-polled",
	"uring-provided", "uring-multishot", "uring-behind", "uring-mixed",
};

struct ring {
	int fd;
	unsigned *sq_tail, *sq_array, *sq_flags, *cq_head, *cq_tail;
	unsigned sq_mask, cq_mask;
	bool polled;
	struct io_uring_sqe *entries;
	struct io_uring_cqe *results;
};

static __thread struct ring receives = {.fd = -1}, sends = {.fd = -1};

static void fail(const char *what)
{
	fprintf(stderr, "truth_server: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- rings --------------------------------------------------------------------------------------- */

static void ring_open(struct ring *ring, bool polled)
{
	struct io_uring_params p = {.flags = polled ? IORING_SETUP_SQPOLL : 0, .sq_thread_idle = 1};
	int fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &p);

	if (fd < 0)
		fail("io_uring_setup");
	size_t size = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	char *rings = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	void *entries = mmap(NULL, p.sq_entries * sizeof(struct io_uring_sqe),
			     PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQES);

	if (rings == MAP_FAILED || entries == MAP_FAILED || !(p.features & IORING_FEAT_SINGLE_MMAP))
		fail("rings of io_uring");
	*ring = (struct ring){.fd = fd,
			      .sq_tail = (unsigned *)(rings + p.sq_off.tail),
			      .sq_array = (unsigned *)(rings + p.sq_off.array),
			      .sq_flags = (unsigned *)(rings + p.sq_off.flags),
			      .sq_mask = *(unsigned *)(rings + p.sq_off.ring_mask),
			      .cq_head = (unsigned *)(rings + p.cq_off.head),
			      .cq_tail = (unsigned *)(rings + p.cq_off.tail),
			      .cq_mask = *(unsigned *)(rings + p.cq_off.ring_mask),
			      .polled = polled,
			      .entries = entries,
			      .results = (struct io_uring_cqe *)(rings + p.cq_off.cqes)};
}

static void ring_register(const struct ring *ring, unsigned what, const void *arg, unsigned count)
{
	if (syscall(SYS_io_uring_register, ring->fd, what, arg, count) < 0)
		fail("io_uring_register");
}

static void ring_enter(const struct ring *ring, unsigned submit, unsigned wait)
{
	unsigned flags = wait ? IORING_ENTER_GETEVENTS : 0;

	if (ring->polled && submit) {
		/* Pairs with the thread's, between its flag and its last look at the tail. */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (__atomic_load_n(ring->sq_flags, __ATOMIC_RELAXED) & IORING_SQ_NEED_WAKEUP)
			flags |= IORING_ENTER_SQ_WAKEUP;
	}
	while (syscall(SYS_io_uring_enter, ring->fd, submit, wait, flags, NULL, 0) < 0)
		if (errno != EINTR)
			fail("io_uring_enter");
}

/* Notes a request for the next submission. */
static void ring_ask(struct ring *ring, struct io_uring_sqe entry)
{
	unsigned at = *ring->sq_tail & ring->sq_mask;

	ring->entries[at] = entry;
	ring->sq_array[at] = at;
	__atomic_store_n(ring->sq_tail, *ring->sq_tail + 1, __ATOMIC_RELEASE);
}

/* What a request came to. */
struct result {
	int32_t res;
	uint32_t flags;
};

/* Waits for the next result. */
static struct result ring_result(struct ring *ring)
{
	while (__atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE) == *ring->cq_head)
		ring_enter(ring, 0, 1);
	const struct io_uring_cqe *told = &ring->results[*ring->cq_head & ring->cq_mask];
	struct result result = {told->res, told->flags};
	__atomic_store_n(ring->cq_head, *ring->cq_head + 1, __ATOMIC_RELEASE);
	return result;
}

static ssize_t result_of(int result)
{
	if (result >= 0)
		return result;
	errno = -result;
	return -1;
}

static ssize_t ring_call(struct ring *ring, struct io_uring_sqe entry)
{
	ring_ask(ring, entry);
	ring_enter(ring, 1, 1);
	struct result result = ring_result(ring);
	/* The second one of a send without copies says that its buffer is free again. */
	if (result.flags & IORING_CQE_F_MORE)
		ring_result(ring);
	return result_of(result.res);
}

static struct io_uring_sqe entry_of(unsigned char opcode, int fd, const void *bytes, size_t size)
{
	return (struct io_uring_sqe){
		.opcode = opcode, .fd = fd, .addr = (uintptr_t)bytes, .len = (unsigned)size};
}

/* ---- registered files and buffers ---------------------------------------------------------------- */

static ssize_t fixed_call(struct ring *ring, unsigned char opcode, int fd, char *room, size_t size)
{
	struct io_uring_files_update update = {.fds = (uintptr_t)&fd};
	struct io_uring_sqe entry = entry_of(opcode, 0, room, size);

	ring_register(ring, IORING_REGISTER_FILES_UPDATE, &update, 1);
	entry.flags = IOSQE_FIXED_FILE;
	ssize_t moved = ring_call(ring, entry);
	update.fds = (uintptr_t) & (int){-1};
	ring_register(ring, IORING_REGISTER_FILES_UPDATE, &update, 1);
	return moved;
}

static char *fixed_room(struct ring *ring)
{
	struct iovec room = {malloc(BUFFER_BYTES), BUFFER_BYTES};

	if (!room.iov_base)
		fail("malloc");
	ring_register(ring, IORING_REGISTER_FILES, &(int){-1}, 1);
	ring_register(ring, IORING_REGISTER_BUFFERS, &room, 1);
	return room.iov_base;
}

static ssize_t fixed_receive(int fd, char *text, size_t size)
{
	static __thread char *room;

	if (!room)
		room = fixed_room(&receives);
	ssize_t got = fixed_call(&receives, IORING_OP_READ_FIXED, fd, room,
				 size < BUFFER_BYTES ? size : BUFFER_BYTES);
	if (got > 0)
		memcpy(text, room, (size_t)got);
	return got;
}

static ssize_t fixed_send(int fd, const char *text, size_t size)
{
	static __thread char *room;

	if (!room)
		room = fixed_room(&sends);
	size = size < BUFFER_BYTES ? size : BUFFER_BYTES;
	memcpy(room, text, size);
	return fixed_call(&sends, IORING_OP_WRITE_FIXED, fd, room, size);
}

/* ---- provided buffers ---------------------------------------------------------------------------- */

static __thread struct io_uring_buf_ring *provided;
static __thread char *provided_bytes;

static void provide(unsigned short id)
{
	unsigned short tail = provided->tail;
	struct io_uring_buf *buffer = &provided->bufs[tail & (BUFFERS - 1)];

	buffer->addr = (uintptr_t)(provided_bytes + id * BUFFER_BYTES);
	buffer->len = BUFFER_BYTES;
	buffer->bid = id;
	__atomic_store_n(&provided->tail, (unsigned short)(tail + 1), __ATOMIC_RELEASE);
}

static void provide_all(struct ring *ring)
{
	struct io_uring_buf_reg how = {.ring_entries = BUFFERS, .bgid = BUFFER_GROUP};
	void *room = mmap(NULL, (BUFFERS + 1) * BUFFER_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (room == MAP_FAILED)
		fail("mmap");
	provided = room;
	provided_bytes = (char *)room + BUFFER_BYTES;
	how.ring_addr = (uintptr_t)room;
	ring_register(ring, IORING_REGISTER_PBUF_RING, &how, 1);
	for (unsigned short id = 0; id < BUFFERS; id++)
		provide(id);
}

static ssize_t provided_receive(int fd, char *text, size_t size, bool multishot)
{
	static __thread bool armed;
	struct io_uring_sqe entry = entry_of(IORING_OP_RECV, fd, NULL, 0);

	if (!provided)
		provide_all(&receives);
	entry.flags = IOSQE_BUFFER_SELECT;
	entry.buf_group = BUFFER_GROUP;
	entry.ioprio = multishot ? IORING_RECV_MULTISHOT : 0;
	if (!armed) {
		ring_ask(&receives, entry);
		ring_enter(&receives, 1, 0);
	}
	struct result result = ring_result(&receives);
	armed = result.flags & IORING_CQE_F_MORE;
	if (result.res > 0 && (size_t)result.res <= size) {
		unsigned short id = (unsigned short)(result.flags >> IORING_CQE_BUFFER_SHIFT);
		memcpy(text, provided_bytes + id * BUFFER_BYTES, (size_t)result.res);
		provide(id);
	}
	return result_of(result.res);
}

/* ---- calls --------------------------------------------------------------------------------------- */

/*
 * The thread is in a read of something else, into bytes that look like a request, while the bytes
 * come: they are moved as that call is interrupted, with its arguments in the saved registers.
 */
static ssize_t behind_receive(int fd, char *text, size_t size)
{
	static __thread int event = -1;
	char other[64] = "GET /arguments/of/another/call HTTP/1.1\r\n\r\n";

	if (event < 0) {
		event = eventfd(0, EFD_CLOEXEC);
		ring_register(&receives, IORING_REGISTER_EVENTFD, &event, 1);
	}
	ring_ask(&receives, entry_of(IORING_OP_RECV, fd, text, size));
	ring_enter(&receives, 1, 0);
	if (read(event, other, sizeof(other)) != 8)
		fail("read of an eventfd");
	return result_of(ring_result(&receives).res);
}

/* Two sends in one submission; or one that says nothing, and then something else that does. */
static ssize_t linked_send(int fd, const char *text, size_t size, bool silent)
{
	size_t half = silent ? size : size / 2;
	struct io_uring_sqe first = entry_of(IORING_OP_SEND, fd, text, half),
			    second = entry_of(IORING_OP_SEND, fd, text + half, size - half);

	first.msg_flags = second.msg_flags = MSG_NOSIGNAL | MSG_WAITALL;
	first.flags = IOSQE_IO_LINK | (silent ? IOSQE_CQE_SKIP_SUCCESS : 0);
	if (silent)
		second = entry_of(IORING_OP_NOP, -1, NULL, 0);
	ring_ask(&sends, first);
	ring_ask(&sends, second);
	ring_enter(&sends, 2, 1);
	for (int i = silent; i < 2; i++)
		if (ring_result(&sends).res < 0)
			return -1;
	return (ssize_t)size;
}

bool uring_waits(enum uring_way way)
{
	return way == URING_ASYNC || way == URING_POLLED || way >= URING_PROVIDED;
}

/* For those that are by turns. */
static bool by_system_call(enum uring_way way)
{
	static __thread unsigned calls;

	return way == URING_MIXED && ++calls % 3 == 0;
}

ssize_t uring_receive(enum uring_way way, int fd, char *text, size_t size)
{
	struct iovec parts[2] = {{text, 100}, {text + 100, size - 100}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
	struct io_uring_sqe entry = entry_of(IORING_OP_RECV, fd, text, size);

	if (receives.fd < 0)
		ring_open(&receives, way == URING_POLLED);
	if (by_system_call(way))
		return read(fd, text, size);
	switch (way) {
	case URING_WRITE:
		return ring_call(&receives, entry_of(IORING_OP_READ, fd, text, size));
	case URING_WRITEV:
		return ring_call(&receives, entry_of(IORING_OP_READV, fd, parts, 2));
	case URING_SENDMSG:
		return ring_call(&receives, entry_of(IORING_OP_RECVMSG, fd, &message, 1));
	case URING_FIXED:
		return fixed_receive(fd, text, size);
	case URING_PROVIDED:
	case URING_MULTISHOT:
		return provided_receive(fd, text, size, way == URING_MULTISHOT);
	case URING_BEHIND:
		return behind_receive(fd, text, size);
	default:
		entry.flags = way == URING_ASYNC ? IOSQE_ASYNC : 0;
		return ring_call(&receives, entry);
	}
}

ssize_t uring_send(enum uring_way way, int fd, const char *text, size_t size)
{
	struct iovec parts[2] = {{(void *)text, size / 2},
				 {(void *)(text + size / 2), size - size / 2}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
	struct io_uring_sqe entry = entry_of(IORING_OP_SEND, fd, text, size);

	if (sends.fd < 0)
		ring_open(&sends, way == URING_POLLED);
	if (by_system_call(way))
		return write(fd, text, size);
	switch (way) {
	case URING_WRITE:
		return ring_call(&sends, entry_of(IORING_OP_WRITE, fd, text, size));
	case URING_WRITEV:
		return ring_call(&sends, entry_of(IORING_OP_WRITEV, fd, parts, 2));
	case URING_SENDMSG:
		return ring_call(&sends, entry_of(IORING_OP_SENDMSG, fd, &message, 1));
	case URING_FIXED:
		return fixed_send(fd, text, size);
	case URING_ZEROCOPY:
		return ring_call(&sends, entry_of(IORING_OP_SEND_ZC, fd, text, size));
	case URING_LINKED:
	case URING_SILENT:
		return linked_send(fd, text, size, way == URING_SILENT);
	default:
		entry.flags = way == URING_ASYNC ? IOSQE_ASYNC : 0;
		return ring_call(&sends, entry);
	}
}
