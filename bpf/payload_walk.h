/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * All bytes that a socket call moved, stretch by stretch, for what has to be looked for elsewhere
 * than at the beginning. Kernel side. A stretch that follows costs a read of user memory, 95 ns.
 */
#ifndef VOW_BPF_PAYLOAD_WALK_H
#define VOW_BPF_PAYLOAD_WALK_H

#include "bpf/payload.h"

struct payload_walk {
	__u64 at; /* the rest of the stretch that the walk is in */
	__u64 vector; /* the stretches behind it: an array of iovec */
	__u64 stretches; /* their number */
	__u32 length; /* bytes at `at` */
	__u32 left; /* bytes of the whole call that lie ahead, those at `at` included */
};

/* Begins before the first stretch; without any when the bytes cannot be read (see payload.h). */
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

#endif
