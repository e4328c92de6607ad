/* SPDX-License-Identifier: Apache-2.0 */
#include "export/suspect.h"

/* The place of a number that is set aside; SUSPECT_ASIDE when it is not. */
static unsigned suspect_place(const struct suspect *suspect, uint64_t seq)
{
	unsigned i = 0;

	while (i < SUSPECT_ASIDE && suspect->aside[i] != seq)
		i++;
	return i;
}

bool suspect_alone(const struct suspect *suspect, uint64_t seq)
{
	return seq <= suspect->until;
}

bool suspect_is_aside(const struct suspect *suspect, uint64_t seq)
{
	return suspect_place(suspect, seq) < SUSPECT_ASIDE;
}

static void suspect_set_aside(struct suspect *suspect, uint64_t seq)
{
	suspect->aside[suspect->aside_next] = seq;
	suspect->aside_next = (suspect->aside_next + 1) % SUSPECT_ASIDE;
}

enum suspect_verdict suspect_refused(struct suspect *suspect, uint64_t last)
{
	if (!suspect_alone(suspect, last)) {
		suspect->until = last;
		return SUSPECT_LOOK;
	}
	if (suspect->seq != last)
		suspect->refusals = 0;
	suspect->seq = last;
	if (suspect_is_aside(suspect, last)) {
		suspect->aside[suspect_place(suspect, last)] = 0;
		suspect->refusals = 0;
		return SUSPECT_HUB;
	}
	if (++suspect->refusals < SUSPECT_REFUSALS)
		return SUSPECT_LOOK;
	suspect_set_aside(suspect, last);
	return SUSPECT_SET_ASIDE;
}

void suspect_answered(struct suspect *suspect, uint64_t last)
{
	if (last < suspect->until)
		return;
	suspect->until = 0;
	suspect->seq = 0;
	suspect->refusals = 0;
}
