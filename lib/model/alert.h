/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of one objective's alert, as a state machine over two windows of good and bad events.
 * One thread; neither blocks nor allocates; no clock.
 *
 *	          hot short                hot both
 *	 OK ──────────────────▶ PENDING ──────────────▶ FIRING ◀──────────┐
 *	  ▲ ▲     quiet           │  (also OK ▶ FIRING)    │ quiet for      │ hot both:
 *	  │ └────────────────────┘                          │ clear_after    │ a new incident
 *	  └──────────────────────────────────────────── RESOLVED ───────────┘
 *	                  quiet for clear_after again
 *
 * hot short: the short window has events and burns at least burn_rate; hot both: so does the long
 * one, with at least min_bad bad events in it; quiet: the short window has events and burns less.
 * A short window without events is neither: no data freezes every state, and resolves nothing.
 */
#ifndef VOW_LIB_MODEL_ALERT_H
#define VOW_LIB_MODEL_ALERT_H

#include "lib/model/action.h"
#include "lib/model/slo.h"

/* All zero is a valid start: OK. */
struct alert {
	enum alert_state state;
	uint64_t second; /* of the last step */
	/* How long it has been quiet; frozen seconds in between neither count nor end it. */
	uint64_t quiet_s;
};

struct alert_input {
	uint64_t second; /* >= that of the step before */
	struct slo_counts long_window, short_window;
};

/*
 * Moves on; returns true when the state is another than before. Seconds between two steps count
 * as quiet only as far as the short window shows them.
 */
bool alert_step(struct alert *alert, const struct objective *objective,
		const struct alert_input *input);

/* Takes over a state that was told elsewhere, as if it had been entered just now. */
void alert_recall(struct alert *alert, const struct objective *objective, enum alert_state state);

/* How many times too fast the budget burns; 0 without events. */
double alert_burn(const struct objective *objective, struct slo_counts counts);

#define ALERT_NEVER UINT64_MAX

/*
 * How long after the start of a breach with this share of bad events (0 .. 1) the alert fires, in
 * steady traffic that was all good before and is not too thin for min_bad; whole seconds, as the
 * judge ticks; ALERT_NEVER when it does not.
 */
dur_ns alert_time_to_fire(const struct objective *objective, double bad_ratio);

/*
 * The identity of one incident, 32 hex digits: FNV-1a of 128 bits over scope, objective and the
 * second it began.
 */
void alert_fingerprint(const char *scope, const char *objective, wall_ns since, char hex[33]);

/* The sentence for FIRING: what the long window shows and what the objective allows. */
void alert_reason_firing(const struct objective *objective, struct slo_counts long_window,
			 char *text, size_t room);
/* The sentence for RESOLVED, with how long the breach lasted. */
void alert_reason_resolved(const struct objective *objective, struct slo_counts short_window,
			   dur_ns lasted, char *text, size_t room);

#endif
