/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/host/service_groups.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/host/control_group.h"

struct group {
	char service[SERIES_NAME_MAX + 1];
	struct control_paths paths;
	struct control_files files;
	bool wanted;
	bool read_before;
	bool gone; /* what was open is of a group that was removed; another one may have its place */
	struct control_reading first, last, now;
	double before
		[CONTROL_FIGURES]; /* what groups that had this place before had gone through */
};

struct service_groups {
	const char *proc;
	struct control_mounts mounts;
	unsigned count, left_out;
	struct group *groups[SERVICE_GROUPS_MAX];
	mono_ns read_at;
};

struct service_groups *service_groups_new(const char *proc)
{
	struct service_groups *groups = calloc(1, sizeof(*groups));

	if (!groups)
		return NULL;
	groups->proc = proc;
	control_mounts_find(proc, &groups->mounts);
	return groups;
}

static void group_free(struct group *group)
{
	control_files_close(&group->files);
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

static struct group *group_find(const struct service_groups *groups, const struct group *wanted)
{
	for (unsigned i = 0; i < groups->count; i++)
		if (!strcmp(groups->groups[i]->service, wanted->service) &&
		    !memcmp(&groups->groups[i]->paths, &wanted->paths, sizeof(wanted->paths)))
			return groups->groups[i];
	return NULL;
}

static void group_open(const struct service_groups *groups, struct group *group)
{
	if (control_files_open(&groups->mounts, &group->paths, &group->files))
		group->gone = false;
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
	rc = control_paths_read(groups->proc, pid, &wanted.paths);
	if (rc || !control_paths_any(&wanted.paths))
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

/* ---- what they went through --------------------------------------------------------------------- */

/*
 * A service that is started again has a new group in the place of the old one, as systemd does it:
 * from there on its files are read. While it is not there yet the group has no figures.
 */
static void group_renew(const struct service_groups *groups, struct group *group)
{
	for (unsigned f = 0; f < CONTROL_FIGURES; f++)
		group->before[f] += control_grown(&group->first, &group->last, f);
	control_files_close(&group->files);
	group->gone = true;
	group->read_before = false;
	group_open(groups, group);
}

static void group_read(const struct service_groups *groups, struct group *group)
{
	group->last = group->now;
	if (control_files_read(&group->files, &group->now) == -ENODEV) {
		group_renew(groups, group);
		(void)control_files_read(&group->files, &group->now);
	}
	if (!group->read_before)
		group->first = group->last = group->now;
	group->read_before = !group->gone;
}

/* Of all groups of a service: counts add up, a share of time is that of the group that waits most. */
struct sums {
	unsigned has;
	double grown[CONTROL_FIGURES], largest[CONTROL_FIGURES], since_start[CONTROL_FIGURES];
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
		sums->has_quota |= group->now.figures[CONTROL_PERIODS] > 0;
		for (unsigned f = 0; f < CONTROL_FIGURES; f++) {
			double more = control_grown(&group->last, &group->now, f);

			sums->grown[f] += more;
			sums->since_start[f] +=
				group->before[f] + control_grown(&group->first, &group->now, f);
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
		    sums->grown[CONTROL_PERIODS] > 0
			    ? sums->grown[CONTROL_THROTTLED] / sums->grown[CONTROL_PERIODS]
			    : 0);
		SET("cpu_throttled_s_per_s", sums->grown[CONTROL_THROTTLED_NS] / 1e9 / seconds);
	}
	if (sums->has & 1u << CONTROL_CPU_STALLED_US)
		SET("psi_cpu_some_ratio", sums->largest[CONTROL_CPU_STALLED_US] / 1e6 / seconds);
	if (sums->has & 1u << CONTROL_MEMORY_STALLED_US)
		SET("psi_memory_some_ratio",
		    sums->largest[CONTROL_MEMORY_STALLED_US] / 1e6 / seconds);
	if (sums->has & 1u << CONTROL_OOM_KILLS)
		SET("memory_oom_kills_total", sums->since_start[CONTROL_OOM_KILLS]);
	if (sums->has & 1u << CONTROL_LIMIT_HITS)
		SET("memory_limit_hits_total", sums->since_start[CONTROL_LIMIT_HITS]);
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
	bool old = groups->mounts.points[CONTROL_CPU_V1][0] ||
		   groups->mounts.points[CONTROL_MEMORY_V1][0];

	if (groups->mounts.points[CONTROL_UNIFIED][0])
		return old ? "v1 and v2" : "v2";
	return old ? "v1" : "";
}

unsigned service_groups_left_out(const struct service_groups *groups)
{
	return groups->left_out;
}
