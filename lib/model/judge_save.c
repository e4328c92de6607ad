/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saved state: "VOWJUDG1", the last second, then for each objective and scaler its name, the size
 * of its part, and the part; at the end the crc32c of all before it, 4 bytes little endian.
 * Parts of rules that the policy no longer has are skipped.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/crc32c.h"
#include "lib/model/judge_rules.h"

static const char judge_magic[8] = "VOWJUDG1";
#define JUDGE_CHECKSUM_SIZE 4

/* ---- what was told last ---------------------------------------------------------------------- */

static void judge_alert_save(const struct alert_action *alert, struct bytes_writer *w)
{
	bytes_put_text(w, alert->objective);
	bytes_put_text(w, alert->fingerprint);
	bytes_put_u64(w, alert->from);
	bytes_put_u64(w, alert->to);
	bytes_put_u64(w, alert->severity);
	bytes_put_u64(w, alert->since);
	bytes_put_f64(w, alert->burn_long);
	bytes_put_f64(w, alert->burn_short);
	bytes_put_u64(w, alert->good);
	bytes_put_u64(w, alert->bad);
	bytes_put_f64(w, alert->confidence);
	bytes_put_f64(w, alert->budget_left_ratio);
	bytes_put_text(w, alert->reason);
	bytes_put_u64(w, alert->evidence_count);
	for (unsigned i = 0; i < alert->evidence_count; i++) {
		evidence_key_save(&alert->evidence[i].key, w);
		bytes_put_u64(w, alert->evidence[i].bad);
		bytes_put_u64(w, alert->evidence[i].count);
	}
}

static void judge_alert_restore(struct alert_action *alert, struct bytes_reader *r)
{
	bytes_get_text(r, alert->objective, sizeof(alert->objective));
	bytes_get_text(r, alert->fingerprint, sizeof(alert->fingerprint));
	alert->from = (enum alert_state)bytes_get_u64(r, ALERT_RESOLVED);
	alert->to = (enum alert_state)bytes_get_u64(r, ALERT_RESOLVED);
	alert->severity = (enum severity)bytes_get_u64(r, SEVERITY_PAGE);
	alert->since = bytes_get_u64(r, UINT64_MAX);
	alert->burn_long = bytes_get_f64(r);
	alert->burn_short = bytes_get_f64(r);
	alert->good = bytes_get_u64(r, UINT64_MAX);
	alert->bad = bytes_get_u64(r, UINT64_MAX);
	alert->confidence = bytes_get_f64(r);
	alert->budget_left_ratio = bytes_get_f64(r);
	bytes_get_text(r, alert->reason, sizeof(alert->reason));
	alert->evidence_count = (unsigned)bytes_get_u64(r, ACTION_EVIDENCE);
	for (unsigned i = 0; i < alert->evidence_count && !r->failed; i++) {
		evidence_key_restore(&alert->evidence[i].key, r);
		alert->evidence[i].bad = bytes_get_u64(r, UINT64_MAX);
		alert->evidence[i].count = bytes_get_u64(r, UINT64_MAX);
	}
}

static void judge_scale_save(const struct scale_action *scale, struct bytes_writer *w)
{
	bytes_put_text(w, scale->scaler);
	bytes_put_u64(w, scale->from);
	bytes_put_u64(w, scale->to);
	bytes_put_f64(w, scale->value);
	bytes_put_f64(w, scale->target);
	bytes_put_u64(w, scale->wanted);
	bytes_put_text(w, scale->limited_by);
	bytes_put_text(w, scale->reason);
}

static void judge_scale_restore(struct scale_action *scale, struct bytes_reader *r)
{
	bytes_get_text(r, scale->scaler, sizeof(scale->scaler));
	scale->from = (unsigned)bytes_get_u64(r, UINT32_MAX);
	scale->to = (unsigned)bytes_get_u64(r, UINT32_MAX);
	scale->value = bytes_get_f64(r);
	scale->target = bytes_get_f64(r);
	scale->wanted = (unsigned)bytes_get_u64(r, UINT32_MAX);
	bytes_get_text(r, scale->limited_by, sizeof(scale->limited_by));
	bytes_get_text(r, scale->reason, sizeof(scale->reason));
}

/* ---- one rule -------------------------------------------------------------------------------- */

static void judge_objective_save(const void *rule, struct bytes_writer *w)
{
	const struct judge_objective *state = rule;

	bytes_put_u64(w, state->alert.state);
	bytes_put_u64(w, state->alert.second);
	bytes_put_u64(w, state->alert.quiet_s);
	bytes_put_u64(w, state->inexact);
	bytes_put_u64(w, state->alert_changed);
	judge_alert_save(&state->last, w);
	slo_save(state->slo, w);
}

static int judge_objective_restore(void *rule, struct bytes_reader *r, uint64_t second)
{
	struct judge_objective *state = rule;

	state->alert.state = (enum alert_state)bytes_get_u64(r, ALERT_RESOLVED);
	state->alert.second = bytes_get_u64(r, second);
	state->alert.quiet_s = bytes_get_u64(r, second);
	state->inexact = bytes_get_u64(r, 1);
	state->alert_changed = bytes_get_u64(r, UINT64_MAX);
	judge_alert_restore(&state->last, r);
	return slo_restore(state->slo, second, r);
}

static void judge_scaler_save(const void *rule, struct bytes_writer *w)
{
	const struct judge_scaler *state = rule;

	scale_save(&state->scale, w);
	bytes_put_u64(w, state->last_at);
	judge_scale_save(&state->last, w);
}

static int judge_scaler_restore(void *rule, struct bytes_reader *r, uint64_t second)
{
	struct judge_scaler *state = rule;

	if (scale_restore(&state->scale, second, r) < 0)
		return -EPROTO;
	state->last_at = bytes_get_u64(r, UINT64_MAX);
	judge_scale_restore(&state->last, r);
	return r->failed ? -EPROTO : 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

typedef void (*judge_part_save_fn)(const void *rule, struct bytes_writer *w);
typedef int (*judge_part_restore_fn)(void *rule, struct bytes_reader *r, uint64_t second);

static void judge_part_save(const char *name, const void *rule, judge_part_save_fn save,
			    struct bytes_writer *w)
{
	struct bytes_writer size = {0};

	save(rule, &size);
	bytes_put_text(w, name);
	bytes_put_u64(w, size.used);
	save(rule, w);
}

/* Reads name and size; the part itself is left for who wants it, and r is moved behind it. */
static void judge_part_open(struct bytes_reader *r, char name[POLICY_NAME_MAX + 1],
			    struct bytes_reader *part)
{
	size_t size;

	bytes_get_text(r, name, POLICY_NAME_MAX + 1);
	size = bytes_get_u64(r, (uint64_t)(r->end - r->at));
	/* The number itself took bytes since that was asked. */
	if (r->failed || size > (size_t)(r->end - r->at)) {
		r->failed = true;
		size = 0;
	}
	*part = (struct bytes_reader){.at = r->at, .end = r->at + size, .failed = r->failed};
	r->at += size;
}

static int judge_part_restore(void *rule, judge_part_restore_fn restore, struct bytes_reader *part,
			      uint64_t second)
{
	int rc = restore(rule, part, second);

	return rc < 0 || part->at != part->end ? -EPROTO : 0;
}

ssize_t judge_save(const struct judge *judge, uint8_t *buf, size_t cap)
{
	struct bytes_writer w = {.bytes = buf, .room = cap};
	uint32_t sum;

	bytes_put(&w, judge_magic, sizeof(judge_magic));
	bytes_put_u64(&w, judge->second);
	bytes_put_u64(&w, judge->policy.objective_count);
	for (unsigned i = 0; i < judge->policy.objective_count; i++)
		judge_part_save(judge->policy.objectives[i].name, &judge->rules.objectives[i],
				judge_objective_save, &w);
	bytes_put_u64(&w, judge->policy.scaler_count);
	for (unsigned i = 0; i < judge->policy.scaler_count; i++)
		judge_part_save(judge->policy.scalers[i].name, &judge->rules.scalers[i],
				judge_scaler_save, &w);
	if (!buf)
		return (ssize_t)(w.used + JUDGE_CHECKSUM_SIZE);
	if (w.used + JUDGE_CHECKSUM_SIZE > cap)
		return -ENOBUFS;
	sum = crc32c(0, buf, w.used);
	for (unsigned i = 0; i < JUDGE_CHECKSUM_SIZE; i++, sum >>= 8)
		buf[w.used++] = (uint8_t)sum;
	return (ssize_t)w.used;
}

/* The bytes between magic and checksum; -EPROTO when one of them is wrong. */
static int judge_open(const uint8_t *bytes, size_t size, struct bytes_reader *r)
{
	uint32_t sum = 0;

	if (size < sizeof(judge_magic) + JUDGE_CHECKSUM_SIZE ||
	    memcmp(bytes, judge_magic, sizeof(judge_magic)) != 0)
		return -EPROTO;
	size -= JUDGE_CHECKSUM_SIZE;
	for (unsigned i = JUDGE_CHECKSUM_SIZE; i-- > 0;)
		sum = sum << 8 | bytes[size + i];
	if (sum != crc32c(0, bytes, size))
		return -EPROTO;
	*r = (struct bytes_reader){.at = bytes + sizeof(judge_magic), .end = bytes + size};
	return 0;
}

static int judge_read_objectives(const struct policy *policy, struct judge_rules *rules,
				 struct bytes_reader *r, uint64_t second)
{
	uint64_t count = bytes_get_u64(r, POLICY_OBJECTIVES);

	while (count-- > 0 && !r->failed) {
		char name[POLICY_NAME_MAX + 1];
		struct bytes_reader part;

		judge_part_open(r, name, &part);
		for (unsigned i = 0; i < policy->objective_count && !r->failed; i++)
			if (!strcmp(policy->objectives[i].name, name) &&
			    judge_part_restore(&rules->objectives[i], judge_objective_restore,
					       &part, second) < 0)
				return -EPROTO;
	}
	return r->failed ? -EPROTO : 0;
}

static int judge_read_scalers(const struct policy *policy, struct judge_rules *rules,
			      struct bytes_reader *r, uint64_t second)
{
	uint64_t count = bytes_get_u64(r, POLICY_SCALERS);

	while (count-- > 0 && !r->failed) {
		char name[POLICY_NAME_MAX + 1];
		struct bytes_reader part;

		judge_part_open(r, name, &part);
		for (unsigned i = 0; i < policy->scaler_count && !r->failed; i++)
			if (!strcmp(policy->scalers[i].name, name) &&
			    judge_part_restore(&rules->scalers[i], judge_scaler_restore, &part,
					       second) < 0)
				return -EPROTO;
	}
	return r->failed || r->at != r->end ? -EPROTO : 0;
}

int judge_restore(struct judge *judge, const uint8_t *bytes, size_t size)
{
	struct judge_rules rules;
	struct bytes_reader r;
	uint64_t second;
	int rc = judge_open(bytes, size, &r);

	if (rc < 0)
		return rc;
	rc = judge_rules_new(&rules, &judge->policy);
	if (rc < 0)
		return rc;
	second = bytes_get_u64(&r, UINT64_MAX / NS_PER_S);
	rc = judge_read_objectives(&judge->policy, &rules, &r, second);
	if (rc == 0)
		rc = judge_read_scalers(&judge->policy, &rules, &r, second);
	if (rc < 0) {
		judge_rules_free(&rules, &judge->policy);
		return rc;
	}
	judge_rules_free(&judge->rules, &judge->policy);
	judge->rules = rules;
	judge->second = second;
	judge->started = false;
	return 0;
}
