/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http/tls_traced.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

/* Whether two processes are told of together. */
static bool is_alike(const struct traced *a, const struct traced *b)
{
	return !a->probes == !b->probes && !strcmp(a->service, b->service) &&
	       !strcmp(a->library, b->library) && !strcmp(a->how, b->how) &&
	       !strcmp(a->why_not, b->why_not);
}

/* The first of the processes that are told of with the i-th. */
static unsigned first_alike(const struct traced *list, unsigned i)
{
	unsigned first = 0;

	while (!is_alike(&list[first], &list[i]))
		first++;
	return first;
}

void tls_traced_gauges(const struct traced *list, unsigned count, struct gauge_table *gauges,
		       mono_ns now)
{
	for (unsigned i = 0; i < count; i++) {
		char how[SERIES_NAME_MAX + 1];
		unsigned processes = 0;

		if (!list[i].probes || first_alike(list, i) != i)
			continue;
		for (unsigned k = i; k < count; k++)
			processes += is_alike(&list[k], &list[i]);
		snprintf(how, sizeof(how), "%.40s %s", list[i].library, list[i].how);
		gauge_set(gauges, "", list[i].service, "tls_traced_processes", how, processes, now);
	}
}

/* ---- rows --------------------------------------------------------------------------------------- */

static void text_set(char *field, size_t room, const char *text)
{
	snprintf(field, room, "%s", text);
}

/* Who wants the service of a row; what the configuration wants does not end. */
static void row_want(struct traced_row *row, const struct tls_wanted *wanted)
{
	const struct tls_asked *asked = tls_wanted_asked(wanted, row->service);

	row->configured = !asked || tls_wanted_configured(wanted, row->service);
	if (!row->configured) {
		row->since = asked->since;
		row->until = asked->until;
	}
}

static struct traced_row row_of(const struct traced *traced, const struct tls_wanted *wanted)
{
	struct traced_row row = {.since = traced->since};

	text_set(row.service, sizeof(row.service), traced->service);
	text_set(row.library, sizeof(row.library), traced->library);
	text_set(row.how, sizeof(row.how), traced->how);
	text_set(row.problem, sizeof(row.problem), traced->why_not);
	row_want(&row, wanted);
	return row;
}

/* What is wanted, and has no process. */
static struct traced_row row_without(const char *service, const struct tls_wanted *wanted,
				     bool looking)
{
	const struct tls_asked *asked = tls_wanted_asked(wanted, service);
	struct traced_row row = {.looking = looking};

	text_set(row.service, sizeof(row.service), service);
	text_set(row.problem, sizeof(row.problem),
		 looking ? "its processes are being looked for"
		 : asked && asked->met
			 ? "none of its processes has OpenSSL's calls"
			 : "no process of this name is known; one that speaks TLS will be traced");
	row_want(&row, wanted);
	return row;
}

static bool has_process(const struct traced *list, unsigned count, const char *pattern)
{
	for (unsigned i = 0; i < count; i++)
		if (!fnmatch(pattern, list[i].service, 0))
			return true;
	return false;
}

static bool has_row(const struct traced_row *rows, size_t count, const char *service)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(rows[i].service, service))
			return true;
	return false;
}

static size_t rows_of_processes(const struct traced *list, unsigned count,
				const struct tls_wanted *wanted, struct traced_row *rows)
{
	size_t filled = 0;

	for (unsigned i = 0; i < count; i++) {
		if (first_alike(list, i) != i)
			continue;
		rows[filled] = row_of(&list[i], wanted);
		for (unsigned k = i; k < count; k++)
			rows[filled].processes += is_alike(&list[k], &list[i]);
		filled++;
	}
	return filled;
}

size_t tls_traced_rows(const struct traced *list, unsigned count, const struct tls_wanted *wanted,
		       bool looking, struct traced_row *rows)
{
	const struct service_patterns *patterns = &wanted->config->tls_services;
	size_t filled = rows_of_processes(list, count, wanted, rows);

	for (unsigned i = 0; i < patterns->count; i++)
		if (!has_process(list, count, patterns->names[i]))
			rows[filled++] = row_without(patterns->names[i], wanted, looking);
	for (unsigned i = 0; i < TLS_ASKED_MAX; i++) {
		const struct tls_asked *asked = &wanted->asked[i];

		if (asked->until_at && !has_row(rows, filled, asked->service))
			rows[filled++] = row_without(asked->service, wanted, looking);
	}
	return filled;
}
