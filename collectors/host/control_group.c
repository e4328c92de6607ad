/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/host/control_group.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/types.h"

#define FILE_MAX 4096

static const struct {
	enum control_hierarchy hierarchy;
	const char *file;
	struct {
		const char *key; /* begins a line, or (with '=') follows "some" */
		enum control_figure figure;
		unsigned scale;
	} lines[3];
} files[] = {
	{CONTROL_UNIFIED,
	 "cpu.stat",
	 {{"nr_periods ", CONTROL_PERIODS, 1},
	  {"nr_throttled ", CONTROL_THROTTLED, 1},
	  {"throttled_usec ", CONTROL_THROTTLED_NS, 1000}}},
	{CONTROL_UNIFIED,
	 "memory.events",
	 {{"oom_kill ", CONTROL_OOM_KILLS, 1}, {"max ", CONTROL_LIMIT_HITS, 1}}},
	{CONTROL_UNIFIED, "cpu.pressure", {{"total=", CONTROL_CPU_STALLED_US, 1}}},
	{CONTROL_UNIFIED, "memory.pressure", {{"total=", CONTROL_MEMORY_STALLED_US, 1}}},
	{CONTROL_CPU_V1,
	 "cpu.stat",
	 {{"nr_periods ", CONTROL_PERIODS, 1},
	  {"nr_throttled ", CONTROL_THROTTLED, 1},
	  {"throttled_time ", CONTROL_THROTTLED_NS, 1}}},
	{CONTROL_MEMORY_V1, "memory.oom_control", {{"oom_kill ", CONTROL_OOM_KILLS, 1}}},
	{CONTROL_MEMORY_V1, "memory.failcnt", {{"", CONTROL_LIMIT_HITS, 1}}},
};

_Static_assert(ARRAY_LEN(files) == CONTROL_GROUP_FILES, "a descriptor for each");

/* ---- where they are ----------------------------------------------------------------------------- */

static bool has_option(const char *options, const char *option)
{
	size_t length = strlen(option);

	for (const char *at = options; (at = strstr(at, option)); at += length)
		if ((at == options || at[-1] == ',') && strchr(", \n", at[length]))
			return true;
	return false;
}

/* "36 35 98:0 / /sys/fs/cgroup/cpu rw,... - cgroup cgroup rw,cpu" */
static void mount_line(struct control_mounts *mounts, const char *line)
{
	const char *tail = strstr(line, " - cgroup");
	char root[CONTROL_GROUP_PATH], point[CONTROL_GROUP_PATH];
	enum control_hierarchy which;

	if (!tail || sscanf(line, "%*s %*s %*s %511s %511s", root, point) != 2)
		return;
	if (!strncmp(tail, " - cgroup2 ", 11))
		which = CONTROL_UNIFIED;
	else if (has_option(strrchr(tail, ' ') + 1, "cpu"))
		which = CONTROL_CPU_V1;
	else if (has_option(strrchr(tail, ' ') + 1, "memory"))
		which = CONTROL_MEMORY_V1;
	else
		return;
	if (!mounts->points[which][0])
		memcpy(mounts->points[which], point, sizeof(point));
}

void control_mounts_find(const char *proc, struct control_mounts *mounts)
{
	char path[CONTROL_GROUP_PATH], line[4 * CONTROL_GROUP_PATH];
	FILE *file;

	memset(mounts, 0, sizeof(*mounts));
	snprintf(path, sizeof(path), "%s/self/mountinfo", proc);
	file = fopen(path, "re");
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		mount_line(mounts, line);
	}
	fclose(file);
}

/* One line of /proc/PID/cgroup: "0::/system.slice/web.service", "4:memory:/x". */
static void path_line(struct control_paths *paths, char *line)
{
	char *controllers = strchr(line, ':');
	char *path = controllers ? strchr(controllers + 1, ':') : NULL;
	enum control_hierarchy which;

	if (!path)
		return;
	*path++ = '\0';
	controllers++;
	if (!strncmp(line, "0:", 2) && !controllers[0])
		which = CONTROL_UNIFIED;
	else if (has_option(controllers, "cpu"))
		which = CONTROL_CPU_V1;
	else if (has_option(controllers, "memory"))
		which = CONTROL_MEMORY_V1;
	else
		return;
	/* What a container sees above its own root is not to be had from here. */
	if (strcmp(path, "/") != 0 && strncmp(path, "/..", 3) != 0)
		snprintf(paths->below[which], sizeof(paths->below[which]), "%s", path);
}

int control_paths_read(const char *proc, pid_t pid, struct control_paths *paths)
{
	_cleanup_(fd_closep) int fd = -1;
	char path[CONTROL_GROUP_PATH], text[FILE_MAX], *rest = text, *line;
	ssize_t n;

	memset(paths, 0, sizeof(*paths));
	snprintf(path, sizeof(path), "%s/%d/cgroup", proc, (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	n = fd_read_full(fd, text, sizeof(text) - 1);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	while ((line = strsep(&rest, "\n")))
		path_line(paths, line);
	return 0;
}

bool control_paths_any(const struct control_paths *paths)
{
	for (size_t i = 0; i < CONTROL_HIERARCHIES; i++)
		if (paths->below[i][0])
			return true;
	return false;
}

/* ---- what they say ------------------------------------------------------------------------------ */

unsigned control_files_open(const struct control_mounts *mounts, const struct control_paths *paths,
			    struct control_files *opened)
{
	unsigned count = 0;

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		const char *mount = mounts->points[files[i].hierarchy];
		const char *place = paths->below[files[i].hierarchy];
		char path[3 * CONTROL_GROUP_PATH];

		opened->fds[i] = -1;
		if (!mount[0] || !place[0])
			continue;
		snprintf(path, sizeof(path), "%s%s/%s", mount, place, files[i].file);
		opened->fds[i] = open(path, O_RDONLY | O_CLOEXEC);
		count += opened->fds[i] >= 0;
	}
	return count;
}

void control_files_close(struct control_files *opened)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		fd_closep(&opened->fds[i]);
}

/* The number behind key, at the beginning of a line or, when the key ends in '=', of a word. */
static bool value_behind(const char *text, const char *key, uint64_t *value)
{
	size_t length = strlen(key);

	if (length && key[length - 1] == '=') {
		text = strstr(text, key);
		return text && sscanf(text + length, "%lu", value) == 1;
	}
	while (text) {
		if (!strncmp(text, key, length))
			return sscanf(text + length, "%lu", value) == 1;
		text = strchr(text, '\n');
		text += text != NULL;
	}
	return false;
}

/* -ENODEV: its group was removed; else 0. */
static int file_read(int fd, size_t file, struct control_reading *reading)
{
	char text[FILE_MAX];
	ssize_t n = fd >= 0 ? pread(fd, text, sizeof(text) - 1, 0) : -1;

	if (n < 0)
		return fd >= 0 && errno == ENODEV ? -ENODEV : 0;
	text[n] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(files[file].lines) && files[file].lines[i].key; i++) {
		enum control_figure figure = files[file].lines[i].figure;
		uint64_t value;

		if (!value_behind(text, files[file].lines[i].key, &value))
			continue;
		reading->figures[figure] = value * files[file].lines[i].scale;
		reading->has |= 1u << figure;
	}
	return 0;
}

int control_files_read(const struct control_files *opened, struct control_reading *reading)
{
	int rc = 0;

	memset(reading, 0, sizeof(*reading));
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (file_read(opened->fds[i], i, reading) < 0)
			rc = -ENODEV;
	return rc;
}

double control_grown(const struct control_reading *from, const struct control_reading *to,
		     enum control_figure figure)
{
	if (!(from->has & to->has & 1u << figure) || to->figures[figure] < from->figures[figure])
		return 0;
	return (double)(to->figures[figure] - from->figures[figure]);
}
