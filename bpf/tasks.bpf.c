/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * How long the threads of processes that user space names waited for a processor although they
 * could run. The scheduler keeps that sum for each thread anyway; an iterator that user space runs
 * once a second adds up what it grew by. Nothing is hooked: while nobody looks, it costs nothing.
 */
#include "bpf/kernel.h"
#include "bpf/task_wait.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct sched_info {
	unsigned long long run_delay; /* ns on the run queue, not running */
};

struct task_struct___tasks {
	int tgid;
	__u64 start_time; /* CLOCK_MONOTONIC */
	struct sched_info sched_info;
};

struct bpf_iter__task {
	struct task_struct *task;
};

#pragma clang attribute pop

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, TASK_WAIT_MAX);
	__type(key, __u32); /* process */
	__type(value, struct task_wait);
} watched SEC(".maps");

struct thread_seen {
	__u64 run_delay;
	__u64 known;
};

/* Freed with the thread. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread_seen);
} threads SEC(".maps");

SEC("iter/task")
int task_waits(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	const struct task_struct___tasks *t = (const void *)task;
	struct thread_seen *seen;
	struct task_wait *wait;
	__u32 tgid;
	__u64 now;

	if (!task)
		return 0;
	tgid = BPF_CORE_READ(t, tgid);
	wait = bpf_map_lookup_elem(&watched, &tgid);
	if (!wait)
		return 0;
	seen = bpf_task_storage_get(&threads, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!seen)
		return 0;
	now = BPF_CORE_READ(t, sched_info.run_delay);
	/* What a thread waited before its process was named is not counted; all that of a new one is. */
	if (!seen->known && BPF_CORE_READ(t, start_time) < wait->since)
		seen->run_delay = now;
	seen->known = 1;
	if (now > seen->run_delay)
		wait->waited_ns += now - seen->run_delay;
	seen->run_delay = now;
	return 0;
}
