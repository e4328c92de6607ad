/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which process has a pid: its command and when it began, of /proc/PID/stat. Two with one pid began
 * at different times. Any thread; one open, read and close, some 10 us; allocates nothing.
 */
#ifndef VOW_COLLECTORS_PROCESS_STAT_H
#define VOW_COLLECTORS_PROCESS_STAT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/types.h"

#define PROCESS_COMMAND 16 /* bytes of one, its NUL among them */

/* proc is "/proc"; started is in ticks since boot. false: it is gone, or cannot be read. */
bool process_stat_read(const char *proc, pid_t pid, char command[PROCESS_COMMAND],
		       uint64_t *started);

/*
 * Whether who has the pid now had it at that moment of CLOCK_MONOTONIC already, as far as ticks of
 * 10 ms tell; false also when nobody has it.
 */
bool process_stat_had(const char *proc, pid_t pid, mono_ns at);

#endif
