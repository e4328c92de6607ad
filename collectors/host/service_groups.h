/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control groups in which services run: how often their quota of processor time held them up,
 * how long they waited for memory, how often they were killed for it. Both hierarchies: of version
 * 2 the pressures as well; of version 1 the quota and the kills.
 *
 * One thread. The files of a group stay open; a reading takes some 2 us each, finding the group of
 * a process some 20 us.
 */
#ifndef VOW_COLLECTORS_SERVICE_GROUPS_H
#define VOW_COLLECTORS_SERVICE_GROUPS_H

#include <sys/types.h>

#include "lib/base/types.h"
#include "lib/data/gauge.h"

#define SERVICE_GROUPS_MAX \
	128 /* groups at a time; services of further ones are left out, counted */

struct service_groups;

/* proc is "/proc"; its self/mountinfo says where the hierarchies are. NULL when memory lacks. */
struct service_groups *service_groups_new(const char *proc);
void service_groups_free(struct service_groups *groups); /* NULL is allowed */

/* Between begin and end each process is added; groups in which none was found any more are let go. */
void service_groups_begin(struct service_groups *groups);
/* 0; -ESRCH: the process is gone; -ENOSPC; or another negative errno. */
int service_groups_add(struct service_groups *groups, pid_t pid, const char *service);
void service_groups_end(struct service_groups *groups);

/* Reads all, and sets the gauges of each service. Rates are over the time since the last call. */
void service_groups_read(struct service_groups *groups, struct gauge_table *gauges, mono_ns now);

unsigned service_groups_count(const struct service_groups *groups);
/* "v2", "v1", "v1 and v2", or "" when no hierarchy is mounted. */
const char *service_groups_version(const struct service_groups *groups);
/* Processes whose group found no place in the last round. */
unsigned service_groups_left_out(const struct service_groups *groups);

#endif
