/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a host and its services feel, read off the gauges that the collectors of the host set, as
 * tables of gauges: `vow host`.
 */
#ifndef VOW_VIEW_HOST_H
#define VOW_VIEW_HOST_H

#include "view/board.h"

#define VIEW_HOST_GAUGES 9

struct view_host_part {
	const char *name; /* of it in JSON */
	const char *key; /* what a row is of, beside its host; NULL: of nothing else */
	const char *gauges[VIEW_HOST_GAUGES + 1]; /* one a column; the rest is NULL */
};

enum { VIEW_HOST_HOSTS, VIEW_HOST_SERVICES, VIEW_HOST_PEERS, VIEW_HOST_LISTENERS, VIEW_HOST_PARTS };
extern const struct view_host_part view_host_parts[VIEW_HOST_PARTS];

struct view_host_row { /* its texts are the board's */
	const char *host, *key;
	double values[VIEW_HOST_GAUGES]; /* NAN: not known */
};

/*
 * The rows of a part, ordered by host and key: *rows is the caller's to free, NULL without any.
 * board may be NULL. -ENOMEM.
 */
int view_host_rows(const struct board *board, unsigned part, struct view_host_row **rows,
		   size_t *count);

/* All parts as docs/json.md says; malloc'ed, NULL when memory lacks. */
char *view_host_json(const struct board *board, bool indented);

#endif
