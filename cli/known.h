/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether what somebody named was ever seen: a route or service that rows are chosen by, the series
 * that an objective selects. Each looks through a view of routes, over all time where there is one.
 * One thread; known_ask() alone blocks.
 */
#ifndef VOW_CLI_KNOWN_H
#define VOW_CLI_KNOWN_H

#include "cli/options.h"
#include "view/view.h"

/*
 * True when the service or the route of `asked` is in no row of `seen`: d says which, and what is
 * near it or what there is. False when all that was asked for was seen.
 */
bool known_refuse(const struct view_query *asked, const struct view *seen, struct diag *d);

/*
 * True when the objective selects no row of `seen`: d says what it selects, and what is near the
 * name that nothing has. Never of an objective as policy_defaults() makes it, which nobody wrote.
 */
bool known_unmatched(const struct objective *objective, const struct view *seen, struct diag *d);

/*
 * Asks what was seen at all. *seen is to be freed with view_free(); -errno as of ask_open() and
 * ask_view().
 */
int known_ask(const struct cli_options *options, struct view **seen, struct diag *d);

#endif
