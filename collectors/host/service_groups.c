/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/host/service_groups.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"

#define FILE_MAX  4096
#define PATH_ROOM 512

/* Where a file of a group is: in which hierarchy, and what its lines mean. */
enum hierarchy { UNIFIED, CPU_V1, MEMORY_V1, HIERARCHIES };

/* What a group has gone through since it was made. */
enum figure {
	PERIODS, /* of a group that has a quota */
	THROTTLED, /* of these, those in which it was used up */
	THROTTLED_NS, /* all processors together */
	OOM_KILLS,
	LIMIT_HITS, /* allocations that met the limit of memory */
	CPU_STALLED_US,
	MEMORY_STALLED_US,
	FIGURES
};

static const struct {
	enum hierarchy hierarchy;
	const char *file;
	struct {
		const char *key; /* begins a line, or (with '=') follows "some" */
		enum figure figure;
		unsigned scale;
	} lines[3];
} files[] = {
	{UNIFIED,
	 "cpu.stat",
	 {{"nr_periods ", PERIODS, 1},
	  {"nr_throttled ", THROTTLED, 1},
	  {"throttled_usec ", THROTTLED_NS, 1000}}},
	{UNIFIED, "memory.events", {{"oom_kill ", OOM_KILLS, 1}, {"max ", LIMIT_HITS, 1}}},
	{UNIFIED, "cpu.pressure", {{"total=", CPU_STALLED_US, 1}}},
	{UNIFIED, "memory.pressure", {{"total=", MEMORY_STALLED_US, 1}}},
	{CPU_V1,
	 "cpu.stat",
	 {{"nr_periods ", PERIODS, 1},
	  {"nr_throttled ", THROTTLED, 1},
	  {"throttled_time ", THROTTLED_NS, 1}}},
	{MEMORY_V1, "memory.oom_control", {{"oom_kill ", OOM_KILLS, 1}}},
	{MEMORY_V1, "memory.failcnt", {{"", LIMIT_HITS, 1}}},
};

#define FILES ARRAY_LEN(files)

struct reading {
	unsigned has; /* a bit for each figure that could be read */
	uint64_t figures[FIGURES];
};

struct group {
	char service[SERIES_NAME_MAX + 1];
	char paths[HIERARCHIES]
		  [PATH_ROOM]; /* below the mount; "" when it is the root: everybody's */
	int fds[FILES];
	bool wanted;
	bool read_before;
	bool gone; /* what was open is of a group that was removed; another one may have its place */
	struct reading first, last, now;
	double before[FIGURES]; /* what groups that had this place before had gone through */
};

struct service_groups {
	const char *proc;
	char mounts[HIERARCHIES][PATH_ROOM]; /* "": not mounted */
	unsigned count, left_out;
	struct group *groups[SERVICE_GROUPS_MAX];
	mono_ns read_at;
};

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
static void mount_line(struct service_groups *groups, const char *line)
{
	const char *tail = strstr(line, " - cgroup");
	char root[PATH_ROOM], point[PATH_ROOM];
	enum hierarchy which;

	if (!tail || sscanf(line, "%*s %*s %*s %511s %511s", root, point) != 2)
		return;
	if (!strncmp(tail, " - cgroup2 ", 11))
		which = UNIFIED;
	else if (has_option(strrchr(tail, ' ') + 1, "cpu"))
		which = CPU_V1;
	else if (has_option(strrchr(tail, ' ') + 1, "memory"))
		which = MEMORY_V1;
	else
		return;
	if (!groups->mounts[which][0])
		memcpy(groups->mounts[which], point, sizeof(point));
}

static void mounts_find(struct service_groups *groups)
{
	char path[PATH_ROOM], line[4 * PATH_ROOM];
	FILE *mounts;

	snprintf(path, sizeof(path), "%s/self/mountinfo", groups->proc);
	mounts = fopen(path, "re");
	if (!mounts)
		return;
	while (fgets(line, sizeof(line), mounts)) {
		line[strcspn(line, "\n")] = '\0';
		mount_line(groups, line);
	}
	fclose(mounts);
}

struct service_groups *service_groups_new(const char *proc)
{
	struct service_groups *groups = calloc(1, sizeof(*groups));

	if (!groups)
		return NULL;
	groups->proc = proc;
	mounts_find(groups);
	return groups;
}

static void group_close(struct group *group)
{
	for (size_t i = 0; i < FILES; i++)
		fd_closep(&group->fds[i]);
}

static void group_free(struct group *group)
{
	group_close(group);
	free(group);
}

void service_groups_free(struct service_groups *groups)
{
	if (!groups)
		return;
	for (unsigned i = 0; i < groups->count; i++)
		group_free(groups->groups[i]);
	free(groups);
}

/* ---- which there are ---------------------------------------------------------------------------- */

/* One line of /proc/PID/cgroup: "0::/system.slice/web.service", "4:memory:/x". */
static void path_line(struct group *group, char *line)
{
	char *controllers = strchr(line, ':');
	char *path = controllers ? strchr(controllers + 1, ':') : NULL;
	enum hierarchy which;

	if (!path)
		return;
	*path++ = '\0';
	controllers++;
	if (!strncmp(line, "0:", 2) && !controllers[0])
		which = UNIFIED;
	else if (has_option(controllers, "cpu"))
		which = CPU_V1;
	else if (has_option(controllers, "memory"))
		which = MEMORY_V1;
	else
		return;
	/* What a container sees above its own root is not to be had from here. */
	if (strcmp(path, "/") != 0 && strncmp(path, "/..", 3) != 0)
		snprintf(group->paths[which], sizeof(group->paths[which]), "%s", path);
}

static int paths_read(const struct service_groups *groups, pid_t pid, struct group *group)
{
	_cleanup_(fd_closep) int fd = -1;
	char path[PATH_ROOM], text[FILE_MAX], *rest = text, *line;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%d/cgroup", groups->proc, (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	n = fd_read_full(fd, text, sizeof(text) - 1);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	while ((line = strsep(&rest, "\n")))
		path_line(group, line);
	return 0;
}

static bool group_has_place(const struct group *group)
{
	for (size_t i = 0; i < HIERARCHIES; i++)
		if (group->paths[i][0])
			return true;
	return false;
}

static struct group *group_find(const struct service_groups *groups, const struct group *wanted)
{
	for (unsigned i = 0; i < groups->count; i++)
		if (!strcmp(groups->groups[i]->service, wanted->service) &&
		    !memcmp(groups->groups[i]->paths, wanted->paths, sizeof(wanted->paths)))
			return groups->groups[i];
	return NULL;
}

static void group_open(const struct service_groups *groups, struct group *group)
{
	for (size_t i = 0; i < FILES; i++) {
		const char *mount = groups->mounts[files[i].hierarchy];
		const char *place = group->paths[files[i].hierarchy];
		char path[3 * PATH_ROOM];

		group->fds[i] = -1;
		if (!mount[0] || !place[0])
			continue;
		snprintf(path, sizeof(path), "%s%s/%s", mount, place, files[i].file);
		group->fds[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (group->fds[i] >= 0)
			group->gone = false;
	}
}

void service_groups_begin(struct service_groups *groups)
{
	groups->left_out = 0;
	for (unsigned i = 0; i < groups->count; i++)
		groups->groups[i]->wanted = false;
}

int service_groups_add(struct service_groups *groups, pid_t pid, const char *service)
{
	struct group wanted = {.wanted = true}, *group;
	int rc;

	series_text_set(wanted.service, sizeof(wanted.service), service, strlen(service));
	rc = paths_read(groups, pid, &wanted);
	if (rc || !group_has_place(&wanted))
		return rc;
	group = group_find(groups, &wanted);
	if (group) {
		group->wanted = true;
		if (group->gone)
			group_open(groups, group);
		return 0;
	}
	if (groups->count == SERVICE_GROUPS_MAX) {
		groups->left_out++;
		return -ENOSPC;
	}
	group = malloc(sizeof(*group));
	if (!group)
		return -ENOMEM;
	*group = wanted;
	group_open(groups, group);
	groups->groups[groups->count++] = group;
	return 0;
}

void service_groups_end(struct service_groups *groups)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < groups->count; i++) {
		if (groups->groups[i]->wanted)
			groups->groups[kept++] = groups->groups[i];
		else
			group_free(groups->groups[i]);
	}
	groups->count = kept;
}

/* ---- what they say ------------------------------------------------------------------------------ */

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
static int file_read(int fd, size_t file, struct reading *reading)
{
	char text[FILE_MAX];
	ssize_t n = fd >= 0 ? pread(fd, text, sizeof(text) - 1, 0) : -1;

	if (n < 0)
		return fd >= 0 && errno == ENODEV ? -ENODEV : 0;
	text[n] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(files[file].lines) && files[file].lines[i].key; i++) {
		enum figure figure = files[file].lines[i].figure;
		uint64_t value;

		if (!value_behind(text, files[file].lines[i].key, &value))
			continue;
		reading->figures[figure] = value * files[file].lines[i].scale;
		reading->has |= 1u << figure;
	}
	return 0;
}

/* What grew since the last reading, or since the first; 0 when it was not read at both. */
static double grown(const struct reading *from, const struct reading *to, enum figure figure)
{
	if (!(from->has & to->has & 1u << figure) || to->figures[figure] < from->figures[figure])
		return 0;
	return (double)(to->figures[figure] - from->figures[figure]);
}

/*
 * A service that is started again has a new group in the place of the old one, as systemd does it:
 * from there on its files are read. While it is not there yet the group has no figures.
 */
static void group_renew(const struct service_groups *groups, struct group *group)
{
	for (unsigned f = 0; f < FIGURES; f++)
		group->before[f] += grown(&group->first, &group->last, f);
	group_close(group);
	group->gone = true;
	group->read_before = false;
	group_open(groups, group);
}

static void group_read(const struct service_groups *groups, struct group *group)
{
	bool gone = false;

	group->last = group->now;
	memset(&group->now, 0, sizeof(group->now));
	for (size_t i = 0; i < FILES; i++)
		gone |= file_read(group->fds[i], i, &group->now) == -ENODEV;
	if (gone) {
		group_renew(groups, group);
		memset(&group->now, 0, sizeof(group->now));
		for (size_t i = 0; i < FILES; i++)
			(void)file_read(group->fds[i], i, &group->now);
	}
	if (!group->read_before)
		group->first = group->last = group->now;
	group->read_before = !group->gone;
}

/* Of all groups of a service: counts add up, a share of time is that of the group that waits most. */
struct sums {
	unsigned has;
	double grown[FIGURES], largest[FIGURES], since_start[FIGURES];
	bool has_quota;
};

static void sums_of(const struct service_groups *groups, const char *service, struct sums *sums)
{
	memset(sums, 0, sizeof(*sums));
	for (unsigned i = 0; i < groups->count; i++) {
		const struct group *group = groups->groups[i];

		if (strcmp(group->service, service) != 0)
			continue;
		sums->has |= group->now.has;
		sums->has_quota |= group->now.figures[PERIODS] > 0;
		for (unsigned f = 0; f < FIGURES; f++) {
			double more = grown(&group->last, &group->now, f);

			sums->grown[f] += more;
			sums->since_start[f] +=
				group->before[f] + grown(&group->first, &group->now, f);
			if (more > sums->largest[f])
				sums->largest[f] = more;
		}
	}
}

static void service_publish(const char *service, const struct sums *sums, double seconds,
			    struct gauge_table *gauges, mono_ns now)
{
#define SET(name, value) gauge_set(gauges, "", service, name, "", value, now)
	if (sums->has_quota) {
		SET("cpu_throttled_ratio",
		    sums->grown[PERIODS] > 0 ? sums->grown[THROTTLED] / sums->grown[PERIODS] : 0);
		SET("cpu_throttled_s_per_s", sums->grown[THROTTLED_NS] / 1e9 / seconds);
	}
	if (sums->has & 1u << CPU_STALLED_US)
		SET("psi_cpu_some_ratio", sums->largest[CPU_STALLED_US] / 1e6 / seconds);
	if (sums->has & 1u << MEMORY_STALLED_US)
		SET("psi_memory_some_ratio", sums->largest[MEMORY_STALLED_US] / 1e6 / seconds);
	if (sums->has & 1u << OOM_KILLS)
		SET("memory_oom_kills_total", sums->since_start[OOM_KILLS]);
	if (sums->has & 1u << LIMIT_HITS)
		SET("memory_limit_hits_total", sums->since_start[LIMIT_HITS]);
#undef SET
}

static bool told_before(const struct service_groups *groups, unsigned i)
{
	for (unsigned k = 0; k < i; k++)
		if (!strcmp(groups->groups[k]->service, groups->groups[i]->service))
			return true;
	return false;
}

void service_groups_read(struct service_groups *groups, struct gauge_table *gauges, mono_ns now)
{
	double seconds = (double)(now - groups->read_at) / NS_PER_S;

	for (unsigned i = 0; i < groups->count; i++)
		group_read(groups, groups->groups[i]);
	for (unsigned i = 0; groups->read_at && i < groups->count; i++) {
		struct sums sums;

		if (told_before(groups, i))
			continue;
		sums_of(groups, groups->groups[i]->service, &sums);
		service_publish(groups->groups[i]->service, &sums, seconds, gauges, now);
	}
	groups->read_at = now;
}

unsigned service_groups_count(const struct service_groups *groups)
{
	return groups->count;
}

const char *service_groups_version(const struct service_groups *groups)
{
	bool old = groups->mounts[CPU_V1][0] || groups->mounts[MEMORY_V1][0];

	if (groups->mounts[UNIFIED][0])
		return old ? "v1 and v2" : "v2";
	return old ? "v1" : "";
}

unsigned service_groups_left_out(const struct service_groups *groups)
{
	return groups->left_out;
}
