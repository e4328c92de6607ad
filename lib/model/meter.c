/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/model/meter.h"

#include <stdlib.h>
#include <string.h>

/* The window's whole seconds and the one that is being filled. */
#define METER_SLOTS (METER_WINDOW_S + 1)

struct meter_slot {
	uint64_t second; /* 0: never filed */
	uint64_t count;
};

struct meter {
	enum scale_signal signal;
	uint64_t first, second; /* filed first and last; 0: none */
	unsigned at; /* slot that is being filled */
	struct meter_slot slots[METER_SLOTS];
	struct hist latency[]; /* METER_SLOTS of them with SCALE_LATENCY, else none */
};

struct meter *meter_new(enum scale_signal signal)
{
	size_t histograms = signal == SCALE_LATENCY ? METER_SLOTS : 0;
	/* calloc of this size comes from mmap: untouched pages stay absent. */
	struct meter *meter = calloc(1, sizeof(*meter) + histograms * sizeof(struct hist));

	if (meter)
		meter->signal = signal;
	return meter;
}

void meter_free(struct meter *meter)
{
	free(meter);
}

void meter_add(struct meter *meter, const struct series_delta *delta)
{
	meter->slots[meter->at].count += delta->counts.count;
	if (meter->signal == SCALE_LATENCY)
		hist_merge_packed(&meter->latency[meter->at], delta->hist, delta->hist_size);
}

void meter_file(struct meter *meter, uint64_t second)
{
	meter->slots[meter->at].second = second;
	if (!meter->first)
		meter->first = second;
	/* Ticks shorter than a second fill one slot together. */
	if (second == meter->second)
		return;
	meter->second = second;
	meter->at = (meter->at + 1) % METER_SLOTS;
	meter->slots[meter->at] = (struct meter_slot){0};
	if (meter->signal == SCALE_LATENCY)
		hist_clear(&meter->latency[meter->at]);
}

static bool meter_in_window(const struct meter *meter, unsigned i)
{
	return i != meter->at && meter->slots[i].second + METER_WINDOW_S > meter->second;
}

static bool meter_rate(const struct meter *meter, double *value)
{
	uint64_t count = 0, seconds = meter->second - meter->first + 1;

	for (unsigned i = 0; i < METER_SLOTS; i++)
		if (meter_in_window(meter, i))
			count += meter->slots[i].count;
	if (!count)
		return false;
	*value = (double)count / (double)(seconds < METER_WINDOW_S ? seconds : METER_WINDOW_S);
	return true;
}

static bool meter_latency(const struct meter *meter, struct hist *scratch, double *value)
{
	hist_clear(scratch);
	for (unsigned i = 0; i < METER_SLOTS; i++)
		if (meter_in_window(meter, i))
			hist_merge(scratch, &meter->latency[i]);
	if (!scratch->count)
		return false;
	*value = (double)hist_quantile(scratch, 0.95).value_ns;
	return true;
}

static bool meter_takes(const struct scaler *scaler, const struct gauge *gauge, const char *name)
{
	return !strcmp(gauge->name, name) &&
	       selector_matches_service(&scaler->selector, gauge->service);
}

static bool meter_gauge(const struct scaler *scaler, const struct gauge_table *gauges,
			double *value)
{
	size_t count = gauges ? gauge_count(gauges) : 0;
	unsigned found = 0;
	double sum = 0;

	for (size_t i = 0; i < count; i++) {
		const struct gauge *gauge = gauge_at(gauges, i);

		if (!meter_takes(scaler, gauge, scaler->gauge))
			continue;
		sum += gauge->value;
		found++;
	}
	if (!found)
		return false;
	*value = scaler->gauge_is_mean ? sum / found : sum;
	return true;
}

bool meter_value(const struct meter *meter, const struct scaler *scaler,
		 const struct gauge_table *gauges, struct hist *scratch, double *value)
{
	switch (meter->signal) {
	case SCALE_RATE:
		return meter_rate(meter, value);
	case SCALE_LATENCY:
		return meter_latency(meter, scratch, value);
	case SCALE_GAUGE:
		return meter_gauge(scaler, gauges, value);
	}
	return false;
}

unsigned meter_running(const struct scaler *scaler, const struct gauge_table *gauges)
{
	size_t count = gauges ? gauge_count(gauges) : 0;
	double highest = 0;

	for (size_t i = 0; i < count; i++) {
		const struct gauge *gauge = gauge_at(gauges, i);

		if (meter_takes(scaler, gauge, "replicas") && gauge->value > highest)
			highest = gauge->value;
	}
	return highest < 1e6 ? (unsigned)highest : 0;
}
