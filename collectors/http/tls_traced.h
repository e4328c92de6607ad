/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes whose TLS calls are probed, or were to be, and what is told of them. One thread; nothing
 * here blocks or allocates.
 */
#ifndef VOW_COLLECTORS_TLS_TRACED_H
#define VOW_COLLECTORS_TLS_TRACED_H

#include <sys/types.h>

#include "collectors/http/tls_wanted.h"
#include "lib/data/gauge.h"

#define TLS_TRACED_MAX 128 /* processes; each takes 3 to 4 descriptors, before 6.13 some 20 */

struct tls_probes;

struct traced {
	pid_t pid;
	int pidfd; /* readable when the process has ended */
	wall_ns since;
	char service[SERIES_NAME_MAX + 1];
	char library[48]; /* "" none was found */
	char how[16]; /* its calls are probed */
	bool cheap; /* by places where the kernel spares a step */
	struct tls_probes *probes; /* NULL: it was tried in vain */
	char why_not[200];
};

/* What is traced, by service and library. */
void tls_traced_gauges(const struct traced *list, unsigned count, struct gauge_table *gauges,
		       mono_ns now);

/*
 * Fills rows for what is traced, and one for each that is wanted and has no process; looking: those
 * are being looked for. Returns how many: at most count and tls_wanted_count().
 */
size_t tls_traced_rows(const struct traced *list, unsigned count, const struct tls_wanted *wanted,
		       bool looking, struct traced_row *rows);

#endif
