/* SPDX-License-Identifier: Apache-2.0 */
#include "view/json_put.h"
#include "view/suggest.h"

char *suggest_json(const struct suggestions *suggestions, bool indented)
{
	struct json json = {false};
	json_t *root = json_object();
	json_t *rows = json_list(&json, root, "templates");

	for (size_t i = 0; i < suggestions->count; i++) {
		const struct suggestion *s = &suggestions->rows[i];
		json_t *row = json_row(&json, rows);

		json_text(&json, row, "service", s->service);
		json_text(&json, row, "template", s->pattern);
		json_text(&json, row, "reason", suggest_reason_name(s->reason));
		json_count(&json, row, "count", s->requests);
		json_count(&json, row, "routes", s->routes);
	}
	json_count(&json, root, "count", suggestions->requests);
	json_count(&json, root, "other", suggestions->other);
	return json_print(&json, root, indented);
}
