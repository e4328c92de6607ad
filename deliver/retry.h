/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a delivery that failed is tried again, and when: a pure function of what happened. Any
 * thread; neither blocks nor allocates.
 *
 * Tries follow each other after up to 0.5, 1.5 and 4.5 s, so that a receiver that restarts gets the
 * alert within seconds; then 30 s, 5 min, 15 min, 1 h, and every 4 h, until 24 h after the first
 * try. Each wait is drawn evenly from zero up to that (full jitter), so that what failed together
 * does not come back together. A receiver's Retry-After is waited for at least.
 *
 *	2xx			accepted
 *	408 421 425 429 5xx	tried again (but not 501 and 505: the receiver never will)
 *	3xx			given up: redirects are not followed, the address is wrong
 *	other 4xx		given up: the same message would be refused again
 *	no answer		tried again: name look-up, connection, TLS, time-out, broken answer
 */
#ifndef VOW_DELIVER_RETRY_H
#define VOW_DELIVER_RETRY_H

#include <stdbool.h>

#include "lib/base/types.h"

#define RETRY_HORIZON (24 * NS_PER_H) /* of the first try: later ones are not begun */

enum retry_class { /* what one try came to; names in dead letters */
		   RETRY_ACCEPTED,
		   RETRY_DNS,
		   RETRY_REFUSED,
		   RETRY_TLS,
		   RETRY_TIMEOUT,
		   RETRY_BROKEN, /* the connection or the answer broke */
		   RETRY_HTTP_3XX,
		   RETRY_HTTP_4XX,
		   RETRY_HTTP_5XX,
		   RETRY_DROPPED, /* not the receiver's doing: its queue was full, or it was unconfigured */
};
const char *retry_class_name(enum retry_class class); /* "accepted", "dns", ..., "http5xx" */

/* Of an HTTP status; anything outside of 100..599 is RETRY_BROKEN. */
enum retry_class retry_class_of(long status);

struct retry_try {
	enum retry_class class;
	long status; /* of HTTP, 0 when there was no answer */
	unsigned number; /* which try it was, from 1 */
	dur_ns age; /* since the first try began */
	dur_ns retry_after; /* that the receiver asked for; 0: did not */
};

enum retry_verdict { RETRY_DONE, RETRY_AGAIN, RETRY_GIVE_UP };

/* random is drawn evenly from [0, 1). *wait is set for RETRY_AGAIN. */
enum retry_verdict retry_step(const struct retry_try *last, double random, dur_ns *wait);

#endif
