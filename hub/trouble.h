/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes wrong in a hub now, kept apart by concern, so that one that works again does not hide
 * another that does not. Logs a trouble once, not once for each time that it is met. One thread.
 */
#ifndef VOW_HUB_TROUBLE_H
#define VOW_HUB_TROUBLE_H

#include <stdbool.h>

#include "lib/base/diag.h"

enum trouble_concern {
	TROUBLE_COMMIT, /* nothing becomes durable, so nothing is acknowledged */
	TROUBLE_CHECKPOINT, /* a restart takes longer, raw ticks pile up */
	TROUBLE_TRIM, /* raw ticks pile up */
	TROUBLE_FORGET, /* agents that are gone stay in memory */
	TROUBLE_CONCERNS
};

struct trouble { /* zero: all is well */
	char texts[TROUBLE_CONCERNS][240];
};

/* rc 0 ends the concern's trouble; else d says what is wrong and `then` what follows from it. */
void trouble_note(struct trouble *trouble, enum trouble_concern concern, int rc,
		  const struct diag *d, const char *then);
bool trouble_in(const struct trouble *trouble, enum trouble_concern concern);
/* The worst of all concerns, "" when all is well; good until the next trouble_note(). */
const char *trouble_text(const struct trouble *trouble);

#endif
