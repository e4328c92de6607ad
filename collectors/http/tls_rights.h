/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The right to probe other processes, CAP_SYS_ADMIN, which vowd has at hand only for the moments in
 * which it attaches probes, and only if its configuration allows probes at all. Main thread.
 */
#ifndef VOW_COLLECTORS_TLS_RIGHTS_H
#define VOW_COLLECTORS_TLS_RIGHTS_H

#include <stdbool.h>

/* Whether the process could put it to use. */
bool tls_rights_held(void);

/* Puts it to use, or away again. 0, or -EPERM: the process has it not; -ENOMEM. */
int tls_rights_set(bool on);

#endif
