/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/screen.h"

#define CLI_INDENT 5 /* columns of "vow: " */

bool cli_colour(const struct cli_options *options)
{
	const char *none = getenv("NO_COLOR"), *term = getenv("TERM");

	if (options->colour != CLI_AUTO)
		return options->colour == CLI_ALWAYS;
	return isatty(STDOUT_FILENO) && !(none && none[0]) && !(term && strcmp(term, "dumb") == 0);
}

struct show cli_stdout(const struct cli_options *options)
{
	return (struct show){stdout, screen_width(STDOUT_FILENO), cli_colour(options), "\n",
			     options->all};
}

struct view_query cli_query(const struct cli_options *options, enum view_what what,
			    enum series_window window)
{
	struct view_query query = {
		.what = what,
		.window = options->total ? SERIES_TOTAL
			  : options->window != CLI_WINDOW_UNSET
				  ? (enum series_window)options->window
				  : window,
		.limit = (uint32_t)options->limit,
		.all_hosts = options->all_hosts,
	};

	if (options->service)
		series_text_set(query.service, sizeof(query.service), options->service,
				strlen(options->service));
	if (options->route)
		series_text_set(query.route, sizeof(query.route), options->route,
				strlen(options->route));
	return query;
}

int cli_complain(const struct diag *d, enum cli_status status)
{
	struct show show = {stderr, screen_width(STDERR_FILENO), false, "\n", false};
	char line[sizeof(d->where) + sizeof(d->what) + 2];

	snprintf(line, sizeof(line), "%s%s%s", d->where, d->where[0] ? ": " : "", d->what);
	fputs("vow: ", stderr);
	show_wrapped(&show, CLI_INDENT, line);
	if (d->fix[0]) {
		fprintf(stderr, "%*s", CLI_INDENT, "");
		show_wrapped(&show, CLI_INDENT, d->fix);
	}
	return status;
}

int cli_print_json(char *text)
{
	struct diag d = {0};

	if (!text) {
		diag_errno(&d, -ENOMEM, NULL, NULL, "cannot print");
		return cli_complain(&d, CLI_NO);
	}
	puts(text);
	free(text);
	return CLI_FINE;
}
