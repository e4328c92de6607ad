/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last five minutes as points a second, for the charts: of all requests served by the fleet,
 * and of each route over all its hosts and outcomes. A point shows the 10 s that end with it, out
 * of merged histograms. For one registered reader thread of the series table.
 */
#ifndef VOW_HUB_TREND_H
#define VOW_HUB_TREND_H

#include "hub/text.h"
#include "lib/data/series.h"

#define TREND_POINTS 300 /* of one second each */
/*
 * Routes that have a line, of those with events in these five minutes the first that came; further
 * ones count in the fleet's line only. 4.2 MB when all are taken.
 */
#define TREND_ROUTES 512

struct trend;
struct trend *trend_new(const struct series_table *table);
void trend_free(struct trend *trend);

/* Adds the point of the second that ended at wall; call it once after each tick of the table. */
void trend_step(struct trend *trend, wall_ns wall);

struct trend_line; /* good until the next trend_step() */
const struct trend_line *trend_fleet(const struct trend *trend);
/*
 * The line of a route: service, kind, role, method and route of the key count. One in which nothing
 * happens for a route that is known and has no line. NULL for one that was never seen.
 */
const struct trend_line *trend_find(const struct trend *trend, const struct series_key *key);

/*
 * An object of arrays, one element a point, oldest first: at_unix_s, rate (events a second),
 * error_ratio, p50_ns, p90_ns, p95_ns, p99_ns (null while nothing happened).
 */
void trend_put_json(const struct trend *trend, const struct trend_line *line, struct text *text);
/* The newest point as an object of the same names. */
void trend_put_newest(const struct trend *trend, const struct trend_line *line, struct text *text);
/* The newest point of each route with events in it, as an array; route's names are added. */
void trend_put_routes(const struct trend *trend, struct text *text);

#endif
