/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A probe on code of this very thread, by perf alone: what the kernel saw in its registers at each
 * hit. For root.
 */
#ifndef VOW_TESTS_UNIT_UPROBE_H
#define VOW_TESTS_UNIT_UPROBE_H

#include <errno.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UPROBE_ROOM_BYTES (64 << 10) /* some 800 hits */

/* In the order of asm/perf_regs.h, in which the kernel writes them. */
struct uprobe_hit {
	uint64_t ax, cx, dx, si, di;
};

struct uprobe {
	int fd;
	struct perf_event_mmap_page *head;
	uint64_t read;
};

static inline int uprobe_type(void)
{
	FILE *file = fopen("/sys/bus/event_source/devices/uprobe/type", "re");
	int type = -1;

	if (file) {
		if (fscanf(file, "%d", &type) != 1)
			type = -1;
		fclose(file);
	}
	return type;
}

/* Probes a place of a file, or what returns to the caller of who passes there. 0 or -errno. */
static inline int uprobe_open(struct uprobe *probe, const char *path, uint64_t offset, bool returns)
{
	struct perf_event_attr attr = {
		.type = (uint32_t)uprobe_type(),
		.size = sizeof(attr),
		.config = returns,
		.sample_period = 1,
		.sample_type = PERF_SAMPLE_REGS_USER,
		.sample_regs_user = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5,
	};
	size_t size = (size_t)sysconf(_SC_PAGESIZE) + UPROBE_ROOM_BYTES;

	attr.uprobe_path = (uintptr_t)path;
	attr.probe_offset = offset;
	probe->read = 0;
	probe->fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (probe->fd < 0)
		return -errno;
	probe->head = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, probe->fd, 0);
	return probe->head == MAP_FAILED ? -errno : 0;
}

static inline void uprobe_close(struct uprobe *probe)
{
	munmap(probe->head, (size_t)sysconf(_SC_PAGESIZE) + UPROBE_ROOM_BYTES);
	close(probe->fd);
}

/* The next hit; false when there is none, or no room was left for it. */
static inline bool uprobe_next(struct uprobe *probe, struct uprobe_hit *hit)
{
	const char *room = (const char *)probe->head + sysconf(_SC_PAGESIZE);
	struct {
		struct perf_event_header header;
		uint64_t abi;
		struct uprobe_hit hit;
	} sample;

	if (probe->read == __atomic_load_n(&probe->head->data_head, __ATOMIC_ACQUIRE) ||
	    probe->read + sizeof(sample) > UPROBE_ROOM_BYTES)
		return false;
	memcpy(&sample, room + probe->read, sizeof(sample));
	if (sample.header.type != PERF_RECORD_SAMPLE || sample.header.size != sizeof(sample))
		return false;
	*hit = sample.hit;
	probe->read += sizeof(sample);
	return true;
}

#endif
