/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose requests within TLS are read in the clear: an order to begin or to end that, and what is
 * said of it. Plain values, for any thread.
 */
#ifndef VOW_LIB_DATA_TRACED_H
#define VOW_LIB_DATA_TRACED_H

#include <stdbool.h>

#include "lib/data/series.h"

#define TRACE_LASTS_MAX (24 * NS_PER_H) /* what is to stay belongs into the configuration */

struct trace_order {
	char service[SERIES_NAME_MAX + 1]; /* "": no order */
	dur_ns lasts; /* from now on; 0: no longer */
};

/* The processes of one service that are probed in one way, or are not for one reason. */
struct traced_row {
	char service[SERIES_NAME_MAX + 1]; /* or a pattern of the configuration that none fits */
	bool configured; /* by the configuration; else by command */
	bool looking; /* its processes are being looked for */
	wall_ns since; /* the command, or else the first probe; 0: none yet */
	wall_ns until; /* 0: as long as the configuration says so */
	uint32_t processes;
	char library[48]; /* "libssl.so.3"; "" none */
	char how[16]; /* "emulated" or "entry+return"; "" not */
	char problem[200]; /* why they are not probed; "" they are */
};

#endif
