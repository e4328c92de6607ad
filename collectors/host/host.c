/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collector of what the host itself feels: processor, memory, pressure, TCP, sockets, as
 * gauges, once a second from /proc. Rates are over the second that has passed. Beside them what the
 * kernel tells by itself (alarms of pressure), and what is asked only when something went wrong
 * (which listening socket refused connections).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/collector.h"
#include "collectors/host/host_alarm.h"
#include "collectors/host/host_listen.h"
#include "collectors/host/host_proc.h"
#include "lib/base/str.h"

#define EVERY NS_PER_S

struct host {
	struct gauge_table *gauges;
	struct host_proc_files files;
	struct host_proc last;
	mono_ns last_at; /* 0: not read yet */
	uint64_t readings;
	struct host_alarm alarm;
	struct host_listen listen;
};

static int host_open(const struct collector_context *context, void **state, struct diag *d)
{
	struct host *host = calloc(1, sizeof(*host));

	if (!host)
		return diag_errno(d, -ENOMEM, "host", NULL, "no memory");
	host->gauges = context->gauges;
	host_alarm_open(&host->alarm, context->loop, "/proc");
	host_listen_open(&host->listen);
	host_proc_open(&host->files, "/proc");
	*state = host;
	return 0;
}

static void host_close(void *state)
{
	struct host *host = state;

	host_alarm_close(&host->alarm);
	host_listen_close(&host->listen);
	host_proc_close(&host->files);
	free(host);
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
	if (both & HOST_LISTEN) {
		set(host, "tcp_listen_overflows_per_s",
		    grown(last->listen_overflows, p->listen_overflows) / seconds, now);
		set(host, "tcp_listen_drops_per_s",
		    grown(last->listen_drops, p->listen_drops) / seconds, now);
	}
}

static void set_alarms(const struct host *host, mono_ns now)
{
	static const char *const names[HOST_PRESSURES] = {
		[HOST_PRESSURE_CPU] = "psi_cpu_alarms_total",
		[HOST_PRESSURE_MEMORY] = "psi_memory_alarms_total",
		[HOST_PRESSURE_IO] = "psi_io_alarms_total",
	};

	for (size_t i = 0; i < HOST_PRESSURES; i++)
		if (host->alarm.watches[i])
			set(host, names[i], (double)host->alarm.totals[i], now);
}

/* At first, to know what was dropped before; then whenever the host's own count has grown. */
static void look_at_listeners(struct host *host, const struct host_proc *p, mono_ns now)
{
	if (!host->listen.known || p->listen_drops != host->last.listen_drops)
		/* What cannot be told apart is in the host's own rate. */
		(void)host_listen_read(&host->listen, now);
	host_listen_publish(&host->listen, host->gauges, now);
}

static uint64_t host_poll(void *state, mono_ns now)
{
	struct host *host = state;
	struct host_proc p;

	if (host->last_at && now - host->last_at < EVERY)
		return 0;
	host_proc_read(&host->files, &p);
	set_levels(host, &p, now);
	if (host->last_at)
		set_rates(host, &p, now);
	set_alarms(host, now);
	look_at_listeners(host, &p, now);
	host->last = p;
	host->last_at = now;
	host->readings++;
	return 0;
}

/* "cpu at 60 % of a second, memory at 10 %, io at 30 %"; what is not armed is left out. */
static void alarms_text(const struct host_alarm *alarm, struct str *to)
{
	const char *before = ", alarms of pressure: ";

	for (size_t i = 0; i < HOST_PRESSURES; i++) {
		if (!alarm->watches[i])
			continue;
		str_printf(to, "%s%s from %.0f %% on", before, host_alarm_name(i),
			   host_alarm_share(i) * 100);
		before = ", ";
	}
}

/* Why alarms that could be there are not; the others have no file of pressure. */
static void refused_text(const struct host_alarm *alarm, struct str *to)
{
	for (size_t i = 0; i < HOST_PRESSURES; i++)
		if (alarm->errs[i] && alarm->errs[i] != -ENOENT && alarm->errs[i] != -EOPNOTSUPP) {
			str_printf(to,
				   "%sno alarms of pressure (%s): they need CAP_SYS_RESOURCE, or "
				   "kernel 6.5",
				   to->length ? "; " : "", strerror(-alarm->errs[i]));
			return;
		}
}

static void missing_text(const struct host *host, struct str *to)
{
	if (!host->readings || host->last.parts == HOST_PARTS)
		return;
	str_put(to, "not on this host:");
	for (unsigned part = 1; part < HOST_PARTS; part <<= 1)
		if (!(host->last.parts & part))
			str_printf(to, " /proc/%s", host_proc_file(part));
}

static void host_status(const void *state, struct collector_status *status)
{
	const struct host *host = state;
	struct str text;

	status->tier = host ? "proc" : "off";
	if (!host)
		return;
	status->events_total = host->readings;
	str_init(&text, status->detail, sizeof(status->detail));
	str_put(&text, "processor, memory, pressure, TCP and sockets from /proc, once a second");
	alarms_text(&host->alarm, &text);
	str_init(&text, status->problem, sizeof(status->problem));
	missing_text(host, &text);
	refused_text(&host->alarm, &text);
}

const struct collector_ops host_collector = {
	.name = "host",
	.open = host_open,
	.poll = host_poll,
	.status = host_status,
	.close = host_close,
};
