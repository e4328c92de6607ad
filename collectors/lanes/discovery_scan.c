/* SPDX-License-Identifier: Apache-2.0 */
/* Segments that were there before the agent: found by their memfd's name in /proc, some entries a step. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "collectors/lanes/discovery_state.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"

#define DISCOVERY_SCAN_EVERY (60 * NS_PER_S)
#define DISCOVERY_STEP	     128 /* entries of /proc looked at in one step; about 1.5 us each */

pid_t discovery_inner_pid(pid_t pid)
{
	char path[64];
	char *status = NULL;
	size_t size;
	pid_t inner = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (fd_read_file(path, 64 << 10, &status, &size, NULL) < 0)
		return 0;
	char *line = strstr(status, "\nNSpid:");
	char *end = line ? strchr(line + 1, '\n') : NULL;
	if (end) {
		*end = '\0';
		char *last = strrchr(line + 1, '\t');
		inner = last ? (pid_t)strtol(last + 1, NULL, 10) : 0;
	}
	free(status);
	return inner;
}

static bool discovery_is_ours(const struct discovery *discovery, const char *path)
{
	char target[64];
	size_t length = strlen(discovery->name);
	ssize_t size = readlink(path, target, sizeof(target) - 1);

	if (size < 0)
		return false;
	target[size] = '\0';
	return strncmp(target, "/memfd:", 7) == 0 &&
	       strncmp(target + 7, discovery->name, length) == 0 &&
	       (target[7 + length] == ' ' || target[7 + length] == '\0');
}

/*
 * Opens what it is sure to be memory; -1: it is not. The name says little: the descriptor may be another
 * one by now, and a file system of a user may have a file of this name at its root. So it is opened as a
 * mere place first, of which no file system is asked and which can be closed at any time.
 */
static int discovery_open_memory(const struct discovery *discovery, const char *path)
{
	_cleanup_(fd_closep) int place = open(path, O_PATH | O_CLOEXEC);
	struct statx st;
	char again[64];

	if (place < 0 ||
	    statx(place, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) != 0 ||
	    makedev(st.stx_dev_major, st.stx_dev_minor) != discovery->memory)
		return -1;
	snprintf(again, sizeof(again), "/proc/self/fd/%d", place);
	return open(again, O_RDWR | O_CLOEXEC | O_NONBLOCK);
}

/* One descriptor of a process: is it a segment of our folder? */
static void discovery_look(struct discovery *discovery, const char *entry)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/%.16s", discovery->pid, entry);
	if (!discovery_is_ours(discovery, path))
		return;
	_cleanup_(fd_closep) int memfd = discovery_open_memory(discovery, path);
	if (memfd >= 0)
		discovery->found(discovery->arg, memfd, -1, discovery->pid,
				 discovery_inner_pid(discovery->pid));
}

/* The next process whose descriptors are to be looked at. */
static void discovery_process(struct discovery *discovery, const char *entry)
{
	char path[64];

	if (entry[0] < '1' || entry[0] > '9')
		return;
	discovery->pid = (pid_t)strtol(entry, NULL, 10);
	snprintf(path, sizeof(path), "/proc/%d/fd", discovery->pid);
	discovery->fds = opendir(path);
	if (!discovery->fds && errno == EACCES)
		discovery->unreadable++;
}

static void discovery_scan_end(struct discovery *discovery, mono_ns now)
{
	closedir(discovery->proc);
	discovery->proc = NULL;
	discovery->scans++;
	discovery->scanned_at = now;
	discovery->problem[0] = '\0';
	if (discovery->unreadable)
		snprintf(discovery->problem, sizeof(discovery->problem),
			 "%u processes cannot be searched for segments made before the agent "
			 "started (run vowd with CAP_SYS_PTRACE)",
			 discovery->unreadable);
}

void discovery_scan_step(struct discovery *discovery, mono_ns now)
{
	if (!discovery->proc) {
		if (discovery->scans && !discovery->soon &&
		    now - discovery->scanned_at < DISCOVERY_SCAN_EVERY)
			return;
		discovery->soon = false;
		discovery->proc = opendir("/proc");
		discovery->unreadable = 0;
		if (!discovery->proc)
			return;
	}
	for (unsigned i = 0; i < DISCOVERY_STEP; i++) {
		struct dirent *entry = readdir(discovery->fds ? discovery->fds : discovery->proc);

		if (entry && discovery->fds) {
			discovery_look(discovery, entry->d_name);
		} else if (entry) {
			discovery_process(discovery, entry->d_name);
		} else if (discovery->fds) {
			closedir(discovery->fds);
			discovery->fds = NULL;
		} else {
			discovery_scan_end(discovery, now);
			return;
		}
	}
}

void discovery_scan_soon(struct discovery *discovery)
{
	discovery->soon = true;
}

unsigned discovery_scans(const struct discovery *discovery)
{
	return discovery->scans;
}
