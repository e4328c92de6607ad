/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Where the bytes of the socket call that just ended are in the memory of the process: read from
 * the registers that the system call was entered with, so nothing is stored at entry, or from what
 * a request of io_uring says (uring.h). Kernel side.
 */
#ifndef VOW_BPF_PAYLOAD_H
#define VOW_BPF_PAYLOAD_H

#include "bpf/kernel.h"

#if defined(__TARGET_ARCH_x86)
enum {
	NR_READ = 0,
	NR_WRITE = 1,
	NR_READV = 19,
	NR_WRITEV = 20,
	NR_SENDFILE = 40,
	NR_SENDTO = 44,
	NR_RECVFROM = 45,
	NR_SENDMSG = 46,
	NR_RECVMSG = 47,
	NR_SPLICE = 275,
	NR_IO_URING_ENTER = 426,
};
#else
enum {
	NR_READ = 63,
	NR_WRITE = 64,
	NR_READV = 65,
	NR_WRITEV = 66,
	NR_SENDFILE = 71,
	NR_SPLICE = 76,
	NR_SENDTO = 206,
	NR_RECVFROM = 207,
	NR_SENDMSG = 211,
	NR_RECVMSG = 212,
	NR_IO_URING_ENTER = 426,
};
#endif

#define NR_NONE (~0ULL) /* nobody knows where the bytes are */

/* One stretch of user memory; length 0: none can be read (sendfile, splice). */
struct payload {
	__u64 at;
	__u32 length;
	__u32 skipped; /* bytes in front of it that are done with */
};

/* All three arguments that matter, whatever the processor calls them. */
struct payload_call {
	__u64 number;
	__u64 second; /* buffer, array of iovec, or msghdr */
	__u64 third; /* number of iovec */
};

/* Where the bytes of a call are: in one buffer, or where a system call says. */
struct payload_source {
	__u64 buffer; /* 0: none */
	struct payload_call call;
#ifndef SOCKETS_FOUND
	/*
	 * Whether call says it. Else it is the call that the task is in, whose registers are looked at
	 * when it comes to it; the others have looked before, and have no stack to spare for it.
	 */
	bool known;
#endif
};

#ifndef SOCKETS_FOUND
/* Where the saved registers lie in the stack of every task; 0: not known yet. */
__u64 regs_offset;

/*
 * Asks the kernel where they lie, for one task in the place of all. It answers with a pointer, from
 * which verifiers before that of 6.18 let nobody subtract: copied as bytes it is a number.
 */
static __noinline void regs_offset_find(struct task_struct *task)
{
	const void *regs = (const void *)bpf_task_pt_regs(task);
	__u64 at;

	if (!bpf_probe_read_kernel(&at, sizeof(at), &regs))
		regs_offset = at - (__u64)task->stack;
}

/* The saved registers of a task. The helper takes 18 ns, so it is asked once for all tasks. */
static __always_inline const struct pt_regs *payload_regs(struct task_struct *task)
{
	if (!regs_offset)
		regs_offset_find(task);
	return bpf_rdonly_cast(task->stack + regs_offset, bpf_core_type_id_kernel(struct pt_regs));
}

/*
 * Whether the running task is inside the system call that its registers tell, and that is none which
 * makes the calls of others. Else the registers are of a call that has nothing to do with what
 * happens now: what io_uring left to be done when the task next returns from the kernel, whichever
 * call or interrupt that is from; or one of the threads that io_uring makes, whose registers are a
 * copy of what their maker had; or the kernel itself.
 */
static __always_inline bool payload_in_call(void)
{
	const struct pt_regs *regs = payload_regs(bpf_get_current_task_btf());

#if defined(__TARGET_ARCH_x86)
	/* What a call is entered with, until its result stands there. */
	return (__s64)regs->ax == -ENOSYS && regs->orig_ax != NR_IO_URING_ENTER;
#else
	/* The descriptor, until the result stands there; where these are equal that is not told. */
	return regs->regs[0] == regs->orig_x0 && regs->syscallno != NR_IO_URING_ENTER;
#endif
}
#endif

/* What a task said as it entered the system call that these registers were saved for. */
static __always_inline void payload_call_of(struct payload_call *call, const struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	call->number = kernel_field(regs, orig_ax);
	call->second = kernel_field(regs, si);
	call->third = kernel_field(regs, dx);
#else
	call->number = kernel_field(regs, syscallno);
	call->second = kernel_field(regs, regs[1]);
	call->third = kernel_field(regs, regs[2]);
#endif
	/* Else it may be read where it is needed, by one load for this and for vectors of messages. */
	barrier_var(call->third);
}

static __always_inline void payload_call_read(struct payload_call *call,
					      const struct payload_source *from)
{
	if (from->buffer) {
		call->number = NR_READ;
		call->second = from->buffer;
		call->third = 0;
		return;
	}
#ifndef SOCKETS_FOUND
	if (!from->known) {
		payload_call_of(call, payload_regs(bpf_get_current_task_btf()));
		return;
	}
#endif
	*call = from->call;
}

/* ---- stretch by stretch ------------------------------------------------------------------------- */

/* All bytes that a call moved. Each stretch of a vector costs a read of user memory, 95 ns. */
struct payload_walk {
	__u64 at; /* the rest of the stretch that the walk is in */
	__u64 vector; /* the stretches behind it: an array of iovec */
	__u64 stretches; /* their number */
	__u32 length; /* bytes at `at` */
	__u32 left; /* bytes of the whole call that lie ahead, those at `at` included */
};

/* Begins in the only stretch, or before the first one; without any when none can be read. */
static __always_inline void payload_walk_begin(struct payload_walk *walk,
					       const struct payload_source *from, __u32 moved)
{
	struct payload_call call;
	struct user_msghdr_head head;

	walk->at = 0;
	walk->vector = 0;
	walk->stretches = 0;
	walk->length = 0;
	walk->left = moved;
	payload_call_read(&call, from);
	switch (call.number) {
	case NR_READ:
	case NR_WRITE:
	case NR_SENDTO:
	case NR_RECVFROM:
		walk->at = call.second;
		walk->length = moved;
		break;
	case NR_READV:
	case NR_WRITEV:
		walk->vector = call.second;
		walk->stretches = call.third;
		break;
	case NR_SENDMSG:
	case NR_RECVMSG:
		if (bpf_probe_read_user(&head, sizeof(head), (const void *)call.second))
			break;
		walk->vector = head.iov;
		walk->stretches = head.iov_count;
		break;
	}
}

/* Enters the next stretch. False when there is none, or it cannot be read. */
static __always_inline bool payload_walk_next(struct payload_walk *walk)
{
	struct user_iovec v;

	if (!walk->left || !walk->stretches ||
	    bpf_probe_read_user(&v, sizeof(v), (const void *)walk->vector))
		return false;
	walk->vector += sizeof(v);
	walk->stretches--;
	walk->at = v.base;
	walk->length = v.length < walk->left ? v.length : walk->left;
	return true;
}

/* Leaves n bytes of the stretch behind, which has that many. */
static __always_inline void payload_walk_skip(struct payload_walk *walk, __u32 n)
{
	walk->at += n;
	walk->length -= n;
	walk->left -= n;
}

/* ---- what is at the ends ------------------------------------------------------------------------ */

/* The first stretch of a call that moved `moved` bytes. */
static __always_inline void payload_first(struct payload *p, const struct payload_source *from,
					  __u32 moved)
{
	struct payload_walk walk;

	payload_walk_begin(&walk, from, moved);
	payload_walk_next(&walk);
	p->at = walk.at;
	p->length = walk.length;
	p->skipped = 0;
}

/*
 * The last five bytes of what the call moved, in the low bytes of the result, for the end of a
 * chunked body; 0 when they are not to be had, as of a vector that was received. Of one that was
 * sent only in part, it is the end of what was asked for.
 */
static __always_inline __u64 payload_tail(const struct payload_source *from, __u32 moved,
					  bool received)
{
	struct payload_walk walk;
	__u64 tail = 0;

	payload_walk_begin(&walk, from, moved);
	if (walk.stretches) {
		if (received)
			return 0;
		walk.vector += sizeof(struct user_iovec) * (walk.stretches - 1);
		walk.left = ~0U;
		if (!payload_walk_next(&walk))
			return 0;
	}
	if (walk.length < 5 ||
	    bpf_probe_read_user(&tail, 5, (const void *)(walk.at + walk.length - 5)))
		return 0;
	return tail;
}

#endif
