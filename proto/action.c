/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/action.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>

void series_key_to_message(const struct series_key *key, Vow__V1__Series *message)
{
	vow__v1__series__init(message);
	/* Generated types have no const; packing only reads. */
	message->service = (char *)key->service;
	message->method = (char *)key->method;
	message->route = (char *)key->route;
	message->peer = (char *)key->peer;
	message->kind = key->kind;
	message->role = key->role;
	message->status_class = key->status_class;
}

static void action_text(char *field, size_t room, const char *text)
{
	series_text_set(field, room, text, strlen(text));
}

int series_key_from_message(const Vow__V1__Series *message, struct series_key *key, struct diag *d)
{
	if (message->kind >= SERIES_KINDS || message->role >= SERIES_ROLES ||
	    message->status_class >= CLASS_COUNT)
		return diag_set(d, -EPROTO, "action", NULL,
				"a series of unknown kind %u, role %u or class %u", message->kind,
				message->role, message->status_class);
	memset(key, 0, sizeof(*key));
	action_text(key->service, sizeof(key->service), message->service);
	action_text(key->method, sizeof(key->method), message->method);
	action_text(key->route, sizeof(key->route), message->route);
	action_text(key->peer, sizeof(key->peer), message->peer);
	key->kind = (uint8_t)message->kind;
	key->role = (uint8_t)message->role;
	key->status_class = (uint8_t)message->status_class;
	return 0;
}

/* A burn rate may come out of a division by nothing; readers (JSON among them) know only numbers. */
static double action_finite(double value)
{
	if (isnan(value))
		return 0;
	return fmax(-DBL_MAX, fmin(DBL_MAX, value));
}

static void action_alert_to_message(const struct alert_action *alert, struct action_message *m)
{
	vow__v1__alert__init(&m->alert);
	m->alert.objective = (char *)alert->objective;
	m->alert.fingerprint = (char *)alert->fingerprint;
	m->alert.from = alert->from;
	m->alert.to = alert->to;
	m->alert.severity = alert->severity;
	m->alert.since_unix_ns = alert->since;
	m->alert.burn_long = action_finite(alert->burn_long);
	m->alert.burn_short = action_finite(alert->burn_short);
	m->alert.good = alert->good;
	m->alert.bad = alert->bad;
	m->alert.confidence = action_finite(alert->confidence);
	m->alert.budget_left_ratio = action_finite(alert->budget_left_ratio);
	m->alert.reason = (char *)alert->reason;
	for (unsigned i = 0; i < alert->evidence_count && i < ACTION_EVIDENCE; i++) {
		vow__v1__evidence__init(&m->evidence[i]);
		series_key_to_message(&alert->evidence[i].key, &m->series[i]);
		m->evidence[i].host = (char *)alert->evidence[i].key.host;
		m->evidence[i].series = &m->series[i];
		m->evidence[i].bad = alert->evidence[i].bad;
		m->evidence[i].count = alert->evidence[i].count;
		m->evidence_rows[i] = &m->evidence[i];
		m->alert.n_evidence = i + 1;
	}
	m->alert.evidence = m->evidence_rows;
	m->action.what_case = VOW__V1__ACTION__WHAT_ALERT;
	m->action.alert = &m->alert;
}

static void action_scale_to_message(const struct scale_action *scale, struct action_message *m)
{
	vow__v1__scale__init(&m->scale);
	m->scale.scaler = (char *)scale->scaler;
	m->scale.from = scale->from;
	m->scale.to = scale->to;
	m->scale.value = action_finite(scale->value);
	m->scale.target = action_finite(scale->target);
	m->scale.wanted = scale->wanted;
	m->scale.limited_by = (char *)scale->limited_by;
	m->scale.reason = (char *)scale->reason;
	m->action.what_case = VOW__V1__ACTION__WHAT_SCALE;
	m->action.scale = &m->scale;
}

void action_to_message(const struct action *action, struct action_message *message)
{
	vow__v1__action__init(&message->action);
	message->action.at_unix_ns = action->at;
	if (action->kind == ACTION_ALERT)
		action_alert_to_message(&action->alert, message);
	else
		action_scale_to_message(&action->scale, message);
}

static int action_alert_from_message(const Vow__V1__Alert *m, struct alert_action *alert,
				     struct diag *d)
{
	if (m->from > ALERT_RESOLVED || m->to > ALERT_RESOLVED || m->severity > SEVERITY_PAGE ||
	    m->n_evidence > ACTION_EVIDENCE)
		return diag_set(d, -EPROTO, "action", NULL,
				"an alert of unknown state, severity or shape");
	for (unsigned i = 0; i < m->n_evidence; i++) {
		const Vow__V1__Evidence *from = m->evidence[i];
		struct action_evidence *to = &alert->evidence[i];

		if (!from->series)
			return diag_set(d, -EPROTO, "action", NULL, "evidence without a series");
		if (series_key_from_message(from->series, &to->key, d))
			return -EPROTO;
		action_text(to->key.host, sizeof(to->key.host), from->host);
		to->bad = from->bad;
		to->count = from->count;
	}
	alert->evidence_count = (unsigned)m->n_evidence;
	action_text(alert->objective, sizeof(alert->objective), m->objective);
	action_text(alert->fingerprint, sizeof(alert->fingerprint), m->fingerprint);
	action_text(alert->reason, sizeof(alert->reason), m->reason);
	alert->from = m->from;
	alert->to = m->to;
	alert->severity = m->severity;
	alert->since = m->since_unix_ns;
	alert->burn_long = action_finite(m->burn_long);
	alert->burn_short = action_finite(m->burn_short);
	alert->good = m->good;
	alert->bad = m->bad;
	alert->confidence = action_finite(m->confidence);
	alert->budget_left_ratio = action_finite(m->budget_left_ratio);
	return 0;
}

static void action_scale_from_message(const Vow__V1__Scale *m, struct scale_action *scale)
{
	action_text(scale->scaler, sizeof(scale->scaler), m->scaler);
	action_text(scale->limited_by, sizeof(scale->limited_by), m->limited_by);
	action_text(scale->reason, sizeof(scale->reason), m->reason);
	scale->from = m->from;
	scale->to = m->to;
	scale->value = action_finite(m->value);
	scale->target = action_finite(m->target);
	scale->wanted = m->wanted;
}

int action_from_message(const Vow__V1__Action *message, struct action *action, struct diag *d)
{
	struct action read = {.at = message->at_unix_ns};
	int rc = 0;

	if (message->what_case == VOW__V1__ACTION__WHAT_ALERT) {
		read.kind = ACTION_ALERT;
		rc = action_alert_from_message(message->alert, &read.alert, d);
	} else if (message->what_case == VOW__V1__ACTION__WHAT_SCALE) {
		read.kind = ACTION_SCALE;
		action_scale_from_message(message->scale, &read.scale);
	} else {
		return diag_set(d, -EPROTO, "action", NULL, "an action of unknown kind");
	}
	if (rc == 0)
		*action = read;
	return rc;
}
