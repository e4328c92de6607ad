/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What receivers get of an action, as JSON; docs/webhooks.md has every member. Any thread;
 * allocates. No bodies, query strings or credentials are in an action, so none are here.
 */
#ifndef VOW_DELIVER_BODY_H
#define VOW_DELIVER_BODY_H

#include "deliver/retry.h"
#include "lib/model/action.h"

/*
 * "alert.firing", "alert.resolved", "scale.decided"; NULL for what nobody is told: an alert that is
 * pending or went back to rest unseen, a scaling decision that changes nothing.
 */
const char *body_type(const struct action *action);

/*
 * JSON on one line, malloc'ed, of an action that has a type; id is the message's. NULL when memory
 * lacks.
 */
char *body_of_action(const struct action *action, const char *id, const char *host);

struct body_dead_letter {
	const char *id, *type, *receiver;
	enum retry_class class;
	long status; /* last answer, 0: none */
	unsigned tries;
	wall_ns first_try, last_try;
	const char *body; /* as it was sent */
};
/* JSON on one line with its line end, malloc'ed. NULL when memory lacks. */
char *body_of_dead_letter(const struct body_dead_letter *letter);

#endif
