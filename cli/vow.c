/* SPDX-License-Identifier: Apache-2.0 */
/* vow: what an agent or a hub knows, for people and for scripts. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/known.h"
#include "cli/options.h"
#include "cli/past.h"
#include "cli/usage.h"

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
	return ask_once(options->dir, options->hub, query, view, d);
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

/* In a table it stands where the rows would; beside JSON on stderr. */
static void vow_remark(const struct cli_options *options, const struct diag *d)
{
	struct show show = cli_stdout(options);

	if (options->output == CLI_JSON)
		cli_complain(d, CLI_FINE);
	else
		show_remark(&show, d);
}

/* A misspelt name selects as little as one without traffic: says which of the two it is. */
static void vow_explain_none(const struct cli_options *options, const struct view *view)
{
	struct view_query query = {.what = VIEW_ROUTES,
				   .window = options->at ? view->query.window : SERIES_TOTAL};
	struct view *seen = NULL;
	struct diag d;

	if (view->route_count + view->delivery_count + view->exemplar_count)
		return;
	if ((!view->query.service[0] && !view->query.route[0]) ||
	    vow_answer(options, &query, &seen, &d))
		return;
	if (known_refuse(&view->query, seen, &d))
		vow_remark(options, &d);
	view_free(seen);
}

/* An objective without events promises nothing when no series can ever match it. */
static void vow_explain_unmatched(const struct cli_options *options, const struct board *board)
{
	struct view *seen = NULL;
	struct diag d;
	bool asked = false;

	for (size_t i = 0; board && i < board->objective_count; i++) {
		const struct board_objective *row = &board->objectives[i];

		if (row->good + row->bad)
			continue;
		if (!asked && known_ask(options, &seen, &d))
			return;
		asked = true;
		if (known_unmatched(&row->objective, seen, &d))
			vow_remark(options, &d);
	}
	view_free(seen);
}

static void vow_explain(const struct cli_options *options, const struct view *view)
{
	switch (view->query.what) {
	case VIEW_ROUTES:
	case VIEW_DELIVERIES:
	case VIEW_EXEMPLARS:
		vow_explain_none(options, view);
		break;
	case VIEW_SLO:
		vow_explain_unmatched(options, view->board);
		break;
	default:
		break;
	}
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
	if (rc == CLI_FINE)
		vow_explain(options, view);
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

static bool vow_has_routes(enum view_what what, const char *word, bool suggest)
{
	if (strcmp(word, "top") == 0)
		return true;
	return !suggest &&
	       (what == VIEW_ROUTES || what == VIEW_DELIVERIES || what == VIEW_EXEMPLARS);
}

static int vow_trace_tls(const struct cli_options *options, int argc, char **argv)
{
	const char *service = argc > 2 ? argv[2] : NULL;

	if (argc > 3)
		return vow_usage(argv[3], "vow trace-tls [SERVICE [--for TIME | --off]]");
	if (options->hub)
		return vow_usage("--hub", "ask the agent on the host itself: a hub traces nothing");
	if (options->off && options->lasts)
		return vow_usage("--off", "--for begins it, --off ends it: give one of the two");
	if (!service && (options->off || options->lasts))
		return vow_usage(options->off ? "--off" : "--for", "name the service");
	return cli_trace_tls(options, service);
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
	if (strcmp(word, "trace-tls") == 0)
		return vow_trace_tls(options, argc, argv);
	if (options->off || options->lasts)
		return vow_usage(options->off ? "--off" : "--for", "only of vow trace-tls SERVICE");
	if (!known && view_what_parse(word, &what))
		return opts_unknown_word(&cli_program, word);
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
	if (options->route && !vow_has_routes(what, word, suggest))
		return vow_usage("--route",
				 "only top, routes, deliveries and exemplars are chosen by route");
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
	status = opts_begin(&cli_program, &argc, argv, &options);
	if (status >= 0)
		return status;
	if (argc < 2) {
		opts_help(&cli_program, stderr);
		return CLI_USAGE;
	}
	status = vow_run(&options, argc, argv);
	if (fflush(stdout) || ferror(stdout))
		return status == CLI_FINE ? CLI_NO : status;
	return status;
}
