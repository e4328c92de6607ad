/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/data/gauge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GAUGE_LIFE_NS (10 * NS_PER_S)

/*
 * A plain array: a host has some dozens of gauges, each set once a second, and looking through
 * 1024 of them takes about as long as one line of the journal.
 */
struct gauge_table {
	size_t count;
	struct gauge gauges[GAUGE_NAMES_MAX];
};

struct gauge_table *gauge_table_new(void)
{
	return calloc(1, sizeof(struct gauge_table));
}

void gauge_table_free(struct gauge_table *table)
{
	free(table);
}

static bool gauge_same(const struct gauge *a, const struct gauge *b)
{
	return !strcmp(a->name, b->name) && !strcmp(a->label, b->label) &&
	       !strcmp(a->service, b->service) && !strcmp(a->host, b->host);
}

static void gauge_text(char *field, const char *text)
{
	series_text_set(field, SERIES_NAME_MAX + 1, text, strlen(text));
}

int gauge_set(struct gauge_table *table, const char *host, const char *service, const char *name,
	      const char *label, double value, mono_ns now)
{
	struct gauge fresh = {.value = value, .set_at = now};
	size_t i = 0;

	gauge_text(fresh.host, host);
	gauge_text(fresh.service, service);
	gauge_text(fresh.name, name);
	gauge_text(fresh.label, label);
	while (i < table->count && !gauge_same(&table->gauges[i], &fresh))
		i++;
	if (i == GAUGE_NAMES_MAX)
		return -ENOSPC;
	if (i == table->count)
		table->count++;
	table->gauges[i] = fresh;
	return 0;
}

size_t gauge_count(const struct gauge_table *table)
{
	return table->count;
}

const struct gauge *gauge_at(const struct gauge_table *table, size_t i)
{
	return &table->gauges[i];
}

const struct gauge *gauge_find(const struct gauge_table *table, const char *service,
			       const char *name, const char *label)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct gauge *gauge = &table->gauges[i];
		if (!strcmp(gauge->name, name) && !strcmp(gauge->service, service) &&
		    (!label || !strcmp(gauge->label, label)))
			return gauge;
	}
	return NULL;
}

void gauge_expire(struct gauge_table *table, mono_ns now)
{
	for (size_t i = 0; i < table->count;) {
		struct gauge *gauge = &table->gauges[i];
		if (now > gauge->set_at && now - gauge->set_at > GAUGE_LIFE_NS)
			*gauge = table->gauges[--table->count];
		else
			i++;
	}
}
