/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which record a hub cannot read, when it ends the stream because of a message that it can make
 * nothing of: it cannot tell which of the records in it is to blame, and the same message again
 * would end the next stream as well, for ever. So what was sent by then is sent once more, each
 * record alone and the next one only behind an answer. One that is refused alone as often as
 * SUSPECT_REFUSALS is set aside: its number goes without content, by which the hub counts it as
 * lost, and what follows goes on. A hub that refuses even that cannot read anything, which is no
 * record's fault: nothing stays set aside then, and all waits for another hub.
 *
 * A state machine without a clock; one thread; neither blocks nor allocates.
 */
#ifndef VOW_EXPORT_SUSPECT_H
#define VOW_EXPORT_SUSPECT_H

#include <stdbool.h>

#include "lib/base/types.h"

/* Alone, and once before that in company: some 30 s pass, should it be a moment of the hub's. */
#define SUSPECT_REFUSALS 2
/*
 * Numbers that are remembered; a hub asks for them again when it lost the names of series. One that
 * is forgotten is found out again.
 */
#define SUSPECT_ASIDE 64

struct suspect { /* zero: nobody is suspected */
	uint64_t until; /* records up to this one go alone; 0: none does */
	uint64_t seq; /* refused alone last */
	unsigned refusals; /* of it, alone, in a row */
	uint64_t aside[SUSPECT_ASIDE]; /* 0: free */
	unsigned aside_next; /* the place of the next one, the oldest's when all are taken */
};

enum suspect_verdict {
	SUSPECT_LOOK, /* it is to be found out which one it is, or whether it is refused again */
	SUSPECT_SET_ASIDE, /* it is the last one sent, which is set aside from now on */
	SUSPECT_HUB /* it is no record, but the hub */
};

/* The hub could not read a message; `last` is the last record that was sent to it. */
enum suspect_verdict suspect_refused(struct suspect *suspect, uint64_t last);
/* It answered, and so has read what was sent, up to record `last`. */
void suspect_answered(struct suspect *suspect, uint64_t last);

/* Whether the record must be the only one of its message, and be answered before the next. */
bool suspect_alone(const struct suspect *suspect, uint64_t seq);
/* Whether its number goes without content. */
bool suspect_is_aside(const struct suspect *suspect, uint64_t seq);

#endif
