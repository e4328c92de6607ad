/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From paths to routes: "/api/suppliers/4711" is "/api/suppliers/{id}". In this order:
 *
 *  1. configured templates: "{word}" stands for one segment, a last "*" for any rest;
 *  2. segments that are numbers, long hexadecimal or random text become "{id}", UUIDs "{uuid}";
 *  3. a tree of segments per service keeps the number of names bounded: when a place has seen too
 *     many different segments, further ones become "{name}"; when the service has its full
 *     number of routes, further ones become "{other}".
 *
 * A name once given stays. Paths that were answered "not found" name no new routes, so that a
 * scanner cannot use the names up. One thread; allocates for new routes only; about 0.2 us.
 */
#ifndef VOW_COLLECTORS_ROUTE_NAME_H
#define VOW_COLLECTORS_ROUTE_NAME_H

#include <stdbool.h>

#include "config/config.h"

#define ROUTE_OTHER	   "{other}"
#define ROUTE_SERVICES_MAX 256 /* services with names of their own; beyond: "{other}" */
#define ROUTE_CHILDREN_MAX 64 /* different segments in one place before "{name}" */

struct route_names;
struct service_routes; /* the routes of one service */

struct route_names_options {
	const struct route_template *templates; /* the caller's, until reload or free */
	size_t template_count;
	unsigned routes_per_service; /* 0: 200 */
};

/* NULL when memory lacks. */
struct route_names *route_names_new(const struct route_names_options *options);
void route_names_free(struct route_names *names);
/* New templates and cap; names already given stay with their services. */
void route_names_reload(struct route_names *names, const struct route_names_options *options);

/*
 * Writes the route of a path (begins with '/', no query; anything else is its own route) into
 * route, cut to SERIES_ROUTE_MAX bytes. may_name: whether a new route may come of it.
 */
void route_name_of(struct route_names *names, const char *service, const char *path, bool may_name,
		   char route[SERIES_ROUTE_MAX + 1]);
/*
 * Counts a path that a service was asked again, whose route the caller has kept: all but "{other}"
 * stay what they are until the templates are others. service: of route_names_service(), or NULL.
 */
void route_name_again(struct service_routes *service);
/*
 * What is kept of a service, new if need be, for as long as names are; NULL when there are
 * ROUTE_SERVICES_MAX others already, or memory lacks.
 */
struct service_routes *route_names_service(struct route_names *names, const char *service);

/* Services seen, and for the i-th: its name, how many paths were asked, how many became "{other}". */
size_t route_names_services(const struct route_names *names);
const char *route_names_share(const struct route_names *names, size_t i, uint64_t *asked,
			      uint64_t *other);

#endif
