/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/model/thrift.h"

#include <stdio.h>

const char *thrift_step_name(enum thrift_step step)
{
	static const char *const names[THRIFT_STEPS] = {
		[THRIFT_ALL] = "all",	    [THRIFT_NO_PATHS] = "no_paths", [THRIFT_BUSY] = "busy",
		[THRIFT_COUNTS] = "counts", [THRIFT_OFF] = "off",
	};

	return step < THRIFT_STEPS ? names[step] : "unknown";
}

static void thrift_go(struct thrift *state, const struct thrift_input *input, enum thrift_step to,
		      struct thrift_change *change)
{
	change->from = state->step;
	change->to = to;
	state->step = to;
	state->since = input->now;
	state->above_since = state->below_since = 0;
}

/* When a condition began to hold; 0 while it does not. */
static mono_ns held_since(mono_ns since, bool holds, mono_ns now)
{
	if (!holds)
		return 0;
	return since ? since : now;
}

static void thrift_up(struct thrift *state, const struct thrift_input *input,
		      struct thrift_change *change)
{
	state->each[state->step] = input->rate > 0 ? input->cost_ratio / input->rate : 0;
	thrift_go(state, input, state->step + 1, change);
	if (change->to == THRIFT_OFF)
		state->pause = !state->pause			      ? THRIFT_PAUSE_FIRST
			       : state->pause < THRIFT_PAUSE_MOST / 2 ? 2 * state->pause
								      : THRIFT_PAUSE_MOST;
	snprintf(change->reason, sizeof(change->reason),
		 "took %.3g %% of the processors for %u s, above its budget of %.3g %%, at %.0f "
		 "requests/s",
		 input->cost_ratio * 100, (unsigned)(THRIFT_UP_AFTER / NS_PER_S),
		 input->budget_ratio * 100, input->rate);
}

/* What the step below would take of the requests that there are now. */
static double thrift_below(const struct thrift *state, const struct thrift_input *input)
{
	return state->each[state->step - 1] * input->rate;
}

static void thrift_down(struct thrift *state, const struct thrift_input *input,
			struct thrift_change *change)
{
	double below = thrift_below(state, input);

	thrift_go(state, input, state->step - 1, change);
	state->pause = 0;
	snprintf(change->reason, sizeof(change->reason),
		 "would take %.3g %% of the processors for %u s by now, at %.0f requests/s; the "
		 "budget is %.3g %%",
		 below * 100, (unsigned)(THRIFT_DOWN_AFTER / NS_PER_S), input->rate,
		 input->budget_ratio * 100);
}

/* Tried again by counting alone, which takes least. */
static void thrift_back(struct thrift *state, const struct thrift_input *input,
			struct thrift_change *change)
{
	thrift_go(state, input, THRIFT_COUNTS, change);
	snprintf(change->reason, sizeof(change->reason), "is tried again after %u s",
		 (unsigned)(state->pause / NS_PER_S));
}

static void thrift_unlimited(struct thrift *state, const struct thrift_input *input,
			     struct thrift_change *change)
{
	thrift_go(state, input, THRIFT_ALL, change);
	state->pause = 0;
	snprintf(change->reason, sizeof(change->reason), "has no budget any more");
}

bool thrift_step(struct thrift *state, const struct thrift_input *input,
		 struct thrift_change *change)
{
	bool above = input->cost_ratio > input->budget_ratio;
	bool below;

	if (input->budget_ratio <= 0) {
		if (state->step == THRIFT_ALL)
			return false;
		thrift_unlimited(state, input, change);
		return true;
	}
	if (state->step == THRIFT_OFF) {
		if (input->now - state->since < state->pause)
			return false;
		thrift_back(state, input, change);
		return true;
	}
	below = state->step > THRIFT_ALL && !above &&
		thrift_below(state, input) < input->budget_ratio * THRIFT_DOWN_RATIO;
	state->above_since = held_since(state->above_since, above, input->now);
	state->below_since = held_since(state->below_since, below, input->now);
	if (above && input->now - state->above_since >= THRIFT_UP_AFTER) {
		thrift_up(state, input, change);
		return true;
	}
	if (below && input->now - state->below_since >= THRIFT_DOWN_AFTER) {
		thrift_down(state, input, change);
		return true;
	}
	return false;
}

void thrift_failed(struct thrift *state, mono_ns now)
{
	state->step = THRIFT_OFF;
	state->since = now;
	state->above_since = state->below_since = 0;
	if (!state->pause)
		state->pause = THRIFT_PAUSE_FIRST;
}

mono_ns thrift_back_at(const struct thrift *state)
{
	return state->step == THRIFT_OFF ? state->since + state->pause : 0;
}
