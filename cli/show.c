/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show.h"

#include "cli/columns.h"
#include "cli/show_parts.h"

/* ---- checks ------------------------------------------------------------------------------------ */

static unsigned show_widest_name(const struct view_check *checks, size_t count)
{
	unsigned widest = 0;

	for (size_t i = 0; i < count; i++)
		if (columns_of(checks[i].name) > widest)
			widest = columns_of(checks[i].name);
	return widest;
}

void show_checks(const struct show *show, const struct view_check *checks, size_t count)
{
	static const enum table_style styles[] = {[VIEW_GOOD] = TABLE_GOOD,
						  [VIEW_OFF] = TABLE_DIM,
						  [VIEW_REMARK] = TABLE_WARN,
						  [VIEW_BAD] = TABLE_BAD};
	unsigned widest = show_widest_name(checks, count);
	unsigned indent = 6 + 2 + widest + 2; /* grade, name, and what lies between */

	for (size_t i = 0; i < count; i++) {
		const struct view_check *check = &checks[i];

		fprintf(show->to, "%s%-6s%s  ",
			table_style_begin(styles[check->grade], show->colour),
			view_grade_name(check->grade),
			table_style_end(styles[check->grade], show->colour));
		show_styled(show, TABLE_BOLD, check->name);
		fprintf(show->to, "%*s  ", (int)(widest - columns_of(check->name)), "");
		show_wrapped(show, indent, check->what);
		if (check->fix[0]) {
			fprintf(show->to, "%*s→ ", (int)indent, "");
			show_wrapped(show, indent + 2, check->fix);
		}
	}
}

void show_remark(const struct show *show, const struct diag *remark)
{
	char line[sizeof(remark->where) + sizeof(remark->what) + 2];

	snprintf(line, sizeof(line), "%s%s%s", remark->where, remark->where[0] ? ": " : "",
		 remark->what);
	fputs(table_style_begin(TABLE_WARN, show->colour), show->to);
	show_wrapped(show, 0, line);
	fputs(table_style_end(TABLE_WARN, show->colour), show->to);
	if (remark->fix[0]) {
		fputs("→ ", show->to);
		show_wrapped(show, 2, remark->fix);
	}
}

/* ---- views ------------------------------------------------------------------------------------- */

static void show_of_board(const struct show *show, const struct view *view)
{
	switch (view->query.what) {
	case VIEW_STATUS:
		show_status(show, view);
		break;
	case VIEW_SLO:
		show_objectives(show, view->board, 0);
		if (!view->board->objective_count)
			show_nothing(show, "no objective is configured");
		break;
	case VIEW_ALERTS:
		show_alerts(show, view);
		break;
	case VIEW_SCALE:
		show_scale(show, view);
		break;
	case VIEW_HOSTS:
		show_hosts(show, view);
		break;
	case VIEW_DOCTOR:
		show_collectors(show, view->board);
		break;
	case VIEW_TRACED:
		show_traced(show, view);
		break;
	case VIEW_ROUTES:
	case VIEW_DELIVERIES:
	case VIEW_EXEMPLARS:
	case VIEW_COUNT:
		break;
	}
}

void show_view(const struct show *show, const struct view *view)
{
	if (view->query.what == VIEW_ROUTES) {
		show_routes(show, view, 0);
		if (!view->route_count)
			show_nothing(show, "no request in this window");
	} else if (view->query.what == VIEW_DELIVERIES) {
		show_deliveries(show, view, 0);
		if (!view->delivery_count)
			show_nothing(show, "no delivery in this window");
	} else if (view->query.what == VIEW_EXEMPLARS) {
		show_exemplars(show, view);
		if (!view->exemplar_count)
			show_nothing(show, "nothing in this window came with a tag");
	} else if (!view->board) {
		show_nothing(show, "no figures yet: the first second is not over");
	} else {
		show_of_board(show, view);
	}
}
