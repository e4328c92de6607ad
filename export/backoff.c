/* SPDX-License-Identifier: Apache-2.0 */
#include "export/backoff.h"

#define WAIT_LEAST    (100 * NS_PER_MS)
#define WAIT_MOST     (5 * NS_PER_S)
#define REFUSED_LEAST (5 * NS_PER_S)
#define REFUSED_MOST  (15 * NS_PER_S)

static dur_ns backoff_between(dur_ns low, dur_ns high, double random)
{
	return low + (dur_ns)((double)(high - low) * random);
}

dur_ns backoff_wait(unsigned failures, bool refused, double random)
{
	dur_ns most = 2 * WAIT_LEAST;

	if (refused)
		return backoff_between(REFUSED_LEAST, REFUSED_MOST, random);
	for (unsigned i = 0; i < failures && most < WAIT_MOST; i++)
		most *= 2;
	return backoff_between(WAIT_LEAST, most < WAIT_MOST ? most : WAIT_MOST, random);
}
