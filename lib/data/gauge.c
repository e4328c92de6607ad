/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/data/gauge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GAUGE_LIFE (10 * NS_PER_S)

struct gauge_table {
	struct gauge *gauges;
	size_t count, cap, most;
	uint32_t *index; /* number + 1 at the hash of the names or behind it; 0: empty; 2 * cap */
	uint64_t refused_total;
};

struct gauge_table *gauge_table_new(size_t most)
{
	struct gauge_table *table = calloc(1, sizeof(*table));

	if (table)
		table->most = most ? most : GAUGE_NAMES_MAX;
	return table;
}

void gauge_table_free(struct gauge_table *table)
{
	if (!table)
		return;
	free(table->gauges);
	free(table->index);
	free(table);
}

static bool gauge_is(const struct gauge *a, const struct gauge *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->label, b->label) == 0 &&
	       strcmp(a->service, b->service) == 0 && strcmp(a->host, b->host) == 0;
}

/* FNV-1a over the texts with their NULs between them. */
static size_t gauge_hash(const struct gauge *gauge)
{
	const char *const parts[] = {gauge->name, gauge->label, gauge->service, gauge->host};
	uint64_t hash = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		for (const char *c = parts[i];; c++) {
			hash = (hash ^ (uint8_t)*c) * UINT64_C(1099511628211);
			if (!*c)
				break;
		}
	return (size_t)hash;
}

/* Where the index has this gauge, or has room for it. The table is not empty of places. */
static uint32_t *gauge_table_place(const struct gauge_table *table, const struct gauge *gauge)
{
	size_t mask = 2 * table->cap - 1, at = gauge_hash(gauge) & mask;

	while (table->index[at] && !gauge_is(&table->gauges[table->index[at] - 1], gauge))
		at = (at + 1) & mask;
	return &table->index[at];
}

static void gauge_table_index(struct gauge_table *table)
{
	memset(table->index, 0, 2 * table->cap * sizeof(*table->index));
	for (size_t i = 0; i < table->count; i++)
		*gauge_table_place(table, &table->gauges[i]) = (uint32_t)i + 1;
}

/* A place for one more: 0, -ENOSPC or -ENOMEM. */
static int gauge_table_grow(struct gauge_table *table)
{
	size_t cap = table->cap ? 2 * table->cap : 32; /* a power of two */
	struct gauge *grown;
	uint32_t *index;

	if (table->count >= table->most)
		return -ENOSPC;
	if (table->count < table->cap)
		return 0;
	grown = realloc(table->gauges, cap * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	table->gauges = grown;
	index = realloc(table->index, 2 * cap * sizeof(*index));
	if (!index)
		return -ENOMEM;
	table->index = index;
	table->cap = cap;
	gauge_table_index(table);
	return 0;
}

int gauge_set(struct gauge_table *table, const char *host, const char *service, const char *name,
	      const char *label, double value, mono_ns now)
{
	struct gauge gauge = {.value = value, .set_at = now};
	uint32_t *place;
	int rc;

	series_text_set(gauge.host, sizeof(gauge.host), host, strlen(host));
	series_text_set(gauge.service, sizeof(gauge.service), service, strlen(service));
	series_text_set(gauge.name, sizeof(gauge.name), name, strlen(name));
	series_text_set(gauge.label, sizeof(gauge.label), label, strlen(label));
	place = table->cap ? gauge_table_place(table, &gauge) : NULL;
	if (place && *place) {
		table->gauges[*place - 1] = gauge;
		return 0;
	}
	rc = gauge_table_grow(table);
	if (rc < 0) {
		table->refused_total++;
		return rc;
	}
	place = gauge_table_place(table, &gauge);
	table->gauges[table->count++] = gauge;
	*place = (uint32_t)table->count;
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
	size_t before = table->count;

	for (size_t i = 0; i < table->count;) {
		const struct gauge *gauge = &table->gauges[i];

		if (now > gauge->set_at && now - gauge->set_at > GAUGE_LIFE)
			table->gauges[i] = table->gauges[--table->count];
		else
			i++;
	}
	if (table->count != before)
		gauge_table_index(table);
}

uint64_t gauge_refused_total(const struct gauge_table *table)
{
	return table->refused_total;
}
