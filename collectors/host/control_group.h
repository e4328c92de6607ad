/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One control group, by its files: where the hierarchies are mounted, in which groups a process is,
 * and what a group has gone through since it was made. One thread.
 */
#ifndef VOW_COLLECTORS_CONTROL_GROUP_H
#define VOW_COLLECTORS_CONTROL_GROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CONTROL_GROUP_PATH 512
/* Of both hierarchies together: each has a descriptor, open as long as the group is looked at. */
#define CONTROL_GROUP_FILES 7

/* Where a file of a group is: of version 2, or with which controller of version 1. */
enum control_hierarchy { CONTROL_UNIFIED, CONTROL_CPU_V1, CONTROL_MEMORY_V1, CONTROL_HIERARCHIES };

/* What a group has gone through since it was made. */
enum control_figure {
	CONTROL_PERIODS, /* of a group that has a quota */
	CONTROL_THROTTLED, /* of these, those in which it was used up */
	CONTROL_THROTTLED_NS, /* all processors together */
	CONTROL_OOM_KILLS,
	CONTROL_LIMIT_HITS, /* allocations that met the limit of memory */
	CONTROL_CPU_STALLED_US,
	CONTROL_MEMORY_STALLED_US,
	CONTROL_FIGURES
};

/* Where each hierarchy is mounted; "": it is not. */
struct control_mounts {
	char points[CONTROL_HIERARCHIES][CONTROL_GROUP_PATH];
};

/* A group's path below each mount; "" when it is the root, which is everybody's. */
struct control_paths {
	char below[CONTROL_HIERARCHIES][CONTROL_GROUP_PATH];
};

/* Its files: -1 where there is none. */
struct control_files {
	int fds[CONTROL_GROUP_FILES];
};

struct control_reading {
	unsigned has; /* a bit for each figure that could be read */
	uint64_t figures[CONTROL_FIGURES];
};

/* From self/mountinfo in proc ("/proc"); without that file nothing is mounted. */
void control_mounts_find(const char *proc, struct control_mounts *mounts);

/*
 * Of a process. 0, also when it is in no group but the roots; -ESRCH: the process is gone; or
 * another negative errno.
 */
int control_paths_read(const char *proc, pid_t pid, struct control_paths *paths);
/* Whether one of them is more than a root. */
bool control_paths_any(const struct control_paths *paths);

/* How many of them are there; to be closed in each case. */
unsigned control_files_open(const struct control_mounts *mounts, const struct control_paths *paths,
			    struct control_files *files);
void control_files_close(struct control_files *files);
/* 0; -ENODEV: the group was removed, and the reading is worth nothing. */
int control_files_read(const struct control_files *files, struct control_reading *reading);

/* By how much a figure grew from one reading to the other; 0 when it is not in both. */
double control_grown(const struct control_reading *from, const struct control_reading *to,
		     enum control_figure figure);

#endif
