/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A segment whose owner means no good: it begins as libvow would make it, then words anywhere in it
 * are overwritten. One in a process; used by the fuzzers of segments and lanes.
 */
#ifndef VOW_TESTS_FUZZ_FORGED_H
#define VOW_TESTS_FUZZ_FORGED_H

#include <vow/shm.h>

#include "tests/fuzz/fuzz.h"

extern struct vow_shm *forged; /* the owner's mapping */

/* Empties the segment and writes a good header, a name and two lanes. Returns its descriptor. */
int forged_fresh(void);

/*
 * Overwrites up to 32 bytes of the segment, as the input says where: in the words that stand for
 * something more often than elsewhere; the header, which is read only once, when header is true.
 */
void forged_patch(struct fuzz_input *input, bool header);

#endif
