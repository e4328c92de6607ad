/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was promised and what follows from it: objectives, their alerts, scaling policies. Plain
 * values, made by config/ from YAML or by policy_defaults(), read by the judge. Immutable while a
 * judge uses it.
 */
#ifndef VOW_LIB_MODEL_POLICY_H
#define VOW_LIB_MODEL_POLICY_H

#include <stdbool.h>

#include "lib/data/series.h"

#define POLICY_NAME_MAX	    63
#define POLICY_OBJECTIVES   64
#define POLICY_SCALERS	    32
#define POLICY_ANY	    (-1)
#define POLICY_NO_THRESHOLD UINT64_MAX

/*
 * Which series a rule is about. Empty text and POLICY_ANY match everything; '*' at the end of a
 * text matches any rest ("/api/pay*").
 */
struct selector {
	char service[SERIES_NAME_MAX + 1];
	char method[16];
	char route[SERIES_ROUTE_MAX + 1];
	char peer[SERIES_NAME_MAX + 1];
	int kind; /* enum series_kind or POLICY_ANY */
	int role; /* enum series_role or POLICY_ANY */
};

bool selector_matches(const struct selector *selector, const struct series_key *key);

enum severity { SEVERITY_TICKET, SEVERITY_PAGE };

/*
 * "target_ratio of the selected events are good over `period`"; good means no error and, with a
 * threshold, latency <= threshold_ns. The alert fires while the error budget burns at least
 * burn_rate times too fast over both windows, the long one proving it, the short one proving that
 * it still goes on; it resolves when the short window has stayed below for clear_after.
 */
struct objective {
	char name[POLICY_NAME_MAX + 1];
	struct selector selector;
	dur_ns threshold_ns; /* POLICY_NO_THRESHOLD: errors only */
	double target_ratio; /* in (0, 1): 0.95 */
	dur_ns period; /* 1 h .. 90 d */
	double burn_rate; /* > 0 and < 1 / (1 - target_ratio), or it could never fire */
	dur_ns long_window; /* 2 s .. 6 h, a multiple of 1 s */
	dur_ns short_window; /* 1 s .. long_window */
	dur_ns clear_after; /* 1 s .. 1 h */
	uint64_t min_bad; /* bad events in the long window before it may fire; at least 1 */
	enum severity severity;
};

/* What a scaling policy keeps at its target, per replica. */
enum scale_signal {
	SCALE_RATE, /* events a second of the selected series (a 10 s mean) */
	SCALE_LATENCY, /* p95 in ns of the selected series over 10 s; grows in proportion */
	SCALE_GAUGE, /* a gauge by name: queue_depth, cpu_ratio */
};

struct scaler {
	char name[POLICY_NAME_MAX + 1];
	struct selector selector; /* of SCALE_RATE and SCALE_LATENCY; service also of SCALE_GAUGE */
	enum scale_signal signal;
	char gauge[SERIES_NAME_MAX + 1]; /* of SCALE_GAUGE */
	bool gauge_is_mean; /* a mean over replicas (cpu_ratio), not a sum over labels (queue_depth) */
	double target; /* > 0, in the signal's unit, for one replica */
	unsigned minimum, maximum; /* 1 <= minimum <= maximum <= 10000 */
	double deadband_ratio; /* no change while |value / target - 1| is within it; 0.1 */
	dur_ns up_cooldown; /* 3 min */
	dur_ns down_cooldown; /* 10 min */
};

struct policy {
	struct objective objectives[POLICY_OBJECTIVES];
	unsigned objective_count;
	struct scaler scalers[POLICY_SCALERS];
	unsigned scaler_count;
};

/*
 * Sound defaults without a configuration file: server HTTP and app routes 95 % under 200 ms,
 * deliveries 99.9 % delivered, and within 30 s; each with a page; one scaler on CPU.
 */
void policy_defaults(struct policy *policy);

/* For series_table_options.thresholds: arg is a const struct policy *. */
unsigned policy_thresholds(void *arg, const struct series_key *key,
			   dur_ns thresholds[SERIES_THRESHOLDS]);

#endif
