/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/intake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/tick.h"

/* ---- names ------------------------------------------------------------------------------------- */

void intake_names_deinit(struct intake_names *names)
{
	free(names->at);
	free(names->fresh);
	*names = (struct intake_names){0};
}

static int intake_names_grow(struct intake_names *names, uint32_t room)
{
	struct series **at = calloc(room, sizeof(*at));
	bool *fresh = calloc(room, sizeof(*fresh));

	if (!at || !fresh) {
		free(at);
		free(fresh);
		return -ENOMEM;
	}
	if (names->room) {
		memcpy(at, names->at, names->room * sizeof(*at));
		memcpy(fresh, names->fresh, names->room * sizeof(*fresh));
	}
	free(names->at);
	free(names->fresh);
	*names = (struct intake_names){at, fresh, room};
	return 0;
}

int intake_names_set(struct intake_names *names, uint32_t id, struct series *series, bool fresh)
{
	uint32_t room = names->room ? names->room : 64;

	if (id >= INTAKE_NAMES_MAX)
		return -EPROTO;
	while (room <= id)
		room *= 2;
	if (room > names->room) {
		int rc = intake_names_grow(names, room);

		if (rc)
			return rc;
	}
	if (names->at[id] == series)
		return 0;
	names->at[id] = series;
	names->fresh[id] = fresh;
	return 0;
}

struct series *intake_names_find(const struct intake_names *names, uint32_t id)
{
	return id < names->room ? names->at[id] : NULL;
}

/* ---- reading ----------------------------------------------------------------------------------- */

/*
 * Of each kind a tick holds no more than an agent can have: gauges as its table, totals as its
 * collectors have reasons, actions as it owes after an outage of its disk and then some. In memory
 * they are up to a hundred times as long as on the wire, so without a limit one message of 33 MiB
 * could take gigabytes.
 */
#define INTAKE_DELTAS_MAX  INTAKE_NAMES_MAX
#define INTAKE_GAUGES_MAX  GAUGE_NAMES_MAX
#define INTAKE_TOTALS_MAX  1024
#define INTAKE_ACTIONS_MAX 4096
/*
 * Of these, which are beside the counts, more are left out: an agent tells no more at a time than
 * the 8192 that it keeps, and leaves no more of an hour that it sums up. As many again are room.
 */
#define INTAKE_EXEMPLARS_MAX (2 * EXEMPLARS_OF_AGENT * EXEMPLARS_KEPT)

/* Of a series in a tick, which is an hour at most: 300 million a second. */
#define INTAKE_COUNT_MAX (UINT64_C(1) << 40)

struct intake_reader {
	const struct intake_context *context;
	struct intake *intake;
	size_t bytes_used, bytes_room;
	size_t delta_room, gauge_room, total_room, action_room, exemplar_room;
	struct tick_writer *names_to; /* of intake_read_names() only */
	int name_count;
	struct diag *d;
};

/* One more element at the end of a growing array, zeroed; NULL when memory lacks. */
static void *intake_append(void *array, size_t *count, size_t *room, size_t element)
{
	char **start = array;

	if (*count == *room) {
		size_t more = *room ? *room * 2 : 16;
		char *grown = realloc(*start, more * element);

		if (!grown)
			return NULL;
		*start = grown;
		*room = more;
	}
	memset(*start + *count * element, 0, element);
	return *start + (*count)++ * element;
}

static int intake_no_memory(struct intake_reader *reader)
{
	return diag_set(reader->d, -ENOMEM, "tick", NULL, "no memory to read it");
}

static int intake_begin(void *arg, wall_ns wall, dur_ns duration)
{
	struct intake_reader *reader = arg;

	if (duration > TICK_DURATION_MAX)
		return diag_set(reader->d, -EPROTO, "tick", NULL, "it covers more than an hour");
	reader->intake->wall = wall;
	reader->intake->duration = duration;
	return 0;
}

static int intake_series(void *arg, series_id id, const struct series_key *key)
{
	struct intake_reader *reader = arg;
	struct series_key own = *key;
	struct series *series;
	int rc;

	snprintf(own.host, sizeof(own.host), "%s", reader->context->host);
	series = series_get(reader->context->table, &own);
	if (!series)
		return intake_no_memory(reader);
	rc = intake_names_set(reader->context->names, id, series, true);
	if (rc == -EPROTO)
		return diag_set(reader->d, rc, "tick", NULL, "series number %u is beyond %u", id,
				INTAKE_NAMES_MAX - 1);
	return rc ? intake_no_memory(reader) : 0;
}

static int intake_too_many(struct intake_reader *reader, const char *what, size_t most)
{
	return diag_set(reader->d, -EPROTO, "tick", NULL, "it holds more than %zu %s", most, what);
}

/* The histograms of a tick cannot be longer than the tick, so their copy never outgrows it. */
static const uint8_t *intake_keep(struct intake_reader *reader, const uint8_t *bytes, size_t size)
{
	uint8_t *copy = reader->intake->bytes + reader->bytes_used;

	if (size > reader->bytes_room - reader->bytes_used)
		return NULL;
	if (size)
		memcpy(copy, bytes, size);
	reader->bytes_used += size;
	return copy;
}

/* Figures that no honest agent sends: counts that contradict their own histogram. */
static const char *intake_contradiction(const struct series_delta *delta)
{
	uint64_t count, sum, max;

	if (hist_packed_totals(delta->hist, delta->hist_size, &count, &sum, &max))
		return "a latency histogram is broken";
	if (count != delta->counts.count)
		return "a histogram holds another number of events than were counted";
	if (count > INTAKE_COUNT_MAX)
		return "there are more events than any host has";
	if (delta->queue_size &&
	    hist_packed_totals(delta->queue, delta->queue_size, &count, &sum, &max))
		return "a queue histogram is broken";
	if (delta->queue_size && count > delta->counts.count)
		return "more events waited than there were";
	if (delta->counts.errors > delta->counts.count)
		return "there are more errors than events";
	for (unsigned i = 0; i < delta->threshold_count; i++)
		if (delta->counts.bad[i] > delta->counts.count)
			return "there are more bad events than events";
	return NULL;
}

static int intake_delta(void *arg, const struct series_delta *delta)
{
	struct intake_reader *reader = arg;
	struct intake *intake = reader->intake;
	struct series *series = intake_names_find(reader->context->names, delta->id);
	const char *wrong;
	struct intake_delta *kept;

	if (!series)
		return diag_set(reader->d, -ENOKEY, "tick", NULL, "series %u was never named",
				delta->id);
	if (intake->delta_count == INTAKE_DELTAS_MAX)
		return intake_too_many(reader, "series", INTAKE_DELTAS_MAX);
	wrong = intake_contradiction(delta);
	if (wrong)
		return diag_set(reader->d, -EPROTO, "tick", NULL, "%s", wrong);
	kept = intake_append(&intake->deltas, &intake->delta_count, &reader->delta_room,
			     sizeof(*kept));
	if (!kept)
		return intake_no_memory(reader);
	kept->series = series;
	kept->delta = *delta;
	kept->delta.id = series_id_of(series);
	kept->delta.key = series_key_of(series);
	kept->delta.hist = intake_keep(reader, delta->hist, delta->hist_size);
	kept->delta.queue = intake_keep(reader, delta->queue, delta->queue_size);
	if (!kept->delta.hist || !kept->delta.queue)
		return diag_set(reader->d, -EPROTO, "tick", NULL,
				"histograms longer than the tick that holds them");
	memcpy(kept->thresholds, delta->thresholds,
	       delta->threshold_count * sizeof(kept->thresholds[0]));
	return 0;
}

static int intake_gauge(void *arg, const struct gauge *gauge)
{
	struct intake_reader *reader = arg;
	struct intake *intake = reader->intake;
	struct gauge *kept;

	if (intake->gauge_count == INTAKE_GAUGES_MAX)
		return intake_too_many(reader, "gauges", INTAKE_GAUGES_MAX);
	kept = intake_append(&intake->gauges, &intake->gauge_count, &reader->gauge_room,
			     sizeof(*kept));
	if (!kept)
		return intake_no_memory(reader);
	*kept = *gauge;
	snprintf(kept->host, sizeof(kept->host), "%s", reader->context->host);
	return 0;
}

static int intake_total(void *arg, const char *collector, const char *reason, uint64_t total)
{
	struct intake_reader *reader = arg;
	struct intake *intake = reader->intake;
	struct intake_total *kept;

	if (intake->total_count == INTAKE_TOTALS_MAX)
		return intake_too_many(reader, "totals of collectors", INTAKE_TOTALS_MAX);
	kept = intake_append(&intake->totals, &intake->total_count, &reader->total_room,
			     sizeof(*kept));
	if (!kept)
		return intake_no_memory(reader);
	series_text_set(kept->collector, sizeof(kept->collector), collector, strlen(collector));
	if (reason)
		series_text_set(kept->reason, sizeof(kept->reason), reason, strlen(reason));
	kept->total = total;
	return 0;
}

static int intake_action(void *arg, const struct action *action)
{
	struct intake_reader *reader = arg;
	struct intake *intake = reader->intake;
	struct action *kept;

	if (intake->action_count == INTAKE_ACTIONS_MAX)
		return intake_too_many(reader, "alerts and decisions", INTAKE_ACTIONS_MAX);
	kept = intake_append(&intake->actions, &intake->action_count, &reader->action_room,
			     sizeof(*kept));
	if (!kept)
		return intake_no_memory(reader);
	*kept = *action;
	return 0;
}

/* What cannot be kept of them is left out: no count is refused for their sake. */
static int intake_exemplar(void *arg, series_id id, const struct exemplar *exemplar)
{
	struct intake_reader *reader = arg;
	struct intake *intake = reader->intake;
	struct series *series = intake_names_find(reader->context->names, id);
	struct intake_exemplar *kept;

	if (!series || intake->exemplar_count == INTAKE_EXEMPLARS_MAX)
		return 0;
	kept = intake_append(&intake->exemplars, &intake->exemplar_count, &reader->exemplar_room,
			     sizeof(*kept));
	if (kept)
		*kept = (struct intake_exemplar){series_id_of(series), *exemplar};
	return 0;
}

/* The array of deltas moves while it grows, so what points into its elements is set at the end. */
static void intake_settle(struct intake *intake)
{
	for (size_t i = 0; i < intake->delta_count; i++)
		intake->deltas[i].delta.thresholds = intake->deltas[i].thresholds;
}

int intake_read(const struct intake_context *context, const uint8_t *tick, size_t tick_size,
		struct intake *intake, struct diag *d)
{
	static const struct tick_visitor visitor = {
		.begin = intake_begin,
		.series = intake_series,
		.delta = intake_delta,
		.gauge = intake_gauge,
		.total = intake_total,
		.action = intake_action,
		.exemplar = intake_exemplar,
	};
	struct intake_reader reader = {
		.context = context, .intake = intake, .bytes_room = tick_size, .d = d};
	int rc;

	*intake = (struct intake){.bytes = malloc(tick_size ? tick_size : 1)};
	if (!intake->bytes)
		return intake_no_memory(&reader);
	rc = tick_read(tick, tick_size, &visitor, &reader, d);
	if (rc) {
		intake_deinit(intake);
		return rc;
	}
	intake_settle(intake);
	return 0;
}

int intake_read_exemplars(const struct intake_context *context, const uint8_t *tick,
			  size_t tick_size, struct intake *intake, struct diag *d)
{
	static const struct tick_visitor visitor = {.exemplar = intake_exemplar};
	struct intake_reader reader = {.context = context, .intake = intake, .d = d};
	int rc;

	*intake = (struct intake){0};
	rc = tick_read(tick, tick_size, &visitor, &reader, d);
	if (rc)
		intake_deinit(intake);
	return rc;
}

static int intake_name(void *arg, series_id id, const struct series_key *key)
{
	struct intake_reader *reader = arg;
	int rc = intake_series(arg, id, key);

	if (!rc && tick_add_series(reader->names_to, id, key))
		rc = intake_no_memory(reader);
	reader->name_count += !rc;
	return rc;
}

int intake_read_names(const struct intake_context *context, const uint8_t *tick, size_t tick_size,
		      struct tick_writer *writer, struct diag *d)
{
	static const struct tick_visitor visitor = {.series = intake_name};
	struct intake_reader reader = {.context = context, .names_to = writer, .d = d};
	int rc = tick_read(tick, tick_size, &visitor, &reader, d);

	return rc == -ENOMEM ? rc : reader.name_count;
}

void intake_deinit(struct intake *intake)
{
	free(intake->deltas);
	free(intake->gauges);
	free(intake->totals);
	free(intake->actions);
	free(intake->exemplars);
	free(intake->bytes);
	*intake = (struct intake){0};
}
