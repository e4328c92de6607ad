/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long vow-export waits before it tries the hub again: a pure function, any thread, neither
 * blocks nor allocates.
 *
 * Each wait is drawn evenly from a range, so that the agents of a fleet, who lose their hub in the
 * same instant, do not come back in the same instant. The range begins at 100 ms and ends at 200 ms
 * after the first failure, at twice as much after each further one, and at 5 s from then on: a hub
 * that restarts has its fleet back within seconds. A hub that answers with no (another version, a
 * certificate that it does not take) is not asked again before 5 s, since only a person changes
 * that, and within 15 s.
 */
#ifndef VOW_EXPORT_BACKOFF_H
#define VOW_EXPORT_BACKOFF_H

#include <stdbool.h>

#include "lib/base/types.h"

/*
 * failures: attempts before this one that failed, in a row. refused: the hub was there and said no.
 * random is drawn evenly from [0, 1).
 */
dur_ns backoff_wait(unsigned failures, bool refused, double random);

#endif
