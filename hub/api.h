/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the hub answers over HTTP: the views as JSON, the charts' lines, a stream of ticks for the
 * page, questions as protobuf, health, metrics, and the page itself. docs/http-api.md lists it.
 * All but api_publish() runs on the HTTP server's thread.
 */
#ifndef VOW_HUB_API_H
#define VOW_HUB_API_H

#include "hub/http.h"
#include "hub/merge.h"
#include "view/view.h"

struct api_facts { /* what no board holds; published with each board */
	struct merge_counters merge;
	uint64_t store_bytes;
	uint64_t unmerged_total;
	uint64_t gauges_refused_total;
	unsigned streams;
	uint64_t connections_shed_total; /* for want of a descriptor */
};

struct api;

/* Both outlive the api. NULL when memory lacks. */
struct api *api_new(const struct series_table *table, struct board_post *post);
void api_free(struct api *api); /* NULL is allowed */

/* After each board_publish(); any thread. */
void api_publish(struct api *api, const struct api_facts *facts);

/* For http_server_open(). */
struct http_handlers api_handlers(struct api *api);

#endif
