/* SPDX-License-Identifier: Apache-2.0 */
/* Ticks as the hub gets them: what tick_read() hands out keeps its promises. */
#include <math.h>

#include "proto/tick.h"
#include "tests/fuzz/fuzz.h"

static struct hist hist;

static int on_series(void *arg, series_id id, const struct series_key *key)
{
	(void)arg, (void)id;
	FUZZ_CHECK(key->host[0] == '\0');
	fuzz_check_text(key->service, sizeof(key->service));
	fuzz_check_text(key->method, sizeof(key->method));
	fuzz_check_text(key->route, sizeof(key->route));
	fuzz_check_text(key->peer, sizeof(key->peer));
	FUZZ_CHECK(key->kind < SERIES_KINDS && key->role < SERIES_ROLES &&
		   key->status_class < CLASS_COUNT);
	return 0;
}

static int on_delta(void *arg, const struct series_delta *delta)
{
	(void)arg;
	FUZZ_CHECK(delta->key == NULL && delta->threshold_count <= SERIES_THRESHOLDS);
	for (unsigned i = 0; i < delta->threshold_count; i++)
		FUZZ_CHECK(delta->counts.bad[i] <= delta->counts.count);
	FUZZ_CHECK(delta->counts.errors <= delta->counts.count);
	hist_merge_packed(&hist, delta->hist, delta->hist_size);
	if (delta->queue_size)
		hist_merge_packed(&hist, delta->queue, delta->queue_size);
	return 0;
}

static int on_gauge(void *arg, const struct gauge *gauge)
{
	(void)arg;
	fuzz_check_text(gauge->name, sizeof(gauge->name));
	fuzz_check_text(gauge->label, sizeof(gauge->label));
	fuzz_check_text(gauge->service, sizeof(gauge->service));
	return 0;
}

static int on_total(void *arg, const char *collector, const char *reason, uint64_t total)
{
	(void)arg, (void)total;
	fuzz_check_text(collector, strlen(collector) + 1);
	if (reason)
		fuzz_check_text(reason, strlen(reason) + 1);
	return 0;
}

static int on_action(void *arg, const struct action *action)
{
	struct tick_writer *writer = arg;

	if (action->kind == ACTION_ALERT) {
		FUZZ_CHECK(action->alert.evidence_count <= ACTION_EVIDENCE);
		FUZZ_CHECK(action->alert.to <= ALERT_RESOLVED);
		fuzz_check_text(action->alert.reason, sizeof(action->alert.reason));
		fuzz_check_text(action->alert.objective, sizeof(action->alert.objective));
	} else {
		FUZZ_CHECK(action->kind == ACTION_SCALE);
		fuzz_check_text(action->scale.scaler, sizeof(action->scale.scaler));
	}
	return tick_add_action(writer, action);
}

static int on_exemplar(void *arg, series_id id, const struct exemplar *exemplar)
{
	size_t length = strnlen(exemplar->tag, sizeof(exemplar->tag));

	FUZZ_CHECK(length > 0 && length <= EXEMPLAR_TAG_MAX);
	for (size_t i = 0; i < length; i++)
		FUZZ_CHECK(exemplar->tag[i] > ' ' && exemplar->tag[i] <= '~');
	return tick_add_exemplar(arg, id, exemplar);
}

static const struct tick_visitor visitor = {.series = on_series,
					    .delta = on_delta,
					    .gauge = on_gauge,
					    .total = on_total,
					    .action = on_action,
					    .exemplar = on_exemplar};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct tick_writer *writer;
	struct diag d = {0};

	if (!writer)
		writer = tick_writer_new();
	tick_begin(writer, 1, 1);
	hist_clear(&hist);
	int rc = tick_read(bytes, size, &visitor, writer, &d);
	FUZZ_CHECK(rc == 0 || d.err == rc);
	return 0;
}
