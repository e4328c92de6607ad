/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The socket that a system call was made on, from its registers as it returns: nothing is stored
 * at entry. Kernel side.
 */
#ifndef VOW_BPF_SOCKET_FIND_H
#define VOW_BPF_SOCKET_FIND_H

#include "bpf/kernel.h"
#include "bpf/payload.h"

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
	return regs->cs == 0x33;
#else
	return !(regs->pstate & 0x10);
#endif
}

/* Whether the call is one that may move bytes of a socket; if so, between which descriptors. */
static __always_inline bool call_moves(struct moving_call *call, const struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	__u64 number = regs->orig_ax, first = regs->di, third = regs->dx, fourth = regs->r10;
#else
	__u64 number = regs->syscallno, first = regs->orig_x0, third = regs->regs[2],
	      fourth = regs->regs[3];
#endif

	call->receives = NO_DESCRIPTOR;
	call->sends = NO_DESCRIPTOR;
	call->flags = 0;
	switch (number) {
	case NR_RECVFROM:
		call->flags = fourth;
		call->receives = first;
		return true;
	case NR_RECVMSG:
		call->flags = third;
		call->receives = first;
		return true;
	case NR_READ:
	case NR_READV:
		call->receives = first;
		return true;
	case NR_WRITE:
	case NR_WRITEV:
	case NR_SENDTO:
	case NR_SENDMSG:
	case NR_SENDFILE:
		call->sends = first;
		return true;
	case NR_SPLICE:
		call->receives = first;
		call->sends = third;
		return true;
	}
	return false;
}

/* Whether this is the file of a socket, by its inode and by the way back from the socket. */
static __noinline bool file_is_socket(struct file *file)
{
	struct socket *socket = BPF_CORE_READ(file, private_data);

	return (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) == S_IFSOCK &&
	       BPF_CORE_READ(socket, file) == file;
}

/* The socket behind a descriptor of the running process, NULL when it is none. */
static __always_inline struct sock *socket_find(__u32 descriptor)
{
	struct fdtable *table = bpf_get_current_task_btf()->files->fdt;
	struct socket *socket;
	struct file *file;
	const void *operations;

	if (descriptor >= table->max_fds ||
	    bpf_probe_read_kernel(&file, sizeof(file), table->fd + descriptor) || !file)
		return NULL;
	operations = BPF_CORE_READ(file, f_op);
	if (operations != socket_operations) {
		if (socket_operations || !file_is_socket(file))
			return NULL;
		socket_operations = operations;
	}
	socket = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(socket, sk);
}

#endif
