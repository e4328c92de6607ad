/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The socket that a system call was made on, from its registers as it returns: nothing is stored
 * at entry. Kernel side.
 */
#ifndef VOW_BPF_SOCKET_FIND_H
#define VOW_BPF_SOCKET_FIND_H

#include "bpf/kernel.h"
#include "bpf/payload.h"
#include "bpf/socket.h"

#define S_IFMT	 0170000
#define S_IFSOCK 0140000

#define NO_DESCRIPTOR (~0U)

/* A system call that may have moved bytes of sockets. */
struct moving_call {
	__u32 receives; /* descriptor that it took bytes from, NO_DESCRIPTOR: none */
	__u32 sends; /* and gave bytes to */
	__u32 flags; /* of a receive */
};

/* By what a file shows itself to be a socket; 0 until the first one was seen. */
const void *socket_operations;

/* Calls of 32-bit programs have numbers of their own, and are not looked at. */
static __always_inline bool call_is_native(const struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return kernel_field(regs, cs) == 0x33;
#else
	return !(kernel_field(regs, pstate) & 0x10);
#endif
}

#if defined(__TARGET_ARCH_x86)
#define call_number(regs) kernel_field(regs, orig_ax)
#define call_first(regs)  kernel_field(regs, di)
#define call_third(regs)  kernel_field(regs, dx)
#define call_fourth(regs) kernel_field(regs, r10)
#else
#define call_number(regs) kernel_field(regs, syscallno)
#define call_first(regs)  kernel_field(regs, orig_x0)
#define call_third(regs)  kernel_field(regs, regs[2])
#define call_fourth(regs) kernel_field(regs, regs[3])
#endif

/* Whether the call is one that may move bytes of a socket; if so, between which descriptors. */
static __always_inline bool call_moves(struct moving_call *call, const struct pt_regs *regs)
{
	call->receives = NO_DESCRIPTOR;
	call->sends = NO_DESCRIPTOR;
	call->flags = 0;
	switch (call_number(regs)) {
	case NR_RECVFROM:
		call->flags = call_fourth(regs);
		call->receives = call_first(regs);
		return true;
	case NR_RECVMSG:
		call->flags = call_third(regs);
		call->receives = call_first(regs);
		return true;
	case NR_READ:
	case NR_READV:
		call->receives = call_first(regs);
		return true;
	case NR_WRITE:
	case NR_WRITEV:
	case NR_SENDTO:
	case NR_SENDMSG:
	case NR_SENDFILE:
		call->sends = call_first(regs);
		return true;
	case NR_SPLICE:
		call->receives = call_first(regs);
		call->sends = call_third(regs);
		return true;
	}
	return false;
}

/* Whether this is the file of a socket, by its inode and by the way back from the socket. */
static __noinline bool file_is_socket(__u64 at)
{
	struct file *file = (struct file *)at;
	struct socket *socket = BPF_CORE_READ(file, private_data);

	return (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) == S_IFSOCK &&
	       BPF_CORE_READ(socket, file) == file;
}

/* The socket behind the file at an address, NULL when it is none. */
static __always_inline struct sock *socket_of(__u64 at)
{
	const struct file *file = kernel_at(file, at);
	const void *operations;

	if (!at)
		return NULL;
	operations = socket_field(file, f_op);
	if (operations != socket_operations) {
		if (socket_operations || !file_is_socket(at))
			return NULL;
		socket_operations = operations;
	}
	return socket_field(kernel_at(socket, socket_field(file, private_data)), sk);
}

/* The socket behind a descriptor of the running process, NULL when it is none. */
static __always_inline struct sock *socket_find(__u32 descriptor)
{
	struct files_struct *files = kernel_field(kernel_task(), files);
	struct fdtable *table = kernel_field(files, fdt);
	__u64 file;

	if (descriptor >= kernel_field(table, max_fds) ||
	    bpf_probe_read_kernel(&file, sizeof(file), kernel_field(table, fd) + descriptor))
		return NULL;
	return socket_of(file);
}

#endif
