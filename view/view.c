/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "view/protocol.h"

static const char *const view_names[VIEW_COUNT] = {
	[VIEW_STATUS] = "status",    [VIEW_ROUTES] = "routes", [VIEW_DELIVERIES] = "deliveries",
	[VIEW_SLO] = "slo",	     [VIEW_ALERTS] = "alerts", [VIEW_SCALE] = "scale",
	[VIEW_DOCTOR] = "doctor",    [VIEW_HOSTS] = "hosts",   [VIEW_EXEMPLARS] = "exemplars",
	[VIEW_TRACED] = "trace-tls",
};

const char *view_what_name(enum view_what what)
{
	return what < VIEW_COUNT ? view_names[what] : "?";
}

int view_what_parse(const char *name, enum view_what *what)
{
	for (unsigned i = 0; i < VIEW_COUNT; i++) {
		if (strcmp(name, view_names[i]) == 0) {
			*what = (enum view_what)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *view_grade_name(enum view_grade grade)
{
	static const char *const names[] = {"ok", "off", "remark", "bad"};

	return grade < ARRAY_LEN(names) ? names[grade] : "?";
}

bool view_breached(const struct board_objective *objective)
{
	return objective->good + objective->bad &&
	       objective->compliance_ratio < objective->objective.target_ratio;
}

void view_free(struct view *view)
{
	if (!view)
		return;
	free(view->routes);
	free(view->deliveries);
	free(view->exemplars);
	board_unref(view->board);
	free(view);
}

size_t view_limit(const struct view *view, size_t count)
{
	return view->query.limit && view->query.limit < count ? view->query.limit : count;
}

unsigned view_parts(enum view_what what)
{
	static const unsigned parts[VIEW_COUNT] = {
		[VIEW_STATUS] = VIEW_PART_COLLECTORS | VIEW_PART_OBJECTIVES | VIEW_PART_SCALERS |
				VIEW_PART_GAUGES | VIEW_PART_HOSTS,
		[VIEW_SLO] = VIEW_PART_OBJECTIVES,
		[VIEW_ALERTS] = VIEW_PART_OBJECTIVES | VIEW_PART_ALERTS,
		[VIEW_SCALE] = VIEW_PART_SCALERS | VIEW_PART_DECISIONS,
		[VIEW_DOCTOR] = VIEW_PART_COLLECTORS | VIEW_PART_HOSTS,
		[VIEW_HOSTS] = VIEW_PART_HOSTS,
		[VIEW_TRACED] = VIEW_PART_TRACED,
	};

	return what < VIEW_COUNT ? parts[what] : 0;
}

bool view_is_route(const char *wanted, const struct series_key *key)
{
	size_t length = strlen(key->method);

	if (strcmp(wanted, key->route) == 0)
		return true;
	return length && strncmp(wanted, key->method, length) == 0 && wanted[length] == ' ' &&
	       strcmp(wanted + length + 1, key->route) == 0;
}
