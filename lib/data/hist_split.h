/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A histogram at rest: exact, in about half of the bytes of the packed form, for what stays in memory
 * for days. It never leaves the process, so it has no version and no checks: only what
 * hist_split_pack() wrote here may be read.
 *
 * The count of all occupied slots is split in two halves, these again, down to single slots; stored
 * is only how each split differs from the one that its neighbours let expect. Of a smooth
 * distribution that is chance alone: some sqrt(n) / 2 of n, for which n itself says how many bits it
 * needs. No code can do with less than this chance; this one takes about a tenth more.
 *
 * Any thread; neither blocks nor allocates; up to 70 KiB of stack, of which only what the
 * occupied range needs is touched.
 */
#ifndef VOW_LIB_DATA_HIST_SPLIT_H
#define VOW_LIB_DATA_HIST_SPLIT_H

#include "lib/data/hist.h"

/* Histograms of more than this do not fit; the packed form holds them. */
#define HIST_SPLIT_COUNT_MAX UINT32_MAX

/*
 * Bytes written; -ENOBUFS when cap is too small (HIST_PACKED_MAX always suffices; buf may hold
 * anything then); -EOVERFLOW beyond HIST_SPLIT_COUNT_MAX. About 10 ns for each slot of the occupied
 * range.
 */
ssize_t hist_split_pack(const struct hist *h, uint8_t *buf, size_t cap);

/* Bytes behind the packed ones that hist_split_merge() may read, whatever they are. */
#define HIST_SPLIT_SLACK 8
/*
 * Adds what hist_split_pack() wrote: 0, or -EOVERFLOW when the sum does not fit, with h unchanged.
 * About 5 ns for each slot of the occupied range.
 */
int hist_split_merge(struct hist *into, const uint8_t *bytes, size_t size);

#endif
