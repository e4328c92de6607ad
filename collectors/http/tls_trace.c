/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http/tls_trace.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "collectors/http/http_thrift.h"
#include "collectors/http/tls_rights.h"
#include "collectors/http/tls_traced.h"
#include "collectors/process_stat.h"
#include "collectors/service_name.h"
#include "collectors/tls/tls_library.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#define SEARCH_STEP 32 /* processes looked at with one poll; each takes some 50 us */
#define LOOK_EVERY  NS_PER_S
#define TEXT_MAX    240

struct tls_trace {
	struct tls_wanted wanted;
	struct process_list *processes;
	struct tls_libraries libraries;
	struct traced traced[TLS_TRACED_MAX];
	unsigned count;
	DIR *search; /* through /proc, while one is under way */
	struct service_names *names; /* for that */
	bool sought; /* what is wanted was looked for among the processes that run */
	bool renamed; /* services match other processes than they did: all names so far are void */
	mono_ns named_from; /* names that were told until then are void */
	int lacking; /* errno of what this process lacked to follow another one; 0: nothing */
	bool again; /* hence to be looked for once more */
	mono_ns look_at;
	char problem[TEXT_MAX];
};

struct tls_trace *tls_trace_new(const struct vow_config *config, struct process_list *processes)
{
	struct tls_trace *trace = calloc(1, sizeof(*trace));

	if (trace) {
		trace->wanted.config = config;
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

/* Out of descriptors, say: told once, and tried again with each look until it comes right. */
static void trace_lacks(struct tls_trace *trace, const char *what, int err)
{
	bool told = trace->lacking == err;

	trace->lacking = err;
	trace->again = true;
	snprintf(trace->problem, sizeof(trace->problem),
		 "TLS: cannot %s: %s; it is tried again each second", what, strerror(err));
	if (!told)
		log_warn("http: %s", trace->problem);
}

/* A whole search is done. */
static void trace_lacks_no_more(struct tls_trace *trace)
{
	if (trace->again || !trace->lacking)
		return;
	trace->lacking = 0;
	trace->problem[0] = '\0';
}

/* Nothing is wanted, so nothing is looked for, and nothing lacks. */
static void trace_rest(struct tls_trace *trace)
{
	search_end(trace);
	trace->sought = false;
	trace->again = false;
	trace->lacking = 0;
	trace->problem[0] = '\0';
}

void tls_trace_free(struct tls_trace *trace)
{
	if (!trace)
		return;
	tls_trace_drop(trace);
	free(trace);
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
				"give vowd CAP_SYS_ADMIN, and start it again with capture.tls or "
				"capture.tls_on_demand in its configuration: only then it is kept",
				"vowd has no right to probe other processes");
	rc = http_bpf_probe(bpf, traced->pid, path, &library->sites, &traced->probes, d);
	tls_rights_set(false);
	traced->cheap = library->cheap;
	snprintf(traced->library, sizeof(traced->library), "%s", library->name);
	snprintf(traced->how, sizeof(traced->how), "%s",
		 library->cheap ? "emulated" : "entry+return");
	return rc;
}

/*
 * at: when it had that name; its pid may be another process's by now, whom nobody named. speaks: it
 * was seen to speak TLS; else it may well have no library for that.
 */
static void process_take(struct tls_trace *trace, struct http_bpf *bpf, pid_t pid,
			 const char *service, mono_ns at, bool speaks)
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
	*traced = (struct traced){.pid = pid, .since = clock_wall()};
	traced->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (traced->pidfd < 0) {
		if (errno != ESRCH)
			trace_lacks(trace, "follow a process that is wanted", errno);
		return;
	}
	/* Only now: the descriptor is of who is asked about. */
	if (!process_stat_had("/proc", pid, at)) {
		close(traced->pidfd);
		return;
	}
	snprintf(traced->service, sizeof(traced->service), "%s", service);
	trace->count++;
	rc = process_probe(trace, bpf, traced, &d);
	if (rc == -ENOENT && !speaks) {
		traced_remove(trace, trace->count - 1);
	} else if (rc) {
		char text[TEXT_MAX - 40];

		snprintf(trace->problem, sizeof(trace->problem), "TLS of %.60s (pid %d): %.130s",
			 service, (int)pid, diag_format(&d, text, sizeof(text)));
		snprintf(traced->why_not, sizeof(traced->why_not), "%s", text);
		log_warn("http: requests within TLS of %s (pid %d) are counted by turns only: %s",
			 service, (int)pid, text);
	} else {
		log_info("http: TLS calls of %s (pid %d) are probed: %s %s", service, (int)pid,
			 traced->library, traced->how);
	}
}

static void process_look(struct tls_trace *trace, struct http_bpf *bpf, pid_t pid,
			 const char *service, mono_ns at, bool speaks)
{
	if (tls_wanted_meets(&trace->wanted, service) && !is_known(trace, pid))
		process_take(trace, bpf, pid, service, at, speaks);
}

void tls_trace_saw(struct tls_trace *trace, struct http_bpf *bpf, pid_t pid, const char *service,
		   mono_ns at)
{
	if (pid && tls_wanted_count(&trace->wanted))
		process_look(trace, bpf, pid, service, at, true);
}

/* ---- looking for them ---------------------------------------------------------------------------- */

static void search_begin(struct tls_trace *trace, struct http_bpf *bpf)
{
	const struct vow_config *config = trace->wanted.config;

	for (size_t i = 0; i < process_list_count(trace->processes); i++) {
		const struct process_known *known = process_list_at(trace->processes, i);

		if (known->told_at > trace->named_from)
			process_look(trace, bpf, known->pid, known->service, known->told_at, false);
	}
	search_end(trace);
	trace->names = service_names_new(config->services, config->service_count, "/proc");
	trace->search = opendir("/proc");
	trace->sought = true;
	if (!trace->search || !trace->names) {
		trace_lacks(trace, "look for processes", trace->search ? ENOMEM : errno);
		search_end(trace);
	}
}

static void search_step(struct tls_trace *trace, struct http_bpf *bpf, mono_ns now)
{
	const struct dirent *entry;

	for (unsigned i = 0; i < SEARCH_STEP; i++) {
		struct service_process process = {.command = ""};

		entry = readdir(trace->search);
		if (!entry) {
			search_end(trace);
			trace_lacks_no_more(trace);
			return;
		}
		process.pid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (process.pid > 0 && process.pid != getpid() && !is_known(trace, process.pid))
			process_look(trace, bpf, process.pid,
				     service_name_of(trace->names, &process, now), clock_mono(),
				     false);
	}
}

/* ---- ends ---------------------------------------------------------------------------------------- */

/* Whether process i has ended, is of who knows which service, or of one that nobody wants any more. */
static bool is_over(const struct tls_trace *trace, const struct pollfd *ends, unsigned i)
{
	return ends[i].revents || trace->renamed ||
	       !tls_wanted_has(&trace->wanted, trace->traced[i].service);
}

static void ended_remove(struct tls_trace *trace, struct http_bpf *bpf)
{
	struct pollfd ends[TLS_TRACED_MAX];
	pid_t over[TLS_TRACED_MAX];
	unsigned count = 0;

	for (unsigned i = 0; i < trace->count; i++)
		ends[i] = (struct pollfd){.fd = trace->traced[i].pidfd, .events = POLLIN};
	if (trace->count && poll(ends, trace->count, 0) < 0)
		return;
	for (unsigned i = 0; i < trace->count; i++)
		if (is_over(trace, ends, i))
			over[count++] = trace->traced[i].pid;
	if (count)
		http_bpf_release(bpf, over, count);
	for (unsigned i = trace->count; i-- > 0;)
		if (is_over(trace, ends, i))
			traced_remove(trace, i);
	if (!trace->count && !trace->lacking)
		trace->problem[0] = '\0';
}

void tls_trace_step(struct tls_trace *trace, struct http_bpf *bpf, mono_ns now)
{
	if (now - trace->look_at >= LOOK_EVERY) {
		trace->look_at = now;
		tls_wanted_expire(&trace->wanted, now);
		ended_remove(trace, bpf);
		/* One search after the other, however long each takes. */
		if (trace->again && !trace->search) {
			trace->again = false;
			trace->sought = false;
		}
	}
	if (trace->renamed) {
		trace->renamed = false;
		trace->named_from = now;
	}
	if (!tls_wanted_count(&trace->wanted))
		trace_rest(trace);
	else if (!trace->sought)
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

/* Something else is wanted; what was tried in vain is tried again. */
static void tls_trace_anew(struct tls_trace *trace, struct http_bpf *bpf)
{
	search_end(trace);
	trace->sought = false;
	trace->lacking = 0;
	trace->problem[0] = '\0';
	for (unsigned i = trace->count; i-- > 0;)
		if (!trace->traced[i].probes)
			traced_remove(trace, i);
	ended_remove(trace, bpf);
}

/* Byte by byte: what is taken for different without being so costs a look at processes. */
static bool services_differ(const struct vow_config *a, const struct vow_config *b)
{
	return a->service_count != b->service_count ||
	       (a->service_count &&
		memcmp(a->services, b->services, a->service_count * sizeof(*a->services)) != 0);
}

void tls_trace_reload(struct tls_trace *trace, struct http_bpf *bpf,
		      const struct vow_config *config)
{
	trace->renamed |= services_differ(trace->wanted.config, config);
	unsigned ended = tls_wanted_reload(&trace->wanted, config);

	if (ended)
		log_info("http: tracing of %u services by command has ended: the configuration "
			 "does not allow it any more",
			 ended);
	tls_trace_anew(trace, bpf);
}

int tls_trace_order(struct tls_trace *trace, struct http_bpf *bpf, const struct trace_order *order,
		    mono_ns now, struct diag *d)
{
	int rc;

	if (order->lasts && trace->wanted.config->tls_on_demand && !tls_rights_held())
		return diag_set(
			d, -EPERM, order->service,
			"start vowd again, as root or with CAP_SYS_ADMIN, which it keeps if "
			"capture.tls_on_demand is in its configuration then",
			"vowd has no right to probe other processes");
	rc = tls_wanted_order(&trace->wanted, order, now, clock_wall(), d);
	if (!rc)
		tls_trace_anew(trace, bpf);
	return rc;
}

/* ---- what it takes ------------------------------------------------------------------------------- */

double tls_trace_exception_ns(const struct tls_trace *trace)
{
	double ns = 0;
	unsigned count = 0;

	for (unsigned i = 0; i < trace->count; i++) {
		if (!trace->traced[i].probes)
			continue;
		ns += trace->traced[i].cheap ? HTTP_COST_EXCEPTION : HTTP_COST_EXCEPTION_STEP;
		count++;
	}
	return count ? ns / count : 0;
}

/* ---- what is told -------------------------------------------------------------------------------- */

void tls_trace_gauges(const struct tls_trace *trace, struct gauge_table *gauges, mono_ns now)
{
	tls_traced_gauges(trace->traced, trace->count, gauges, now);
}

int tls_trace_rows(const struct tls_trace *trace, bool captured, struct traced_row **out)
{
	size_t most = trace->count + tls_wanted_count(&trace->wanted), count;
	struct traced_row *rows = calloc(most + 1, sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	count = tls_traced_rows(trace->traced, trace->count, &trace->wanted,
				captured && (trace->search || !trace->sought), rows);
	for (size_t i = 0; !captured && i < count; i++)
		snprintf(rows[i].problem, sizeof(rows[i].problem),
			 "HTTP is not captured now; vow doctor says why");
	*out = rows;
	return (int)count;
}

const char *tls_trace_problem(const struct tls_trace *trace)
{
	return trace->problem;
}
