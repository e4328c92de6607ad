/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collector of what the host itself feels: processor, memory, pressure, TCP, sockets, as
 * gauges, once a second from /proc. Rates are over the second that has passed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/collector.h"
#include "collectors/host_proc.h"
#include "lib/base/str.h"

#define EVERY NS_PER_S

struct host {
	struct gauge_table *gauges;
	struct host_proc last;
	mono_ns last_at; /* 0: not read yet */
	uint64_t readings;
};

static int host_open(const struct collector_context *context, void **state, struct diag *d)
{
	struct host *host = calloc(1, sizeof(*host));

	if (!host)
		return diag_errno(d, -ENOMEM, "host", NULL, "no memory");
	host->gauges = context->gauges;
	*state = host;
	return 0;
}

static void host_close(void *state)
{
	free(state);
}

static void set(const struct host *host, const char *name, double value, mono_ns now)
{
	/* A table that is full counts what it refuses. */
	gauge_set(host->gauges, "", "", name, "", value, now);
}

static void set_levels(const struct host *host, const struct host_proc *p, mono_ns now)
{
	if (p->parts & HOST_LOAD)
		set(host, "load1", p->load1, now);
	if (p->parts & HOST_MEMORY) {
		double available = (double)p->memory_available_bytes;

		set(host, "memory_available_bytes", available, now);
		set(host, "memory_used_ratio", 1 - available / (double)p->memory_total_bytes, now);
	}
	if (p->parts & HOST_SOCKETS)
		set(host, "sockets_in_use", (double)p->sockets, now);
}

/* How much a counter grew; a counter that went back (it wrapped, or was reset) did not grow. */
static double grown(uint64_t from, uint64_t to)
{
	return to > from ? (double)(to - from) : 0;
}

static void set_rates(const struct host *host, const struct host_proc *p, mono_ns now)
{
	static const struct {
		enum host_part part;
		const char *name;
	} pressures[HOST_PRESSURES] = {
		[HOST_PRESSURE_CPU] = {HOST_PSI_CPU, "psi_cpu_some_ratio"},
		[HOST_PRESSURE_MEMORY] = {HOST_PSI_MEMORY, "psi_memory_some_ratio"},
		[HOST_PRESSURE_IO] = {HOST_PSI_IO, "psi_io_some_ratio"},
	};
	const struct host_proc *last = &host->last;
	double seconds = (double)(now - host->last_at) / NS_PER_S;
	unsigned both = p->parts & last->parts;

	if ((both & HOST_CPU) && p->cpu_total > last->cpu_total)
		set(host, "cpu_ratio",
		    grown(last->cpu_busy, p->cpu_busy) / grown(last->cpu_total, p->cpu_total), now);
	for (size_t i = 0; i < HOST_PRESSURES; i++)
		if (both & pressures[i].part)
			set(host, pressures[i].name,
			    grown(last->stalled_us[i], p->stalled_us[i]) / 1e6 / seconds, now);
	if (both & HOST_TCP) {
		set(host, "tcp_retransmits_per_s",
		    grown(last->tcp_retransmits, p->tcp_retransmits) / seconds, now);
		set(host, "tcp_segments_per_s", grown(last->tcp_sent, p->tcp_sent) / seconds, now);
	}
	if (both & HOST_LISTEN)
		set(host, "tcp_listen_overflows_per_s",
		    grown(last->listen_overflows, p->listen_overflows) / seconds, now);
}

static uint64_t host_poll(void *state, mono_ns now)
{
	struct host *host = state;
	struct host_proc p;

	if (host->last_at && now - host->last_at < EVERY)
		return 0;
	host_proc_read("/proc", &p);
	set_levels(host, &p, now);
	if (host->last_at)
		set_rates(host, &p, now);
	host->last = p;
	host->last_at = now;
	host->readings++;
	return 0;
}

static void host_status(const void *state, struct collector_status *status)
{
	const struct host *host = state;
	struct str problem;

	status->tier = host ? "proc" : "off";
	if (!host)
		return;
	status->events_total = host->readings;
	snprintf(status->detail, sizeof(status->detail),
		 "processor, memory, pressure, TCP and sockets from /proc, once a second");
	if (!host->readings || host->last.parts == HOST_PARTS)
		return;
	str_init(&problem, status->problem, sizeof(status->problem));
	str_put(&problem, "not on this host:");
	for (unsigned part = 1; part < HOST_PARTS; part <<= 1)
		if (!(host->last.parts & part))
			str_printf(&problem, " /proc/%s", host_proc_file(part));
}

const struct collector_ops host_collector = {
	.name = "host",
	.open = host_open,
	.poll = host_poll,
	.status = host_status,
	.close = host_close,
};
