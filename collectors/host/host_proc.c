/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/host/host_proc.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"

/* The longest of them, net/netstat, has about 6 KB. */
#define FILE_MAX 16384

typedef bool (*parse_fn)(const char *text, struct host_proc *out);

/* The number behind "key" at the beginning of a line of text. */
static bool line_value(const char *text, const char *key, uint64_t *value)
{
	size_t length = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, length))
			return sscanf(line + length, "%lu", value) == 1;
	}
	return false;
}

/*
 * The number in a column of net/snmp and net/netstat: a line of names and one of figures, both
 * beginning with the same group ("Tcp:").
 */
static bool column_value(const char *text, const char *group, const char *name, uint64_t *value)
{
	const char *names = text, *figures;
	size_t length = strlen(group);

	while (names && strncmp(names, group, length) != 0) {
		names = strchr(names, '\n');
		names += names != NULL;
	}
	figures = names ? strchr(names, '\n') : NULL;
	if (!figures || strncmp(++figures, group, length) != 0)
		return false;
	while (*names != '\n' && *figures != '\n' && *figures) {
		size_t n = strcspn(names, " \n");

		if (n == strlen(name) && !memcmp(names, name, n))
			return sscanf(figures, "%lu", value) == 1;
		names += n + strspn(names + n, " ");
		figures += strcspn(figures, " \n");
		figures += strspn(figures, " ");
	}
	return false;
}

static bool parse_cpu(const char *text, struct host_proc *out)
{
	/* user nice system idle iowait irq softirq steal; guest time is inside user's. */
	uint64_t t[8];

	if (sscanf(text, "cpu %lu %lu %lu %lu %lu %lu %lu %lu", &t[0], &t[1], &t[2], &t[3], &t[4],
		   &t[5], &t[6], &t[7]) != 8)
		return false;
	out->cpu_total = t[0] + t[1] + t[2] + t[3] + t[4] + t[5] + t[6] + t[7];
	out->cpu_busy = out->cpu_total - t[3] - t[4];
	return true;
}

static bool parse_load(const char *text, struct host_proc *out)
{
	return sscanf(text, "%lf", &out->load1) == 1;
}

static bool parse_memory(const char *text, struct host_proc *out)
{
	uint64_t total, available;

	if (!line_value(text, "MemTotal:", &total) || !total ||
	    !line_value(text, "MemAvailable:", &available))
		return false;
	out->memory_total_bytes = total * 1024;
	out->memory_available_bytes = available * 1024;
	return true;
}

static bool parse_pressure(const char *text, struct host_proc *out, enum host_pressure which)
{
	const char *total = strstr(text, "total=");

	return !strncmp(text, "some ", 5) && total &&
	       sscanf(total, "total=%lu", &out->stalled_us[which]) == 1;
}

static bool parse_psi_cpu(const char *text, struct host_proc *out)
{
	return parse_pressure(text, out, HOST_PRESSURE_CPU);
}

static bool parse_psi_memory(const char *text, struct host_proc *out)
{
	return parse_pressure(text, out, HOST_PRESSURE_MEMORY);
}

static bool parse_psi_io(const char *text, struct host_proc *out)
{
	return parse_pressure(text, out, HOST_PRESSURE_IO);
}

static bool parse_tcp(const char *text, struct host_proc *out)
{
	return column_value(text, "Tcp:", "RetransSegs", &out->tcp_retransmits) &&
	       column_value(text, "Tcp:", "OutSegs", &out->tcp_sent);
}

static bool parse_listen(const char *text, struct host_proc *out)
{
	return column_value(text, "TcpExt:", "ListenOverflows", &out->listen_overflows) &&
	       column_value(text, "TcpExt:", "ListenDrops", &out->listen_drops);
}

static bool parse_sockets(const char *text, struct host_proc *out)
{
	return line_value(text, "sockets: used", &out->sockets);
}

static const struct {
	enum host_part part;
	const char *file;
	parse_fn parse;
} parts[] = {
	{HOST_CPU, "stat", parse_cpu},
	{HOST_LOAD, "loadavg", parse_load},
	{HOST_MEMORY, "meminfo", parse_memory},
	{HOST_PSI_CPU, "pressure/cpu", parse_psi_cpu},
	{HOST_PSI_MEMORY, "pressure/memory", parse_psi_memory},
	{HOST_PSI_IO, "pressure/io", parse_psi_io},
	{HOST_TCP, "net/snmp", parse_tcp},
	{HOST_LISTEN, "net/netstat", parse_listen},
	{HOST_SOCKETS, "net/sockstat", parse_sockets},
};

_Static_assert(ARRAY_LEN(parts) == HOST_FILES, "a file for each part");

void host_proc_open(struct host_proc_files *files, const char *proc)
{
	char path[256];

	for (size_t i = 0; i < HOST_FILES; i++) {
		snprintf(path, sizeof(path), "%s/%s", proc, parts[i].file);
		files->fd[i] = open(path, O_RDONLY | O_CLOEXEC);
	}
}

void host_proc_close(struct host_proc_files *files)
{
	for (size_t i = 0; i < HOST_FILES; i++)
		fd_closep(&files->fd[i]);
}

/* One call is enough: such a file is one text, made anew when it is read from its beginning. */
static bool part_read(int fd, char text[FILE_MAX])
{
	ssize_t n = fd >= 0 ? pread(fd, text, FILE_MAX - 1, 0) : -1;

	if (n < 0)
		return false;
	text[n] = '\0';
	return true;
}

void host_proc_read(const struct host_proc_files *files, struct host_proc *out)
{
	char text[FILE_MAX];

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < HOST_FILES; i++)
		if (part_read(files->fd[i], text) && parts[i].parse(text, out))
			out->parts |= parts[i].part;
}

const char *host_proc_file(enum host_part part)
{
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (parts[i].part == part)
			return parts[i].file;
	return "";
}
