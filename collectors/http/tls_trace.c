/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http/tls_trace.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "collectors/http/tls_rights.h"
#include "collectors/service_name.h"
#include "collectors/tls/tls_library.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#define SEARCH_STEP 32 /* processes looked at with one poll; each takes some 50 us */
#define LOOK_EVERY  NS_PER_S
#define TEXT_MAX    240

struct traced {
	pid_t pid;
	int pidfd; /* readable when the process has ended */
	char service[SERIES_NAME_MAX + 1];
	char how[SERIES_NAME_MAX + 1]; /* library, and how its calls are probed */
	struct tls_probes *probes; /* NULL: it was tried in vain */
};

struct tls_trace {
	const struct vow_config *config;
	struct process_list *processes;
	struct tls_libraries libraries;
	struct traced traced[TLS_TRACED_MAX];
	unsigned count;
	DIR *search; /* through /proc, while one is under way */
	struct service_names *names; /* for that */
	bool sought; /* what is wanted was looked for among the processes that run */
	mono_ns look_at;
	char problem[TEXT_MAX];
};

struct tls_trace *tls_trace_new(const struct vow_config *config, struct process_list *processes)
{
	struct tls_trace *trace = calloc(1, sizeof(*trace));

	if (trace) {
		trace->config = config;
		trace->processes = processes;
	}
	return trace;
}

static void search_end(struct tls_trace *trace)
{
	if (trace->search)
		closedir(trace->search);
	service_names_free(trace->names);
	trace->search = NULL;
	trace->names = NULL;
}

void tls_trace_free(struct tls_trace *trace)
{
	if (!trace)
		return;
	tls_trace_drop(trace);
	free(trace);
}

/* ---- what is wanted ------------------------------------------------------------------------------ */

static bool is_wanted(const struct tls_trace *trace, const char *service)
{
	const struct service_patterns *wanted = &trace->config->tls_services;

	for (unsigned i = 0; i < wanted->count; i++)
		if (!fnmatch(wanted->names[i], service, 0))
			return true;
	return false;
}

/* ---- processes ----------------------------------------------------------------------------------- */

static void traced_remove(struct tls_trace *trace, unsigned i)
{
	struct traced *traced = &trace->traced[i];

	tls_probes_detach(traced->probes);
	if (traced->pidfd >= 0)
		close(traced->pidfd);
	*traced = trace->traced[--trace->count];
}

static bool is_known(const struct tls_trace *trace, pid_t pid)
{
	for (unsigned i = 0; i < trace->count; i++)
		if (trace->traced[i].pid == pid)
			return true;
	return false;
}

static int process_probe(struct tls_trace *trace, struct http_bpf *bpf, struct traced *traced,
			 struct diag *d)
{
	_cleanup_(fd_closep) int file = -1;
	const struct tls_library *library =
		tls_library_find(&trace->libraries, traced->pid, &file, d);
	char path[32];
	int rc;

	if (!library)
		return -ENOENT;
	/* The file that was read, whatever has taken its name since. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	if (tls_rights_set(true))
		return diag_set(d, -EPERM, "TLS probes",
				"give vowd CAP_SYS_ADMIN, and start it again with capture.tls in "
				"its configuration: only then it is kept",
				"vowd has no right to probe other processes");
	rc = http_bpf_probe(bpf, traced->pid, path, &library->sites, &traced->probes, d);
	tls_rights_set(false);
	snprintf(traced->how, sizeof(traced->how), "%.40s %s", library->name,
		 library->cheap ? "emulated" : "entry+return");
	return rc;
}

/* speaks: it was seen to speak TLS; else it may well have no library for that. */
static void process_take(struct tls_trace *trace, struct http_bpf *bpf, pid_t pid,
			 const char *service, bool speaks)
{
	struct traced *traced = &trace->traced[trace->count];
	struct diag d = {0};
	int rc;

	if (trace->count == TLS_TRACED_MAX) {
		snprintf(trace->problem, sizeof(trace->problem),
			 "more than %d processes are to be traced: those beyond are not",
			 TLS_TRACED_MAX);
		return;
	}
	*traced = (struct traced){.pid = pid};
	traced->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (traced->pidfd < 0)
		return;
	snprintf(traced->service, sizeof(traced->service), "%s", service);
	trace->count++;
	rc = process_probe(trace, bpf, traced, &d);
	if (rc == -ENOENT && !speaks) {
		traced_remove(trace, trace->count - 1);
	} else if (rc) {
		char text[TEXT_MAX - 40];

		snprintf(trace->problem, sizeof(trace->problem), "TLS of %.60s (pid %d): %.130s",
			 service, (int)pid, diag_format(&d, text, sizeof(text)));
		log_diag(LOG_LEVEL_WARN, &d, "its requests within TLS are counted by turns only");
	} else {
		log_info("http: TLS calls of %s (pid %d) are probed: %s", service, (int)pid,
			 traced->how);
	}
}

static void process_look(struct tls_trace *trace, struct http_bpf *bpf, pid_t pid,
			 const char *service, bool speaks)
{
	if (!is_known(trace, pid) && is_wanted(trace, service))
		process_take(trace, bpf, pid, service, speaks);
}

void tls_trace_saw(struct tls_trace *trace, struct http_bpf *bpf, pid_t pid, const char *service)
{
	if (pid && trace->config->tls_services.count)
		process_look(trace, bpf, pid, service, true);
}

/* ---- looking for them ---------------------------------------------------------------------------- */

static void search_begin(struct tls_trace *trace, struct http_bpf *bpf)
{
	const struct vow_config *config = trace->config;

	for (size_t i = 0; i < process_list_count(trace->processes); i++) {
		const struct process_known *known = process_list_at(trace->processes, i);

		process_look(trace, bpf, known->pid, known->service, false);
	}
	search_end(trace);
	trace->search = opendir("/proc");
	trace->names = service_names_new(config->services, config->service_count, "/proc");
	trace->sought = true;
	if (!trace->search || !trace->names)
		search_end(trace);
}

static void search_step(struct tls_trace *trace, struct http_bpf *bpf, mono_ns now)
{
	const struct dirent *entry;

	for (unsigned i = 0; i < SEARCH_STEP; i++) {
		struct service_process process = {.command = ""};

		entry = readdir(trace->search);
		if (!entry) {
			search_end(trace);
			return;
		}
		process.pid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (process.pid > 0 && process.pid != getpid() && !is_known(trace, process.pid))
			process_look(trace, bpf, process.pid,
				     service_name_of(trace->names, &process, now), false);
	}
}

/* ---- ends ---------------------------------------------------------------------------------------- */

static void ended_remove(struct tls_trace *trace)
{
	struct pollfd ends[TLS_TRACED_MAX];

	for (unsigned i = 0; i < trace->count; i++)
		ends[i] = (struct pollfd){.fd = trace->traced[i].pidfd, .events = POLLIN};
	if (trace->count && poll(ends, trace->count, 0) < 0)
		return;
	for (unsigned i = trace->count; i-- > 0;)
		if (ends[i].revents || !is_wanted(trace, trace->traced[i].service))
			traced_remove(trace, i);
	if (!trace->count)
		trace->problem[0] = '\0';
}

void tls_trace_step(struct tls_trace *trace, struct http_bpf *bpf, mono_ns now)
{
	if (now - trace->look_at >= LOOK_EVERY) {
		trace->look_at = now;
		ended_remove(trace);
	}
	if (!trace->sought && trace->config->tls_services.count)
		search_begin(trace, bpf);
	if (trace->search)
		search_step(trace, bpf, now);
}

void tls_trace_drop(struct tls_trace *trace)
{
	search_end(trace);
	while (trace->count)
		traced_remove(trace, trace->count - 1);
	trace->sought = false;
}

void tls_trace_reload(struct tls_trace *trace, const struct vow_config *config)
{
	trace->config = config;
	search_end(trace);
	trace->sought = false;
	trace->problem[0] = '\0';
	/* What was tried in vain is tried again. */
	for (unsigned i = trace->count; i-- > 0;)
		if (!trace->traced[i].probes)
			traced_remove(trace, i);
	ended_remove(trace);
}

/* ---- what is told -------------------------------------------------------------------------------- */

void tls_trace_gauges(const struct tls_trace *trace, struct gauge_table *gauges, mono_ns now)
{
	for (unsigned i = 0; i < trace->count; i++) {
		const struct traced *traced = &trace->traced[i];
		unsigned processes = 0;

		for (unsigned k = 0; k < trace->count; k++)
			processes += trace->traced[k].probes &&
				     !strcmp(trace->traced[k].service, traced->service) &&
				     !strcmp(trace->traced[k].how, traced->how);
		if (processes)
			gauge_set(gauges, "", traced->service, "tls_traced_processes", traced->how,
				  processes, now);
	}
}

const char *tls_trace_problem(const struct tls_trace *trace)
{
	return trace->problem;
}
