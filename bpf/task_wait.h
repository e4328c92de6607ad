/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What bpf/tasks.bpf.c and the agent share. Fixed-width words only. */
#ifndef VOW_BPF_TASK_WAIT_H
#define VOW_BPF_TASK_WAIT_H

#include <linux/types.h>

#define TASK_WAIT_MAX 512 /* processes watched at a time */

struct task_wait {
	__u64 since; /* CLOCK_MONOTONIC: named then; set by user space */
	__u64 waited_ns; /* of all its threads, since then */
};

#endif
