/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both ends of lanes and overflow blocks at one address, so that ThreadSanitizer sees the order
 * that writers and reader give each other.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <vow/vow.h>

#include "client/process.h"
#include "lib/data/lane.h"
#include "lib/data/overflow.h"
#include "tests/unit/check.h"

#define WRITERS_MAX 128
#define BATCH	    64

static unsigned finished; /* atomic */

/* Observes so many times, a latency for each. */
static void *writer(void *arg)
{
	const unsigned *pushes = arg;
	vow_id route = vow_route("ordered");

	for (unsigned i = 0; i < *pushes; i++)
		vow_observe(route, 1000 + i % 5000, 200);
	__atomic_fetch_add(&finished, 1, __ATOMIC_RELEASE);
	return NULL;
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

/* Writers beside a reader, which must find what all of them observed. */
static void write_and_read(unsigned writers, unsigned pushes)
{
	struct vow_options options = {.service = "order", .dir = check_dir()};
	struct reader *reader = calloc(1, sizeof(*reader));
	pthread_t threads[WRITERS_MAX];

	CHECK(writers <= WRITERS_MAX);
	CHECK_OK(vow_open_options(&options));
	reader->segment.shm = process_mine->shm;
	overflow_init(&reader->overflow, &reader->segment);
	finished = 0;
	for (unsigned i = 0; i < writers; i++)
		CHECK_OK(pthread_create(&threads[i], NULL, writer, &pushes));
	unsigned done;
	do {
		done = __atomic_load_n(&finished, __ATOMIC_ACQUIRE);
		for (unsigned i = 0; i < segment_counters(&reader->segment).lanes; i++)
			reader_drain(reader, i);
		reader_overflow(reader);
	} while (done < writers);
	for (unsigned i = 0; i < writers; i++)
		pthread_join(threads[i], NULL);
	uint64_t sum_ns = 0;
	for (unsigned i = 0; i < pushes; i++)
		sum_ns += 1000 + i % 5000;
	CHECK_EQ_U64(reader->count, (uint64_t)writers * pushes);
	/* While writers are under way the sum taken is kept to what the buckets allow. */
	CHECK_NEAR((double)reader->sum_ns, (double)(writers * sum_ns),
		   2 * HIST_RELATIVE_ERROR * (double)(writers * sum_ns));
	overflow_deinit(&reader->overflow);
	free(reader);
	vow_close();
}

CHECK_TEST(test_reader_and_writers_at_once_lose_nothing)
{
	write_and_read(4, 200000);
}

/* Those without a lane add to the blocks of their processors, while others do so there. */
CHECK_TEST(test_reader_and_more_writers_than_lanes_lose_nothing)
{
	write_and_read(WRITERS_MAX, 5000);
}

/* The bytes that docs/shm-format.md promises to other languages (little endian). */
CHECK_TEST(test_layout_is_what_the_page_says)
{
	static const uint8_t magic[] = {'V', 'O', 'W', '-', 'S', 'H', 'M', '1',
					2,   0,	  0,   0,   144, 0,   0,   0};
	static const uint8_t delivered[] = {
		0x01, 0,    0x02, 0,
		0xc8, 0,    0x03, 0x21, /* name 1, peer 2, status 200, kind 3, 1 | 1 << 5 */
		0x88, 0x77, 0x66, 0x55,
		0x44, 0x33, 0x22, 0x11};
	struct vow_options options = {.service = "golden", .dir = check_dir()};
	struct vow_delivery delivery;

	CHECK_OK(vow_open_options(&options));
	const uint8_t *base = (const uint8_t *)process_mine->shm;
	CHECK_MEM(base, magic, sizeof(magic));
	CHECK_STR((const char *)base + 80, "golden");
	CHECK_MEM(base + 0x13000, "\1\0\x09\0\0\0\0\0{unnamed}", 17);
	vow_id event = vow_event("paid"), endpoint = vow_endpoint("host/in?key");
	CHECK_MEM(base + 0x13000 + 128, "\5\0\4\0\0\0\0\0paid", 12);
	CHECK_MEM(base + 0x13000 + 256, "\6\0\7\0\0\0\0\0host/in", 15);
	vow_delivery_enqueued(&delivery, event, endpoint, 1, 0x1122334455667788);
	vow_attempt_begin(&delivery);
	vow_delivery_delivered(&delivery);
	CHECK_EQ_U64(*(const uint64_t *)(base + 0x3b000), 1); /* tail */
	CHECK_MEM(base + 0x3b000 + 4096 + 16, delivered, sizeof(delivered));
	vow_job_progress(vow_job("j"), 3, 4);
	CHECK_EQ_U64(*(const uint64_t *)(base + 0x3000 + 3 * 64), 1);
	CHECK_EQ_U64(*(const uint64_t *)(base + 0x3000 + 3 * 64 + 16), 3);
	CHECK_EQ_U64(*(const uint64_t *)(base + 0x3000 + 3 * 64 + 24), 4);

	vow_id route = vow_route("r");
	for (unsigned i = 0; i < 1024; i++)
		vow_observe(route, 1000, 500); /* the last one spills, from lane 0 */
	uint64_t key = UINT64_C(1) << 63 | UINT64_C(1) << 40 | UINT64_C(5) << 36 | 4 << 16;
	unsigned place = (unsigned)(key * UINT64_C(0x9e3779b97f4a7c15) >> 52);
	CHECK_EQ_U64(*(const uint64_t *)(base + 0x33000 + 8 * place), key);
	const uint64_t *block = (const uint64_t *)(base + 0x87b000 + 90112ul * place);
	unsigned slot = hist_slot(1000);
	CHECK_EQ_U64(block[0], UINT64_C(1) << slot / 128);
	CHECK_EQ_U64(block[1], 1000);
	CHECK_EQ_U64(block[2], 1000);
	CHECK_EQ_U64(block[3], 1);
	CHECK_EQ_U64(block[128 + 256 * (slot / 128) + slot % 128], 1);
	vow_close();
}

/* Takes records until there are none and gives them back; latencies tell their order. */
static void grown_take(struct lane *lane, struct vow_shm_lane *shared, uint64_t first,
		       uint64_t count)
{
	struct vow_shm_record records[BATCH];
	uint64_t taken = 0;
	unsigned more;

	while ((more = lane_take(lane, shared, records, BATCH)) > 0)
		for (unsigned i = 0; i < more; i++)
			CHECK_EQ_U64(records[i].latency_ns, first + taken++);
	CHECK_EQ_U64(taken, count);
	lane_commit(lane, shared);
}

static uint64_t grown_observe(vow_id route, uint64_t next, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		vow_observe(route, next++, 200);
	return next;
}

CHECK_TEST(test_a_lane_that_overflowed_grows_once_it_is_empty_and_keeps_order)
{
	struct vow_options options = {.service = "grown", .dir = check_dir()};
	struct lane lane;
	uint64_t next = 1;

	CHECK_OK(vow_open_options(&options));
	vow_id route = vow_route("r");
	struct vow_shm_lane *shared = &process_mine->shm->lanes[0];
	next = grown_observe(route, next, VOW_SHM_LANE_SLOTS);
	vow_observe(route, 1, 200);
	CHECK_EQ_U64(shared->overflowed, 1);
	lane_begin(&lane, shared, 0);
	struct vow_shm_record record;
	CHECK_EQ_U64(lane_take(&lane, shared, &record, 1), 1);
	lane_commit(&lane, shared);
	next = grown_observe(route, next, 1); /* there is room, but records as well */
	CHECK_EQ_U64(shared->grown, 0);
	grown_take(&lane, shared, 2, VOW_SHM_LANE_SLOTS);
	for (unsigned round = 0; round < 3; round++) {
		uint64_t first = next;

		next = grown_observe(route, next, VOW_SHM_LANE_ROOM);
		CHECK_EQ_U64(shared->grown, VOW_SHM_LANE_ROOM);
		CHECK_EQ_U64(shared->overflowed, 1);
		grown_take(&lane, shared, first, VOW_SHM_LANE_ROOM);
	}
	grown_observe(route, next, VOW_SHM_LANE_ROOM + 1);
	CHECK_EQ_U64(shared->overflowed, 2);
	grown_take(&lane, shared, next, VOW_SHM_LANE_ROOM);
	CHECK(!lane.quarantined);
	/* A lane that says it is small again and holds more than that makes no sense. */
	grown_observe(route, next, VOW_SHM_LANE_ROOM);
	shared->grown = 0;
	CHECK_EQ_U64(lane_take(&lane, shared, &record, 1), 0);
	CHECK(lane.quarantined);
	vow_close();
}

/* From a thread whose lane is full: each name with a status of each class. */
static void *names_spill(void *arg)
{
	static const unsigned statuses[] = {0, 100, 200, 300, 400, 500, 600};
	const unsigned *names = arg;
	char name[16];

	for (unsigned i = 0; i < VOW_SHM_LANE_SLOTS; i++)
		vow_observe(0, 1000, 200);
	for (unsigned i = 0; i < *names; i++) {
		snprintf(name, sizeof(name), "name %u", i);
		vow_id route = vow_route(name);

		for (unsigned s = 0; s < ARRAY_LEN(statuses); s++)
			vow_observe(route, 1000, statuses[s]);
	}
	return NULL;
}

CHECK_TEST(test_a_directory_half_full_keeps_its_places_for_names)
{
	unsigned names = 400, own = 0, shared = 0;
	struct vow_options options = {.service = "crowd", .dir = check_dir()};
	pthread_t thread;

	CHECK_OK(vow_open_options(&options));
	vow_observe(0, 1000, 200); /* takes the first lane, whose shard is 0 */
	CHECK_OK(pthread_create(&thread, NULL, names_spill, &names));
	pthread_join(thread, NULL);
	for (unsigned i = 0; i < VOW_SHM_DIRECTORY; i++) {
		uint64_t key = process_mine->shm->directory[i];

		own += key != 0 && (key >> 32 & 15) == 1;
		shared += key != 0 && (key >> 32 & 15) == 0;
	}
	CHECK_EQ_U64(own, VOW_SHM_DIRECTORY / 2 + 1);
	CHECK_EQ_U64(own + shared, 7 * names);
	CHECK_EQ_U64(process_mine->shm->counters.directory, 7 * names);
	CHECK_EQ_U64(process_mine->shm->counters.lost, 0);
	vow_close();
}

CHECK_MAIN("lane", test_a_directory_half_full_keeps_its_places_for_names,
	   test_a_lane_that_overflowed_grows_once_it_is_empty_and_keeps_order,
	   test_layout_is_what_the_page_says, test_reader_and_writers_at_once_lose_nothing,
	   test_reader_and_more_writers_than_lanes_lose_nothing)
