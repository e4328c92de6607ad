/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The iterator of bpf/tasks.bpf.c behind a handle: how long processes waited for a processor. One
 * thread. Needs CAP_BPF and CAP_PERFMON to open, CAP_BPF afterwards.
 */
#ifndef VOW_COLLECTORS_TASKS_BPF_H
#define VOW_COLLECTORS_TASKS_BPF_H

#include <sys/types.h>

#include "bpf/task_wait.h"
#include "lib/base/diag.h"
#include "lib/base/types.h"

struct tasks_bpf;

/* 0; -ENOTSUP, -EPERM or another negative errno, with d saying why and what to do. */
int tasks_bpf_open(struct tasks_bpf **bpf, struct diag *d);
void tasks_bpf_close(struct tasks_bpf *bpf); /* NULL is allowed */

/* From now on its waiting is counted, from 0. 0, -E2BIG beyond TASK_WAIT_MAX, or another. */
int tasks_bpf_watch(struct tasks_bpf *bpf, pid_t pid, mono_ns now);
void tasks_bpf_unwatch(struct tasks_bpf *bpf, pid_t pid);

/* Looks at every thread of the host; about 0.25 us each, 0.8 us if watched. 0 or a negative errno. */
int tasks_bpf_run(struct tasks_bpf *bpf);
/* ns that its threads waited since it is watched, as of the last run; 0 for others. 1 us. */
uint64_t tasks_bpf_waited(const struct tasks_bpf *bpf, pid_t pid);

#endif
