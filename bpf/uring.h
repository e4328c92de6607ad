/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What a request of io_uring says of itself: which way it moves bytes, on which socket, and where
 * in the memory of the process they are. Kernel side. Everything is read from the kernel's own copy
 * of the request, by its address, which is a claim: it may be of a request that is no more. All
 * reads can fail, and then say 0.
 */
#ifndef VOW_BPF_URING_H
#define VOW_BPF_URING_H

#include <linux/io_uring.h>

#include "bpf/kernel.h"
#include "bpf/payload.h"
#include "bpf/socket.h"
#include "bpf/socket_find.h"

/* Since 6.7, 6.10 and 6.17; older headers lack them. */
#define URING_READ_MULTISHOT 49
#define URING_BUNDLE	     (1 << 4) /* several buffers in one go */
#define URING_VECTORIZED     (1 << 5) /* a send that has an array of iovec */

#define URING_BIT(opcode) (1ULL << (opcode))
#define URING_RECEIVES                                                       \
	(URING_BIT(IORING_OP_READ) | URING_BIT(IORING_OP_READV) |            \
	 URING_BIT(IORING_OP_READ_FIXED) | URING_BIT(URING_READ_MULTISHOT) | \
	 URING_BIT(IORING_OP_RECV) | URING_BIT(IORING_OP_RECVMSG))
#define URING_SENDS                                                     \
	(URING_BIT(IORING_OP_WRITE) | URING_BIT(IORING_OP_WRITEV) |     \
	 URING_BIT(IORING_OP_WRITE_FIXED) | URING_BIT(IORING_OP_SEND) | \
	 URING_BIT(IORING_OP_SENDMSG) | URING_BIT(IORING_OP_SEND_ZC) |  \
	 URING_BIT(IORING_OP_SENDMSG_ZC))

#define URING_MESSAGES                                                                          \
	(URING_BIT(IORING_OP_RECV) | URING_BIT(IORING_OP_RECVMSG) | URING_BIT(IORING_OP_SEND) | \
	 URING_BIT(IORING_OP_SENDMSG) | URING_BIT(IORING_OP_SEND_ZC) |                          \
	 URING_BIT(IORING_OP_SENDMSG_ZC))

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct io_cqe {
	__u64 user_data;
	int fd; /* until it has its file: a descriptor, or a place among those of the ring */
};

/* Since 6.13; before, struct io_fixed_file. */
struct io_rsrc_node {
	unsigned long file_ptr;
};

struct io_rsrc_data {
	struct io_rsrc_node **nodes;
};

struct io_fixed_file {
	unsigned long file_ptr;
};

struct io_file_table {
	struct io_rsrc_data data;
	struct io_fixed_file *files;
};

struct io_ring_ctx {
	struct io_file_table file_table;
};

struct io_cmd_data {
	struct file *file;
};

/* A request; what is of its own kind begins where it does, with the file. */
struct io_kiocb {
	struct file *file;
	__u8 opcode;
	__u32 flags; /* the lower half: bits of the kernel's, the first of which are IOSQE_ */
	struct io_cqe cqe;
	struct io_ring_ctx *ctx;
	void *async_data;
};

/* Of calls of sockets. */
struct io_sr_msg {
	void *buf; /* or the msghdr */
	unsigned int len;
	unsigned int done_io; /* bytes that were moved before, which buf is past */
	unsigned int msg_flags;
	__u16 flags;
};

/* Of reads and writes. */
struct io_rw {
	__u64 addr; /* buffer, or array of iovec */
	__u32 len;
};

enum iter_type {
	ITER_UBUF,
};

struct iov_iter {
	__u8 iter_type;
	unsigned long iov_offset; /* behind the bytes that were moved */
	void *ubuf;
};

struct msghdr {
	struct iov_iter msg_iter;
};

struct io_async_msghdr {
	struct msghdr msg;
};

#pragma clang attribute pop

/* User space found that the kernel has what is looked at here; see http_bpf_uring.h. */
const volatile bool uring_followed;

/* Whether requests of this kind move bytes of a socket, if their file is one. */
static __always_inline bool uring_moves(__u8 opcode)
{
	return opcode < 64 && (URING_RECEIVES | URING_SENDS) >> opcode & 1;
}

static __always_inline bool uring_receives(__u8 opcode)
{
	return URING_RECEIVES >> (opcode & 63) & 1;
}

/* Whether it is a call of sockets, else a read or write like those of any file. */
static __always_inline bool uring_is_message(__u8 opcode)
{
	return URING_MESSAGES >> (opcode & 63) & 1;
}

/* Whether the request is answered more than once, by whatever comes. */
static __always_inline bool uring_is_multishot(__u64 request, __u8 opcode)
{
	if (opcode == URING_READ_MULTISHOT)
		return true;
	if (opcode != IORING_OP_RECV && opcode != IORING_OP_RECVMSG)
		return false;
	return socket_field(kernel_at(io_sr_msg, request), flags) & IORING_RECV_MULTISHOT;
}

/* The address of the socket that the request has as its file, 0 when it is none. */
static __always_inline __u64 uring_socket(__u64 request)
{
	return (__u64)socket_of((__u64)socket_field(kernel_at(io_kiocb, request), file));
}

/* The same for a request that has no file yet. */
static __always_inline __u64 uring_socket_asked(__u64 request)
{
	const struct io_kiocb *req = kernel_at(io_kiocb, request);
	const struct io_ring_ctx *ctx = socket_field(req, ctx);
	const struct io_fixed_file *files;
	struct io_rsrc_node **nodes, *node;
	__u32 descriptor = socket_field(req, cqe.fd);
	__u64 file = 0;

	if (!(socket_field(req, flags) & IOSQE_FIXED_FILE))
		return (__u64)socket_find(descriptor);
	if (bpf_core_field_exists(ctx->file_table.files)) {
		files = socket_field(ctx, file_table.files);
		bpf_probe_read_kernel(&file, sizeof(file), files + descriptor);
	} else {
		nodes = socket_field(ctx, file_table.data.nodes);
		if (!bpf_probe_read_kernel(&node, sizeof(node), nodes + descriptor) && node)
			file = socket_field(kernel_at(io_rsrc_node, node), file_ptr);
	}
	/* Its lowest bits say something else. */
	return (__u64)socket_of(file & ~7ULL);
}

/* ---- where the bytes are ------------------------------------------------------------------------ */

static __always_inline void uring_payload_buffer(struct payload_source *from, __u64 at)
{
	from->call.number = NR_READ;
	from->call.second = at;
}

/* The one stretch that a message is moved from or to, by the kernel's account of how far it came. */
static __always_inline bool uring_payload_iter(struct payload_source *from, __u64 request,
					       __u32 moved)
{
	const struct io_async_msghdr *kept;
	__u64 at = (__u64)socket_field(kernel_at(io_kiocb, request), async_data);

	if (!at)
		return false;
	kept = kernel_at(io_async_msghdr, at);
	if (socket_field(kept, msg.msg_iter.iter_type) !=
	    bpf_core_enum_value(enum iter_type, ITER_UBUF))
		return false;
	uring_payload_buffer(from, (__u64)socket_field(kept, msg.msg_iter.ubuf) +
					   socket_field(kept, msg.msg_iter.iov_offset) - moved);
	return true;
}

/* A call by a msghdr, as the application has it: it must keep that until the request was taken. */
static __always_inline void uring_payload_header(struct payload_source *from, __u64 request)
{
	const struct io_sr_msg *sr = kernel_at(io_sr_msg, request);

	/* Where it goes on is not known. */
	if (socket_field(sr, done_io) ||
	    socket_field(kernel_at(io_kiocb, request), flags) & IOSQE_BUFFER_SELECT)
		return;
	from->call.number = NR_SENDMSG;
	from->call.second = (__u64)socket_field(sr, buf);
}

static __always_inline void uring_payload_message(struct payload_source *from, __u64 request,
						  __u8 opcode, bool whole)
{
	const struct io_sr_msg *sr = kernel_at(io_sr_msg, request);

	if (opcode == IORING_OP_RECVMSG || opcode == IORING_OP_SENDMSG ||
	    opcode == IORING_OP_SENDMSG_ZC)
		uring_payload_header(from, request);
	else if (!(socket_field(sr, flags) & (URING_BUNDLE | URING_VECTORIZED)))
		uring_payload_buffer(from, (__u64)socket_field(sr, buf) -
						   (whole ? socket_field(sr, done_io) : 0));
}

static __always_inline void uring_payload_file(struct payload_source *from, __u64 request,
					       __u8 opcode)
{
	const struct io_rw *rw = kernel_at(io_rw, request);

	uring_payload_buffer(from, socket_field(rw, addr));
	if ((opcode == IORING_OP_READV || opcode == IORING_OP_WRITEV) &&
	    !(socket_field(kernel_at(io_kiocb, request), flags) & IOSQE_BUFFER_SELECT)) {
		from->call.number = NR_READV;
		from->call.third = socket_field(rw, len);
	}
}

/*
 * Where the bytes are that a request moved; from says that there are none when it cannot be told.
 * whole: `moved` are all that it moved, else those that it moves right now.
 */
static __always_inline void uring_payload(struct payload_source *from, __u64 request, __u8 opcode,
					  __u32 moved, bool whole)
{
	from->call.number = NR_NONE;
	if (!uring_is_message(opcode))
		uring_payload_file(from, request, opcode);
	else if (!uring_payload_iter(from, request, moved))
		uring_payload_message(from, request, opcode, whole);
}

#endif
