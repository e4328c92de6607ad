/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/compact.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/backlog.h"
#include "proto/tick.h"

struct compact {
	struct backlog *sums;
	struct tick_writer *writer;
	struct exemplars *tagged; /* of what is summed up, while it is written; else NULL */
	wall_ns start, end; /* of what is summed up */
	wall_ns next_end; /* of the tick that is looked at */
};

struct compact *compact_new(void)
{
	struct compact *compact = calloc(1, sizeof(*compact));

	if (!compact)
		return NULL;
	compact->sums = backlog_new();
	compact->writer = tick_writer_new();
	if (!compact->sums || !compact->writer) {
		compact_free(compact);
		return NULL;
	}
	return compact;
}

void compact_free(struct compact *compact)
{
	if (!compact)
		return;
	backlog_free(compact->sums);
	tick_writer_free(compact->writer);
	free(compact);
}

/* ---- whether a tick goes with those before it: any other return is no ---------------------------- */

static int fits_begin(void *arg, wall_ns wall, dur_ns duration)
{
	struct compact *compact = arg;

	if (!compact->end)
		compact->start = compact->end = wall;
	compact->next_end = wall + duration > compact->end ? wall + duration : compact->end;
	/* The clock may be slewed, so that ticks overlap a little; one that was set back is no span. */
	return wall < compact->start || wall + NS_PER_S < compact->end ||
	       compact->next_end - compact->start > COMPACT_SPAN_MAX;
}

static int fits_delta(void *arg, const struct series_delta *delta)
{
	struct compact *compact = arg;

	return !backlog_fits(compact->sums, delta);
}

static int fits_action(void *arg, const struct action *action)
{
	(void)arg;
	(void)action;
	return 1;
}

static bool compact_fits(struct compact *compact, const struct journal_record *record)
{
	const struct tick_visitor visitor = {
		.begin = fits_begin, .delta = fits_delta, .action = fits_action};

	return tick_read(record->wire, record->wire_size, &visitor, compact, NULL) == 0;
}

/* ---- summing up ------------------------------------------------------------------------------------ */

static int add_delta(void *arg, const struct series_delta *delta)
{
	static const struct series_key unknown; /* a number suffices: names are carried over */
	struct compact *compact = arg;
	struct series_delta named = *delta;

	named.key = &unknown;
	return backlog_add_delta(compact->sums, &named);
}

static int compact_add(struct compact *compact, const struct journal_record *record)
{
	const struct tick_visitor visitor = {.delta = add_delta};

	return tick_read(record->wire, record->wire_size, &visitor, compact, NULL);
}

/* ---- writing --------------------------------------------------------------------------------------- */

static int put_series(void *arg, series_id id, const struct series_key *key)
{
	return tick_add_series(((struct compact *)arg)->writer, id, key);
}

static int put_delta(void *arg, const struct series_delta *delta)
{
	return tick_add_delta(((struct compact *)arg)->writer, delta);
}

/* What was among the slowest of its minute when its tick ended may have been outdone by later ones. */
static int add_exemplar(void *arg, series_id id, const struct exemplar *exemplar)
{
	struct compact *compact = arg;

	/* So the minutes that are kept hold a whole hour, and the one before its first tick too. */
	exemplars_add(compact->tagged, id, exemplar, compact->end - EXEMPLARS_AHEAD * NS_PER_MIN);
	return 0;
}

static int put_exemplar(void *arg, series_id id, const struct exemplar *exemplar)
{
	return tick_add_exemplar(((struct compact *)arg)->writer, id, exemplar);
}

static int put_gauge(void *arg, const struct gauge *gauge)
{
	return tick_add_gauge(((struct compact *)arg)->writer, gauge);
}

static int put_total(void *arg, const char *collector, const char *reason, uint64_t total)
{
	return tick_add_total(((struct compact *)arg)->writer, collector, reason, total);
}

/* The names of all ticks, and the slowest of their exemplars. */
static int put_tagged(struct compact *compact, const struct journal_record *records, size_t count)
{
	const struct tick_visitor kept = {.series = put_series, .exemplar = add_exemplar};
	int rc = 0;

	compact->tagged = exemplars_new(EXEMPLARS_OF_AGENT);
	if (!compact->tagged)
		return -ENOMEM;
	for (size_t i = 0; i < count && !rc; i++)
		rc = tick_read(records[i].wire, records[i].wire_size, &kept, compact, NULL);
	if (!rc)
		rc = exemplars_fresh(compact->tagged, put_exemplar, compact);
	exemplars_free(compact->tagged);
	compact->tagged = NULL;
	return rc;
}

static int compact_write(struct compact *compact, const struct journal_record *records,
			 size_t count, const uint8_t **wire, size_t *wire_size)
{
	const struct tick_visitor latest = {.gauge = put_gauge, .total = put_total};
	const struct journal_record *last = &records[count - 1];
	int rc;

	tick_begin(compact->writer, compact->start, compact->end - compact->start);
	rc = put_tagged(compact, records, count);
	if (!rc)
		rc = backlog_deltas(compact->sums, put_delta, compact);
	if (!rc)
		rc = tick_read(last->wire, last->wire_size, &latest, compact, NULL);
	return rc ? rc : tick_end(compact->writer, wire, wire_size);
}

ssize_t compact_merge(void *arg, const struct journal_record *records, size_t count,
		      const uint8_t **wire, size_t *wire_size)
{
	struct compact *compact = arg;
	size_t taken = 0;
	int rc = 0;

	compact->start = compact->end = 0;
	while (!rc && taken < count && compact_fits(compact, &records[taken])) {
		rc = compact_add(compact, &records[taken++]);
		compact->end = compact->next_end;
	}
	if (!rc && taken > 1)
		rc = compact_write(compact, records, taken, wire, wire_size);
	backlog_clear(compact->sums);
	if (rc)
		return rc;
	return taken ? (ssize_t)taken : 1;
}
