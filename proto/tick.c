/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing: each addition is packed at once as a tick of its own with one element, behind the bytes
 * so far. Concatenated messages are their union in protocol buffers, so the sum is one tick and
 * nothing has to be kept as a tree.
 */
#include "proto/tick.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

	tick.start_unix_ns = wall;
	tick.duration_ns = duration;
	writer->buffer.size = 0;
	message_append(&writer->buffer, &tick.base);
}

/* protobuf-c's structs have no const; packing only reads. */
#define TEXT(s) ((char *)(s))

static Vow__V1__Series series_message(series_id id, const struct series_key *key)
{
	Vow__V1__Series series = VOW__V1__SERIES__INIT;

	series.id = id;
	series.service = TEXT(key->service);
	series.kind = key->kind;
	series.role = key->role;
	series.method = TEXT(key->method);
	series.route = TEXT(key->route);
	series.peer = TEXT(key->peer);
	series.status_class = key->status_class;
	return series;
}

int tick_add_series(struct tick_writer *writer, series_id id, const struct series_key *key)
{
	Vow__V1__Series series = series_message(id, key), *one = &series;
	Vow__V1__Tick tick = VOW__V1__TICK__INIT;

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

/* A burn rate may come out of a division by nothing; readers (JSON among them) know only numbers. */
static double number(double value)
{
	if (isnan(value))
		return 0;
	return fmax(-DBL_MAX, fmin(DBL_MAX, value));
}

static Vow__V1__Alert alert_message(const struct alert_action *alert)
{
	Vow__V1__Alert message = VOW__V1__ALERT__INIT;

	message.objective = TEXT(alert->objective);
	message.fingerprint = TEXT(alert->fingerprint);
	message.from = alert->from;
	message.to = alert->to;
	message.severity = alert->severity;
	message.since_unix_ns = alert->since;
	message.burn_long = number(alert->burn_long);
	message.burn_short = number(alert->burn_short);
	message.good = alert->good;
	message.bad = alert->bad;
	message.confidence = number(alert->confidence);
	message.budget_left_ratio = number(alert->budget_left_ratio);
	message.reason = TEXT(alert->reason);
	return message;
}

static Vow__V1__Scale scale_message(const struct scale_action *scale)
{
	Vow__V1__Scale message = VOW__V1__SCALE__INIT;

	message.scaler = TEXT(scale->scaler);
	message.from = scale->from;
	message.to = scale->to;
	message.value = number(scale->value);
	message.target = number(scale->target);
	message.wanted = scale->wanted;
	message.limited_by = TEXT(scale->limited_by);
	message.reason = TEXT(scale->reason);
	return message;
}

static int append_action(struct tick_writer *writer, Vow__V1__Action *action)
{
	Vow__V1__Tick tick = VOW__V1__TICK__INIT;

	tick.n_actions = 1;
	tick.actions = &action;
	return message_append(&writer->buffer, &tick.base);
}

static int append_alert(struct tick_writer *writer, Vow__V1__Action *action,
			const struct alert_action *alert)
{
	Vow__V1__Evidence evidence[ACTION_EVIDENCE], *evidences[ACTION_EVIDENCE];
	Vow__V1__Series series[ACTION_EVIDENCE];
	Vow__V1__Alert message = alert_message(alert);

	for (unsigned i = 0; i < alert->evidence_count; i++) {
		series[i] = series_message(0, &alert->evidence[i].key);
		vow__v1__evidence__init(&evidence[i]);
		evidence[i].series = &series[i];
		evidence[i].bad = alert->evidence[i].bad;
		evidence[i].count = alert->evidence[i].count;
		evidences[i] = &evidence[i];
	}
	message.n_evidence = alert->evidence_count;
	message.evidence = evidences;
	action->what_case = VOW__V1__ACTION__WHAT_ALERT;
	action->alert = &message;
	return append_action(writer, action);
}

int tick_add_action(struct tick_writer *writer, const struct action *action)
{
	Vow__V1__Action message = VOW__V1__ACTION__INIT;
	Vow__V1__Scale scale;

	message.at_unix_ns = action->at;
	if (action->kind == ACTION_ALERT)
		return append_alert(writer, &message, &action->alert);
	scale = scale_message(&action->scale);
	message.what_case = VOW__V1__ACTION__WHAT_SCALE;
	message.scale = &scale;
	return append_action(writer, &message);
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

static int key_take(struct series_key *key, const Vow__V1__Series *series, struct diag *d)
{
	if (series->kind >= SERIES_KINDS)
		return refuse(d, "unknown kind of series", series->kind);
	if (series->role >= SERIES_ROLES)
		return refuse(d, "unknown role of a series", series->role);
	if (series->status_class >= CLASS_COUNT)
		return refuse(d, "unknown status class", series->status_class);
	*key = (struct series_key){
		.kind = (uint8_t)series->kind,
		.role = (uint8_t)series->role,
		.status_class = (uint8_t)series->status_class,
	};
	text_take(key->service, series->service);
	text_take(key->method, series->method);
	text_take(key->route, series->route);
	text_take(key->peer, series->peer);
	return 0;
}

static int read_series(const Vow__V1__Tick *tick, const struct tick_visitor *visitor, void *arg,
		       struct diag *d)
{
	for (size_t i = 0; i < tick->n_series; i++) {
		struct series_key key;
		int rc = key_take(&key, tick->series[i], d);

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

static int evidence_take(struct alert_action *alert, const Vow__V1__Alert *message, struct diag *d)
{
	if (message->n_evidence > ACTION_EVIDENCE)
		return refuse(d, "more evidence than an alert carries", message->n_evidence);
	for (size_t i = 0; i < message->n_evidence; i++) {
		const Vow__V1__Evidence *evidence = message->evidence[i];
		int rc;

		if (!evidence->series)
			return diag_set(d, -EPROTO, "tick", NULL, "evidence without a series");
		rc = key_take(&alert->evidence[i].key, evidence->series, d);
		if (rc)
			return rc;
		alert->evidence[i].bad = evidence->bad;
		alert->evidence[i].count = evidence->count;
	}
	alert->evidence_count = (unsigned)message->n_evidence;
	return 0;
}

static int alert_take(struct alert_action *alert, const Vow__V1__Alert *message, struct diag *d)
{
	if (message->from > ALERT_RESOLVED || message->to > ALERT_RESOLVED)
		return refuse(d, "unknown state of an alert",
			      message->from > ALERT_RESOLVED ? message->from : message->to);
	if (message->severity > SEVERITY_PAGE)
		return refuse(d, "unknown severity", message->severity);
	alert->from = (enum alert_state)message->from;
	alert->to = (enum alert_state)message->to;
	alert->severity = (enum severity)message->severity;
	alert->since = message->since_unix_ns;
	alert->burn_long = number(message->burn_long);
	alert->burn_short = number(message->burn_short);
	alert->good = message->good;
	alert->bad = message->bad;
	alert->confidence = number(message->confidence);
	alert->budget_left_ratio = number(message->budget_left_ratio);
	text_take(alert->objective, message->objective);
	text_take(alert->fingerprint, message->fingerprint);
	text_take(alert->reason, message->reason);
	return evidence_take(alert, message, d);
}

static void scale_take(struct scale_action *scale, const Vow__V1__Scale *message)
{
	scale->from = message->from;
	scale->to = message->to;
	scale->value = number(message->value);
	scale->target = number(message->target);
	scale->wanted = message->wanted;
	text_take(scale->scaler, message->scaler);
	text_take(scale->limited_by, message->limited_by);
	text_take(scale->reason, message->reason);
}

static int read_action(const Vow__V1__Action *message, const struct tick_visitor *visitor,
		       void *arg, struct diag *d)
{
	struct action action = {.at = message->at_unix_ns};
	int rc = 0;

	switch (message->what_case) {
	case VOW__V1__ACTION__WHAT_ALERT:
		action.kind = ACTION_ALERT;
		rc = alert_take(&action.alert, message->alert, d);
		break;
	case VOW__V1__ACTION__WHAT_SCALE:
		action.kind = ACTION_SCALE;
		scale_take(&action.scale, message->scale);
		break;
	case VOW__V1__ACTION__WHAT__NOT_SET:
	default: /* the decoder's number, so from outside */
		rc = refuse(d, "unknown action", message->what_case);
	}
	if (rc)
		return rc;
	return visitor->action ? visitor->action(arg, &action) : 0;
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
