/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alarms of pressure: the kernel tells when tasks waited for the processor, for memory or for the
 * disk during a large share of a time window (triggers of /proc/pressure, PSI). A stall that is
 * over before the next look at /proc is not missed, and nothing is asked while all is well.
 *
 * Runs on the loop's thread. The rights that it needs are asked for when it opens.
 */
#ifndef VOW_COLLECTORS_HOST_ALARM_H
#define VOW_COLLECTORS_HOST_ALARM_H

#include "collectors/host/host_proc.h"
#include "lib/base/loop.h"

struct host_alarm {
	struct loop_fd *watches[HOST_PRESSURES]; /* NULL: no alarm of this kind */
	int fds[HOST_PRESSURES];
	int errs[HOST_PRESSURES]; /* why not, a negative errno */
	uint64_t totals[HOST_PRESSURES]; /* alarms since it was opened */
};

/*
 * Arms what the kernel allows: a window of 1 s with CAP_SYS_RESOURCE, of 2 s without (kernel 6.5
 * and later). proc is "/proc". The struct is the caller's and must stay where it is.
 */
void host_alarm_open(struct host_alarm *alarm, struct loop *loop, const char *proc);
void host_alarm_close(struct host_alarm *alarm);

/* "cpu", "memory", "io". */
const char *host_alarm_name(enum host_pressure which);
/* Share of the window from which on it is an alarm. */
double host_alarm_share(enum host_pressure which);

#endif
