/* SPDX-License-Identifier: Apache-2.0 */
#include "client/exemplar.h"

#include <string.h>
#include <time.h>

#include "client/writer.h"
#include "lib/base/testpoint.h"

/*
 * An observation looks at one set of places only, by its name and outcome, so that a slow route
 * does not take all of a lane's places from the others.
 */
#define EXEMPLAR_WAYS 4u
#define EXEMPLAR_SETS (VOW_SHM_EXEMPLARS / EXEMPLAR_WAYS)
#define EXEMPLAR_KEY  UINT64_C(0x00ffffffffffffff) /* of `what`: all but the attempts */

_Static_assert(VOW_SHM_TAG == VOW_TAG_MAX, "a tag fits");

static struct vow_shm_exemplar *exemplar_set(struct vow_shm_lane *lane, uint64_t what)
{
	uint64_t hash = (what & EXEMPLAR_KEY) * UINT64_C(0x9e3779b97f4a7c15);

	return &lane->exemplar[(hash >> 32) % EXEMPLAR_SETS * EXEMPLAR_WAYS];
}

/* A place that the agent has read, or that of a faster one; NULL: all are slower. */
static struct vow_shm_exemplar *exemplar_place(struct vow_shm_lane *lane, uint64_t what,
					       uint64_t latency_ns)
{
	struct vow_shm_exemplar *set = exemplar_set(lane, what), *place = NULL;
	/* Partner: the agent's release in lane_exemplars(), after it has read them. */
	uint64_t taken = __atomic_load_n(&lane->exemplars_taken, __ATOMIC_ACQUIRE);

	for (unsigned i = 0; i < EXEMPLAR_WAYS; i++) {
		if (set[i].number <= taken)
			return &set[i];
		if (set[i].latency_ns < latency_ns) {
			latency_ns = set[i].latency_ns;
			place = &set[i];
		}
	}
	return place;
}

/* Of the kernel's last tick: it costs a fourth of the exact time and is of this 1 to 10 ms. */
static uint64_t exemplar_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Whoever sees one of these words sees the 0 that was stored into the number before. */
static void exemplar_word(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

void exemplar_offer(uint64_t latency_ns, uint64_t what, const char *tag, size_t length)
{
	struct vow_shm_lane *lane = writer_mine->lane;
	uint64_t words[VOW_SHM_TAG / 8] = {0};

	if (!lane || !length)
		return;
	struct vow_shm_exemplar *place = exemplar_place(lane, what, latency_ns);
	if (!place)
		return;
	memcpy(words, tag, length);
	uint64_t number = lane->exemplars + 1;
	__atomic_store_n(&place->number, 0, __ATOMIC_RELAXED);
	TESTPOINT(exemplar_begun);
	exemplar_word(&place->ended_unix_ns, exemplar_now());
	exemplar_word(&place->latency_ns, latency_ns);
	exemplar_word(&place->what, what);
	for (unsigned i = 0; i < VOW_SHM_TAG / 8; i++)
		exemplar_word(&place->tag[i], words[i]);
	/* Partners: the agent's acquires in lane_exemplars(). */
	__atomic_store_n(&place->number, number, __ATOMIC_RELEASE);
	TESTPOINT(exemplar_numbered);
	__atomic_store_n(&lane->exemplars, number, __ATOMIC_RELEASE);
}
