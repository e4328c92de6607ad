/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing: each addition is packed at once as a tick of its own with one element, behind the bytes
 * so far. Concatenated messages are their union in protocol buffers, so the sum is one tick and
 * nothing has to be kept as a tree.
 */
#include "proto/tick.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/data/varint.h"
#include "proto/action.h"
#include "proto/message.h"
#include "vow/v1/tick.pb-c.h"

struct tick_writer {
	struct message_buffer buffer;
};

struct tick_writer *tick_writer_new(void)
{
	struct tick_writer *writer = calloc(1, sizeof(*writer));

	/* The room that tick_begin() needs is there from the start, so that it cannot fail. */
	if (writer && message_buffer_reserve(&writer->buffer, 1)) {
		free(writer);
		return NULL;
	}
	return writer;
}

void tick_writer_free(struct tick_writer *writer)
{
	if (!writer)
		return;
	message_buffer_free(&writer->buffer);
	free(writer);
}

void tick_begin(struct tick_writer *writer, wall_ns wall, dur_ns duration)
{
	Vow__V1__Tick tick = VOW__V1__TICK__INIT;

	if (duration > TICK_DURATION_MAX) {
		wall += duration - TICK_DURATION_MAX;
		duration = TICK_DURATION_MAX;
	}
	tick.start_unix_ns = wall;
	tick.duration_ns = duration;
	writer->buffer.size = 0;
	message_append(&writer->buffer, &tick.base);
}

/* protobuf-c's structs have no const; packing only reads. */
#define TEXT(s) ((char *)(s))

int tick_add_series(struct tick_writer *writer, series_id id, const struct series_key *key)
{
	Vow__V1__Series series, *one = &series;
	Vow__V1__Tick tick = VOW__V1__TICK__INIT;

	series_key_to_message(key, &series);
	series.id = id;
	tick.n_series = 1;
	tick.series = &one;
	return message_append(&writer->buffer, &tick.base);
}

int tick_add_delta(struct tick_writer *writer, const struct series_delta *delta)
{
	Vow__V1__Bad bad[SERIES_THRESHOLDS], *bads[SERIES_THRESHOLDS];
	Vow__V1__Delta message = VOW__V1__DELTA__INIT, *one = &message;
	Vow__V1__Tick tick = VOW__V1__TICK__INIT;

	for (unsigned i = 0; i < delta->threshold_count; i++) {
		vow__v1__bad__init(&bad[i]);
		bad[i].threshold_ns = delta->thresholds[i];
		bad[i].count = delta->counts.bad[i];
		bads[i] = &bad[i];
	}
	message.id = delta->id;
	message.latency = (ProtobufCBinaryData){delta->hist_size, (uint8_t *)delta->hist};
	message.queue = (ProtobufCBinaryData){delta->queue_size, (uint8_t *)delta->queue};
	message.count = delta->counts.count;
	message.errors = delta->counts.errors;
	message.n_bad = delta->threshold_count;
	message.bad = bads;
	tick.n_deltas = 1;
	tick.deltas = &one;
	return message_append(&writer->buffer, &tick.base);
}

int tick_add_gauge(struct tick_writer *writer, const struct gauge *gauge)
{
	Vow__V1__Gauge message = VOW__V1__GAUGE__INIT, *one = &message;
	Vow__V1__Tick tick = VOW__V1__TICK__INIT;

	if (!isfinite(gauge->value))
		return -EINVAL;
	message.service = TEXT(gauge->service);
	message.name = TEXT(gauge->name);
	message.label = TEXT(gauge->label);
	message.value = gauge->value;
	tick.n_gauges = 1;
	tick.gauges = &one;
	return message_append(&writer->buffer, &tick.base);
}

int tick_add_total(struct tick_writer *writer, const char *collector, const char *reason,
		   uint64_t total)
{
	Vow__V1__Total message = VOW__V1__TOTAL__INIT, *one = &message;
	Vow__V1__Tick tick = VOW__V1__TICK__INIT;

	message.collector = TEXT(collector);
	message.reason = TEXT(reason ? reason : "");
	message.total = total;
	tick.n_totals = 1;
	tick.totals = &one;
	return message_append(&writer->buffer, &tick.base);
}

int tick_add_action(struct tick_writer *writer, const struct action *action)
{
	struct action_message message;
	Vow__V1__Action *one = &message.action;
	Vow__V1__Tick tick = VOW__V1__TICK__INIT;

	action_to_message(action, &message);
	tick.n_actions = 1;
	tick.actions = &one;
	return message_append(&writer->buffer, &tick.base);
}

int tick_add_exemplar(struct tick_writer *writer, series_id id, const struct exemplar *exemplar)
{
	Vow__V1__Exemplar message = VOW__V1__EXEMPLAR__INIT, *one = &message;
	Vow__V1__Tick tick = VOW__V1__TICK__INIT;

	message.id = id;
	message.at_unix_ns = exemplar->at;
	message.latency_ns = exemplar->latency_ns;
	message.status = exemplar->status;
	message.tag = TEXT(exemplar->tag);
	tick.n_exemplars = 1;
	tick.exemplars = &one;
	return message_append(&writer->buffer, &tick.base);
}

int tick_end(struct tick_writer *writer, const uint8_t **bytes, size_t *size)
{
	*bytes = writer->buffer.bytes;
	*size = writer->buffer.size;
	return 0;
}

/* ---- reading ---------------------------------------------------------------------------------- */

static int refuse(struct diag *d, const char *what, uint64_t value)
{
	return diag_set(d, -EPROTO, "tick", NULL, "%s: %llu", what, (unsigned long long)value);
}

#define text_take(field, text) series_text_set(field, sizeof(field), text, strlen(text))

static int read_series(const Vow__V1__Tick *tick, const struct tick_visitor *visitor, void *arg,
		       struct diag *d)
{
	for (size_t i = 0; i < tick->n_series; i++) {
		struct series_key key;
		int rc = series_key_from_message(tick->series[i], &key, d);

		if (!rc && visitor->series)
			rc = visitor->series(arg, tick->series[i]->id, &key);
		if (rc)
			return rc;
	}
	return 0;
}

static int read_delta(const Vow__V1__Delta *message, const struct tick_visitor *visitor, void *arg,
		      struct diag *d)
{
	dur_ns thresholds[SERIES_THRESHOLDS];
	struct series_delta delta = {
		.id = message->id,
		.hist = message->latency.data,
		.hist_size = message->latency.len,
		.queue = message->queue.data,
		.queue_size = message->queue.len,
		.counts = {.count = message->count, .errors = message->errors},
		.threshold_count = (unsigned)message->n_bad,
		.thresholds = thresholds,
	};

	if (message->n_bad > SERIES_THRESHOLDS)
		return refuse(d, "more thresholds than a series may have", message->n_bad);
	for (size_t i = 0; i < message->n_bad; i++) {
		thresholds[i] = message->bad[i]->threshold_ns;
		delta.counts.bad[i] = message->bad[i]->count;
		if (delta.counts.bad[i] > delta.counts.count)
			return refuse(d, "more bad events than events", delta.counts.bad[i]);
	}
	if (delta.counts.errors > delta.counts.count)
		return refuse(d, "more errors than events", delta.counts.errors);
	return visitor->delta ? visitor->delta(arg, &delta) : 0;
}

static int read_gauge(const Vow__V1__Gauge *message, const struct tick_visitor *visitor, void *arg,
		      struct diag *d)
{
	struct gauge gauge = {.value = message->value};

	if (!isfinite(message->value))
		return diag_set(d, -EPROTO, "tick", NULL, "a gauge that is no number");
	text_take(gauge.service, message->service);
	text_take(gauge.name, message->name);
	text_take(gauge.label, message->label);
	return visitor->gauge ? visitor->gauge(arg, &gauge) : 0;
}

static int read_total(const Vow__V1__Total *message, const struct tick_visitor *visitor, void *arg)
{
	char collector[SERIES_NAME_MAX + 1], reason[SERIES_NAME_MAX + 1];

	text_take(collector, message->collector);
	text_take(reason, message->reason);
	if (!visitor->total)
		return 0;
	return visitor->total(arg, collector, reason[0] ? reason : NULL, message->total);
}

static int read_action(const Vow__V1__Action *message, const struct tick_visitor *visitor,
		       void *arg, struct diag *d)
{
	struct action action;
	int rc = action_from_message(message, &action, d);

	if (rc)
		return rc;
	return visitor->action ? visitor->action(arg, &action) : 0;
}

/* Beside the counts: one that says nothing of use is no reason to refuse them. */
static int read_exemplar(const Vow__V1__Exemplar *message, const struct tick_visitor *visitor,
			 void *arg)
{
	struct exemplar exemplar = {
		.at = message->at_unix_ns,
		.latency_ns = message->latency_ns,
		.status = message->status < UINT16_MAX ? (uint16_t)message->status : UINT16_MAX,
	};

	if (!visitor->exemplar || !exemplar_tag_set(&exemplar, message->tag, strlen(message->tag)))
		return 0;
	return visitor->exemplar(arg, message->id, &exemplar);
}

bool tick_has_exemplars(const uint8_t *bytes, size_t size)
{
	enum { EXEMPLARS = 8, FIXED_64 = 1, DELIMITED = 2 }; /* the field; wire types of a tick's */
	const uint8_t *p = bytes, *end = bytes + size;
	uint64_t head, length;

	while (p < end && varint_get(&p, end, &head) == 0) {
		if (head == (EXEMPLARS << 3 | DELIMITED))
			return true;
		length = sizeof(uint64_t);
		if ((head & 7) != FIXED_64 && varint_get(&p, end, &length) < 0)
			return false;
		if ((head & 7) == 0) /* the number was all of it */
			length = 0;
		if (length > (size_t)(end - p))
			return false;
		p += length;
	}
	return false;
}

static int read_tick(const Vow__V1__Tick *tick, const struct tick_visitor *visitor, void *arg,
		     struct diag *d)
{
	int rc = 0;

	if (visitor->begin)
		rc = visitor->begin(arg, tick->start_unix_ns, tick->duration_ns);
	if (!rc)
		rc = read_series(tick, visitor, arg, d);
	for (size_t i = 0; !rc && i < tick->n_deltas; i++)
		rc = read_delta(tick->deltas[i], visitor, arg, d);
	for (size_t i = 0; !rc && i < tick->n_gauges; i++)
		rc = read_gauge(tick->gauges[i], visitor, arg, d);
	for (size_t i = 0; !rc && i < tick->n_totals; i++)
		rc = read_total(tick->totals[i], visitor, arg);
	for (size_t i = 0; !rc && i < tick->n_actions; i++)
		rc = read_action(tick->actions[i], visitor, arg, d);
	for (size_t i = 0; !rc && i < tick->n_exemplars; i++)
		rc = read_exemplar(tick->exemplars[i], visitor, arg);
	return rc;
}

int tick_read(const uint8_t *bytes, size_t size, const struct tick_visitor *visitor, void *arg,
	      struct diag *d)
{
	struct arena arena = {0};
	ProtobufCMessage *message;
	int rc = message_unpack(&vow__v1__tick__descriptor, "tick", bytes, size, &arena, &message,
				d);

	if (!rc)
		rc = read_tick((const Vow__V1__Tick *)message, visitor, arg, d);
	arena_release(&arena);
	return rc;
}
