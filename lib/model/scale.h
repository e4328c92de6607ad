/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Target tracking: how many replicas keep a signal at its target, and what may be done now. One
 * thread; neither blocks nor allocates; no clock.
 *
 *	sums (rate, queue depth):    wanted = ceil(value / target)
 *	means and latency:           wanted = ceil(replicas * value / target)
 *
 * then the deadband (no change while the value is that near to its target), then minimum and
 * maximum, then the limits of time:
 *
 * - up at once, but not within up_cooldown of the last step up;
 * - down only after down_cooldown without any change, in which the signal was seen all the time
 *   and always asked for less than there is; then to the highest count that it asked for. So a
 *   restart, a signal that was away, and a short dip take nothing away.
 *
 * Null is never zero: a signal without a value decides nothing and stops the wait for a step down.
 */
#ifndef VOW_LIB_MODEL_SCALE_H
#define VOW_LIB_MODEL_SCALE_H

#include "lib/model/action.h"
#include "lib/model/bytes.h"

enum scale_limit {
	SCALE_FREE,
	SCALE_MINIMUM,
	SCALE_MAXIMUM,
	SCALE_UP_COOLDOWN,
	SCALE_DOWN_COOLDOWN,
	SCALE_LIMITS
};
const char *scale_limit_name(enum scale_limit limit); /* "", "minimum", ... as in scale_action */

/* The wait for a step down is watched in this many parts of down_cooldown. */
#define SCALE_PARTS 20

struct scale {
	unsigned replicas; /* decided last; 0 before the first step, then the minimum */
	uint64_t second; /* of the last step with a value; 0 none */
	uint64_t up_at, changed_at; /* seconds; 0 never */
	uint64_t watched_since; /* the signal had a value ever since; 0: it has none */
	/* The second that a limit was met last; 0: not since the change. */
	uint64_t met_at[SCALE_LIMITS];
	struct {
		uint64_t part; /* second / length of a part */
		unsigned highest; /* count asked for in it */
	} parts[SCALE_PARTS + 1];
};

struct scale_input {
	uint64_t second; /* > 0, >= that of the step before */
	bool has_value; /* false: no fresh data */
	double value; /* not finite or negative counts as none */
	unsigned running; /* replicas that are known to run; 0 unknown */
};

struct scale_decision {
	unsigned from, to; /* equal: held */
	unsigned wanted; /* before limits */
	enum scale_limit limit;
};

/*
 * Decides; returns true when the decision is news: a change, or a limit that holds one back and was
 * not met since the last change; minimum and maximum also when they were not met for an hour.
 */
bool scale_step(struct scale *scale, const struct scaler *scaler, const struct scale_input *input,
		struct scale_decision *decision);

/* Takes over a decision made elsewhere, at `second`: its count, and the cooldowns it began. */
void scale_recall(struct scale *scale, uint64_t second, unsigned from, unsigned to);

/* One sentence on the decision and what led to it. */
void scale_reason(const struct scaler *scaler, double value, const struct scale_decision *decision,
		  char *text, size_t room);

/*
 * State as bytes. After a restore the wait for a step down starts anew. -EPROTO, also for a second
 * after `latest`, leaves scale as it was.
 */
void scale_save(const struct scale *scale, struct bytes_writer *w);
int scale_restore(struct scale *scale, uint64_t latest, struct bytes_reader *r);

#endif
