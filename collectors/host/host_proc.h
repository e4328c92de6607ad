/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What /proc says about the host. Each part is there or not, by kernel and container. Any thread,
 * one at a time; reads nine small files, about 0.1 ms. They stay open: to open and close them would
 * take half as long again, once a second.
 */
#ifndef VOW_COLLECTORS_HOST_PROC_H
#define VOW_COLLECTORS_HOST_PROC_H

#include <stdint.h>

enum host_part {
	HOST_CPU = 1,
	HOST_LOAD = 2,
	HOST_MEMORY = 4,
	HOST_PSI_CPU = 8,
	HOST_PSI_MEMORY = 16,
	HOST_PSI_IO = 32,
	HOST_TCP = 64,
	HOST_LISTEN = 128,
	HOST_SOCKETS = 256,
	HOST_PARTS = 511,
	HOST_FILES = 9, /* one for each part */
};

enum host_pressure { HOST_PRESSURE_CPU, HOST_PRESSURE_MEMORY, HOST_PRESSURE_IO, HOST_PRESSURES };

struct host_proc {
	unsigned parts; /* which of enum host_part could be read; the fields of others are 0 */
	uint64_t cpu_busy, cpu_total; /* ticks since boot, all processors */
	double load1;
	uint64_t memory_total_bytes, memory_available_bytes;
	uint64_t stalled_us[HOST_PRESSURES]; /* time in which some task waited, since boot */
	uint64_t tcp_retransmits, tcp_sent; /* segments since boot */
	uint64_t listen_overflows; /* connections refused since a queue was full */
	uint64_t listen_drops; /* the same, and those refused for other reasons: memory, a filter */
	uint64_t sockets; /* in use */
};

struct host_proc_files {
	int fd[HOST_FILES]; /* -1: is not there */
};

/* proc is the folder, "/proc". Never fails: what cannot be opened is missing from parts. */
void host_proc_open(struct host_proc_files *files, const char *proc);
void host_proc_close(struct host_proc_files *files);

/* Never fails: what cannot be read is missing from parts. */
void host_proc_read(const struct host_proc_files *files, struct host_proc *out);

/* "stat", "pressure/io": the file of one part below proc. */
const char *host_proc_file(enum host_part part);

#endif
