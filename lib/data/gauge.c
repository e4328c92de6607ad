/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/data/gauge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GAUGE_LIFE (10 * NS_PER_S)

struct gauge_table {
	struct gauge *gauges;
	size_t count, cap;
	uint64_t refused_total;
};

struct gauge_table *gauge_table_new(void)
{
	return calloc(1, sizeof(struct gauge_table));
}

void gauge_table_free(struct gauge_table *table)
{
	if (!table)
		return;
	free(table->gauges);
	free(table);
}

static bool gauge_is(const struct gauge *a, const struct gauge *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->label, b->label) == 0 &&
	       strcmp(a->service, b->service) == 0 && strcmp(a->host, b->host) == 0;
}

/* A place for one more: 0, -ENOSPC or -ENOMEM. */
static int gauge_table_grow(struct gauge_table *table)
{
	size_t cap = table->cap ? 2 * table->cap : 32;
	struct gauge *grown;

	if (table->count == GAUGE_NAMES_MAX)
		return -ENOSPC;
	if (table->count < table->cap)
		return 0;
	grown = realloc(table->gauges, cap * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	table->gauges = grown;
	table->cap = cap;
	return 0;
}

int gauge_set(struct gauge_table *table, const char *host, const char *service, const char *name,
	      const char *label, double value, mono_ns now)
{
	struct gauge gauge = {.value = value, .set_at = now};
	int rc;

	series_text_set(gauge.host, sizeof(gauge.host), host, strlen(host));
	series_text_set(gauge.service, sizeof(gauge.service), service, strlen(service));
	series_text_set(gauge.name, sizeof(gauge.name), name, strlen(name));
	series_text_set(gauge.label, sizeof(gauge.label), label, strlen(label));
	for (size_t i = 0; i < table->count; i++)
		if (gauge_is(&table->gauges[i], &gauge)) {
			table->gauges[i] = gauge;
			return 0;
		}
	rc = gauge_table_grow(table);
	if (rc < 0) {
		table->refused_total++;
		return rc;
	}
	table->gauges[table->count++] = gauge;
	return 0;
}

size_t gauge_count(const struct gauge_table *table)
{
	return table->count;
}

const struct gauge *gauge_at(const struct gauge_table *table, size_t i)
{
	return i < table->count ? &table->gauges[i] : NULL;
}

const struct gauge *gauge_find(const struct gauge_table *table, const char *service,
			       const char *name, const char *label)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct gauge *gauge = &table->gauges[i];

		if (strcmp(gauge->name, name) == 0 && strcmp(gauge->service, service) == 0 &&
		    (!label || strcmp(gauge->label, label) == 0))
			return gauge;
	}
	return NULL;
}

void gauge_expire(struct gauge_table *table, mono_ns now)
{
	for (size_t i = 0; i < table->count;) {
		const struct gauge *gauge = &table->gauges[i];

		if (now > gauge->set_at && now - gauge->set_at > GAUGE_LIFE)
			table->gauges[i] = table->gauges[--table->count];
		else
			i++;
	}
}

uint64_t gauge_refused_total(const struct gauge_table *table)
{
	return table->refused_total;
}
