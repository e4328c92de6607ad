/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/body.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *body_type(const struct action *action)
{
	switch (action->kind) {
	case ACTION_ALERT:
		if (action->alert.to == ALERT_FIRING)
			return "alert.firing";
		return action->alert.to == ALERT_RESOLVED ? "alert.resolved" : NULL;
	case ACTION_SCALE:
		return action->scale.from == action->scale.to ? NULL : "scale.decided";
	}
	return NULL;
}

/* RFC 3339 with milliseconds, as every JSON reader knows it. */
static json_t *time_json(wall_ns at)
{
	time_t seconds = (time_t)(at / NS_PER_S);
	struct tm utc;
	char day[32];

	if (!gmtime_r(&seconds, &utc) || !strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &utc))
		return json_null();
	return json_sprintf("%s.%03uZ", day, (unsigned)(at % NS_PER_S / NS_PER_MS));
}

static json_t *series_json(const struct action_evidence *evidence)
{
	const struct series_key *key = &evidence->key;

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "service", key->service,
			 "kind", series_kind_name(key->kind), "role", series_role_name(key->role),
			 "method", key->method, "route", key->route, "peer", key->peer,
			 "status_class", series_class_name(key->status_class), "bad",
			 (json_int_t)evidence->bad, "count", (json_int_t)evidence->count);
}

static json_t *alert_json(const struct alert_action *alert)
{
	json_t *evidence = json_array();

	for (unsigned i = 0; evidence && i < alert->evidence_count; i++)
		if (json_array_append_new(evidence, series_json(&alert->evidence[i])) < 0) {
			json_decref(evidence);
			evidence = NULL;
		}
	/* A missing part makes json_pack() fail as a whole, and frees the others. */
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:f, s:f, s:I, s:I, s:f, s:f, s:s, s:o}",
			 "objective", alert->objective, "fingerprint", alert->fingerprint, "state",
			 alert_state_name(alert->to), "severity", severity_name(alert->severity),
			 "since", time_json(alert->since), "burn_rate_long", alert->burn_long,
			 "burn_rate_short", alert->burn_short, "good", (json_int_t)alert->good,
			 "bad", (json_int_t)alert->bad, "confidence", alert->confidence,
			 "budget_left_ratio", alert->budget_left_ratio, "reason", alert->reason,
			 "evidence", evidence);
}

static json_t *scale_json(const struct scale_action *scale)
{
	return json_pack("{s:s, s:i, s:i, s:i, s:f, s:f, s:s, s:s}", "scaler", scale->scaler,
			 "from_replicas", (int)scale->from, "to_replicas", (int)scale->to,
			 "wanted_replicas", (int)scale->wanted, "value", scale->value, "target",
			 scale->target, "limited_by", scale->limited_by, "reason", scale->reason);
}

/* Owned by jansson's allocator, which is malloc(). */
static char *dump_and_free(json_t *json)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

	json_decref(json);
	return text;
}

char *body_of_action(const struct action *action, const char *id, const char *host)
{
	json_t *data = action->kind == ACTION_ALERT ? alert_json(&action->alert)
						    : scale_json(&action->scale);

	return dump_and_free(json_pack("{s:s, s:s, s:o, s:s, s:o}", "type", body_type(action), "id",
				       id, "timestamp", time_json(action->at), "host", host, "data",
				       data));
}

char *body_of_dead_letter(const struct body_dead_letter *letter)
{
	json_t *data = json_loads(letter->body, 0, NULL);
	char *line = dump_and_free(
		json_pack("{s:s, s:s, s:s, s:s, s:I, s:i, s:o, s:o, s:b, s:o}", "id", letter->id,
			  "type", letter->type, "receiver", letter->receiver, "class",
			  retry_class_name(letter->class), "last_status",
			  (json_int_t)letter->status, "tries", (int)letter->tries, "first_try",
			  time_json(letter->first_try), "last_try", time_json(letter->last_try),
			  "needs_review", 1, "message", data ? data : json_null()));
	char *ended = NULL;

	if (line && asprintf(&ended, "%s\n", line) < 0)
		ended = NULL;
	free(line);
	return ended;
}
