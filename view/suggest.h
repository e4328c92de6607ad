/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Route templates for a configuration, out of the routes that were seen: where paths were named by
 * their shape ({id}, {uuid}), where a place had so many names that they became {name}, and where it
 * has so many that they should. Pure functions of a view of routes; any thread.
 */
#ifndef VOW_VIEW_SUGGEST_H
#define VOW_VIEW_SUGGEST_H

#include "view/view.h"

/*
 * Different words in one place of otherwise equal routes, from which on they are taken for names of
 * things. The capture itself gives up at 64.
 */
#define SUGGEST_NAMES 16

enum suggest_reason {
	SUGGEST_SHAPE, /* segments looked like numbers, tokens or UUIDs */
	SUGGEST_NAME, /* many different words in one place */
	SUGGEST_WORD, /* no placeholder in it: it would be lost in one of the above */
};
const char *suggest_reason_name(enum suggest_reason reason); /* "shape", "names", "word" */

struct suggestion {
	char service[SERIES_NAME_MAX + 1];
	char pattern[SERIES_ROUTE_MAX + 1]; /* a valid template of the configuration */
	enum suggest_reason reason;
	uint64_t requests; /* that it would have named */
	unsigned routes; /* as many routes of now become this one */
};

struct suggestions {
	struct suggestion *rows; /* by service; in the order in which templates have to stand */
	size_t count;
	uint64_t requests; /* seen in all */
	uint64_t other; /* of these, those without a route of their own: "{other}" */
};

/* Of HTTP routes in the view. -ENOMEM. The caller's to free. */
int suggest_routes(const struct view *view, struct suggestions *out);
void suggest_free(struct suggestions *suggestions);

/* An object as docs/json.md says, malloc'ed; NULL when memory lacks. */
char *suggest_json(const struct suggestions *suggestions, bool indented);

#endif
