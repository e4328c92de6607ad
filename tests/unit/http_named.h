/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests of figures by service begin with: services that are named by the commands of records,
 * since no process lives where /proc is looked for, and records of them.
 */
#ifndef VOW_TESTS_UNIT_HTTP_NAMED_H
#define VOW_TESTS_UNIT_HTTP_NAMED_H

#include <stdio.h>

#include "collectors/http/http_series.h"
#include "config/config.h"
#include "tests/unit/check.h"

struct http_named {
	struct vow_config config;
	struct series_table *table;
	struct http_series *names;
};

static inline void http_named_open(struct http_named *named)
{
	static const struct series_table_options series = {.series_max = 1000};
	struct http_series_options options = {.config = &named->config, .proc = "/nonexistent"};

	options.table = named->table = series_table_new(&series);
	named->names = http_series_new(&options);
	CHECK(named->table && named->names);
}

static inline void http_named_close(struct http_named *named)
{
	http_series_free(named->names);
	series_table_free(named->table);
}

static inline struct http_record http_named_record(const char *command, uint32_t pid, uint8_t role)
{
	struct http_record r = {.pid = pid, .role = role, .local_port = 80};

	snprintf(r.command, sizeof(r.command), "%s", command);
	return r;
}

#endif
