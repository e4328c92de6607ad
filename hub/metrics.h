/* SPDX-License-Identifier: Apache-2.0 */
/* The fleet as Prometheus text (exposition format 0.0.4). On the HTTP server's thread. */
#ifndef VOW_HUB_METRICS_H
#define VOW_HUB_METRICS_H

#include "hub/api.h"
#include "hub/text.h"

/*
 * total: routes since the beginning, recent: routes of the last minute, both by host; their boards
 * may be NULL. What cannot be built for lack of memory makes text void.
 */
void metrics_put(struct text *text, const struct view *total, const struct view *recent,
		 const struct board *board, const struct api_facts *facts);

#endif
