/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How sure is it? Any thread; neither blocks nor allocates; at most some 10 us.
 */
#ifndef VOW_LIB_MODEL_CHANCE_H
#define VOW_LIB_MODEL_CHANCE_H

#include "lib/base/types.h"

/*
 * The probability, 0 .. 1, that the true share of bad events is above limit_ratio (0 .. 1) after
 * `bad` and `good` events were seen: the posterior of a binomial share under a uniform prior,
 *
 *	P(p > limit) = 1 - I_limit(bad + 1, good + 1),
 *
 * with I the regularised incomplete beta function (DLMF 8.17; continued fraction 8.17.22). By
 * 8.17.5 this is the chance that a binomial of good + bad + 1 tries at limit_ratio gives at most
 * `bad`: exact, not an approximation. Without events it is 1 - limit_ratio, the prior itself.
 * Beyond a million events the normal limit of the same posterior is used (error below 0.001).
 */
double chance_share_above(uint64_t good, uint64_t bad, double limit_ratio);

#endif
