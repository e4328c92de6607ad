/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/host/tasks_bpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "bpf/tasks.skel.h"
#include "collectors/bpf_refusal.h"

struct tasks_bpf {
	struct tasks_skel *skel;
	struct bpf_link *link;
};

int tasks_bpf_open(struct tasks_bpf **out, struct diag *d)
{
	static const struct bpf_need need = {"services", "use kernel 5.8 or later", NULL, 0};
	struct tasks_bpf *bpf = calloc(1, sizeof(*bpf));
	int err;

	if (!bpf)
		return diag_errno(d, -ENOMEM, "services", NULL, "no memory");
	bpf_quiet();
	bpf->skel = tasks_skel__open_and_load();
	err = bpf->skel ? 0 : -errno;
	if (!err) {
		bpf->link = bpf_program__attach_iter(bpf->skel->progs.task_waits, NULL);
		err = bpf->link ? 0 : -errno;
	}
	if (err) {
		tasks_bpf_close(bpf);
		return bpf_refusal(err, &need, d);
	}
	*out = bpf;
	return 0;
}

void tasks_bpf_close(struct tasks_bpf *bpf)
{
	if (!bpf)
		return;
	bpf_link__destroy(bpf->link);
	tasks_skel__destroy(bpf->skel);
	free(bpf);
}

int tasks_bpf_watch(struct tasks_bpf *bpf, pid_t pid, mono_ns now)
{
	const struct task_wait wait = {.since = (__u64)now};
	__u32 key = (__u32)pid;

	return bpf_map_update_elem(bpf_map__fd(bpf->skel->maps.watched), &key, &wait, BPF_ANY)
		       ? -errno
		       : 0;
}

void tasks_bpf_unwatch(struct tasks_bpf *bpf, pid_t pid)
{
	__u32 key = (__u32)pid;

	bpf_map_delete_elem(bpf_map__fd(bpf->skel->maps.watched), &key);
}

int tasks_bpf_run(struct tasks_bpf *bpf)
{
	int fd = bpf_iter_create(bpf_link__fd(bpf->link));
	char unused[64];
	ssize_t n;

	if (fd < 0)
		return -errno;
	/* The program writes no text: reading to the end is what runs it. */
	do {
		n = read(fd, unused, sizeof(unused));
	} while (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)));
	n = n < 0 ? -errno : 0;
	close(fd);
	return (int)n;
}

uint64_t tasks_bpf_waited(const struct tasks_bpf *bpf, pid_t pid)
{
	struct task_wait wait = {0};
	__u32 key = (__u32)pid;

	if (bpf_map_lookup_elem(bpf_map__fd(bpf->skel->maps.watched), &key, &wait))
		return 0;
	return wait.waited_ns;
}
