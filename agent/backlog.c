/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/backlog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One series' sum; the histograms are large (43 KB) but only their used pages become resident. */
struct owed {
	struct series_key key;
	struct series_counts counts;
	unsigned threshold_count;
	dur_ns thresholds[SERIES_THRESHOLDS];
	struct hist latency, queue;
};

struct backlog {
	struct owed **owed; /* by series id */
	size_t owed_size;
	struct action *actions;
	size_t action_count;
	uint64_t lost_total;
	uint8_t latency[HIST_PACKED_MAX], queue[HIST_PACKED_MAX]; /* scratch of backlog_deltas() */
};

struct backlog *backlog_new(void)
{
	return calloc(1, sizeof(struct backlog));
}

void backlog_clear(struct backlog *backlog)
{
	for (size_t id = 0; id < backlog->owed_size; id++)
		free(backlog->owed[id]);
	free(backlog->owed);
	free(backlog->actions);
	backlog->owed = NULL;
	backlog->owed_size = 0;
	backlog->actions = NULL;
	backlog->action_count = 0;
}

void backlog_free(struct backlog *backlog)
{
	if (!backlog)
		return;
	backlog_clear(backlog);
	free(backlog);
}

static struct owed *backlog_get(struct backlog *backlog, const struct series_delta *delta)
{
	if (delta->id >= backlog->owed_size) {
		size_t size = (size_t)delta->id + 64;
		struct owed **grown = realloc(backlog->owed, size * sizeof(*grown));
		if (!grown)
			return NULL;
		memset(grown + backlog->owed_size, 0, (size - backlog->owed_size) * sizeof(*grown));
		backlog->owed = grown;
		backlog->owed_size = size;
	}
	struct owed **slot = &backlog->owed[delta->id];
	if (!*slot) {
		*slot = calloc(1, sizeof(**slot));
		if (*slot)
			(*slot)->key = *delta->key;
	}
	return *slot;
}

/* Bad events of the delta for one threshold; a threshold it does not count adds nothing. */
static uint64_t delta_bad(const struct series_delta *delta, dur_ns threshold)
{
	for (unsigned i = 0; i < delta->threshold_count; i++)
		if (delta->thresholds[i] == threshold)
			return delta->counts.bad[i];
	return 0;
}

bool backlog_fits(const struct backlog *backlog, const struct series_delta *delta)
{
	const struct owed *owed = delta->id < backlog->owed_size ? backlog->owed[delta->id] : NULL;

	return !owed || (owed->threshold_count == delta->threshold_count &&
			 memcmp(owed->thresholds, delta->thresholds,
				owed->threshold_count * sizeof(owed->thresholds[0])) == 0);
}

int backlog_add_delta(struct backlog *backlog, const struct series_delta *delta)
{
	struct owed *owed = backlog_get(backlog, delta);

	if (!owed || hist_merge_packed(&owed->latency, delta->hist, delta->hist_size)) {
		backlog->lost_total += delta->counts.count;
		return owed ? -EPROTO : -ENOMEM;
	}
	if (delta->queue_size)
		hist_merge_packed(&owed->queue, delta->queue, delta->queue_size);
	/*
	 * After a reload the newest thresholds win; counts of those that are gone go with them, as
	 * they do in the series table.
	 */
	struct series_counts counts = {.count = owed->counts.count + delta->counts.count,
				       .errors = owed->counts.errors + delta->counts.errors};
	for (unsigned i = 0; i < delta->threshold_count; i++) {
		counts.bad[i] = delta_bad(delta, delta->thresholds[i]);
		for (unsigned k = 0; k < owed->threshold_count; k++)
			if (owed->thresholds[k] == delta->thresholds[i])
				counts.bad[i] += owed->counts.bad[k];
	}
	owed->counts = counts;
	owed->threshold_count = delta->threshold_count;
	memcpy(owed->thresholds, delta->thresholds,
	       delta->threshold_count * sizeof(owed->thresholds[0]));
	return 0;
}

void backlog_add_action(struct backlog *backlog, const struct action *action)
{
	struct action *grown =
		realloc(backlog->actions, (backlog->action_count + 1) * sizeof(*grown));

	if (!grown) {
		backlog->lost_total++;
		return;
	}
	backlog->actions = grown;
	if (backlog->action_count == BACKLOG_ACTIONS) {
		memmove(grown, grown + 1, (BACKLOG_ACTIONS - 1) * sizeof(*grown));
		backlog->action_count--;
		backlog->lost_total++;
	}
	backlog->actions[backlog->action_count++] = *action;
}

bool backlog_empty(const struct backlog *backlog)
{
	return !backlog->owed_size && !backlog->action_count;
}

int backlog_deltas(struct backlog *backlog, int (*fn)(void *arg, const struct series_delta *delta),
		   void *arg)
{
	for (size_t id = 0; id < backlog->owed_size; id++) {
		const struct owed *owed = backlog->owed[id];
		if (!owed)
			continue;
		ssize_t latency =
			hist_pack(&owed->latency, backlog->latency, sizeof(backlog->latency));
		ssize_t queue = 0;
		if (owed->queue.count)
			queue = hist_pack(&owed->queue, backlog->queue, sizeof(backlog->queue));
		struct series_delta delta = {
			.id = (series_id)id,
			.key = &owed->key,
			.hist = backlog->latency,
			.hist_size = (size_t)latency,
			.queue = backlog->queue,
			.queue_size = (size_t)queue,
			.counts = owed->counts,
			.threshold_count = owed->threshold_count,
			.thresholds = owed->thresholds,
		};
		int rc = fn(arg, &delta);
		if (rc)
			return rc;
	}
	return 0;
}

int backlog_actions(struct backlog *backlog, int (*fn)(void *arg, const struct action *action),
		    void *arg)
{
	for (size_t i = 0; i < backlog->action_count; i++) {
		int rc = fn(arg, &backlog->actions[i]);
		if (rc)
			return rc;
	}
	return 0;
}

void backlog_lose(struct backlog *backlog, uint64_t events)
{
	backlog->lost_total += events;
}

uint64_t backlog_lost_total(const struct backlog *backlog)
{
	return backlog->lost_total;
}
