/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collector of what services wait for beside their own work: a processor (the run queue), the
 * quota of their control group, memory. Once a second, of the processes that other collectors have
 * named; while there are none, nothing is looked at.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/collector.h"
#include "collectors/host/service_groups.h"
#include "collectors/host/tasks_bpf.h"
#include "collectors/process_list.h"
#include "collectors/process_stat.h"
#include "lib/base/str.h"

#define EVERY	   NS_PER_S
#define GROUPS_AGE (10 * NS_PER_S) /* processes are moved between groups, and end */

_Static_assert(TASK_WAIT_MAX >= PROCESS_LIST_MAX, "every known process can be watched");

/* A process whose threads are watched. */
struct watched {
	pid_t pid;
	uint64_t number; /* of its entry in the list */
	uint64_t waited; /* ns, as of the last look */
	bool wanted;
};

struct services {
	struct gauge_table *gauges;
	struct process_list *processes;
	struct service_groups *groups;
	struct tasks_bpf *tasks; /* NULL: the kernel refused it */
	struct diag refusal;
	mono_ns looked_at, groups_at;
	uint64_t changes; /* of the list, when the groups were found */
	uint64_t readings;
	int err; /* of the iterator's last run */
	unsigned watched_count;
	struct watched watched[PROCESS_LIST_MAX];
};

static void services_close(void *state)
{
	struct services *services = state;

	tasks_bpf_close(services->tasks);
	service_groups_free(services->groups);
	free(services);
}

static int services_open(const struct collector_context *context, void **state, struct diag *d)
{
	struct services *services = calloc(1, sizeof(*services));

	if (!services)
		return diag_errno(d, -ENOMEM, "services", NULL, "no memory");
	services->gauges = context->gauges;
	services->processes = context->processes;
	services->groups = service_groups_new("/proc");
	if (!services->groups) {
		free(services);
		return diag_errno(d, -ENOMEM, "services", NULL, "no memory");
	}
	/* Without it the groups are left; status() says why. */
	if (tasks_bpf_open(&services->tasks, &services->refusal))
		services->tasks = NULL;
	*state = services;
	return 0;
}

/* ---- control groups ----------------------------------------------------------------------------- */

/* The process that was named; its pid may be another one's by now, which belongs to no service. */
static bool is_there(struct process_list *list, size_t i)
{
	char command[PROCESS_COMMAND];
	uint64_t started;

	return process_stat_read("/proc", process_list_at(list, i)->pid, command, &started) &&
	       process_list_is(list, i, started);
}

/* Finds the groups of all processes; forgets the processes that are gone. */
static void groups_find(struct services *services)
{
	struct process_list *list = services->processes;

	service_groups_begin(services->groups);
	for (size_t i = 0; i < process_list_count(list);) {
		const struct process_known *known = process_list_at(list, i);

		if (!is_there(list, i) ||
		    service_groups_add(services->groups, known->pid, known->service) == -ESRCH)
			process_list_remove(list, i);
		else
			i++;
	}
	service_groups_end(services->groups);
}

/* ---- the run queue ------------------------------------------------------------------------------ */

static struct watched *watched_find(struct services *services, const struct process_known *known)
{
	for (unsigned i = 0; i < services->watched_count; i++)
		if (services->watched[i].pid == known->pid)
			return &services->watched[i];
	return NULL;
}

static void watch_begin(struct services *services, const struct process_known *known, mono_ns now)
{
	if (services->watched_count == PROCESS_LIST_MAX ||
	    tasks_bpf_watch(services->tasks, known->pid, now))
		return;
	services->watched[services->watched_count++] =
		(struct watched){.pid = known->pid, .number = known->number, .wanted = true};
}

/* Watches whom the list names, and nobody else. */
static void watch_all(struct services *services, mono_ns now)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < services->watched_count; i++)
		services->watched[i].wanted = false;
	for (size_t i = 0; i < process_list_count(services->processes); i++) {
		const struct process_known *known = process_list_at(services->processes, i);
		struct watched *w = watched_find(services, known);

		/* Another entry of the same number of process: it was given anew, or got a name. */
		if (w)
			w->wanted = w->number == known->number;
	}
	for (unsigned i = 0; i < services->watched_count; i++) {
		if (services->watched[i].wanted)
			services->watched[kept++] = services->watched[i];
		else
			tasks_bpf_unwatch(services->tasks, services->watched[i].pid);
	}
	services->watched_count = kept;
	for (size_t i = 0; i < process_list_count(services->processes); i++) {
		const struct process_known *known = process_list_at(services->processes, i);

		if (!watched_find(services, known))
			watch_begin(services, known, now);
	}
}

struct wait_sum {
	const char *service;
	uint64_t ns;
};

static void wait_add(struct wait_sum *sums, size_t *count, const char *service, uint64_t ns)
{
	size_t i = 0;

	while (i < *count && strcmp(sums[i].service, service) != 0)
		i++;
	if (i == *count)
		sums[(*count)++] = (struct wait_sum){service, 0};
	sums[i].ns += ns;
}

static void waits_publish(struct services *services, double seconds, mono_ns now)
{
	struct wait_sum sums[PROCESS_LIST_MAX];
	size_t count = 0;

	for (size_t i = 0; i < process_list_count(services->processes); i++) {
		const struct process_known *known = process_list_at(services->processes, i);
		struct watched *w = watched_find(services, known);
		uint64_t waited;

		if (!w)
			continue;
		waited = tasks_bpf_waited(services->tasks, w->pid);
		wait_add(sums, &count, known->service, waited > w->waited ? waited - w->waited : 0);
		w->waited = waited;
	}
	for (size_t i = 0; i < count; i++)
		gauge_set(services->gauges, "", sums[i].service, "run_queue_wait_s_per_s", "",
			  (double)sums[i].ns / NS_PER_S / seconds, now);
}

/* ---- the collector ------------------------------------------------------------------------------ */

static uint64_t services_poll(void *state, mono_ns now)
{
	struct services *services = state;
	double seconds = (double)(now - services->looked_at) / NS_PER_S;
	bool first = !services->looked_at;

	if (!first && now - services->looked_at < EVERY)
		return 0;
	services->looked_at = now;
	if (!process_list_count(services->processes) && !services->watched_count)
		return 0;
	if (services->changes != process_list_changes(services->processes) ||
	    now - services->groups_at >= GROUPS_AGE) {
		groups_find(services);
		if (services->tasks)
			watch_all(services, now);
		services->changes = process_list_changes(services->processes);
		services->groups_at = now;
	}
	if (services->tasks && services->watched_count) {
		services->err = tasks_bpf_run(services->tasks);
		if (!services->err && !first)
			waits_publish(services, seconds, now);
	}
	service_groups_read(services->groups, services->gauges, now);
	services->readings++;
	return 0;
}

static void problem_text(const struct services *services, struct str *to)
{
	char text[160];

	if (!services->tasks) {
		diag_format(&services->refusal, text, sizeof(text));
		str_printf(to, "no waiting for processors: %s", text);
	} else if (services->err) {
		str_printf(to, "waiting for processors cannot be read: %s",
			   strerror(-services->err));
	}
	if (!service_groups_version(services->groups)[0])
		str_printf(to, "%sno control groups are mounted here", to->length ? "; " : "");
	else if (service_groups_left_out(services->groups))
		str_printf(to, "%s%u processes are in control groups beyond %u",
			   to->length ? "; " : "", service_groups_left_out(services->groups),
			   SERVICE_GROUPS_MAX);
}

static void services_status(const void *state, struct collector_status *status)
{
	const struct services *services = state;
	struct str text;

	status->tier = !services ? "off" : services->tasks ? "bpf" : "proc";
	if (!services)
		return;
	status->events_total = services->readings;
	snprintf(status->detail, sizeof(status->detail),
		 "waiting of %zu processes of services, %u control groups of theirs (%s), once a "
		 "second; %llu processes forgotten for others",
		 process_list_count(services->processes), service_groups_count(services->groups),
		 service_groups_version(services->groups),
		 (unsigned long long)process_list_evicted(services->processes));
	str_init(&text, status->problem, sizeof(status->problem));
	problem_text(services, &text);
}

const struct collector_ops services_collector = {
	.name = "services",
	.open = services_open,
	.poll = services_poll,
	.status = services_status,
	.close = services_close,
};
