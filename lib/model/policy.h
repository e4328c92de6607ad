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
 * Which series a rule is about. Empty text and POLICY_ANY match everything, but for a kind that is
 * another view of events (series_kind_is_view()); '*' at the end of a text matches any rest
 * ("/api/pay*").
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
bool selector_matches_service(const struct selector *selector, const char *service);
/* Some series could match both. */
bool selector_overlaps(const struct selector *a, const struct selector *b);

enum severity { SEVERITY_TICKET, SEVERITY_PAGE };
const char *severity_name(enum severity severity); /* "ticket", "page" */

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

/*
 * A nameless objective over everything with errors only, 30 d, page; target and alert still zero.
 * objective_alert_defaults() sets burn rate, windows and guards that suit the target; it may fire
 * at every target in (0, 1).
 */
void objective_init(struct objective *objective);
void objective_alert_defaults(struct objective *objective);

/* What a scaling policy keeps at its target, per replica. */
enum scale_signal {
	SCALE_RATE, /* events a second of the selected series (a 10 s mean) */
	SCALE_LATENCY, /* p95 in ns of the selected series over 10 s; grows in proportion */
	SCALE_GAUGE, /* a gauge by name: queue_depth, cpu_ratio */
};
const char *scale_signal_name(enum scale_signal signal); /* "rate", "latency_p95", "gauge" */

struct scaler {
	char name[POLICY_NAME_MAX + 1];
	/* Of SCALE_RATE and SCALE_LATENCY; of SCALE_GAUGE and of "replicas" only its service. */
	struct selector selector;
	enum scale_signal signal;
	char gauge[SERIES_NAME_MAX + 1]; /* of SCALE_GAUGE */
	bool gauge_is_mean; /* over replicas (cpu_ratio), not a sum over labels (queue_depth) */
	double target; /* > 0, in the signal's unit, for one replica */
	unsigned minimum, maximum; /* 1 <= minimum <= maximum <= 10000 */
	double deadband_ratio; /* no change while |value / target - 1| is within it; 0.1 */
	dur_ns up_cooldown; /* 3 min */
	dur_ns down_cooldown; /* 10 min */
};

/* A nameless scaler over everything with the figures above, 1 to 10 replicas, no target. */
void scaler_init(struct scaler *scaler);

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

/*
 * For series_table_options.thresholds: arg is a const struct policy *. Errors are counted in any
 * case and take none of the places; of more than SERIES_THRESHOLDS thresholds the first are taken,
 * the judge marks the objectives of the others as inexact.
 */
unsigned policy_thresholds(void *arg, const struct series_key *key,
			   dur_ns thresholds[SERIES_THRESHOLDS]);

#endif
