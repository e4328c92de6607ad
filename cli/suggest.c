/* SPDX-License-Identifier: Apache-2.0 */
/* `vow routes suggest`: templates for the configuration, as text to be pasted into it. */
#include "view/suggest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"
#include "lib/base/str.h"

/* A name is quoted as YAML would have it; what could end the quotes is escaped. */
static void print_quoted(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (strchr("\"\\", *text))
			putchar('\\');
		putchar(*text);
	}
	putchar('"');
}

static void print_row(const struct suggestion *row)
{
	char figure[STR_FIGURE_SIZE];

	printf("      - \"%s\"  # ", row->pattern);
	printf("%s requests", str_format_count(figure, sizeof(figure), row->requests));
	if (row->routes > 1)
		printf(", %u routes become one", row->routes);
	else if (row->reason == SUGGEST_WORD)
		printf(", kept apart from the placeholder below");
	putchar('\n');
}

static void print_yaml(const struct suggestions *found)
{
	const char *service = NULL;
	char all[STR_FIGURE_SIZE], other[STR_FIGURE_SIZE];

	printf("# Of %s requests; %s have no route of their own.\n",
	       str_format_count(all, sizeof(all), found->requests),
	       str_format_count(other, sizeof(other), found->other));
	if (!found->count) {
		puts("# No path has a part that changes: there is nothing to suggest.");
		return;
	}
	puts("# Give the placeholders better names, take out what is none, and add it to "
	     "vow.yaml.");
	puts("services:");
	for (size_t i = 0; i < found->count; i++) {
		if (!service || strcmp(service, found->rows[i].service) != 0) {
			service = found->rows[i].service;
			fputs("  - name: ", stdout);
			print_quoted(service);
			fputs("\n    routes:\n", stdout);
		}
		print_row(&found->rows[i]);
	}
}

int cli_suggest(const struct cli_options *options, const struct view *view)
{
	struct suggestions found;
	struct diag d;
	int rc = suggest_routes(view, &found), status = CLI_FINE;

	if (rc) {
		diag_errno(&d, rc, NULL, NULL, "cannot suggest");
		return cli_complain(&d, CLI_NO);
	}
	if (options->output == CLI_JSON)
		status = cli_print_json(suggest_json(&found, true));
	else
		print_yaml(&found);
	suggest_free(&found);
	return status;
}
