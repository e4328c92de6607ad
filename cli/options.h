/* SPDX-License-Identifier: Apache-2.0 */
/* What the command line of vow says, for all its commands. */
#ifndef VOW_CLI_OPTIONS_H
#define VOW_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/show.h"

enum cli_output { CLI_TABLE, CLI_JSON };
enum cli_colour { CLI_AUTO, CLI_ALWAYS, CLI_NEVER };
#define CLI_WINDOW_UNSET (-1)

struct cli_options {
	const char *dir, *hub, *service, *route, *at; /* NULL: not given */
	int output; /* enum cli_output */
	int colour; /* enum cli_colour */
	int window; /* enum series_window or CLI_WINDOW_UNSET */
	bool total, all, all_hosts, check, off;
	dur_ns lasts; /* 0: not given */
	uint64_t limit;
};

/* Exit statuses of vow: stable, others script against them. */
enum cli_status { CLI_FINE = 0, CLI_NO = 1, CLI_USAGE = 2, CLI_UNREACHABLE = 3 };

/* On stdout, at this moment. */
bool cli_colour(const struct cli_options *options);
/* Stdout, as wide as it is. */
struct show cli_stdout(const struct cli_options *options);
/* The question that the options ask, over `window` when they name none. */
struct view_query cli_query(const struct cli_options *options, enum view_what what,
			    enum series_window window);
/* Prints "vow: where: what" and the fix on stderr; returns status. */
int cli_complain(const struct diag *d, enum cli_status status);
/* Prints a text of view_json() or its kind and frees it; NULL is memory that lacked. */
int cli_print_json(char *text);

/* Commands that are more than one question; each returns the exit status. */
int cli_top(const struct cli_options *options);
int cli_cost(const struct cli_options *options);
int cli_host(const struct cli_options *options);
int cli_doctor(const struct cli_options *options);
/* Out of a view of routes. */
int cli_suggest(const struct cli_options *options, const struct view *view);
/* Lists what is traced; with a service begins or ends that. */
int cli_trace_tls(const struct cli_options *options, const char *service);
int cli_config_check(const struct cli_options *options, const char *file);

#endif
