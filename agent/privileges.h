/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What vowd may do once its probes are attached: read other users' processes and segments, and
 * use the BPF objects it has. Everything else is given up for good. Main thread, before others.
 */
#ifndef VOW_AGENT_PRIVILEGES_H
#define VOW_AGENT_PRIVILEGES_H

#include <stdbool.h>

#include "lib/base/diag.h"
#include "lib/base/dirs.h"

/*
 * Keeps CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH as far as the process has
 * them, drops all others from every set and from what children could gain. 0 also for an ordinary
 * user, who has none. With probes CAP_SYS_ADMIN stays as well, but not in effect: whoever attaches
 * probes puts it to use for that moment. A negative errno with d filled: more is still held.
 */
int privileges_drop(bool probes, struct diag *d);

/*
 * Whether what vowd keeps will suffice to write into its folders. Root may write anywhere now, and
 * after privileges_drop() only where any user in its place might. 0, or -EACCES with d filled.
 */
int privileges_check_folders(const struct dirs *dirs, struct diag *d);

#endif
