/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To which service a captured process belongs: the first configured match; else its systemd unit
 * or container, read off its control group; else the name of its command. Names are kept for a
 * bounded number of processes, those used last; a process is looked at in /proc when it is new and
 * every 2 s, since it may have executed another program or given its pid to another one.
 * One thread. Looking at /proc takes about 30 us.
 */
#ifndef VOW_COLLECTORS_SERVICE_NAME_H
#define VOW_COLLECTORS_SERVICE_NAME_H

#include <sys/types.h>

#include "collectors/process_list.h"
#include "config/config.h"
#include "lib/base/types.h"

#define SERVICE_NAMES_MAX 4096 /* processes remembered; 2 MB at most */

struct service_names;

/*
 * matches stay the caller's and must live until service_names_reload() or free. proc is the folder
 * to look in ("/proc"; tests bring their own) and is kept by reference. NULL when memory lacks.
 */
struct service_names *service_names_new(const struct service_match *matches, size_t count,
					const char *proc);
void service_names_free(struct service_names *names);
/* New matches; forgets every name. */
void service_names_reload(struct service_names *names, const struct service_match *matches,
			  size_t count);

/* Whom the names are told to as well, each process at every look; NULL: nobody. */
void service_names_tell(struct service_names *names, struct process_list *processes);

struct service_process {
	pid_t pid;
	uint16_t port; /* local port when it serves, 0 when it is the client */
	const char *command; /* what the kernel called it, for a process that is gone by now */
	mono_ns at; /* when it last showed itself: its pid may be another one's by now; 0: now */
};

/* The name, valid until the next call; never empty. */
const char *service_name_of(struct service_names *names, const struct service_process *process,
			    mono_ns now);

/*
 * The name that a control group's path stands for: unit ("nginx" of ".../nginx.service"), or
 * container (first 12 digits of its id); "" when neither. For tests, and for lanes.
 */
void service_name_of_cgroup(const char *path, char name[SERIES_NAME_MAX + 1]);

#endif
