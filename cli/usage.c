/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/usage.h"

#include "cli/options.h"

/* Commands whose rows are of a window, of services and of routes. */
#define USAGE_TRAFFIC "top, routes, deliveries, exemplars"

static const char *const usage_outputs[] = {"table", "json", NULL};
static const char *const usage_colours[] = {"auto", "always", "never", NULL};
/* In the order of enum series_window. */
static const char *const usage_windows[] = {"10s", "1m", "5m", "30m", "1h",
					    "6h",  "1d", "3d", "30d", NULL};

static const struct opt usage_options[] = {
	OPT(struct cli_options, dir, "dir", 'd', OPT_STRING, "DIR",
	    "ask the agent that runs with this folder (/run/vow)"),
	OPT(struct cli_options, hub, "hub", 0, OPT_STRING, "HOST:PORT",
	    "ask a hub, at its gRPC or its HTTP port",
	    .words = USAGE_TRAFFIC ", routes suggest, status, slo, alerts, scale, doctor, cost, "
				   "host, hosts"),
	OPT(struct cli_options, output, "output", 'o', OPT_CHOICE, "FORM",
	    "table or json; docs/json.md says what stands in it (table)", .choices = usage_outputs),
	OPT(struct cli_options, window, "window", 'w', OPT_CHOICE, "TIME",
	    "look back 10s, 1m, 5m, 30m, 1h, 6h, 1d, 3d or 30d (1m; top: 10s)",
	    .choices = usage_windows, .words = USAGE_TRAFFIC ", routes suggest"),
	OPT(struct cli_options, at, "at", 0, OPT_STRING, "TIME",
	    USAGE_TRAFFIC ": the window that ended then, read from the journal, vowd running or "
			  "not: 2026-11-22T03:00, 03:00, -15m",
	    .words = USAGE_TRAFFIC),
	OPT(struct cli_options, total, "total", 't', OPT_FLAG, NULL,
	    "count since the agent first started, across restarts",
	    .words = USAGE_TRAFFIC ", routes suggest"),
	OPT(struct cli_options, service, "service", 's', OPT_STRING, "NAME",
	    "only routes, deliveries and exemplars of this service",
	    .words = USAGE_TRAFFIC ", routes suggest"),
	OPT(struct cli_options, route, "route", 'r', OPT_STRING, "NAME",
	    USAGE_TRAFFIC ": only those of this route or event type: '/payments' (captured HTTP, "
			  "without its method), 'invoice.paid', or as an application named it",
	    .words = USAGE_TRAFFIC),
	OPT(struct cli_options, all, "all", 0, OPT_FLAG, NULL, "gauges of 0 as well",
	    .words = "status"),
	OPT(struct cli_options, all_hosts, "all-hosts", 'a', OPT_FLAG, NULL,
	    "hub: one row for all hosts together", .words = "top, routes, deliveries"),
	OPT(struct cli_options, limit, "limit", 'n', OPT_U64, "N",
	    "at most N rows, the busiest or newest ones (all)", .min = 1, .max = 1000000,
	    .words = USAGE_TRAFFIC ", alerts, scale"),
	OPT(struct cli_options, lasts, "for", 0, OPT_DURATION, "TIME",
	    "trace-tls: end by itself after 1s to 24h (10 min)", .min = NS_PER_S,
	    .max = TRACE_LASTS_MAX, .words = "trace-tls"),
	OPT(struct cli_options, off, "off", 0, OPT_FLAG, NULL, "trace-tls: end it now",
	    .words = "trace-tls"),
	OPT(struct cli_options, check, "check", 0, OPT_FLAG, NULL,
	    "slo: exit with 1 when an objective is not kept; alerts: when one is firing",
	    .words = "slo, alerts"),
	OPT(struct cli_options, colour, "color", 0, OPT_CHOICE, "WHEN",
	    "auto, always or never; NO_COLOR is honoured (auto)", .choices = usage_colours),
};

#define USAGE_ROUTE_COLUMNS                                                                     \
	"KIND: http (captured at sockets), app (observed through libvow), delivery, attempt, "  \
	"job, tls, user, connection. ROLE: server or client. ROUTE: method and route. PEER: "   \
	"the other side. CODE: status class. COUNT and RATE: events of the window. ERRORS: "    \
	"their share, 5xx and errors, of a client also 4xx. P50 to P99: percentiles of the "    \
	"latency. MAX: the largest, exact. QUEUE99: 99th percentile of the time that requests " \
	"waited unread."

static const struct opts_word usage_words[] = {
	{.name = "status",
	 .help = "the agent or hub itself: collectors, losses, journal, objectives, gauges",
	 .example = "vow status",
	 .more = "COLLECTOR: a source of figures. TIER: how it captures; off: not at all. "
		 "EVENTS: what it brought since it started. DROPS: what it saw and could not "
		 "report, by reason. WHAT: what it does, or why it does not. Objectives stand "
		 "as in vow slo. GAUGE: last values, each with its unit at the end of its name; "
		 "those of 0 with --all. OF: what of. VALUE: how much."},
	{.name = "top",
	 .help = "live: objectives, routes, deliveries; q quits",
	 .example = "vow top --window 1m",
	 .more = "Keys: q quits, s sorts by another column, w and 1 to 9 choose the window, t "
		 "totals, p pauses, arrows scroll. In a pipe it prints one page. Its columns are "
		 "those of vow routes, vow deliveries and vow slo."},
	{.name = "routes",
	 .help = "latency percentiles, rate and errors by route, method, peer and status",
	 .usage = "[suggest]",
	 .example = "vow routes --window 5m --route /payments",
	 .more = USAGE_ROUTE_COLUMNS},
	{.name = "routes suggest",
	 .help = "route templates for the configuration, out of what was seen",
	 .example = "vow routes suggest --service shop",
	 .more = "Prints YAML for vow.yaml, each template with the requests that it would have "
		 "named."},
	{.name = "deliveries",
	 .help = "webhooks and messages sent: outcomes, attempts, time to delivery",
	 .example = "vow deliveries --route invoice.paid",
	 .more = "EVENT: type of the event. ENDPOINT: who receives it. RATE: outcomes a second. "
		 "DELIVERED, FAILED, DEAD (set aside for people): final outcomes. TRIES and BAD "
		 "TRIES: attempts, and those that failed. P50 to P99 and MAX: enqueue to delivery. "
		 "WAIT99: 99th percentile of enqueue to first attempt."},
	{.name = "exemplars",
	 .help = "the slowest observations that came with a tag: when, how long, which",
	 .example = "vow exemplars --route /payments --limit 3",
	 .more = "WHEN: when it ended. LATENCY: exact. STATUS: as it was observed. TAG: by which "
		 "the application can be asked for it. SERVICE, KIND, ROUTE, PEER: its series."},
	{.name = "slo",
	 .help = "objectives: share kept, error budget left, how fast it burns",
	 .example = "vow slo --check",
	 .more = "PROMISE: share of events that must be good, and within what. KEPT: the share "
		 "that was, over the period. BUDGET LEFT: of the bad events that the period "
		 "allows; negative: overspent. BURN: how many times too fast it is spent, over "
		 "the long window. ALERT AT: the burn at which the alert fires. GOOD, BAD: events "
		 "of the period. PERIOD: how long it is. SEEN: the share of it that was observed. "
		 "ALERT: ok, pending, firing or resolved."},
	{.name = "alerts",
	 .help = "what fired and resolved, with the evidence",
	 .example = "vow alerts --limit 5",
	 .more = "Newest first: when, what it became, page or ticket, which objective. 'As it "
		 "fired' has the figures and the series of that moment, 'now' those of the last "
		 "second while it fires still."},
	{.name = "scale",
	 .help = "scaling policies, their decisions and reasons",
	 .example = "vow scale",
	 .more = "SCALER: its name. SIGNAL: what it keeps. VALUE: as it is now. TARGET: of one "
		 "replica. REPLICAS: decided last. MIN, MAX: limits. Decisions stand below, "
		 "newest first, each with its reason."},
	{.name = "doctor",
	 .help = "what is captured how; why something is not, and what to do",
	 .example = "vow doctor"},
	{.name = "cost",
	 .help = "what capturing HTTP takes, in the kernel and in vowd, beside its budget",
	 .example = "vow cost",
	 .more = "CAPTURED: all, or what is left out to stay within the budget. COST, BUDGET: "
		 "shares of all processors. KERNEL, AGENT: parts of the cost. PAIRS: requests with "
		 "their responses a second. KERNEL/PAIR, AGENT/PAIR: what one takes. PROGRAM: in "
		 "the kernel. RUNS: of it a second. EACH: time of one run."},
	{.name = "host",
	 .help = "what holds a host and its services up: processors, memory, disks, peers, queues",
	 .example = "vow host",
	 .more = "CPU, MEMORY: share in use. CPU WAIT, MEM WAIT, IO WAIT: share of time in which "
		 "some task waited for it. ALARMS: how often the kernel said so. SENT AGAIN: "
		 "segments of TCP. RUN QUEUE: time that threads waited for a processor. THROTTLED, "
		 "FOR: periods in which a limit stopped a service, and how long. LIMIT HITS, OOM "
		 "KILLS: of its memory. PEER: connections to it that were REFUSED, TIMED OUT, "
		 "UNREACHABLE or GIVEN UP. LISTENS AT, DROPS: connections that a full queue "
		 "refused."},
	{.name = "hosts",
	 .help = "agents that a hub hears, and what was lost of them",
	 .example = "vow --hub hub.example:4317 hosts",
	 .more = "STATE: connected or silent. SEEN: heard of last. VERSION: of its vow-export. "
		 "RECORD: the last one merged. LOST RECORDS: known to be lost. PROBLEM: with its "
		 "records."},
	{.name = "trace-tls",
	 .help = "whose requests within TLS are read in the clear; with SERVICE: begin or end it",
	 .usage = "[SERVICE]",
	 .example = "vow trace-tls shop --for 30m",
	 .more = "Root, and the user that vowd runs as, may have the agent read requests of a "
		 "service within TLS in the clear for a while, so that they have routes and "
		 "status, where the configuration has capture.tls_on_demand: true. A new "
		 "configuration leaves that as it is; a restart of vowd ends it. BY: by the "
		 "configuration or by command. SINCE: how long. LEFT: until it ends. PROCESSES: "
		 "how many. LIBRARY: the file whose calls are probed. HOW: emulated (one exception "
		 "a probe) or entry+return (two), or that they are not traced, for the reason "
		 "below."},
	{.name = "config check",
	 .help = "reads a configuration [FILE] and says what is wrong or odd in it",
	 .usage = "[FILE]",
	 .example = "vow config check /etc/vow/vow.yaml",
	 .more = "Without FILE the one that vowd would read: DIR/vow.yaml, else "
		 "/etc/vow/vow.yaml. Tells up to 20 mistakes at once, each with its line."},
	{.name = NULL},
};

const struct opts_program cli_program = {
	.name = "vow",
	.purpose = "shows what this host promised and what it kept",
	.usage = "[OPTION]... COMMAND",
	.about =
		"Asks the agent of this host (vowd), or with --hub the hub of a fleet. On a "
		"terminal, or when COLUMNS is set, tables fit its width: columns that matter less "
		"are left out. -o json has everything. vow COMMAND --help tells of one command.\n\n"
		"Exit status: 0 fine; 1 the answer is no (doctor: something is not captured; "
		"config check: not valid; with --check: not kept, or firing; trace-tls: refused); "
		"2 wrong usage; 3 nobody could be asked.",
	.table = usage_options,
	.count = ARRAY_LEN(usage_options),
	.words = usage_words,
	.section = 1,
};
