/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which processes have their TLS calls probed: those of the services that are wanted (tls_wanted.h). A
 * process is found when its service is named (among all that run, once), and later by the first of
 * its turns within TLS; nothing looks through /proc on its own. The probes of a process go when it
 * ends, or nobody wants its service any more.
 *
 * One thread, that of the collectors.
 */
#ifndef VOW_COLLECTORS_TLS_TRACE_H
#define VOW_COLLECTORS_TLS_TRACE_H

#include "collectors/http/http_bpf.h"
#include "collectors/http/tls_traced.h"
#include "collectors/process_list.h"

struct tls_trace;

/* NULL when memory lacks. The list is the caller's and outlives it; it may be NULL. */
struct tls_trace *tls_trace_new(const struct vow_config *config, struct process_list *processes);
void tls_trace_free(struct tls_trace *trace); /* after its probes; NULL is allowed */

/* Other services from now on. Without bpf nothing is probed. */
void tls_trace_reload(struct tls_trace *trace, struct http_bpf *bpf,
		      const struct vow_config *config);

/* Begins or ends what somebody asks for; errors as of tls_wanted_order(), or -EPERM: no right to. */
int tls_trace_order(struct tls_trace *trace, struct http_bpf *bpf, const struct trace_order *order,
		    mono_ns now, struct diag *d);

/* A turn within TLS of a process has ended, then. Costs next to nothing when nothing is wanted. */
void tls_trace_saw(struct tls_trace *trace, struct http_bpf *bpf, pid_t pid, const char *service,
		   mono_ns at);

/*
 * To be called with each poll: looks for processes while there is something new to look for, some at
 * a time, and once a second for what has ended. Blocks for 0.1 s when the first library is probed.
 */
void tls_trace_step(struct tls_trace *trace, struct http_bpf *bpf, mono_ns now);

/* Detaches all, since the programs are about to go; what is wanted is found again afterwards. */
void tls_trace_drop(struct tls_trace *trace);

/* What an exception of these probes takes, the mean over the processes; 0: there are none. */
double tls_trace_exception_ns(const struct tls_trace *trace);

/* What is traced, by service and library, once a second. */
void tls_trace_gauges(const struct tls_trace *trace, struct gauge_table *gauges, mono_ns now);
/*
 * The same with what is wanted and not traced, for who asks: *rows is malloc'ed. captured: the HTTP
 * programs are there. Rows, or -ENOMEM.
 */
int tls_trace_rows(const struct tls_trace *trace, bool captured, struct traced_row **rows);

/* Why a process that is wanted is not traced, and what to do; "" when all is well. */
const char *tls_trace_problem(const struct tls_trace *trace);

#endif
