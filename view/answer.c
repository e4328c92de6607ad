/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "view/view.h"

int view_answer(const struct series_table *table, struct board *board, const char *host,
		wall_ns now, const uint8_t *query, size_t query_size, uint8_t **answer,
		size_t *answer_size)
{
	struct view_query ask;
	struct view *view;
	struct diag d;
	int rc = view_query_decode(query, query_size, &ask, &d);

	if (rc == -ENOMEM)
		return rc;
	if (rc)
		return view_encode_error(&d, answer, answer_size);
	if (ask.trace.service[0]) {
		diag_set(&d, -ENOTSUP, "trace-tls", "ask the agent of the host, without --hub",
			 "only agents trace");
		return view_encode_error(&d, answer, answer_size);
	}
	rc = view_query(table, board, host, now, &ask, &view);
	if (rc)
		return rc;
	rc = view_encode(view, answer, answer_size);
	view_free(view);
	return rc;
}
