/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparing and hashing the keys of series, for the series table alone. Any thread.
 */
#ifndef VOW_LIB_DATA_SERIES_KEY_H
#define VOW_LIB_DATA_SERIES_KEY_H

#include "lib/data/series.h"

/*
 * Copies a key so that every field ends with a NUL and every byte behind it is 0: equal keys then
 * have equal bytes, and series_key_hash() may read all of them.
 */
void series_key_copy(struct series_key *to, const struct series_key *from);

/*
 * Of a key from series_key_copy(). `seed` is random in each process, so that strangers cannot
 * choose names that collide.
 */
uint64_t series_key_hash(const struct series_key *key, uint64_t seed);
bool series_key_equal(const struct series_key *a, const struct series_key *b);

#endif
