/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/source.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sources {
	struct source *first;
	size_t count;
};

struct sources *sources_new(void)
{
	return calloc(1, sizeof(struct sources));
}

static void source_free(struct source *source)
{
	intake_names_deinit(&source->names);
	free(source->collectors);
	free(source);
}

bool sources_full(const struct sources *sources)
{
	return sources->count >= SOURCES_MAX;
}

void sources_free(struct sources *sources)
{
	if (!sources)
		return;
	while (sources->first) {
		struct source *source = sources->first;

		sources->first = source->next;
		source_free(source);
	}
	free(sources);
}

struct source *sources_add(struct sources *sources, const struct store_agent *row)
{
	struct source *source = calloc(1, sizeof(*source));

	if (!source)
		return NULL;
	source->row = *row;
	source->next_row = *row;
	source->names_lost = true;
	source->next = sources->first;
	sources->first = source;
	sources->count++;
	return source;
}

void sources_forget(struct sources *sources, struct source *source)
{
	struct source **at = &sources->first;

	while (*at != source)
		at = &(*at)->next;
	*at = source->next;
	sources->count--;
	source_free(source);
}

struct source *sources_find(const struct sources *sources, const uint8_t id[STORE_ID_SIZE],
			    uint64_t epoch)
{
	for (struct source *s = sources->first; s; s = s->next)
		if (s->row.epoch == epoch && memcmp(s->row.id, id, STORE_ID_SIZE) == 0)
			return s;
	return NULL;
}

struct source *sources_find_no(const struct sources *sources, int64_t no)
{
	for (struct source *s = sources->first; s; s = s->next)
		if (s->row.no == no)
			return s;
	return NULL;
}

bool sources_have_host(const struct sources *sources, const char *host)
{
	for (const struct source *s = sources->first; s; s = s->next)
		if (strcmp(s->row.host, host) == 0)
			return true;
	return false;
}

void sources_prefer(struct sources *sources, struct source *source)
{
	for (struct source *s = sources->first; s; s = s->next)
		if (memcmp(s->row.id, source->row.id, STORE_ID_SIZE) == 0)
			s->superseded = s != source;
}

struct source *sources_first(const struct sources *sources)
{
	return sources->first;
}

bool source_settle(struct source *source)
{
	if (!source->touched)
		return false;
	source->touched = false;
	source->row = source->next_row;
	return true;
}

void sources_roll_back(struct sources *sources)
{
	for (struct source *s = sources->first; s; s = s->next) {
		s->touched = false;
		s->next_row = s->row;
	}
}

/* ---- collectors -------------------------------------------------------------------------------- */

static struct board_collector *source_collector(struct source *source, const char *name)
{
	struct board_collector *collector;

	for (unsigned i = 0; i < source->collector_count; i++)
		if (strcmp(source->collectors[i].name, name) == 0)
			return &source->collectors[i];
	if (source->collector_count == SOURCE_COLLECTORS)
		return NULL;
	collector = realloc(source->collectors,
			    (source->collector_count + 1) * sizeof(*source->collectors));
	if (!collector)
		return NULL; /* its next totals are as good */
	source->collectors = collector;
	collector = &source->collectors[source->collector_count++];
	memset(collector, 0, sizeof(*collector));
	snprintf(collector->name, sizeof(collector->name), "%s", name);
	return collector;
}

static void source_take_drop(struct board_collector *collector, const struct intake_total *total)
{
	unsigned i = 0;

	while (i < collector->drop_count && strcmp(collector->drops[i].reason, total->reason) != 0)
		i++;
	if (i == ARRAY_LEN(collector->drops))
		return;
	if (i == collector->drop_count) {
		collector->drop_count++;
		snprintf(collector->drops[i].reason, sizeof(collector->drops[i].reason), "%s",
			 total->reason);
	}
	collector->drops[i].total = total->total;
}

void source_take_totals(struct source *source, const struct intake *intake)
{
	for (size_t i = 0; i < intake->total_count; i++) {
		const struct intake_total *total = &intake->totals[i];
		struct board_collector *collector = source_collector(source, total->collector);

		if (!collector)
			continue;
		if (total->reason[0])
			source_take_drop(collector, total);
		else
			collector->events_total = total->total;
	}
}

void source_take_refused(struct source *source, uint64_t seq, const char *reason)
{
	snprintf(source->problem, sizeof(source->problem), "record %" PRIu64 " cannot be read: %s",
		 seq, reason);
}

/* ---- the board --------------------------------------------------------------------------------- */

static void source_to_host(const struct source *source, struct board_host *host)
{
	memcpy(host->host, source->row.host, sizeof(host->host));
	memcpy(host->version, source->row.version, sizeof(host->version));
	host->last_seen = source->row.last_seen;
	host->last_seq = source->row.committed;
	host->gap_records_total = source->row.gap_records_total;
	host->connected = source->owner != NULL;
	memcpy(host->problem, source->problem, sizeof(host->problem));
}

int sources_board(const struct sources *sources, struct board *board)
{
	size_t collectors = 0;

	for (const struct source *s = sources->first; s; s = s->next)
		collectors += s->collector_count;
	board->hosts = calloc(sources->count + 1, sizeof(*board->hosts));
	board->collectors = calloc(collectors + 1, sizeof(*board->collectors));
	if (!board->hosts || !board->collectors)
		return -ENOMEM;
	for (const struct source *s = sources->first; s; s = s->next) {
		if (s->superseded)
			continue;
		source_to_host(s, &board->hosts[board->host_count++]);
		for (unsigned i = 0; i < s->collector_count; i++) {
			struct board_collector *at = &board->collectors[board->collector_count++];

			*at = s->collectors[i];
			memcpy(at->host, s->row.host, sizeof(at->host));
		}
	}
	return 0;
}
