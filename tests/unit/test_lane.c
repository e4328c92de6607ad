/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both ends of lanes and overflow blocks at one address, so that ThreadSanitizer sees the order
 * that writers and reader give each other.
 */
#include <pthread.h>
#include <stdlib.h>
#include <vow/vow.h>

#include "client/process.h"
#include "lib/data/lane.h"
#include "lib/data/overflow.h"
#include "tests/unit/check.h"

#define WRITERS 4
#define PUSHES	200000u
#define BATCH	64

static unsigned finished; /* atomic */

static void *writer(void *arg)
{
	vow_id route = vow_route("ordered");

	for (unsigned i = 0; i < PUSHES; i++)
		vow_observe(route, 1000 + i % 5000, 200);
	__atomic_fetch_add(&finished, 1, __ATOMIC_RELEASE);
	return arg;
}

struct reader {
	struct segment segment;
	struct lane lanes[VOW_SHM_LANES];
	struct overflow overflow;
	struct overflow_delta delta;
	uint64_t count, sum_ns;
};

static void reader_drain(struct reader *reader, unsigned i)
{
	struct vow_shm_lane *shared = &reader->segment.shm->lanes[i];
	struct vow_shm_record records[BATCH];
	unsigned count;

	if (!reader->lanes[i].begun)
		lane_begin(&reader->lanes[i], shared, 0);
	while ((count = lane_take(&reader->lanes[i], shared, records, BATCH)) > 0)
		for (unsigned r = 0; r < count; r++) {
			CHECK_EQ_U64(VOW_SHM_WHAT_KIND(records[r].what), VOW_SHM_OBSERVED);
			CHECK_EQ_U64(VOW_SHM_WHAT_STATUS(records[r].what), 200);
			reader->count++;
			reader->sum_ns += records[r].latency_ns;
		}
	CHECK(!reader->lanes[i].quarantined);
	lane_commit(&reader->lanes[i], shared);
}

static void reader_overflow(struct reader *reader)
{
	CHECK_OK(overflow_scan(&reader->overflow));
	for (unsigned i = 0; i < reader->overflow.count; i++)
		if (overflow_take(&reader->overflow, i, UINT64_MAX, true, &reader->delta)) {
			reader->count += reader->delta.hist.count;
			reader->sum_ns += reader->delta.hist.sum_ns;
		}
	CHECK_EQ_U64(reader->overflow.broken, 0);
	overflow_commit(&reader->overflow);
}

CHECK_TEST(test_reader_and_writers_at_once_lose_nothing)
{
	struct vow_options options = {.service = "order", .dir = check_dir()};
	struct reader *reader = calloc(1, sizeof(*reader));
	pthread_t writers[WRITERS];

	CHECK_OK(vow_open_options(&options));
	reader->segment.shm = process_mine->shm;
	overflow_init(&reader->overflow, &reader->segment);
	for (unsigned i = 0; i < WRITERS; i++)
		CHECK_OK(pthread_create(&writers[i], NULL, writer, NULL));
	unsigned done;
	do {
		done = __atomic_load_n(&finished, __ATOMIC_ACQUIRE);
		for (unsigned i = 0; i < segment_counters(&reader->segment).lanes; i++)
			reader_drain(reader, i);
		reader_overflow(reader);
	} while (done < WRITERS);
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
	uint64_t sum_ns = 0;
	for (unsigned i = 0; i < PUSHES; i++)
		sum_ns += 1000 + i % 5000;
	CHECK_EQ_U64(reader->count, (uint64_t)WRITERS * PUSHES);
	CHECK_NEAR((double)reader->sum_ns, (double)(WRITERS * sum_ns), 1e-3 * (double)sum_ns);
	overflow_deinit(&reader->overflow);
	free(reader);
	vow_close();
}

CHECK_MAIN("lane", test_reader_and_writers_at_once_lose_nothing)
