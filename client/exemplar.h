/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exemplars: tagged observations that the agent may show, in places of the thread's own lane
 * beside its records (struct vow_shm_exemplar). Best effort: a thread without a lane has none, and
 * among those that come faster than the agent looks, which is ten times a second, the slow ones
 * stay. Progress: wait-free. If the process dies in between, the place counts as empty.
 */
#ifndef VOW_CLIENT_EXEMPLAR_H
#define VOW_CLIENT_EXEMPLAR_H

#include <stddef.h>
#include <stdint.h>

/*
 * Right after the push of an observation with this latency and `what`: keeps its tag of length
 * bytes, at most VOW_SHM_TAG; 0 is none. Some 20 ns, 10 when all that it could write over are slower.
 */
void exemplar_offer(uint64_t latency_ns, uint64_t what, const char *tag, size_t length);

#endif
