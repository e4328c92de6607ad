/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/model/evidence.h"

#include <string.h>

static uint64_t evidence_bad(const struct evidence_series *series)
{
	uint64_t bad = 0;

	for (unsigned i = 0; i < EVIDENCE_PARTS; i++)
		bad += series->parts[i].bad;
	return bad;
}

static unsigned evidence_least(const struct evidence *evidence)
{
	uint64_t least = UINT64_MAX;
	unsigned at = 0;

	for (unsigned i = 0; i < evidence->used; i++) {
		uint64_t bad = evidence_bad(&evidence->series[i]);

		if (bad < least) {
			least = bad;
			at = i;
		}
	}
	return at;
}

/* The place of a series that has none yet, or NULL when all others are worse. */
static struct evidence_series *evidence_enter(struct evidence *evidence, series_id id,
					      const struct series_key *key, uint64_t bad)
{
	unsigned i;

	if (!bad)
		return NULL;
	if (evidence->used < EVIDENCE_SERIES) {
		i = evidence->used++;
	} else {
		i = evidence_least(evidence);
		if (evidence_bad(&evidence->series[i]) >= bad)
			return NULL;
	}
	memset(&evidence->series[i], 0, sizeof(evidence->series[i]));
	evidence->series[i].key = *key;
	evidence->ids[i] = id;
	return &evidence->series[i];
}

void evidence_add(struct evidence *evidence, series_id id, const struct series_key *key,
		  uint64_t count, uint64_t bad)
{
	unsigned part = (unsigned)(evidence->part % EVIDENCE_PARTS);
	struct evidence_series *series = NULL;

	for (unsigned i = 0; i < evidence->used && !series; i++)
		if (evidence->ids[i] == id)
			series = &evidence->series[i];
	if (!series)
		series = evidence_enter(evidence, id, key, bad);
	if (!series)
		return;
	series->parts[part].bad += bad;
	series->parts[part].count += count;
}

void evidence_advance(struct evidence *evidence, uint64_t second, uint64_t window_s)
{
	uint64_t part_s = (window_s + EVIDENCE_PARTS - 2) / (EVIDENCE_PARTS - 1);
	uint64_t part = second / part_s;
	uint64_t whole = (window_s + part_s - 1) / part_s; /* parts that the window spans */
	uint64_t passed = part > evidence->part ? part - evidence->part : 0;

	if (passed > EVIDENCE_PARTS)
		passed = EVIDENCE_PARTS;
	for (uint64_t p = 0; p < passed; p++)
		for (unsigned i = 0; i < evidence->used; i++) {
			uint64_t left = part + EVIDENCE_PARTS - whole - 1 - p;

			memset(&evidence->series[i].parts[(part - p) % EVIDENCE_PARTS], 0,
			       sizeof(evidence->series[i].parts[0]));
			/* A short window has fewer parts than there is room for. */
			memset(&evidence->series[i].parts[left % EVIDENCE_PARTS], 0,
			       sizeof(evidence->series[i].parts[0]));
		}
	evidence->part = part;
}

unsigned evidence_worst(const struct evidence *evidence,
			struct action_evidence worst[ACTION_EVIDENCE])
{
	unsigned found = 0;

	for (unsigned i = 0; i < evidence->used; i++) {
		const struct evidence_series *series = &evidence->series[i];
		struct action_evidence entry = {.key = series->key, .bad = evidence_bad(series)};
		unsigned at = found;

		for (unsigned p = 0; p < EVIDENCE_PARTS; p++)
			entry.count += series->parts[p].count;
		while (at > 0 && worst[at - 1].bad < entry.bad)
			at--;
		if (!entry.bad || at == ACTION_EVIDENCE)
			continue;
		found += found < ACTION_EVIDENCE;
		memmove(&worst[at + 1], &worst[at], (found - 1 - at) * sizeof(*worst));
		worst[at] = entry;
	}
	return found;
}

void evidence_key_save(const struct series_key *key, struct bytes_writer *w)
{
	bytes_put_text(w, key->host);
	bytes_put_text(w, key->service);
	bytes_put_text(w, key->method);
	bytes_put_text(w, key->route);
	bytes_put_text(w, key->peer);
	bytes_put_u64(w, key->kind);
	bytes_put_u64(w, key->role);
	bytes_put_u64(w, key->status_class);
}

void evidence_key_restore(struct series_key *key, struct bytes_reader *r)
{
	bytes_get_text(r, key->host, sizeof(key->host));
	bytes_get_text(r, key->service, sizeof(key->service));
	bytes_get_text(r, key->method, sizeof(key->method));
	bytes_get_text(r, key->route, sizeof(key->route));
	bytes_get_text(r, key->peer, sizeof(key->peer));
	key->kind = (uint8_t)bytes_get_u64(r, SERIES_KINDS - 1);
	key->role = (uint8_t)bytes_get_u64(r, SERIES_ROLES - 1);
	key->status_class = (uint8_t)bytes_get_u64(r, CLASS_COUNT - 1);
}
