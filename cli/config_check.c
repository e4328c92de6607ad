/* SPDX-License-Identifier: Apache-2.0 */
/* `vow config check`: what a program would say of its configuration, without starting one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/known.h"
#include "cli/options.h"
#include "config/config.h"

#define CONFIG_CHECKS_MAX 128 /* remarks beyond it are not shown */

struct config_checks {
	struct view_check *checks;
	size_t count;
};

static void config_add(struct config_checks *to, enum view_grade grade, const struct diag *d)
{
	struct view_check *check = &to->checks[to->count];

	if (to->count == CONFIG_CHECKS_MAX)
		return;
	to->count++;
	check->grade = grade;
	snprintf(check->name, sizeof(check->name), "%s", d->where);
	snprintf(check->what, sizeof(check->what), "%s", d->what);
	snprintf(check->fix, sizeof(check->fix), "%s", d->fix);
}

static void config_remark(void *arg, const struct diag *d)
{
	config_add(arg, VIEW_REMARK, d);
}

static int config_print(const struct cli_options *options, const struct config_checks *found)
{
	struct show show = cli_stdout(options);

	if (options->output == CLI_JSON)
		return cli_print_json(view_checks_json(found->checks, found->count, NULL, true));
	show_checks(&show, found->checks, found->count);
	return CLI_FINE;
}

/* What a valid configuration holds, so that one sees that the right file was read. */
static void config_summary(struct config_checks *found, const struct vow_config *config)
{
	struct diag d;

	diag_set(
		&d, 0, config->path[0] ? config->path : "defaults", NULL,
		"valid; objectives: %u, scaling policies: %u, services: %zu, route templates: %zu, "
		"receivers: %zu",
		config->policy.objective_count, config->policy.scaler_count, config->service_count,
		config->template_count, config->receiver_count);
	config_add(found, VIEW_GOOD, &d);
}

static void config_mistake(void *arg, const struct diag *d)
{
	config_add(arg, VIEW_BAD, d);
}

/* Of an agent that runs here: has it seen what the objectives are about? Without one, no word. */
static void config_unmatched(struct config_checks *found, const struct cli_options *options,
			     const struct vow_config *config)
{
	struct view *seen = NULL;
	struct diag d;

	if (known_ask(options, &seen, &d))
		return;
	for (unsigned i = 0; i < config->policy.objective_count; i++)
		if (known_unmatched(&config->policy.objectives[i], seen, &d))
			config_add(found, VIEW_REMARK, &d);
	view_free(seen);
}

/* vowd may have rights here that whoever asks lacks: only what is not there is remarked. */
static void config_missing(struct config_checks *found, const struct vow_config *config)
{
	struct diag d;

	if (!config->capture_btf[0] || access(config->capture_btf, F_OK) == 0 || errno != ENOENT)
		return;
	diag_set(&d, -ENOENT, "capture.btf", "put it there, or take the key out",
		 "no file %s on this host: tier C would not capture", config->capture_btf);
	config_add(found, VIEW_REMARK, &d);
}

int cli_config_check(const struct cli_options *options, const char *file)
{
	struct config_checks found = {.checks = calloc(CONFIG_CHECKS_MAX, sizeof(*found.checks))};
	struct vow_config *config = NULL;
	const char *path;
	char buf[512];
	struct diag d;
	int rc, status;

	if (!found.checks) {
		diag_errno(&d, -ENOMEM, NULL, NULL, "cannot check");
		return cli_complain(&d, CLI_NO);
	}
	path = config_find(file, options->dir, buf);
	rc = config_check(path, &config, config_mistake, &found, &d);
	if (rc && rc != -EINVAL) {
		config_add(&found, VIEW_BAD, &d);
	} else if (found.count == CONFIG_MISTAKES_MAX) {
		diag_set(&d, -EINVAL, path, "mend these first",
			 "there may be more mistakes: the reading ended here");
		config_add(&found, VIEW_REMARK, &d);
	} else if (!rc) {
		config_summary(&found, config);
		config_remarks(config, config_remark, &found);
		config_missing(&found, config);
		config_unmatched(&found, options, config);
		config_free(config);
	}
	status = config_print(options, &found);
	free(found.checks);
	return rc ? CLI_NO : status;
}
