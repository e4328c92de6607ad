/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/collector.h"

/* A new source is one file in this folder and one line here; each X(name) is name_collector. */
#define COLLECTORS(X) \
	X(http)       \
	X(lanes)      \
	X(host)       \
	X(tcp)        \
	X(services)

#define DECLARE(name) extern const struct collector_ops name##_collector;
COLLECTORS(DECLARE)

#define ROW(name) &name##_collector,
const struct collector_ops *const collector_table[] = {COLLECTORS(ROW) NULL};
