/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http/route_name.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"

#define ROUTES_DEFAULT	  200
#define SEGMENTS_MAX	  16 /* deeper paths end in "{rest}" */
#define HEXADECIMAL_LEAST 8 /* digits: shorter ones may be words */
#define RANDOM_LEAST	  24 /* characters with digits among them: a token, not a word */

/* A place in a service's tree. Children are a list, no longer than ROUTE_CHILDREN_MAX + 1. */
struct place {
	struct place *child, *sibling;
	uint32_t child_count;
	bool is_route;
	uint8_t length;
	char segment[];
};

struct service_routes {
	char service[SERIES_NAME_MAX + 1];
	unsigned route_count;
	uint64_t asked, other;
	struct place root; /* last, because a place ends in its segment; the root's is empty */
};

struct route_names {
	struct route_names_options options;
	size_t service_count;
	struct service_routes *last; /* asked last: requests come in bursts */
	struct service_routes *services[ROUTE_SERVICES_MAX];
};

static struct route_names_options with_defaults(const struct route_names_options *options)
{
	struct route_names_options copy = *options;

	if (!copy.routes_per_service)
		copy.routes_per_service = ROUTES_DEFAULT;
	return copy;
}

struct route_names *route_names_new(const struct route_names_options *options)
{
	struct route_names *names = calloc(1, sizeof(*names));

	if (names)
		names->options = with_defaults(options);
	return names;
}

static void place_free(struct place *place)
{
	while (place) {
		struct place *sibling = place->sibling;

		place_free(place->child); /* at most SEGMENTS_MAX deep */
		free(place);
		place = sibling;
	}
}

void route_names_free(struct route_names *names)
{
	if (!names)
		return;
	for (size_t i = 0; i < names->service_count; i++) {
		place_free(names->services[i]->root.child);
		free(names->services[i]);
	}
	free(names);
}

void route_names_reload(struct route_names *names, const struct route_names_options *options)
{
	names->options = with_defaults(options);
}

/* ---- templates -------------------------------------------------------------------------------- */

/* The next segment: text up to '/' or the end; *at goes behind it. */
struct segment {
	const char *text;
	size_t length;
};

static struct segment next_segment(const char **at)
{
	struct segment s = {.text = *at};

	s.length = strcspn(s.text, "/");
	*at = s.text + s.length + (s.text[s.length] == '/');
	return s;
}

static bool is_placeholder(struct segment s)
{
	return s.length >= 2 && s.text[0] == '{' && s.text[s.length - 1] == '}';
}

static bool template_fits(const char *pattern, const char *path)
{
	if (*pattern++ != '/' || *path++ != '/')
		return false;
	while (*pattern && *path) {
		struct segment want = next_segment(&pattern);
		struct segment got = next_segment(&path);

		if (want.length == 1 && *want.text == '*' && !*pattern)
			return true;
		if (is_placeholder(want) ? !got.length
					 : want.length != got.length ||
						   memcmp(want.text, got.text, got.length) != 0)
			return false;
		/* "/a/" is not "/a". */
		if ((want.text[want.length] == '/') != (got.text[got.length] == '/'))
			return false;
	}
	return !*pattern && !*path;
}

static const char *find_template(const struct route_names *names, const char *service,
				 const char *path)
{
	for (size_t i = 0; i < names->options.template_count; i++) {
		const struct route_template *t = &names->options.templates[i];

		if ((!t->service[0] || !strcmp(t->service, service)) &&
		    template_fits(t->pattern, path))
			return t->pattern;
	}
	return NULL;
}

/* ---- quantising ------------------------------------------------------------------------------- */

static bool is_uuid(const char *text, size_t length)
{
	if (length != 36)
		return false;
	for (size_t i = 0; i < length; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
			return false;
	}
	return true;
}

/* What stands for a segment, or NULL when it is a word of its own. */
static const char *stand_in(const char *text, size_t length)
{
	size_t digits = 0, hexadecimal = 0, marks = 0;

	if (is_uuid(text, length))
		return "{uuid}";
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		digits += isdigit(c) != 0;
		hexadecimal += isxdigit(c) != 0;
		marks += strchr("-_.:,+~", c) != NULL;
	}
	/* Numbers, dates, versions, coordinates. */
	if (digits && digits + marks == length)
		return "{id}";
	if (length >= HEXADECIMAL_LEAST && hexadecimal == length)
		return "{id}";
	if (length >= RANDOM_LEAST && digits)
		return "{id}";
	return NULL;
}

/* The segment's name: its stand-in, before its extension if it has one ("4711.jpg"). */
static size_t segment_quantise(struct segment s, char name[SERIES_ROUTE_MAX + 1])
{
	const char *stand = stand_in(s.text, s.length);
	size_t stem = s.length;
	struct str out;

	str_init(&out, name, SERIES_ROUTE_MAX + 1);
	if (!stand) {
		while (stem > 0 && s.text[stem - 1] != '.')
			stem--;
		stand = stem > 1 && s.length - stem <= 5 ? stand_in(s.text, stem - 1) : NULL;
		stem = stem ? stem - 1 : 0;
	}
	if (stand) {
		str_put(&out, stand);
		str_put_bytes(&out, s.text + stem, s.length - stem);
	} else {
		str_put_bytes(&out, s.text, s.length);
	}
	return out.length;
}

/* ---- the tree --------------------------------------------------------------------------------- */

struct service_routes *route_names_service(struct route_names *names, const char *service)
{
	struct service_routes *s = names->last;

	if (s && !strcmp(s->service, service))
		return s;
	for (size_t i = 0; i < names->service_count; i++)
		if (!strcmp(names->services[i]->service, service))
			return names->last = names->services[i];
	if (names->service_count == ROUTE_SERVICES_MAX)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	strncpy(s->service, service, SERIES_NAME_MAX);
	names->services[names->service_count++] = s;
	return names->last = s;
}

static struct place *child_find(const struct place *place, const char *segment, size_t length)
{
	for (struct place *c = place->child; c; c = c->sibling)
		if (c->length == length && !memcmp(c->segment, segment, length))
			return c;
	return NULL;
}

static struct place *child_new(struct place *place, const char *segment, size_t length)
{
	struct place *c = calloc(1, sizeof(*c) + length);

	if (!c)
		return NULL;
	c->length = (uint8_t)length;
	memcpy(c->segment, segment, length);
	c->sibling = place->child;
	place->child = c;
	place->child_count++;
	return c;
}

/* The place below for a segment, made if need be and allowed; NULL: none. */
static struct place *child_get(struct place *place, const char *segment, size_t length, bool make)
{
	struct place *c = child_find(place, segment, length);

	if (c || !make)
		return c;
	if (place->child_count < ROUTE_CHILDREN_MAX)
		return child_new(place, segment, length);
	c = child_find(place, "{name}", 6);
	return c ? c : child_new(place, "{name}", 6);
}

/* Below a full place, unknown segments are all the same. */
static struct place *child_or_name(struct place *place, const char *segment, size_t length,
				   bool make)
{
	struct place *c = child_get(place, segment, length, make);

	if (!c && place->child_count >= ROUTE_CHILDREN_MAX)
		c = child_find(place, "{name}", 6);
	return c;
}

/* Walks the path down the tree and writes its name; false when it has, and gets, none. */
static bool tree_walk(struct service_routes *s, const char *path, bool make, struct str *route)
{
	struct place *place = &s->root;
	unsigned depth = 0;

	do {
		char name[SERIES_ROUTE_MAX + 1];
		struct segment segment;
		size_t length;

		path++; /* the slash */
		segment.text = path;
		segment.length = strcspn(path, "/");
		path += segment.length;
		if (++depth == SEGMENTS_MAX) {
			segment = (struct segment){"{rest}", 6};
			path += strlen(path);
		}
		length = segment_quantise(segment, name);
		place = child_or_name(place, name, length, make);
		if (!place)
			return false;
		str_put(route, "/");
		str_put_bytes(route, place->segment, place->length);
	} while (*path);
	if (!place->is_route) {
		if (!make)
			return false;
		place->is_route = true;
		s->route_count++;
	}
	return true;
}

void route_name_of(struct route_names *names, const char *service, const char *path, bool may_name,
		   char route[SERIES_ROUTE_MAX + 1])
{
	const char *fixed = find_template(names, service, path);
	struct service_routes *s = route_names_service(names, service);
	struct str out;

	str_init(&out, route, SERIES_ROUTE_MAX + 1);
	if (s)
		s->asked++;
	if (fixed) {
		str_put(&out, fixed);
		return;
	}
	if (path[0] != '/') {
		/* "OPTIONS *", and requests whose path was not seen. */
		str_put(&out, !strcmp(path, "*") ? "*" : ROUTE_OTHER);
		return;
	}
	if (s && tree_walk(s, path, may_name && s->route_count < names->options.routes_per_service,
			   &out))
		return;
	if (s)
		s->other++;
	str_init(&out, route, SERIES_ROUTE_MAX + 1);
	str_put(&out, ROUTE_OTHER);
}

void route_name_again(struct service_routes *service)
{
	if (service)
		service->asked++;
}

size_t route_names_services(const struct route_names *names)
{
	return names->service_count;
}

const char *route_names_share(const struct route_names *names, size_t i, uint64_t *asked,
			      uint64_t *other)
{
	*asked = names->services[i]->asked;
	*other = names->services[i]->other;
	return names->services[i]->service;
}
