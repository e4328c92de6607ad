/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "view/host.h"
#include "view/json_put.h"

static void json_host_part(struct json *json, json_t *root, const struct board *board,
			   unsigned which)
{
	const struct view_host_part *part = &view_host_parts[which];
	json_t *list = json_list(json, root, part->name);
	struct view_host_row *rows = NULL;
	size_t count = 0;

	if (view_host_rows(board, which, &rows, &count))
		json->failed = true;
	for (size_t i = 0; i < count; i++) {
		json_t *row = json_row(json, list);

		json_text(json, row, "host", board_host_of(board, rows[i].host));
		if (part->key)
			json_text(json, row, part->key, rows[i].key);
		for (unsigned at = 0; part->gauges[at]; at++)
			json_number_or_null(json, row, part->gauges[at], !isnan(rows[i].values[at]),
					    rows[i].values[at]);
	}
	free(rows);
}

char *view_host_json(const struct board *board, bool indented)
{
	struct json json = {false};
	json_t *root = json_object();

	for (unsigned i = 0; i < VIEW_HOST_PARTS; i++)
		json_host_part(&json, root, board, i);
	return json_print(&json, root, indented);
}
