/* SPDX-License-Identifier: Apache-2.0 */
/* vow: what an agent or a hub knows, for people and for scripts. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/options.h"
#include "cli/past.h"
#include "lib/base/opts.h"

static const char *const vow_outputs[] = {"table", "json", NULL};
static const char *const vow_colours[] = {"auto", "always", "never", NULL};
/* In the order of enum series_window. */
static const char *const vow_windows[] = {"10s", "1m", "5m", "30m", "1h",
					  "6h",	 "1d", "3d", "30d", NULL};

static const struct opt vow_table[] = {
	OPT(struct cli_options, dir, "dir", 'd', OPT_STRING, "DIR",
	    "ask the agent that runs with this folder (/run/vow)"),
	OPT(struct cli_options, hub, "hub", 0, OPT_STRING, "HOST:PORT",
	    "ask a hub, at its gRPC or its HTTP port"),
	OPT(struct cli_options, output, "output", 'o', OPT_CHOICE, "FORM",
	    "table or json; docs/json.md says what stands in it (table)", .choices = vow_outputs),
	OPT(struct cli_options, window, "window", 'w', OPT_CHOICE, "TIME",
	    "look back 10s, 1m, 5m, 30m, 1h, 6h, 1d, 3d or 30d (1m; top: 10s)",
	    .choices = vow_windows),
	OPT(struct cli_options, at, "at", 0, OPT_STRING, "TIME",
	    "top, routes, deliveries, exemplars: the window that ended then, read from the "
	    "journal, vowd "
	    "running "
	    "or not: 2026-11-22T03:00, 03:00, -15m"),
	OPT(struct cli_options, total, "total", 't', OPT_FLAG, NULL,
	    "count since the agent first started, across restarts"),
	OPT(struct cli_options, service, "service", 's', OPT_STRING, "NAME",
	    "only routes, deliveries and exemplars of this service"),
	OPT(struct cli_options, route, "route", 'r', OPT_STRING, "NAME",
	    "exemplars: only those of this route or event type"),
	OPT(struct cli_options, all_hosts, "all-hosts", 'a', OPT_FLAG, NULL,
	    "hub: one row for all hosts together"),
	OPT(struct cli_options, limit, "limit", 'n', OPT_U64, "N",
	    "at most N rows, the busiest or newest ones (all)", .min = 1, .max = 1000000),
	OPT(struct cli_options, check, "check", 0, OPT_FLAG, NULL,
	    "slo: exit with 1 when an objective is not kept; alerts: when one is firing"),
	OPT(struct cli_options, colour, "color", 0, OPT_CHOICE, "WHEN",
	    "auto, always or never; NO_COLOR is honoured (auto)", .choices = vow_colours),
};

static const struct opts_word vow_words[] = {
	{"status", "the agent or hub itself: collectors, losses, journal, objectives, gauges"},
	{"top", "live: objectives, routes, deliveries; q quits"},
	{"routes", "latency percentiles, rate and errors by route, method, peer and status"},
	{"routes suggest", "route templates for the configuration, out of what was seen"},
	{"deliveries", "webhooks and messages sent: outcomes, attempts, time to delivery"},
	{"exemplars", "the slowest observations that came with a tag: when, how long, which"},
	{"slo", "objectives: share kept, error budget left, how fast it burns"},
	{"alerts", "what fired and resolved, with the evidence"},
	{"scale", "scaling policies, their decisions and reasons"},
	{"doctor", "what is captured how; why something is not, and what to do"},
	{"cost", "what capturing HTTP takes, in the kernel and in vowd, beside its budget"},
	{"host", "what holds a host and its services up: processors, memory, disks, peers, queues"},
	{"hosts", "agents that a hub hears, and what was lost of them"},
	{"config check", "reads a configuration [FILE] and says what is wrong or odd in it"},
	{NULL, NULL},
};

static const struct opts_program vow_program = {
	.name = "vow",
	.purpose = "shows what this host promised and what it kept",
	.usage = "[OPTION]... COMMAND",
	.about = "Asks the agent of this host (vowd), or with --hub the hub of a fleet. On a "
		 "terminal, or when COLUMNS is set, tables fit its width: columns that matter less "
		 "are left out. -o json has everything.\n\n"
		 "Exit status: 0 fine; 1 the answer is no (doctor: something is not captured; "
		 "config check: not valid; with --check: not kept, or firing); 2 wrong usage; "
		 "3 nobody could be asked.",
	.table = vow_table,
	.count = ARRAY_LEN(vow_table),
	.words = vow_words,
	.section = 1,
};

/* With --check the figures decide the exit status. */
static int vow_verdict(const struct view *view)
{
	const struct board *board = view->board;

	for (size_t i = 0; board && i < board->objective_count; i++) {
		const struct board_objective *objective = &board->objectives[i];

		if (view->query.what == VIEW_SLO && view_breached(objective))
			return CLI_NO;
		if (view->query.what == VIEW_ALERTS && objective->alert == ALERT_FIRING)
			return CLI_NO;
	}
	return CLI_FINE;
}

/* What is now, from an agent or a hub; what was, from the journal. */
static int vow_answer(const struct cli_options *options, const struct view_query *query,
		      struct view **view, struct diag *d)
{
	struct past *past = NULL;
	struct ask ask;
	wall_ns at;
	int rc;

	if (options->at) {
		rc = past_parse(options->at, clock_wall(), &at, d);
		if (!rc)
			rc = past_open(options->dir, at, query->window, &past, d);
		if (!rc && past_view(past, query, view))
			rc = diag_errno(d, -ENOMEM, NULL, NULL, "cannot read the past");
		past_close(past);
		return rc;
	}
	rc = ask_open(&ask, options->dir, options->hub, d);
	rc = rc ? rc : ask_view(&ask, query, view, d);
	ask_close(&ask);
	return rc;
}

/* All that was seen, unless a window is asked for; every route of it. */
static int vow_suggest(const struct cli_options *options)
{
	struct view_query query = cli_query(options, VIEW_ROUTES, SERIES_TOTAL);
	struct view *view = NULL;
	struct diag d;
	int rc;

	query.limit = 0;
	rc = vow_answer(options, &query, &view, &d);
	if (rc)
		return cli_complain(&d, CLI_UNREACHABLE);
	rc = cli_suggest(options, view);
	view_free(view);
	return rc;
}

static int vow_show(const struct cli_options *options, enum view_what what)
{
	struct view_query query = cli_query(options, what, WINDOW_1M);
	struct show show = cli_stdout(options);
	struct view *view = NULL;
	struct diag d;
	int rc = vow_answer(options, &query, &view, &d);

	if (rc)
		return cli_complain(&d, rc == -EINVAL && options->at ? CLI_USAGE : CLI_UNREACHABLE);
	rc = CLI_FINE;
	if (options->output == CLI_JSON)
		rc = cli_print_json(view_json(view, true));
	else
		show_view(&show, view);
	if (rc == CLI_FINE && options->check)
		rc = vow_verdict(view);
	view_free(view);
	return rc;
}

static int vow_usage(const char *word, const char *fix)
{
	struct diag d;

	diag_set(&d, -EINVAL, NULL, fix, "unexpected '%s'", word);
	return cli_complain(&d, CLI_USAGE);
}

/* --at is for figures that stand in records of the journal, and for this host's. */
static const char *vow_at_refusal(const struct cli_options *options, const char *word)
{
	if (options->hub)
		return "a hub has no journal: ask on the host itself";
	if (options->total)
		return "--total has no window: give --window with --at";
	if (strcmp(word, "top") && strcmp(word, "routes") && strcmp(word, "deliveries") &&
	    strcmp(word, "exemplars"))
		return "only top, routes, deliveries and exemplars know the past";
	return NULL;
}

static int vow_run(const struct cli_options *options, int argc, char **argv)
{
	const char *word = argv[1];
	/* No view of their own. */
	bool known =
		strcmp(word, "top") == 0 || strcmp(word, "cost") == 0 || strcmp(word, "host") == 0;
	enum view_what what = VIEW_STATUS;
	bool suggest;

	if (strcmp(word, "config") == 0) {
		if (argc < 3 || strcmp(argv[2], "check") != 0)
			return vow_usage(argc < 3 ? "config" : argv[2], "vow config check [FILE]");
		if (argc > 4)
			return vow_usage(argv[4], "vow config check [FILE]");
		return cli_config_check(options, argc == 4 ? argv[3] : NULL);
	}
	if (!known && view_what_parse(word, &what))
		return opts_unknown_word(&vow_program, word);
	suggest = what == VIEW_ROUTES && strcmp(word, "top") != 0 && argc > 2 &&
		  strcmp(argv[2], "suggest") == 0;
	if (argc > 2 + suggest)
		return vow_usage(argv[2 + suggest], "one command at a time; see vow --help");
	if (options->total && options->window != CLI_WINDOW_UNSET)
		return vow_usage("--window", "--total has no window: give one of the two");
	if (options->dir && options->hub)
		return vow_usage("--dir", "--hub asks a hub, --dir an agent: give one of the two");
	if (options->at && vow_at_refusal(options, word))
		return vow_usage("--at", vow_at_refusal(options, word));
	if (options->route && (known || what != VIEW_EXEMPLARS))
		return vow_usage("--route", "only exemplars are chosen by route");
	if (strcmp(word, "top") == 0)
		return cli_top(options);
	if (suggest)
		return vow_suggest(options);
	if (strcmp(word, "cost") == 0)
		return cli_cost(options);
	if (strcmp(word, "host") == 0)
		return cli_host(options);
	if (what == VIEW_DOCTOR)
		return cli_doctor(options);
	return vow_show(options, what);
}

int main(int argc, char **argv)
{
	struct cli_options options = {.window = CLI_WINDOW_UNSET};
	int status;

	/* For the width of characters alone: figures and order do not follow the locale. */
	setlocale(LC_CTYPE, "C.UTF-8");
	status = opts_begin(&vow_program, &argc, argv, &options);
	if (status >= 0)
		return status;
	if (argc < 2) {
		opts_help(&vow_program, stderr);
		return CLI_USAGE;
	}
	status = vow_run(&options, argc, argv);
	if (fflush(stdout) || ferror(stdout))
		return status == CLI_FINE ? CLI_NO : status;
	return status;
}
