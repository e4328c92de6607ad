/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/known.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ask.h"
#include "lib/base/str.h"

#define KNOWN_LISTED 5 /* names that are listed when none is near: a line of them */

#define KNOWN_SELECTOR 200 /* bytes of one in words, as much as a diag takes */

typedef const char *(*known_name_fn)(const struct series_key *key);

static const char *known_service(const struct series_key *key)
{
	return key->service;
}

static const char *known_method(const struct series_key *key)
{
	return key->method;
}

static const char *known_route(const struct series_key *key)
{
	return key->route;
}

static const char *known_peer(const struct series_key *key)
{
	return key->peer;
}

/* Different names of the rows of a service ("": of all), busiest first; NULL: memory lacks. */
static const char **known_names(const struct view *seen, const char *service, known_name_fn name_of,
				size_t *count)
{
	const char **names = calloc(seen->route_count + 1, sizeof(*names));

	*count = 0;
	for (size_t i = 0; names && i < seen->route_count; i++) {
		const struct series_key *key = &seen->routes[i].key;
		const char *name = name_of(key);
		bool listed = !name[0] || (service[0] && strcmp(service, key->service) != 0);

		for (size_t k = 0; k < *count && !listed; k++)
			listed = strcmp(names[k], name) == 0;
		if (!listed)
			names[(*count)++] = name;
	}
	return names;
}

/* "did you mean 'payments'?", or what there is. */
static void known_suggest(const struct view *seen, const char *service, known_name_fn name_of,
			  const char *word, char *text, size_t room)
{
	size_t count, at;
	const char **names = known_names(seen, service, name_of, &count);
	const char *near = names ? str_nearest(word, names, count) : NULL;
	struct str s;

	str_init(&s, text, room);
	if (near) {
		str_printf(&s, "did you mean '%s'?", near);
	} else if (!names || !count) {
		str_put(&s, "nothing was seen yet; vow doctor says what is captured");
	} else {
		str_put(&s, "known: ");
		for (at = 0; at < count && at < KNOWN_LISTED; at++)
			str_printf(&s, "%s%.40s", at ? ", " : "", names[at]);
		if (count > at)
			str_printf(&s, " and %zu more; vow routes --total has all", count - at);
	}
	free(names);
}

/* ---- what rows are chosen by ------------------------------------------------------------------- */

static bool known_has(const struct view *seen, const char *service, const char *route)
{
	for (size_t i = 0; i < seen->route_count; i++) {
		const struct series_key *key = &seen->routes[i].key;

		if ((!service[0] || strcmp(service, key->service) == 0) &&
		    (!route[0] || view_is_route(route, key)))
			return true;
	}
	return false;
}

bool known_refuse(const struct view_query *asked, const struct view *seen, struct diag *d)
{
	const char *space = strchr(asked->route, ' '), *path = space ? space + 1 : asked->route;
	char fix[sizeof(d->fix)];

	if (asked->service[0] && !known_has(seen, asked->service, "")) {
		known_suggest(seen, "", known_service, asked->service, fix, sizeof(fix));
		diag_set(d, -ENOENT, NULL, fix, "no service '%s' is known", asked->service);
		return true;
	}
	if (!asked->route[0] || known_has(seen, asked->service, asked->route))
		return false;
	known_suggest(seen, asked->service, known_route, path, fix, sizeof(fix));
	diag_set(d, -ENOENT, NULL, fix, "no route '%.120s' is known%s%s%s", asked->route,
		 asked->service[0] ? " of service '" : "", asked->service,
		 asked->service[0] ? "'" : "");
	return true;
}

/* ---- what objectives select -------------------------------------------------------------------- */

static void known_put(struct str *s, const char *what, const char *value)
{
	if (value[0])
		str_printf(s, "%s%s '%.60s'", s->length ? ", " : "", what, value);
}

static void known_selector(const struct selector *selector, char *text, size_t room)
{
	struct str s;

	str_init(&s, text, room);
	known_put(&s, "service", selector->service);
	known_put(&s, "method", selector->method);
	known_put(&s, "route", selector->route);
	known_put(&s, "peer", selector->peer);
	if (selector->kind != POLICY_ANY)
		known_put(&s, "kind", series_kind_name((enum series_kind)selector->kind));
	if (selector->role != POLICY_ANY)
		known_put(&s, "role", series_role_name((enum series_role)selector->role));
	if (!s.length)
		str_put(&s, "everything");
}

static bool known_selects(const struct selector *selector, const struct view *seen)
{
	for (size_t i = 0; i < seen->route_count; i++)
		if (selector_matches(selector, &seen->routes[i].key))
			return true;
	return false;
}

/* What is near the first name that no series has when only it is asked for; "": each is known. */
static void known_near(const struct selector *selector, const struct view *seen, char *fix,
		       size_t room)
{
	const struct {
		const char *text;
		size_t at; /* in struct selector */
		known_name_fn name_of;
	} names[] = {
		{selector->service, offsetof(struct selector, service), known_service},
		{selector->route, offsetof(struct selector, route), known_route},
		{selector->peer, offsetof(struct selector, peer), known_peer},
		{selector->method, offsetof(struct selector, method), known_method},
	};

	fix[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct selector alone = {.kind = selector->kind, .role = selector->role};

		if (!names[i].text[0])
			continue;
		strcpy((char *)&alone + names[i].at, names[i].text);
		if (known_selects(&alone, seen))
			continue;
		known_suggest(seen, "", names[i].name_of, names[i].text, fix, room);
		return;
	}
}

static bool known_is_default(const struct objective *objective, const char *selects)
{
	struct policy *policy = calloc(1, sizeof(*policy));
	bool same = false;

	if (policy)
		policy_defaults(policy);
	for (unsigned i = 0; policy && i < policy->objective_count && !same; i++) {
		char text[KNOWN_SELECTOR];

		known_selector(&policy->objectives[i].selector, text, sizeof(text));
		same = strcmp(policy->objectives[i].name, objective->name) == 0 &&
		       strcmp(text, selects) == 0;
	}
	free(policy);
	return same;
}

bool known_unmatched(const struct objective *objective, const struct view *seen, struct diag *d)
{
	char selects[KNOWN_SELECTOR], fix[sizeof(d->fix)];

	known_selector(&objective->selector, selects, sizeof(selects));
	if (known_selects(&objective->selector, seen) || known_is_default(objective, selects))
		return false;
	known_near(&objective->selector, seen, fix, sizeof(fix));
	diag_set(d, -ENOENT, objective->name, fix, "no series matched so far: it selects %s",
		 selects);
	return true;
}

int known_ask(const struct cli_options *options, struct view **seen, struct diag *d)
{
	const struct view_query query = {.what = VIEW_ROUTES, .window = SERIES_TOTAL};

	return ask_once(options->dir, options->hub, &query, seen, d);
}
